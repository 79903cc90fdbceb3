/* The host functions of the fake host (fake_host.h). */
#include <msgpack.h>
#include <stdlib.h>

#include "base/check.h"
#include "fake_inside.h"

static struct fake_call *call_of(sofun_context *context) {
	return (struct fake_call *)context;
}

/* True if the bytes are one object, of the kind (SOFUN_RAW: of any). By msgpack-c, so that our own reader is not its
 * judge. */
static bool object_good(sofun_bytes msgpack, uint32_t kind) {
	msgpack_unpacked object;
	size_t at = 0;
	msgpack_unpacked_init(&object);
	bool good = msgpack.size > 0 &&
		msgpack_unpack_next(&object, (const char *)msgpack.data, msgpack.size, &at) == MSGPACK_UNPACK_SUCCESS &&
		at == msgpack.size;
	const msgpack_object_type type = object.data.type;
	if (good && kind == SOFUN_INT)
		good = type == MSGPACK_OBJECT_POSITIVE_INTEGER || type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
	else if (good && kind == SOFUN_FLOAT)
		good = type == MSGPACK_OBJECT_FLOAT32 || type == MSGPACK_OBJECT_FLOAT64;
	else if (good && kind == SOFUN_STR)
		good = type == MSGPACK_OBJECT_STR;
	else if (good && kind == SOFUN_BOOL)
		good = type == MSGPACK_OBJECT_BOOLEAN;
	msgpack_unpacked_destroy(&object);
	return good;
}

/* ---- the table ---- */

static const void *host_extension(const sofun_host *host, const char *id) {
	const struct fake *fake = (const struct fake *)((const char *)host - offsetof(struct fake, host));
	return fake->extension_id != NULL && strcmp(fake->extension_id, id) == 0 ? fake->extension : NULL;
}

static void host_log(const sofun_host *host, sofun_context *context, int level, sofun_bytes text) {
	check(context != NULL && host == context->host);
	check(level >= SOFUN_LOG_DEBUG && level <= SOFUN_LOG_ERROR && bytes_utf8(bytes_from(text)));
	call_of(context)->fake->log_lines++;
}

static int host_state_get(sofun_context *context, uint32_t value, sofun_bytes *ret_msgpack) {
	struct fake_call *call = call_of(context);
	if (call->instance == NULL)
		return SOFUN_NOT_ALLOWED;
	if (value >= call->instance->function->value_count)
		return SOFUN_BAD_ARGUMENT;
	const struct buf *buf = call->changed[value] ? &call->values[value] : &call->instance->values[value];
	*ret_msgpack = bytes_to(buf->size == 0 ? bytes_of(NULL, 0) : bytes_buf(buf));
	return SOFUN_OK;
}

static int host_state_set(sofun_context *context, uint32_t value, sofun_bytes msgpack) {
	struct fake_call *call = call_of(context);
	if (call->instance == NULL)
		return SOFUN_NOT_ALLOWED;
	const sofun_function *function = call->instance->function;
	if (value >= function->value_count || !object_good(msgpack, function->values[value].kind))
		return SOFUN_BAD_ARGUMENT;
	if (msgpack.size > call->fake->value_bytes_max)
		return SOFUN_TOO_LARGE;
	struct buf fresh = {0};
	buf_append(&fresh, msgpack.data, msgpack.size);
	buf_finish(&call->values[value]);
	call->values[value] = fresh;
	call->changed[value] = true;
	return SOFUN_OK;
}

static int host_state_clear(sofun_context *context, uint32_t value) {
	struct fake_call *call = call_of(context);
	if (call->instance == NULL)
		return SOFUN_NOT_ALLOWED;
	if (value >= call->instance->function->value_count)
		return SOFUN_BAD_ARGUMENT;
	buf_finish(&call->values[value]);
	call->changed[value] = true;
	return SOFUN_OK;
}

static struct fake_effect *effect_add(struct fake_call *call, int kind, sofun_bytes payload) {
	struct fake *fake = call->fake;
	if (fake->effect_count == fake->effect_capacity) {
		fake->effect_capacity = fake->effect_capacity * 2 + 16;
		fake->effects = realloc(fake->effects, fake->effect_capacity * sizeof *fake->effects);
		check_memory(fake->effects);
	}
	struct fake_effect *effect = &fake->effects[fake->effect_count++];
	memset(effect, 0, sizeof *effect);
	effect->kind = (unsigned)kind;
	if (call->message != NULL) {
		buf_append_bytes(&effect->from_type, bytes_from(call->message->self.type));
		buf_append_bytes(&effect->from_id, bytes_from(call->message->self.id));
	}
	buf_append_bytes(&effect->payload, bytes_from(payload));
	return effect;
}

static int host_send(sofun_context *context, const sofun_address *to, sofun_bytes type, sofun_bytes payload) {
	if (to->id.size < 1 || to->id.size > 255 || type.size != 0 || !object_good(payload, SOFUN_RAW))
		return SOFUN_BAD_ARGUMENT;
	struct fake_effect *effect = effect_add(call_of(context), FAKE_SEND, payload);
	buf_append_bytes(&effect->name, bytes_from(to->type));
	buf_append_bytes(&effect->id, bytes_from(to->id));
	return SOFUN_OK;
}

static int host_reply(sofun_context *context, sofun_bytes type, sofun_bytes payload) {
	if (call_of(context)->message == NULL)
		return SOFUN_NOT_ALLOWED;
	if (type.size != 0 || !object_good(payload, SOFUN_RAW))
		return SOFUN_BAD_ARGUMENT;
	(void)effect_add(call_of(context), FAKE_REPLY, payload);
	return SOFUN_OK;
}

static int host_emit(sofun_context *context, sofun_bytes egress, sofun_bytes payload) {
	if (call_of(context)->message == NULL)
		return SOFUN_NOT_ALLOWED;
	if (!object_good(payload, SOFUN_RAW))
		return SOFUN_BAD_ARGUMENT;
	struct fake_effect *effect = effect_add(call_of(context), FAKE_EMIT, payload);
	buf_append_bytes(&effect->name, bytes_from(egress));
	return SOFUN_OK;
}

static void host_fail(sofun_context *context, sofun_bytes text) {
	struct buf *kept = &call_of(context)->fake->text;
	buf_reset(kept);
	buf_append_bytes(kept, bytes_from(text));
	buf_append_u8(kept, 0);
}

static sofun_buf *host_buf(sofun_context *context) {
	struct fake_call *call = call_of(context);
	return call->buf_count < FAKE_BUFS_MAX ? &call->bufs[call->buf_count++] : NULL;
}

/* Moves each time, and gives no byte more than asked for. */
static int host_buf_reserve(sofun_context *context, sofun_buf *buf, size_t extra) {
	(void)context;
	uint8_t *data = malloc(buf->size + extra + 1);
	check_memory(data);
	if (buf->size > 0)
		memcpy(data, buf->data, buf->size);
	free(buf->data);
	buf->data = data;
	buf->capacity = buf->size + extra;
	return SOFUN_OK;
}

static uint64_t host_time_ms(sofun_context *context) {
	(void)context;
	return 1700000000000u;
}

const sofun_host fake_table = {
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
