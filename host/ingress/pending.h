/* A request that the engine has and whose answer the peer waits for. Private to host/ingress. [loop thread] */
#ifndef HOST_INGRESS_PENDING_H
#define HOST_INGRESS_PENDING_H

#include "base/bytes.h"
#include "flow/engine/engine.h"
#include "ingress/deadline.h"
#include "wire/rpc.h"

struct connection;
struct data_server;

struct pending {
	LIST_ENTRY(pending) link; /* of the connection */
	SLIST_ENTRY(pending) free;
	struct connection *connection;
	/* Packs the result, one object. */
	void (*write)(struct buf *out, const struct engine_answer *answer);
	struct deadline deadline;
	uint64_t timeout_ms; /* of a call */
	uint64_t token;
	uint32_t msgid;
	uint16_t type; /* of the function that is called */
	bool silent;   /* a notification: nobody is told */
};
LIST_HEAD(pending_list, pending);

/* Opens a request for the frame; its token is for the engine. Good answers go through write(), failures are told as they
 * came. */
struct pending *pending_open(struct connection *connection, const struct rpc_frame *frame,
	void (*write)(struct buf *out, const struct engine_answer *answer));

/* Of a call to a function of that type. Without an answer by then the peer is told `timeout`, and the answer is dropped when
 * it comes. */
void pending_limit(struct pending *pending, uint16_t type, uint64_t timeout_ms);

/* Nobody is told. */
void pending_cancel(struct pending *pending);

/* Frees what is kept for reuse. */
void pending_pool_finish(struct data_server *server);

#endif
