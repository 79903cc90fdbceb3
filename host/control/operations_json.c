#include "control/operations_json.h"

#include "base/check.h"
#include "wire/json.h"

enum { OPERATIONS_SHOWN_MAX = 100 }; /* the oldest: whoever looks for what hangs needs no list of all */

/* The number is the plugin's, and may be beyond what JSON's readers keep exact: so it is text. */
static json_t *operation_json(const struct engine_operation *operation) {
	char number[24];
	snprintf(number, sizeof number, "%llu", (unsigned long long)operation->id);
	return json_pack("{s:s, s:I, s:s, s:b}", "operation", number, "since_ms", (json_int_t)operation->since_ms, "state",
		engine_operation_state_name(operation->state), "waits", operation->waits);
}

static void oldest_add(void *arg, const struct engine_operation *operation) {
	json_t *row = operation_json(operation);
	check_memory(row);
	json_object_set_new(row, "type", json_string(operation->type));
	json_object_set_new(row, "id", json_from_bytes(operation->address));
	json_array_append_new(arg, row);
}

json_t *operations_json(struct engine *engine, const struct engine_status *status) {
	json_t *oldest = json_array();
	check_memory(oldest);
	engine_operations_each(engine, 0, OPERATIONS_SHOWN_MAX, oldest_add, oldest);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "open", (json_int_t)status->operations.open,
		"queued", (json_int_t)status->operations.queued, "running", (json_int_t)status->operations.running, "started",
		(json_int_t)status->operations.started, "succeeded", (json_int_t)status->operations.succeeded, "failed",
		(json_int_t)status->operations.failed, "unknown", (json_int_t)status->operations.unknown, "late",
		(json_int_t)status->operations.late, "oldest", oldest);
}

static void own_add(void *arg, const struct engine_operation *operation) {
	json_array_append_new(arg, operation_json(operation));
}

json_t *operations_of_json(struct engine *engine, uint16_t type, struct bytes id) {
	json_t *list = json_array();
	check_memory(list);
	engine_operations_of(engine, type, id, own_add, list);
	if (json_array_size(list) > 0)
		return list;
	json_decref(list);
	return NULL;
}
