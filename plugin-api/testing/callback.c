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

static const sofun_function *function_find(const sofun_test *test, sofun_bytes type) {
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

static struct instance *instance_get(sofun_test *test, const sofun_function *function, sofun_bytes id) {
	struct instance *instance = instance_find(test, function, id);
	if (instance != NULL)
		return instance;
	if (id.size < 1 || id.size > ID_BYTES_MAX)
		test_stop("an id has 1 to %d bytes, not %zu", ID_BYTES_MAX, id.size);
	instance = memory_take(sizeof *instance);
	instance->function = function;
	piece_append(&instance->id, id.data, id.size);
	test->instances = memory_grow(test->instances, (test->instance_count + 1) * sizeof *test->instances);
	test->instances[test->instance_count++] = instance;
	return instance;
}

/* ---- callbacks ---- */

static void callback_begin(sofun_test *test, struct callback *callback, struct instance *instance) {
	*callback = (struct callback){
		.context = {&test->host}, .test = test, .instance = instance, .effects_before = test->effect_count};
	piece_finish(&test->failure);
}

static void callback_end(struct callback *callback, bool keep) {
	for (size_t i = 0; i < VALUES_MAX; i++) {
		piece_finish(&callback->views[i]);
		if (!callback->changed[i] || !keep) {
			piece_finish(&callback->values[i]);
			continue;
		}
		piece_finish(&callback->instance->values[i]);
		callback->instance->values[i] = callback->values[i];
	}
	if (!keep)
		effects_cut(callback->test, callback->effects_before);
	for (size_t i = 0; i < callback->builder_count; i++)
		free(callback->builders[i].data);
}

/* A copy that ends with the callback, so that a view kept beyond it shows. */
static sofun_bytes lend(struct piece *piece, sofun_bytes bytes) {
	piece_append(piece, bytes.data, bytes.size);
	return piece_bytes(piece);
}

int sofun_test_invoke(sofun_test *test, const sofun_test_message *told) {
	const sofun_function *function = function_get(test, told->type);
	struct callback callback;
	struct piece id = {0}, caller_id = {0}, payload = {0};
	callback_begin(test, &callback, instance_get(test, function, told->id));
	sofun_message message = {.size = sizeof message, .attempt = told->attempt == 0 ? 1 : told->attempt};
	message.self = (sofun_address){sofun_text(function->type), lend(&id, told->id)};
	message.payload = lend(&payload, told->payload);
	if (told->caller_type != NULL)
		message.caller = (sofun_address){sofun_text(told->caller_type), lend(&caller_id, told->caller_id)};
	callback.message = &message;
	const int result = function->invoke(&callback.context, test->plugin_data, &message);
	callback_end(&callback, result == 0);
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

int sofun_test_deliver(sofun_test *test) {
	for (size_t i = 0; i < test->effect_count;) {
		const sofun_test_effect *next = &test->effects[i]->seen;
		const sofun_function *function = next->kind == SOFUN_TEST_SEND ? function_find(test, next->name) : NULL;
		if (function == NULL) {
			i++;
			continue;
		}
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
	return 0;
}

/* ---- state ---- */

sofun_bytes sofun_test_state(const sofun_test *test, const char *type, sofun_bytes id, const char *value) {
	const sofun_function *function = function_get(test, type);
	const struct instance *instance = instance_find(test, function, id);
	for (uint32_t i = 0; i < function->value_count; i++)
		if (strcmp(function->values[i].name, value) == 0)
			return instance == NULL ? sofun_bytes_of(NULL, 0) : piece_bytes(&instance->values[i]);
	test_stop("the function %s has no value %s", type, value);
}

int64_t sofun_test_state_int(const sofun_test *test, const char *type, const char *id, const char *value) {
	const sofun_bytes msgpack = sofun_test_state(test, type, sofun_text(id), value);
	sofun_reader reader = sofun_reader_of(msgpack);
	int64_t number = 0;
	if (msgpack.size > 0 && !sofun_read_int(&reader, &number))
		test_stop("the value %s of %s is no integer", value, type);
	return number;
}
