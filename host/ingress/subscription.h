/* A subscription: an egress reader that writes notifications to one connection. It is paused while the connection has
 * much that is unwritten (its peer does not read), and a named one also while `window` records are not acknowledged; it
 * holds up nobody but itself. Private to host/ingress. [loop thread] */
#ifndef HOST_INGRESS_SUBSCRIPTION_H
#define HOST_INGRESS_SUBSCRIPTION_H

#include "base/bytes.h"
#include "base/error.h"
#include "egress/hub.h"
#include "wire/rpc.h"

struct connection;
struct subscription;
TAILQ_HEAD(subscription_list, subscription);

enum {
	/* Of one connection: some hundred bytes each. */
	SUBSCRIPTIONS_MAX = 16384,
	WINDOW_DEFAULT = 1024,
	WINDOW_MAX = 1000000,
};

/* Unwritten bytes of a connection above which its subscriptions pause, and at or below half of which they go on: enough to
 * keep a socket busy, and well below where its requests are not read any more (OUTPUT_BYTES_MAX). */
#define SUBSCRIPTION_OUTPUT_BYTES KIB(256)

/* What a connection has of them. */
struct subscriptions {
	struct subscription_list running; /* have asked for records, or wait for acknowledgements */
	struct subscription_list paused;  /* wait for output to drain, the longest first */
	uint32_t count;
	uint64_t last; /* number given */
};

struct subscription_options {
	struct egress_request place;
	uint32_t window;
};

void subscriptions_init(struct subscriptions *subscriptions);

/* Opens it; the frame is answered with {subscription, next, incarnation} and, if so, {forked}. */
void subscription_create(
	struct connection *connection, const struct rpc_frame *frame, const struct subscription_options *options);

/* Output was written: those that were paused go on, as far as there is room. */
void subscriptions_resume(struct connection *connection);

/* The connection ends. */
void subscriptions_destroy(struct connection *connection);

#endif
