/* The words that cross the line between host and plugin. Only bytes cross: no pointer outlives the call it came in.
 *
 *   sofun_bytes  a borrowed view, valid until the callback that received it returns; never freed by the receiver.
 *   sofun_buf    a builder owned by the host, valid until the callback returns; the plugin writes, never frees.
 */
#ifndef SOFUN_TYPES_H
#define SOFUN_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sofun_bytes {
	const uint8_t *data;
	size_t size;
} sofun_bytes;

typedef struct sofun_buf {
	uint8_t *data;
	size_t size;
	size_t capacity;
} sofun_buf;

/* A function instance: type "namespace/name", id of 1 to 255 bytes. */
typedef struct sofun_address {
	sofun_bytes type;
	sofun_bytes id;
} sofun_address;

/* What a host function answers: 0, or one of these (negative). */
enum {
	SOFUN_OK = 0,
	SOFUN_BAD_ARGUMENT = -1, /* not MessagePack, wrong kind for the value, id empty or over 255 bytes */
	SOFUN_TOO_LARGE = -2,    /* over a limit of the host (value, message, sends or bytes of one invocation) */
	SOFUN_TOO_DEEP = -3,     /* nested beyond the host's limit */
	SOFUN_NOT_ALLOWED = -4,  /* not in this state: a reply to a message that has no reply route is SOFUN_OK and dropped;
	                            state in a router is not allowed */
	SOFUN_STORE = -5,        /* the store could not be read; fail the invocation, the host retries it */
	SOFUN_TOKEN_IN_USE = -6, /* a timer of this address has that token; the invocation fails, whatever it returns */
	SOFUN_BUSY = -7          /* no more operations can be under way now; nothing was started */
};

enum { SOFUN_LOG_DEBUG, SOFUN_LOG_INFO, SOFUN_LOG_WARN, SOFUN_LOG_ERROR };

#ifdef __cplusplus
}
#endif

#endif
