/* Rows 'T' and 'V' of the runtime database; their grammar is plugin/FORMAT.md. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "registry/inside.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum { VERDICT_FIELDS = 12, TYPE_FIELDS = 6, TYPE_FIELDS_MIN = 4, REFUSAL_FIELDS = 4 };

static const char *const verdict_names[] = {
	[VERDICT_ATTEMPTING] = "attempting",
	[VERDICT_LIVE] = "live",
	[VERDICT_DRAINING] = "draining",
	[VERDICT_RETIRED] = "retired",
	[VERDICT_REFUSED] = "refused",
	[VERDICT_QUARANTINED] = "quarantined",
	[VERDICT_READY] = "ready",
};
enum { VERDICT_STATES = sizeof(verdict_names) / sizeof(verdict_names[0]) };

const char *verdict_state_name(enum verdict_state state) {
	return verdict_names[state];
}

/* ---- verdicts in memory ---- */

struct verdict *verdict_find(const struct registry *registry, const uint8_t hash[HASH_BYTES]) {
	for (size_t i = 0; i < registry->verdict_count; i++)
		if (memcmp(registry->verdicts[i]->hash, hash, HASH_BYTES) == 0)
			return registry->verdicts[i];
	return NULL;
}

void verdict_set_text(char **place, const char *text) {
	char *copy = check_strdup(text);
	free(*place);
	*place = copy;
}

struct verdict *verdict_add(struct registry *registry, const uint8_t hash[HASH_BYTES]) {
	struct verdict *verdict = verdict_find(registry, hash);
	if (verdict != NULL)
		return verdict;
	verdict = check_alloc(1, sizeof(*verdict));
	memcpy(verdict->hash, hash, HASH_BYTES);
	verdict_set_text(&verdict->file, "");
	verdict_set_text(&verdict->image, "");
	registry->verdicts = realloc(registry->verdicts, (registry->verdict_count + 1) * sizeof(struct verdict *));
	check_memory(registry->verdicts);
	registry->verdicts[registry->verdict_count++] = verdict;
	return verdict;
}

void verdict_destroy(struct verdict *verdict) {
	free(verdict->file);
	free(verdict->image);
	free(verdict->refusal);
	free(verdict);
}

void verdict_refuse(struct verdict *verdict, enum verdict_state state, const struct error *error) {
	verdict->state = state;
	verdict_set_text(&verdict->image, "");
	free(verdict->refusal);
	verdict->refusal = NULL;
	if (error == NULL)
		return;
	verdict->refusal = check_alloc(1, sizeof(*error));
	*verdict->refusal = *error;
}

void verdict_forget_copy(struct verdict *verdict) {
	verdict_set_text(&verdict->image, "");
	verdict->kept = 0;
}

/* ---- as bytes ---- */

void verdict_write(struct buf *row, const struct verdict *verdict) {
	pack_array(row, VERDICT_FIELDS);
	pack_text(row, verdict_names[verdict->state]);
	pack_text(row, verdict->name);
	pack_text(row, verdict->version);
	pack_str_clean(row, bytes_text(verdict->file));
	pack_text(row, verdict->image);
	pack_uint(row, verdict->generation);
	pack_uint(row, verdict->kept);
	pack_uint(row, verdict->attempts);
	pack_uint(row, verdict->held_inode);
	pack_uint(row, verdict->held_ctime_ns);
	pack_uint(row, verdict->time_ms);
	if (verdict->refusal == NULL) {
		pack_nil(row);
		return;
	}
	pack_array(row, REFUSAL_FIELDS);
	pack_str_clean(row, bytes_text(verdict->refusal->message));
	pack_str_clean(row, bytes_text(verdict->refusal->found));
	pack_str_clean(row, bytes_text(verdict->refusal->expected));
	pack_str_clean(row, bytes_text(verdict->refusal->hint));
}

static bool text_read(struct cursor *cursor, char *text, size_t room) {
	struct bytes bytes;
	if (!cursor_read_str(cursor, &bytes) || bytes.size >= room)
		return false;
	if (bytes.size > 0)
		memcpy(text, bytes.data, bytes.size);
	text[bytes.size] = '\0';
	return true;
}

static bool text_read_new(struct cursor *cursor, char **place) {
	struct bytes bytes;
	if (!cursor_read_str(cursor, &bytes))
		return false;
	char *text = check_alloc(bytes.size + 1, 1);
	if (bytes.size > 0)
		memcpy(text, bytes.data, bytes.size);
	free(*place);
	*place = text;
	return true;
}

static bool refusal_read_row(struct cursor *cursor, struct verdict *verdict) {
	uint32_t count;
	if (cursor_read_nil(cursor))
		return true;
	if (!cursor_read_array(cursor, &count) || count < REFUSAL_FIELDS)
		return false;
	verdict->refusal = check_alloc(1, sizeof(struct error));
	verdict->refusal->code = ERROR_REFUSED;
	struct error *refusal = verdict->refusal;
	return text_read(cursor, refusal->message, sizeof(refusal->message)) &&
		text_read(cursor, refusal->found, sizeof(refusal->found)) &&
		text_read(cursor, refusal->expected, sizeof(refusal->expected)) &&
		text_read(cursor, refusal->hint, sizeof(refusal->hint));
}

static bool state_read(struct cursor *cursor, enum verdict_state *ret_state) {
	struct bytes name;
	if (!cursor_read_str(cursor, &name))
		return false;
	for (int state = 0; state < VERDICT_STATES; state++)
		if (bytes_equal(name, bytes_text(verdict_names[state]))) {
			*ret_state = (enum verdict_state)state;
			return true;
		}
	return false;
}

static bool verdict_read_row(struct cursor *cursor, struct verdict *verdict) {
	uint32_t count;
	return cursor_read_array(cursor, &count) && count >= VERDICT_FIELDS && state_read(cursor, &verdict->state) &&
		text_read(cursor, verdict->name, sizeof(verdict->name)) &&
		text_read(cursor, verdict->version, sizeof(verdict->version)) && text_read_new(cursor, &verdict->file) &&
		text_read_new(cursor, &verdict->image) && cursor_read_uint(cursor, &verdict->generation) &&
		cursor_read_uint(cursor, &verdict->kept) && cursor_read_uint(cursor, &verdict->attempts) &&
		cursor_read_uint(cursor, &verdict->held_inode) && cursor_read_uint(cursor, &verdict->held_ctime_ns) &&
		cursor_read_uint(cursor, &verdict->time_ms) && refusal_read_row(cursor, verdict);
}

static bool row_malformed(struct error *error, char kind) {
	error_set(error, ERROR_STORE_FAILED, "a row '%c' of the runtime database is malformed", kind);
	error_hint(error, "run `sofund --verify` on the data directory");
	return false;
}

bool verdict_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error) {
	struct cursor cursor = cursor_of(value);
	if (key.size != 1 + HASH_BYTES)
		return row_malformed(error, KEY_VERDICT);
	struct verdict *verdict = verdict_add(registry, key.data + 1);
	verdict->written = true;
	if (!verdict_read_row(&cursor, verdict))
		return row_malformed(error, KEY_VERDICT);
	if (verdict->generation > registry->generation)
		registry->generation = verdict->generation;
	return true;
}

static void type_values_write(struct buf *row, const struct type_schema *schema) {
	pack_array(row, schema->value_count);
	for (uint32_t i = 0; i < schema->value_count; i++) {
		pack_array(row, 2);
		pack_text(row, schema->values[i]);
		pack_uint(row, schema->kinds[i]);
	}
}

void type_write(struct buf *row, const struct function_type *type) {
	pack_array(row, TYPE_FIELDS);
	pack_text(row, type->name);
	pack_text(row, type->plugin);
	pack_uint(row, type->schema);
	type_values_write(row, type_schema_find(type, type->schema));
	pack_array(row, (uint32_t)type->schema_count - 1);
	for (size_t i = 0; i < type->schema_count; i++) {
		const struct type_schema *schema = type->schemas[i];
		if (schema->schema == type->schema)
			continue;
		pack_array(row, 2);
		pack_uint(row, schema->schema);
		type_values_write(row, schema);
	}
	pack_bool(row, type->eager);
}

static bool type_values_read(struct cursor *cursor, struct function_type *type, uint64_t number) {
	uint32_t count;
	uint32_t pair;
	uint64_t kind;
	if (number == 0 || number > UINT32_MAX || type_schema_find(type, (uint32_t)number) != NULL ||
		!cursor_read_array(cursor, &count) || count > MANIFEST_VALUES_MAX)
		return false;
	struct type_schema *schema = type_schema_create((uint32_t)number, count);
	type_schema_put(type, schema);
	for (uint32_t i = 0; i < count; i++) {
		if (!cursor_read_array(cursor, &pair) || pair != 2 || !text_read_new(cursor, &schema->values[i]) ||
			!cursor_read_uint(cursor, &kind) || kind > UINT32_MAX)
			return false;
		schema->kinds[i] = (uint32_t)kind;
	}
	return true;
}

/* Rows of before there were migrations end before these. */
static bool type_others_read(struct cursor *cursor, struct function_type *type) {
	uint32_t count;
	uint32_t pair;
	uint64_t number;
	if (!cursor_read_array(cursor, &count))
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!cursor_read_array(cursor, &pair) || pair != 2 || !cursor_read_uint(cursor, &number) ||
			!type_values_read(cursor, type, number))
			return false;
	return cursor_read_bool(cursor, &type->eager);
}

bool type_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error) {
	struct cursor cursor = cursor_of(value);
	char name[MANIFEST_TYPE_BYTES_MAX + 1];
	uint32_t count;
	uint64_t schema;
	uint16_t number = key.size == 3 ? (uint16_t)((uint32_t)key.data[1] << 8 | key.data[2]) : 0;
	if (number == 0 || number >= TYPES_MAX || !cursor_read_array(&cursor, &count) || count < TYPE_FIELDS_MIN ||
		!text_read(&cursor, name, sizeof(name)))
		return row_malformed(error, KEY_TYPE);
	struct function_type *type = type_add(registry, number, name);
	if (!text_read_new(&cursor, &type->plugin) || !cursor_read_uint(&cursor, &schema) ||
		!type_values_read(&cursor, type, schema) || (count >= TYPE_FIELDS && !type_others_read(&cursor, type)))
		return row_malformed(error, KEY_TYPE);
	type->schema = (uint32_t)schema;
	return true;
}
