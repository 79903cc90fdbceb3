/* The host functions of the fake host: they answer as ABI.md section 6 says. */
#include <stdlib.h>

#include "inside.h"

static struct callback *callback_of(sofun_context *context) {
	return (struct callback *)(void *)context;
}

/* ---- arguments ---- */

static int object_walk(sofun_reader *reader, unsigned depth) {
	const sofun_kind kind = sofun_read_kind(reader);
	uint64_t elements;
	if ((kind == SOFUN_IS_ARRAY || kind == SOFUN_IS_MAP) && depth == NESTING_MAX)
		return SOFUN_TOO_DEEP;
	if (!sofun_skip_head(reader, &elements))
		return SOFUN_BAD_ARGUMENT;
	int status = SOFUN_OK;
	for (uint64_t i = 0; i < elements && status == SOFUN_OK; i++)
		status = object_walk(reader, depth + 1);
	return status;
}

int object_check(sofun_bytes msgpack, size_t size_max) {
	sofun_reader reader = sofun_reader_of(msgpack);
	if (msgpack.size > size_max)
		return SOFUN_TOO_LARGE;
	const int status = object_walk(&reader, 0);
	return status == SOFUN_OK && !sofun_read_done(&reader) ? SOFUN_BAD_ARGUMENT : status;
}

static bool kind_fits(sofun_bytes msgpack, uint32_t kind) {
	const sofun_reader reader = sofun_reader_of(msgpack);
	static const sofun_kind wanted[] = {[SOFUN_INT] = SOFUN_IS_INT,
		[SOFUN_FLOAT] = SOFUN_IS_FLOAT,
		[SOFUN_STR] = SOFUN_IS_STR,
		[SOFUN_BOOL] = SOFUN_IS_BOOL};
	if (kind >= sizeof wanted / sizeof *wanted)
		return false; /* a table or a list */
	return kind == SOFUN_RAW || sofun_read_kind(&reader) == wanted[kind];
}

static bool egress_name_good(sofun_bytes name) {
	if (name.size == 0 || name.size > EGRESS_BYTES_MAX)
		return false;
	for (size_t i = 0; i < name.size; i++) {
		const uint8_t byte = name.data[i];
		if (!((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || (i > 0 && strchr("_.-", byte) != NULL)))
			return false;
	}
	return true;
}

/* ---- state ---- */

static int value_check(const struct callback *callback, uint32_t value, uint32_t count) {
	if (callback->instance == NULL)
		return SOFUN_NOT_ALLOWED;
	return value < count ? SOFUN_OK : SOFUN_BAD_ARGUMENT;
}

static int write_check(const struct callback *callback, uint32_t value) {
	const int status = value_check(callback, value, callback->out_count);
	return status == SOFUN_OK && callback->expiring ? SOFUN_NOT_ALLOWED : status;
}

static int host_state_get(sofun_context *context, uint32_t value, sofun_bytes *ret_msgpack) {
	struct callback *callback = callback_of(context);
	const int status = value_check(callback, value, callback->in_count);
	if (status != SOFUN_OK)
		return status;
	const bool many = callback->in[value].kind >= SOFUN_KIND_TABLE;
	if (many && !callback->migrating)
		return SOFUN_BAD_ARGUMENT;
	if (many && callback->views[value].size == 0 && callback->instance->many[value].count > 0)
		entries_token(value, &callback->views[value]);
	const bool changed = callback->changed[value] && !callback->migrating;
	struct piece *view = changed ? &callback->values[value] : &callback->views[value];
	const struct piece *kept = &callback->instance->values[value];
	if (!changed && view->size == 0 && kept->size > 0)
		piece_append(view, kept->data, kept->size);
	*ret_msgpack = view->size == 0 ? sofun_bytes_of(NULL, 0) : piece_bytes(view);
	return SOFUN_OK;
}

/* Every view of the value ends here; in migrate the old values, which are what it sees, stay. */
static void value_change(struct callback *callback, uint32_t value, struct piece fresh) {
	if (!callback->migrating)
		piece_finish(&callback->views[value]);
	piece_finish(&callback->values[value]);
	callback->values[value] = fresh;
	callback->changed[value] = true;
}

static int host_state_set(sofun_context *context, uint32_t value, sofun_bytes msgpack) {
	struct callback *callback = callback_of(context);
	int status = write_check(callback, value);
	if (status == SOFUN_OK && entries_token_is(msgpack))
		return entries_carry(callback, value, msgpack);
	if (status == SOFUN_OK && !kind_fits(msgpack, callback->out[value].kind))
		status = SOFUN_BAD_ARGUMENT;
	if (status == SOFUN_OK)
		status = object_check(msgpack, callback->test->value_bytes_max);
	if (status != SOFUN_OK)
		return status;
	struct piece fresh = {0};
	piece_append(&fresh, msgpack.data, msgpack.size);
	value_change(callback, value, fresh);
	return SOFUN_OK;
}

static int host_state_clear(sofun_context *context, uint32_t value) {
	const int status = write_check(callback_of(context), value);
	if (status == SOFUN_OK && callback_of(context)->out[value].kind >= SOFUN_KIND_TABLE)
		return SOFUN_BAD_ARGUMENT;
	if (status == SOFUN_OK)
		value_change(callback_of(context), value, (struct piece){0});
	return status;
}

/* ---- effects ---- */

struct effect *effect_add(struct callback *callback, int kind, sofun_bytes payload) {
	sofun_test *test = callback->test;
	struct effect *effect = memory_take(sizeof *effect);
	if (test->effect_count == test->effect_capacity) {
		test->effect_capacity = test->effect_capacity * 2 + 16;
		test->effects = memory_grow(test->effects, test->effect_capacity * sizeof *test->effects);
	}
	test->effects[test->effect_count++] = effect;
	effect->seen.kind = kind;
	if (callback->message != NULL) {
		const sofun_address *self = &callback->message->self;
		piece_append(&effect->from_type, self->type.data, self->type.size);
		piece_append(&effect->from_id, self->id.data, self->id.size);
	}
	piece_append(&effect->payload, payload.data, payload.size);
	effect->seen.from_type = piece_bytes(&effect->from_type);
	effect->seen.from_id = piece_bytes(&effect->from_id);
	effect->seen.payload = piece_bytes(&effect->payload);
	return effect;
}

static int host_send(sofun_context *context, const sofun_address *to, sofun_bytes type, sofun_bytes payload) {
	if (callback_of(context)->migrating)
		return SOFUN_NOT_ALLOWED;
	if (to->id.size < 1 || to->id.size > ID_BYTES_MAX || to->type.size < 1 || to->type.size > TYPE_BYTES_MAX ||
		type.size > UINT8_MAX)
		return SOFUN_BAD_ARGUMENT;
	const int status = object_check(payload, MESSAGE_BYTES_MAX);
	if (status != SOFUN_OK)
		return status;
	struct effect *effect = effect_add(callback_of(context), SOFUN_TEST_SEND, payload);
	piece_append(&effect->name, to->type.data, to->type.size);
	piece_append(&effect->id, to->id.data, to->id.size);
	effect->seen.name = piece_bytes(&effect->name);
	effect->seen.id = piece_bytes(&effect->id);
	return SOFUN_OK;
}

/* The last reply of a callback is the one that counts. */
static int host_reply(sofun_context *context, sofun_bytes type, sofun_bytes payload) {
	struct callback *callback = callback_of(context);
	if (callback->message == NULL || callback->expiring)
		return SOFUN_NOT_ALLOWED;
	const int status = type.size > UINT8_MAX ? SOFUN_BAD_ARGUMENT : object_check(payload, MESSAGE_BYTES_MAX);
	if (status != SOFUN_OK)
		return status;
	for (size_t i = callback->test->effect_count; i > callback->effects_before; i--)
		if (callback->test->effects[i - 1]->seen.kind == SOFUN_TEST_REPLY)
			effect_finish(effect_take(callback->test, i - 1));
	(void)effect_add(callback, SOFUN_TEST_REPLY, payload);
	return SOFUN_OK;
}

static int host_emit(sofun_context *context, sofun_bytes egress, sofun_bytes payload) {
	if (callback_of(context)->message == NULL)
		return SOFUN_NOT_ALLOWED;
	const int status = egress_name_good(egress) ? object_check(payload, MESSAGE_BYTES_MAX) : SOFUN_BAD_ARGUMENT;
	if (status != SOFUN_OK)
		return status;
	struct effect *effect = effect_add(callback_of(context), SOFUN_TEST_EMIT, payload);
	piece_append(&effect->name, egress.data, egress.size);
	effect->seen.name = piece_bytes(&effect->name);
	return SOFUN_OK;
}

static void host_fail(sofun_context *context, sofun_bytes text) {
	struct piece *failure = &callback_of(context)->test->failure;
	piece_finish(failure);
	piece_append(failure, text.data, text.size);
	piece_append(failure, "", 1);
}

/* ---- the rest ---- */

static const void *host_extension(const sofun_host *host, const char *id) {
	const sofun_test *test = (const sofun_test *)(const void *)host;
	if (test->extension_id != NULL && strcmp(test->extension_id, id) == 0)
		return test->extension;
	if (strcmp(id, SOFUN_TABLES) == 0)
		return &tables_table;
	if (strcmp(id, SOFUN_LISTS) == 0)
		return &lists_table;
	if (strcmp(id, SOFUN_TIMER) == 0)
		return &timer_table;
	return strcmp(id, SOFUN_OPERATION) == 0 ? &operation_table : NULL;
}

static void host_log(const sofun_host *host, sofun_context *context, int level, sofun_bytes text) {
	sofun_test *test = (sofun_test *)(uintptr_t)host; /* the table is the test's first member, and not const */
	(void)context;
	if (level < SOFUN_LOG_DEBUG || level > SOFUN_LOG_ERROR || !sofun_is_utf8(text))
		test_stop("log: the level must be SOFUN_LOG_..., the text UTF-8");
	char *line = memory_take(text.size + 1);
	memcpy(line, text.data, text.size);
	test->log_lines = memory_grow_one(test->log_lines, test->log_count, sizeof *test->log_lines);
	test->log_lines[test->log_count++] = line;
}

static sofun_buf *host_buf(sofun_context *context) {
	struct callback *callback = callback_of(context);
	return callback->builder_count < BUILDERS_MAX ? &callback->builders[callback->builder_count++] : NULL;
}

/* Moves each time, and gives no byte more than asked for. */
static int host_buf_reserve(sofun_context *context, sofun_buf *buf, size_t extra) {
	(void)context;
	uint8_t *data = memory_take(buf->size + extra);
	if (buf->size > 0)
		memcpy(data, buf->data, buf->size);
	free(buf->data);
	buf->data = data;
	buf->capacity = buf->size + extra;
	return SOFUN_OK;
}

static uint64_t host_time_ms(sofun_context *context) {
	return callback_of(context)->test->time_ms;
}

const sofun_host host_table = {
	.size = sizeof(sofun_host),
	.abi_major = SOFUN_ABI_MAJOR,
	.abi_minor = SOFUN_ABI_MINOR,
	.extension = host_extension,
	.log = host_log,
	.state_get = host_state_get,
	.state_set = host_state_set,
	.state_clear = host_state_clear,
	.send = host_send,
	.reply = host_reply,
	.emit = host_emit,
	.fail = host_fail,
	.buf = host_buf,
	.buf_reserve = host_buf_reserve,
	.time_ms = host_time_ms,
};
