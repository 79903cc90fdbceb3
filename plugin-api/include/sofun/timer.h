/* Delayed messages: the extension "sofun.timer/1". A timer is durable, exact across restarts, and belongs to the address
 * that sets it; when it is due its message is sent from there, as sofun_send would.
 *
 *   const sofun_timer *timer = sofun_timer_of(context);
 *   int status = timer->send_after(context, 1000, sofun_text("reminder"), &to, no_type, payload);
 *
 * Effects like all others: a timer is set or cancelled iff invoke returns 0. Threads as in host.h.
 */
#ifndef SOFUN_TIMER_H
#define SOFUN_TIMER_H

#include "host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SOFUN_TIMER "sofun.timer/1"

enum { SOFUN_TOKEN_BYTES_MAX = 255 };

typedef struct sofun_timer {
	uint32_t size; /* of this table, in bytes */

	/* A message that is sent delay_ms after the time of this epoch, never before. Timers of one address to another are
	 * sent in the order of their due times, those due at the same time in the order in which they were set. token names
	 * the timer for cancel ({NULL, 0}: none; at most 255 bytes; free again once the timer was sent or cancelled). To a
	 * type that nobody declares: a dead letter at once. [invoke] */
	int (*send_after)(sofun_context *context, uint64_t delay_ms, sofun_bytes token, const sofun_address *to,
		sofun_bytes type, sofun_bytes payload);

	/* *ret_found = 1: the timer of this address with that token is never sent; 0: there is none (any more). [invoke] */
	int (*cancel)(sofun_context *context, sofun_bytes token, int *ret_found);
} sofun_timer;

/* The table; NULL: this host does not have it. */
static inline const sofun_timer *sofun_timer_of(sofun_context *context) {
	return (const sofun_timer *)context->host->extension(context->host, SOFUN_TIMER);
}

#ifdef __cplusplus
}
#endif

#endif
