/* Runs a plugin's callbacks one at a time, and keeps or throws away what they caused. */
#include <stdlib.h>

#include "inside.h"

/* ---- effects ---- */

void effect_finish(struct effect *effect) {
	piece_finish(&effect->from_type);
	piece_finish(&effect->from_id);
	piece_finish(&effect->name);
	piece_finish(&effect->id);
	piece_finish(&effect->payload);
	piece_finish(&effect->token);
	free(effect);
}

void effects_cut(sofun_test *test, size_t count) {
	while (test->effect_count > count)
		effect_finish(test->effects[--test->effect_count]);
}

struct effect *effect_take(sofun_test *test, size_t index) {
	struct effect *effect = test->effects[index];
	test->effect_count--;
	memmove(&test->effects[index], &test->effects[index + 1], (test->effect_count - index) * sizeof(void *));
	return effect;
}

/* ---- instances ---- */

const sofun_function *function_find(const sofun_test *test, sofun_bytes type) {
	for (const sofun_function *const *at = test->plugin->functions; at != NULL && *at != NULL; at++)
		if (sofun_bytes_are(type, (*at)->type))
			return *at;
	return NULL;
}

static const sofun_function *function_get(const sofun_test *test, const char *type) {
	const sofun_function *function = function_find(test, sofun_text(type));
	if (function == NULL)
		test_stop("the plugin %s declares no function %s", test->plugin->name, type);
	return function;
}

static struct instance *instance_find(const sofun_test *test, const sofun_function *function, sofun_bytes id) {
	for (size_t i = test->instance_count; i > 0; i--) {
		struct instance *instance = test->instances[i - 1];
		if (instance->function == function && sofun_bytes_equal(piece_bytes(&instance->id), id))
			return instance;
	}
	return NULL;
}

struct instance *instance_get(sofun_test *test, const sofun_function *function, sofun_bytes id) {
	struct instance *instance = instance_find(test, function, id);
	if (instance != NULL)
		return instance;
	if (id.size < 1 || id.size > ID_BYTES_MAX)
		test_stop("an id has 1 to %d bytes, not %zu", ID_BYTES_MAX, id.size);
	instance = memory_take(sizeof *instance);
	instance->function = function;
	instance->schema = function->schema;
	piece_append(&instance->id, id.data, id.size);
	test->instances = memory_grow_one(test->instances, test->instance_count, sizeof *test->instances);
	test->instances[test->instance_count++] = instance;
	return instance;
}

const sofun_value *values_of(const sofun_function *function, uint32_t schema, uint32_t *ret_count) {
	if (schema == function->schema) {
		*ret_count = function->value_count;
		return function->values;
	}
	for (const sofun_schema *const *at = function->schemas; at != NULL && *at != NULL; at++)
		if ((*at)->schema == schema) {
			*ret_count = (*at)->value_count;
			return (*at)->values;
		}
	test_stop("the function %s does not know schema %u", function->type, schema);
}

/* ---- callbacks ---- */

void callback_begin(sofun_test *test, struct callback *callback, struct instance *instance) {
	*callback = (struct callback){
		.context = {&test->host}, .test = test, .instance = instance, .effects_before = test->effect_count};
	if (instance != NULL) {
		callback->out = values_of(instance->function, instance->schema, &callback->out_count);
		callback->in = callback->out;
		callback->in_count = callback->out_count;
	}
	piece_finish(&test->failure);
}

static void callback_end(struct callback *callback, bool keep) {
	for (size_t i = 0; i < VALUES_MAX; i++) {
		piece_finish(&callback->views[i]);
		callback->changed[i] |= callback->migrating; /* what migrate did not set is unset */
		if (!callback->changed[i] || !keep) {
			piece_finish(&callback->values[i]);
			continue;
		}
		piece_finish(&callback->instance->values[i]);
		callback->instance->values[i] = callback->values[i];
	}
	if (keep)
		expiry_touch(callback);
	callback_entries_end(callback, keep);
	if (keep)
		operations_keep(callback->test, callback->effects_before);
	else
		effects_cut(callback->test, callback->effects_before);
	timers_settle(callback->test, keep);
	for (size_t i = 0; i < callback->builder_count; i++)
		free(callback->builders[i].data);
}

int callback_conclude(struct callback *callback, int returned) {
	if (callback->refused != NULL) {
		host_table.fail(&callback->context, sofun_text(callback->refused));
		returned = SOFUN_FAILED;
	}
	callback_end(callback, returned == 0);
	return returned;
}

sofun_bytes lend(struct piece *piece, sofun_bytes bytes) {
	piece_append(piece, bytes.data, bytes.size);
	return piece_bytes(piece);
}

int sofun_test_invoke(sofun_test *test, const sofun_test_message *told) {
	const sofun_function *function = function_get(test, told->type);
	struct callback callback;
	struct piece id = {0}, caller_id = {0}, payload = {0};
	struct instance *instance = instance_get(test, function, told->id);
	if (instance->schema != function->schema)
		test_stop("the instance has schema %u, the function %u: migrate it first", instance->schema, function->schema);
	if (operations_wait(test, sofun_text(function->type), told->id))
		test_stop("the instance waits for the result of an operation: a host would not call it before");
	const int expired = expiry_look(test, instance); /* ahead of the message that finds it ended */
	if (expired != 0)
		return expired;
	callback_begin(test, &callback, instance);
	sofun_message message = {.size = sizeof message, .attempt = told->attempt == 0 ? 1 : told->attempt};
	message.self = (sofun_address){sofun_text(function->type), lend(&id, told->id)};
	message.payload = lend(&payload, told->payload);
	if (told->caller_type != NULL)
		message.caller = (sofun_address){sofun_text(told->caller_type), lend(&caller_id, told->caller_id)};
	callback.message = &message;
	const int result = callback_conclude(&callback, function->invoke(&callback.context, test->plugin_data, &message));
	piece_finish(&id);
	piece_finish(&caller_id);
	piece_finish(&payload);
	return result;
}

int sofun_test_call(sofun_test *test, const char *type, const char *id, const char *json) {
	const sofun_test_message message = {
		.type = type, .id = sofun_text(id), .payload = sofun_test_json(test, "%s", json == NULL ? "null" : json)};
	return sofun_test_invoke(test, &message);
}

int sofun_test_route(sofun_test *test, const char *ingress, sofun_bytes record) {
	int first = 0;
	bool known = false;
	for (const sofun_router *const *at = test->plugin->routers; at != NULL && *at != NULL; at++) {
		if (strcmp((*at)->ingress, ingress) != 0)
			continue;
		struct callback callback;
		struct piece data = {0};
		callback_begin(test, &callback, NULL);
		const sofun_record told = {.size = sizeof told, .ingress = sofun_text(ingress), .data = lend(&data, record)};
		const int result = (*at)->route(&callback.context, test->plugin_data, &told);
		callback_end(&callback, result == 0);
		piece_finish(&data);
		known = true;
		if (first == 0)
			first = result;
	}
	if (!known)
		test_stop("the plugin %s has no router of the ingress %s", test->plugin->name, ingress);
	return first;
}

/* The index of the next send that can be delivered; effect_count: there is none. */
static size_t send_next(const sofun_test *test) {
	size_t i = 0;
	for (; i < test->effect_count; i++) {
		const sofun_test_effect *next = &test->effects[i]->seen;
		if (next->kind == SOFUN_TEST_SEND && function_find(test, next->name) != NULL &&
			!operations_wait(test, next->name, next->id))
			break;
	}
	return i;
}

int sofun_test_deliver(sofun_test *test) {
	for (;;) {
		int told = 0;
		const bool result_told = operations_deliver(test, &told);
		const size_t i = send_next(test);
		if (told != 0 || (!result_told && i == test->effect_count))
			return told;
		if (i == test->effect_count)
			continue;
		const sofun_function *function = function_find(test, test->effects[i]->seen.name);
		struct effect *send = effect_take(test, i);
		const sofun_function *from = function_find(test, send->seen.from_type);
		const sofun_test_message message = {.type = function->type,
			.id = send->seen.id,
			.payload = send->seen.payload,
			.caller_type = from == NULL ? NULL : from->type,
			.caller_id = send->seen.from_id};
		const int result = sofun_test_invoke(test, &message);
		effect_finish(send);
		if (result != 0)
			return result;
	}
}

/* ---- migration ---- */

static uint32_t value_number(const sofun_function *function, uint32_t schema, const char *value) {
	uint32_t count;
	const sofun_value *values = values_of(function, schema, &count);
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(values[i].name, value) == 0)
			return i;
	test_stop("the function %s has no value %s in schema %u", function->type, value, schema);
}

void sofun_test_state_put(
	sofun_test *test, const char *type, const char *id, uint32_t schema, const char *value, const char *json) {
	const sofun_function *function = function_get(test, type);
	const uint32_t number = value_number(function, schema, value);
	struct instance *instance = instance_get(test, function, sofun_text(id));
	for (size_t i = 0; i < VALUES_MAX && instance->schema != schema; i++)
		piece_finish(&instance->values[i]);
	instance->schema = schema;
	const sofun_bytes msgpack = sofun_test_json(test, "%s", json);
	piece_finish(&instance->values[number]);
	piece_append(&instance->values[number], msgpack.data, msgpack.size);
	instance->written_ms[number] = test->time_ms;
	instance->touched_ms = test->time_ms;
}

int sofun_test_migrate(sofun_test *test, const char *type, const char *id, uint32_t to) {
	const sofun_function *function = function_get(test, type);
	struct instance *instance = instance_get(test, function, sofun_text(id));
	struct callback callback;
	if (function->migrate == NULL || (instance->schema != function->schema) == (to != function->schema))
		test_stop("the function %s does not migrate schema %u to %u", type, instance->schema, to);
	callback_begin(test, &callback, instance);
	callback.migrating = true;
	callback.out = values_of(function, to, &callback.out_count);
	struct piece lent = {0};
	const sofun_migration migration = {.size = sizeof migration,
		.from = instance->schema,
		.to = to,
		.self = {sofun_text(function->type), lend(&lent, piece_bytes(&instance->id))}};
	const int result = function->migrate(&callback.context, test->plugin_data, &migration);
	callback_end(&callback, result == 0);
	piece_finish(&lent);
	if (result == 0) {
		expiry_migrated(&callback);
		entries_migrate(&callback);
		instance->schema = to;
	}
	return result;
}

/* ---- state ---- */

sofun_bytes sofun_test_state(const sofun_test *test, const char *type, sofun_bytes id, const char *value) {
	const sofun_function *function = function_get(test, type);
	const struct instance *instance = instance_find(test, function, id);
	const uint32_t number = value_number(function, instance == NULL ? function->schema : instance->schema, value);
	return instance == NULL ? sofun_bytes_of(NULL, 0) : piece_bytes(&instance->values[number]);
}

/* NULL: there is no such instance. */
static const struct entries *entries_of(
	const sofun_test *test, const char *type, const char *id, const char *value, uint32_t kind) {
	const sofun_function *function = function_get(test, type);
	const struct instance *instance = instance_find(test, function, sofun_text(id));
	const uint32_t schema = instance == NULL ? function->schema : instance->schema;
	const uint32_t number = value_number(function, schema, value);
	uint32_t count;
	if (values_of(function, schema, &count)[number].kind != kind && kind != 0)
		test_stop("the value %s of %s is no %s", value, type, kind == SOFUN_KIND_TABLE ? "table" : "list");
	return instance == NULL ? NULL : &instance->many[number];
}

sofun_bytes sofun_test_entry(
	const sofun_test *test, const char *type, const char *id, const char *table, sofun_bytes key) {
	const struct entries *entries = entries_of(test, type, id, table, SOFUN_KIND_TABLE);
	return entries == NULL ? sofun_bytes_of(NULL, 0) : entries_at(entries, key);
}

sofun_bytes sofun_test_item(
	const sofun_test *test, const char *type, const char *id, const char *list, uint64_t index) {
	const struct entries *entries = entries_of(test, type, id, list, SOFUN_KIND_LIST);
	return entries == NULL || index >= entries->count ? sofun_bytes_of(NULL, 0)
													  : piece_bytes(&entries->pairs[index].value);
}

size_t sofun_test_entry_count(const sofun_test *test, const char *type, const char *id, const char *value) {
	const struct entries *entries = entries_of(test, type, id, value, 0);
	return entries == NULL ? 0 : entries->count;
}

int64_t sofun_test_state_int(const sofun_test *test, const char *type, const char *id, const char *value) {
	const sofun_bytes msgpack = sofun_test_state(test, type, sofun_text(id), value);
	sofun_reader reader = sofun_reader_of(msgpack);
	int64_t number = 0;
	if (msgpack.size > 0 && !sofun_read_int(&reader, &number))
		test_stop("the value %s of %s is no integer", value, type);
	return number;
}
