/* The extension sofun.operation/1 of the fake host: an operation stands until the test has its work done, or tells its result. */
#include <stdlib.h>

#include "inside.h"

static struct callback *callback_of(sofun_context *context) {
	return (struct callback *)(void *)context;
}

static sofun_test *test_of(const sofun_host *host) {
	return (sofun_test *)(uintptr_t)host; /* the table is the test's first member, and not const */
}

static int host_start(sofun_context *context, uint32_t flags, sofun_bytes metadata, uint64_t *ret_id) {
	struct callback *callback = callback_of(context);
	sofun_test *test = callback->test;
	if ((flags & ~(uint32_t)(SOFUN_OPERATION_WAIT | SOFUN_OPERATION_OUTSIDE)) != 0)
		return SOFUN_BAD_ARGUMENT;
	if (callback->message == NULL || callback->expiring || callback->instance->function->on_result == NULL ||
		(callback->instance->function->work == NULL && (flags & SOFUN_OPERATION_OUTSIDE) == 0))
		return SOFUN_NOT_ALLOWED;
	const int status = object_check(metadata, MESSAGE_BYTES_MAX);
	if (status != SOFUN_OK)
		return status;
	if (test->operation_count + callback->operations >= test->operations_max)
		return SOFUN_BUSY;
	callback->operations++;
	struct effect *effect = effect_add(callback, SOFUN_TEST_OPERATION, metadata);
	effect->seen.operation = ++test->operation_last;
	effect->seen.flags = flags;
	*ret_id = effect->seen.operation;
	return SOFUN_OK;
}

static struct operation *operation_find(const sofun_test *test, uint64_t id) {
	for (size_t i = 0; i < test->operation_count; i++)
		if (test->operations[i]->seen.operation == id)
			return test->operations[i];
	return NULL;
}

static int host_complete(const sofun_host *host, uint64_t id, uint32_t status, sofun_bytes result) {
	struct operation *operation = operation_find(test_of(host), id);
	if (status > SOFUN_RESULT_FAILURE)
		return SOFUN_BAD_ARGUMENT;
	const int checked = status == SOFUN_RESULT_SUCCESS ? object_check(result, MESSAGE_BYTES_MAX) : SOFUN_OK;
	if (checked != SOFUN_OK || operation == NULL || operation->complete)
		return checked; /* what comes too late is dropped */
	operation->complete = true;
	operation->status = status;
	piece_append(&operation->result, result.data, result.size);
	return SOFUN_OK;
}

const sofun_operation operation_table = {
	.size = sizeof(sofun_operation), .start = host_start, .complete = host_complete};

/* ---- those under way ---- */

void operations_keep(sofun_test *test, size_t effects_before) {
	for (size_t i = effects_before; i < test->effect_count; i++) {
		const sofun_test_effect *seen = &test->effects[i]->seen;
		if (seen->kind != SOFUN_TEST_OPERATION)
			continue;
		struct operation *operation = memory_take(sizeof *operation);
		piece_append(&operation->type, seen->from_type.data, seen->from_type.size);
		piece_append(&operation->id, seen->from_id.data, seen->from_id.size);
		piece_append(&operation->metadata, seen->payload.data, seen->payload.size);
		operation->seen = (sofun_test_operation){
			.operation = seen->operation,
			.type = piece_bytes(&operation->type),
			.id = piece_bytes(&operation->id),
			.metadata = piece_bytes(&operation->metadata),
			.flags = seen->flags,
		};
		test->operations = memory_grow_one(test->operations, test->operation_count, sizeof *test->operations);
		test->operations[test->operation_count++] = operation;
	}
}

static void operation_free(struct operation *operation) {
	piece_finish(&operation->type);
	piece_finish(&operation->id);
	piece_finish(&operation->metadata);
	piece_finish(&operation->result);
	free(operation);
}

static void operation_remove(sofun_test *test, struct operation *operation) {
	size_t at = 0;
	while (test->operations[at] != operation)
		at++;
	test->operation_count--;
	memmove(&test->operations[at], &test->operations[at + 1], (test->operation_count - at) * sizeof(void *));
	operation_free(operation);
}

void operations_finish(sofun_test *test) {
	while (test->operation_count > 0)
		operation_free(test->operations[--test->operation_count]);
	free(test->operations);
}

bool operations_wait(const sofun_test *test, sofun_bytes type, sofun_bytes id) {
	for (size_t i = 0; i < test->operation_count; i++) {
		const sofun_test_operation *seen = &test->operations[i]->seen;
		if ((seen->flags & SOFUN_OPERATION_WAIT) != 0 && sofun_bytes_equal(seen->type, type) &&
			sofun_bytes_equal(seen->id, id))
			return true;
	}
	return false;
}

size_t sofun_test_operation_count(const sofun_test *test) {
	return test->operation_count;
}

const sofun_test_operation *sofun_test_operation_at(const sofun_test *test, size_t index) {
	if (index >= test->operation_count)
		test_stop("there is no operation %zu: %zu are under way", index, test->operation_count);
	return &test->operations[index]->seen;
}

void sofun_test_operations_max(sofun_test *test, size_t count) {
	test->operations_max = count;
}

/* ---- results ---- */

/* on_result, as a host calls it. If it fails the operation stays, for another attempt. */
static int result_tell(sofun_test *test, struct operation *operation) {
	const sofun_function *function = function_find(test, operation->seen.type);
	struct callback callback;
	struct piece id = {0}, metadata = {0}, result = {0};
	struct instance *instance = instance_get(test, function, operation->seen.id);
	const int expired = expiry_look(test, instance);
	if (expired != 0)
		return expired;
	callback_begin(test, &callback, instance);
	const bool success = operation->status == SOFUN_RESULT_SUCCESS;
	const sofun_bytes told = lend(&result, piece_bytes(&operation->result));
	sofun_result seen = {.size = sizeof seen, .attempt = ++operation->attempts, .id = operation->seen.operation};
	seen.self = (sofun_address){sofun_text(function->type), lend(&id, operation->seen.id)};
	seen.status = operation->status;
	seen.metadata = lend(&metadata, operation->seen.metadata);
	seen.result = success ? told : sofun_bytes_of(NULL, 0);
	seen.text = success ? sofun_bytes_of(NULL, 0) : told;
	const sofun_message message = {.size = sizeof message, .attempt = seen.attempt, .self = seen.self};
	callback.message = &message;
	const int returned = callback_conclude(&callback, function->on_result(&callback.context, test->plugin_data, &seen));
	piece_finish(&id);
	piece_finish(&metadata);
	piece_finish(&result);
	if (returned == 0)
		operation_remove(test, operation);
	return returned;
}

int sofun_test_result(sofun_test *test, uint64_t id, uint32_t status, const char *text) {
	struct operation *operation = operation_find(test, id);
	if (operation == NULL || status > SOFUN_RESULT_UNKNOWN)
		test_stop("no operation %llu is under way, or %u is no status", (unsigned long long)id, status);
	piece_finish(&operation->result);
	operation->complete = true;
	operation->status = status;
	if (status == SOFUN_RESULT_SUCCESS) {
		const sofun_bytes msgpack = sofun_test_json(test, "%s", text == NULL ? "null" : text);
		piece_append(&operation->result, msgpack.data, msgpack.size);
	} else if (status == SOFUN_RESULT_FAILURE && text != NULL) {
		piece_append(&operation->result, text, strlen(text));
	}
	return result_tell(test, operation);
}

bool operations_deliver(sofun_test *test, int *ret_result) {
	for (size_t i = 0; i < test->operation_count; i++) {
		if (!test->operations[i]->complete)
			continue;
		*ret_result = result_tell(test, test->operations[i]);
		return true;
	}
	return false;
}

/* ---- work ---- */

struct call {
	sofun_work work; /* first: what the plugin has */
	struct operation *operation;
};

static int work_result(sofun_work *work, sofun_bytes msgpack) {
	struct operation *operation = ((struct call *)(void *)work)->operation;
	const int status = object_check(msgpack, MESSAGE_BYTES_MAX);
	if (status != SOFUN_OK)
		return status;
	piece_finish(&operation->result);
	piece_append(&operation->result, msgpack.data, msgpack.size);
	operation->status = SOFUN_RESULT_SUCCESS;
	return SOFUN_OK;
}

static void work_fail(sofun_work *work, sofun_bytes text) {
	struct operation *operation = ((struct call *)(void *)work)->operation;
	piece_finish(&operation->result);
	piece_append(&operation->result, text.data, text.size);
	operation->status = SOFUN_RESULT_FAILURE;
}

static int work_stopping(const sofun_work *work) {
	(void)work;
	return 0;
}

static struct operation *work_next(const sofun_test *test) {
	for (size_t i = 0; i < test->operation_count; i++) {
		struct operation *operation = test->operations[i];
		if ((operation->seen.flags & SOFUN_OPERATION_OUTSIDE) == 0 && !operation->worked)
			return operation;
	}
	return NULL;
}

static int work_run(sofun_test *test, struct operation *operation) {
	struct piece id = {0}, metadata = {0};
	const sofun_function *function = function_find(test, operation->seen.type);
	struct call call = {.operation = operation};
	call.work = (sofun_work){.size = sizeof call.work, .host = &test->host, .id = operation->seen.operation};
	call.work.self = (sofun_address){sofun_text(function->type), lend(&id, operation->seen.id)};
	call.work.metadata = lend(&metadata, operation->seen.metadata);
	call.work.result = work_result;
	call.work.fail = work_fail;
	call.work.stopping = work_stopping;
	operation->worked = true;
	const int returned = function->work(&call.work, test->plugin_data);
	piece_finish(&id);
	piece_finish(&metadata);
	return returned;
}

int sofun_test_work(sofun_test *test) {
	static const uint8_t nil = 0xc0;
	static const char silent[] = "work failed and gave no reason";
	struct operation *operation = work_next(test);
	if (operation == NULL)
		test_stop("no operation waits for its work");
	const int returned = work_run(test, operation);
	if (returned == SOFUN_WORK_LATER)
		return 0;
	const uint32_t status = returned == 0 ? SOFUN_RESULT_SUCCESS : SOFUN_RESULT_FAILURE;
	if (operation->status != status || operation->result.size == 0) {
		piece_finish(&operation->result);
		piece_append(&operation->result, status == SOFUN_RESULT_SUCCESS ? (const void *)&nil : silent,
			status == SOFUN_RESULT_SUCCESS ? 1 : sizeof silent - 1);
	}
	operation->status = status;
	operation->complete = true;
	return result_tell(test, operation);
}
