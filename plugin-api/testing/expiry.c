/* State that ends by itself in the fake host: values, and whole instances, when the test lets time pass. */
#include "inside.h"

enum { NEVER = 0 };

static uint64_t due_after(uint64_t since_ms, uint64_t after_ms) {
	return after_ms == NEVER || since_ms > UINT64_MAX - after_ms ? UINT64_MAX : since_ms + after_ms;
}

static uint64_t earlier(uint64_t a_ms, uint64_t b_ms) {
	return a_ms < b_ms ? a_ms : b_ms;
}

/* A plugin of ABI 1.0 has no such fields. */
static bool function_expires(const sofun_function *function) {
	return function->size >= offsetof(sofun_function, on_expire) + sizeof function->on_expire &&
		function->idle_ttl_ms != NEVER;
}

static bool value_set(const struct instance *instance, uint32_t number) {
	return instance->values[number].size > 0 || instance->many[number].count > 0;
}

static bool has_state(const struct instance *instance) {
	for (uint32_t i = 0; i < VALUES_MAX; i++)
		if (value_set(instance, i))
			return true;
	return false;
}

static void value_end(struct instance *instance, uint32_t number) {
	piece_finish(&instance->values[number]);
	entries_finish(&instance->many[number]);
	instance->written_ms[number] = 0;
}

/* ---- when ---- */

static uint64_t value_due_ms(const struct instance *instance, const sofun_value *value, uint32_t number) {
	if (!value_set(instance, number))
		return UINT64_MAX;
	return earlier(due_after(instance->written_ms[number], value->expire_after_write_ms),
		due_after(instance->touched_ms, value->expire_after_invoke_ms));
}

static uint64_t idle_due_ms(const struct instance *instance) {
	return function_expires(instance->function) && has_state(instance)
		? due_after(instance->touched_ms, instance->function->idle_ttl_ms)
		: UINT64_MAX;
}

static uint64_t next_due_ms(const struct instance *instance) {
	uint32_t count;
	const sofun_value *values = values_of(instance->function, instance->schema, &count);
	uint64_t due_ms = idle_due_ms(instance);
	for (uint32_t i = 0; i < count; i++)
		due_ms = earlier(due_ms, value_due_ms(instance, &values[i], i));
	return due_ms;
}

/* ---- the end ---- */

static void values_end(struct instance *instance, uint64_t until_ms) {
	uint32_t count;
	const sofun_value *values = values_of(instance->function, instance->schema, &count);
	for (uint32_t i = 0; i < count; i++)
		if (value_due_ms(instance, &values[i], i) <= until_ms)
			value_end(instance, i);
}

static void instance_end(struct instance *instance) {
	for (uint32_t i = 0; i < VALUES_MAX; i++)
		value_end(instance, i);
	instance->schema = instance->function->schema;
	instance->expire_attempts = 0;
}

static int expire_call(sofun_test *test, struct instance *instance) {
	const sofun_function *function = instance->function;
	struct callback callback;
	struct piece id = {0};
	callback_begin(test, &callback, instance);
	callback.expiring = true;
	sofun_expiry expiry = {.size = sizeof expiry, .attempt = ++instance->expire_attempts};
	expiry.self = (sofun_address){sofun_text(function->type), lend(&id, piece_bytes(&instance->id))};
	expiry.last_touch_ms = instance->touched_ms;
	const sofun_message message = {.size = sizeof message, .attempt = expiry.attempt, .self = expiry.self};
	callback.message = &message; /* so that what it causes has a source */
	const int returned =
		callback_conclude(&callback, function->on_expire(&callback.context, test->plugin_data, &expiry));
	piece_finish(&id);
	return returned;
}

int expiry_look(sofun_test *test, struct instance *instance) {
	const uint64_t idle_ms = idle_due_ms(instance);
	if (idle_ms > test->time_ms) {
		values_end(instance, test->time_ms);
		return 0;
	}
	values_end(instance, idle_ms); /* on_expire sees what there was when the instance ended */
	if (has_state(instance) && instance->schema != instance->function->schema)
		test_stop("the instance that ends has schema %u, the function %u: migrate it first", instance->schema,
			instance->function->schema);
	const bool called = has_state(instance) && instance->function->on_expire != NULL;
	const int returned = called ? expire_call(test, instance) : 0;
	if (returned == 0)
		instance_end(instance);
	return returned;
}

struct instance *expiry_next(const sofun_test *test, uint64_t *ret_due_ms) {
	struct instance *next = NULL;
	*ret_due_ms = UINT64_MAX;
	for (size_t i = 0; i < test->instance_count; i++) {
		struct instance *instance = test->instances[i];
		const uint64_t due_ms = next_due_ms(instance);
		if (due_ms < *ret_due_ms) {
			*ret_due_ms = due_ms;
			next = instance;
		}
	}
	return next;
}

/* ---- times ---- */

void expiry_touch(struct callback *callback) {
	struct instance *instance = callback->instance;
	const uint64_t now_ms = callback->test->time_ms;
	if (instance == NULL || callback->expiring || callback->migrating)
		return;
	instance->touched_ms = now_ms;
	for (uint32_t i = 0; i < VALUES_MAX; i++)
		if (callback->changed[i] || callback->many_changed[i])
			instance->written_ms[i] = now_ms;
}

void expiry_migrated(struct callback *callback) {
	uint64_t before[VALUES_MAX];
	memcpy(before, callback->instance->written_ms, sizeof before);
	for (uint32_t to = 0; to < callback->out_count; to++) {
		uint64_t *written_ms = &callback->instance->written_ms[to];
		*written_ms = callback->test->time_ms;
		for (uint32_t from = 0; from < callback->in_count; from++)
			if (strcmp(callback->in[from].name, callback->out[to].name) == 0)
				*written_ms = before[from];
	}
}
