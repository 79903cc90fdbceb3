/* What the host does for a plugin. The host exports no symbol: these come by table, through the context of each
 * callback or through init. Read no member beyond `size` bytes; what is missing there does not exist in this host.
 *
 * Brackets name the thread and the state in which a function may be called:
 *   [any]       any thread, from init until fini returns
 *   [invoke]    the thread that runs the callback, inside a function's invoke or on_result; emit also inside on_expire
 *   [state]     the same, inside invoke, on_result or migrate; in migrate, get is of the old values and set of the new
 *               (function.h). get also inside on_expire
 *   [callback]  the same, inside invoke, on_result, on_expire or route; what asks for no effect also inside migrate
 */
#ifndef SOFUN_HOST_H
#define SOFUN_HOST_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sofun_host sofun_host;

/* What a callback gets first. More follows behind `host`, for the host's eyes only. */
typedef struct sofun_context {
	const sofun_host *host;
} sofun_context;

struct sofun_host {
	uint32_t size; /* of this table, in bytes */
	uint16_t abi_major;
	uint16_t abi_minor;

	/* The table of an extension, e.g. "sofun.timer/1", or NULL if this host does not have it. [any] */
	const void *(*extension)(const sofun_host *host, const char *id);

	/* A line in the host's log, with plugin, version and, inside a callback, function and address. context may be
	 * NULL outside of callbacks. Leaves at once, even if the invocation fails. [any] */
	void (*log)(const sofun_host *host, sofun_context *context, int level, sofun_bytes text);

	/* The value's MessagePack as this invocation sees it; {NULL, 0} if unset. The view is valid until the next
	 * state_set or state_clear of the same value, or until invoke returns. [state] */
	int (*state_get)(sofun_context *context, uint32_t value, sofun_bytes *ret_msgpack);

	/* Copies one MessagePack object into the value; takes effect if invoke returns 0. [state] */
	int (*state_set)(sofun_context *context, uint32_t value, sofun_bytes msgpack);

	/* Unsets the value. [state] */
	int (*state_clear)(sofun_context *context, uint32_t value);

	/* A message to any address, itself included. type is the payload's type name, {NULL, 0} for none; payload is one
	 * MessagePack object. Both are copied. A router may call it too. [callback] */
	int (*send)(sofun_context *context, const sofun_address *to, sofun_bytes type, sofun_bytes payload);

	/* The answer to a call. The last one before invoke (or on_result) returns counts. Without a caller that waits it is
	 * SOFUN_OK and does nothing. [invoke] */
	int (*reply)(sofun_context *context, sofun_bytes type, sofun_bytes payload);

	/* A record at the end of an egress, visible once the epoch is durable. [invoke] */
	int (*emit)(sofun_context *context, sofun_bytes egress, sofun_bytes payload);

	/* Why this callback is about to return non-zero, as UTF-8 text for people. The last one counts. [callback] */
	void (*fail)(sofun_context *context, sofun_bytes text);

	/* An empty builder; valid until the callback returns. At most 16 a callback, then NULL. [callback] */
	sofun_buf *(*buf)(sofun_context *context);

	/* Makes room for `extra` bytes behind size. 0, or SOFUN_TOO_LARGE. [callback] */
	int (*buf_reserve)(sofun_context *context, sofun_buf *buf, size_t extra);

	/* The time of the epoch in milliseconds since 1970, never going back. What a timer sends sees its due time, or a later
	 * one. [callback] */
	uint64_t (*time_ms)(sofun_context *context);
};

#ifdef __cplusplus
}
#endif

#endif
