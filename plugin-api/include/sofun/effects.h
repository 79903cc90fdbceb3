/* What a callback may cause, with C strings and plain numbers: send, reply, emit, fail, log. Each answers what the
 * host answered (0, or SOFUN_... of types.h), except sofun_fail. Where each may be called, its brackets in host.h
 * say.
 */
#ifndef SOFUN_EFFECTS_H
#define SOFUN_EFFECTS_H

#include <stdarg.h>
#include <stdio.h>

#include "msgpack.h"

/* What invoke and route return when they failed; any value but 0 means the same to the host. */
enum { SOFUN_FAILED = 1 };

/* Longest text of sofun_fail and sofun_log: what is longer is cut. A screenful; the payload is kept elsewhere. */
enum { SOFUN_MESSAGE_BYTES_MAX = 1024 };

static inline sofun_bytes sofun_bytes_of(const void *data, size_t size) {
	sofun_bytes bytes;
	bytes.data = (const uint8_t *)data;
	bytes.size = size;
	return bytes;
}

/* A view of a C string, without its NUL. */
static inline sofun_bytes sofun_text(const char *text) {
	return sofun_bytes_of(text, strlen(text));
}

static inline bool sofun_bytes_equal(sofun_bytes a, sofun_bytes b) {
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* One MessagePack object to the address type + id. */
static inline int sofun_send(sofun_context *context, const char *type, sofun_bytes id, sofun_bytes msgpack) {
	sofun_address to;
	to.type = sofun_text(type);
	to.id = id;
	return context->host->send(context, &to, sofun_bytes_of(NULL, 0), msgpack);
}

static inline int sofun_send_nil(sofun_context *context, const char *type, sofun_bytes id) {
	const uint8_t nil = 0xc0;
	return sofun_send(context, type, id, sofun_bytes_of(&nil, 1));
}

static inline int sofun_send_int(sofun_context *context, const char *type, sofun_bytes id, int64_t number) {
	uint8_t room[SOFUN_INT_BYTES_MAX];
	return sofun_send(context, type, id, sofun_bytes_of(room, sofun_put_int(room, number)));
}

/* The answer to a call: one MessagePack object. Without a caller that waits it does nothing. */
static inline int sofun_reply(sofun_context *context, sofun_bytes msgpack) {
	return context->host->reply(context, sofun_bytes_of(NULL, 0), msgpack);
}

static inline int sofun_reply_int(sofun_context *context, int64_t number) {
	uint8_t room[SOFUN_INT_BYTES_MAX];
	return sofun_reply(context, sofun_bytes_of(room, sofun_put_int(room, number)));
}

static inline int sofun_emit(sofun_context *context, const char *egress, sofun_bytes msgpack) {
	return context->host->emit(context, sofun_text(egress), msgpack);
}

/* printf into room, cut at its end; a view of the text. */
static inline sofun_bytes sofun_format(char *room, size_t size, const char *format, va_list arguments) {
	const int wanted = vsnprintf(room, size, format, arguments);
	if (wanted < 0)
		return sofun_bytes_of(room, 0);
	return sofun_bytes_of(room, (size_t)wanted < size ? (size_t)wanted : size - 1);
}

/* Tells why, as text for people, and gives what the callback should return: `return sofun_fail(context, "...")`. */
__attribute__((format(printf, 2, 3))) static inline int sofun_fail(sofun_context *context, const char *format, ...) {
	char room[SOFUN_MESSAGE_BYTES_MAX];
	va_list arguments;
	va_start(arguments, format);
	(context->host->fail)(context, sofun_format(room, sizeof room, format, arguments)); /* Check has a macro fail() */
	va_end(arguments);
	return SOFUN_FAILED;
}

/* The same with a text that is at hand, whole however long. */
static inline int sofun_fail_text(sofun_context *context, sofun_bytes text) {
	(context->host->fail)(context, text);
	return SOFUN_FAILED;
}

/* A line in the host's log; level is SOFUN_LOG_DEBUG to SOFUN_LOG_ERROR. Leaves at once, even if the callback fails. */
__attribute__((format(printf, 3, 4))) static inline void sofun_log(
	sofun_context *context, int level, const char *format, ...) {
	char room[SOFUN_MESSAGE_BYTES_MAX];
	va_list arguments;
	va_start(arguments, format);
	context->host->log(context->host, context, level, sofun_format(room, sizeof room, format, arguments));
	va_end(arguments);
}

/* What a status of the host means, for sofun_fail. */
static inline const char *sofun_status_text(int status) {
	switch (status) {
	case SOFUN_OK:
		return "ok";
	case SOFUN_BAD_ARGUMENT:
		return "bad argument";
	case SOFUN_TOO_LARGE:
		return "too large: over a limit of the host";
	case SOFUN_TOO_DEEP:
		return "nested too deep";
	case SOFUN_NOT_ALLOWED:
		return "not allowed here";
	case SOFUN_STORE:
		return "the store could not be read";
	case SOFUN_TOKEN_IN_USE:
		return "the token of a timer is in use";
	default:
		return "an error that this plugin does not know";
	}
}

#endif
