#include "control/crash_json.h"

#include <stdio.h>

#include "base/check.h"
#include "registry/events.h"
#include "supervisor/crash.h"
#include "wire/json.h"

static void text_set(json_t *object, const char *key, const char *text) {
	if (text[0] != '\0')
		json_object_set_new(object, key, json_string(text));
}

static json_t *row_json(const struct crash_row *row) {
	char payload[17];
	json_t *object =
		json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "verdict", crash_outcome_name(atomic_load(&row->outcome)),
			"cause", row->cause, "deaths", (json_int_t)row->count, "alone", (json_int_t)row->alone, "first_ms",
			(json_int_t)row->first_ms, "last_ms", (json_int_t)row->last_ms, "in", crash_kind_name(row->kind));
	check_memory(object);
	text_set(object, "plugin", row->plugin);
	text_set(object, "version", row->version);
	if (row->name[0] == '\0')
		return object;
	snprintf(payload, sizeof payload, "%016llx", (unsigned long long)row->payload_hash);
	text_set(object, row->kind == NOTE_ROUTER ? "ingress" : "function", row->name);
	json_object_set_new(object, row->kind == NOTE_ROUTER ? "producer" : "id", json_from_bytes(crash_row_id(row)));
	text_set(object, "payload_hash", payload);
	return object;
}

json_t *crashes_json(bool suspects_only) {
	const struct crash_table *table = crash_current();
	json_t *rows = json_array();
	check_memory(rows);
	for (uint32_t i = 0; i < atomic_load(&table->count); i++) {
		const struct crash_row *row = &table->rows[i];
		bool suspect = crash_row_is(row, CRASH_SUSPECT) || crash_row_is(row, CRASH_CONVICTED);
		if (suspect || !suspects_only)
			json_array_append_new(rows, row_json(row));
	}
	return rows;
}

void crash_tell(struct events *events) {
	const struct crash_table *table = crash_current();
	if (atomic_load(&table->count) > 0)
		events_emit(events, EVENT_CRASH, row_json(&table->rows[0]));
}
