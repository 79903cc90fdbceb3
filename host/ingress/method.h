/* The methods of the data socket: one table, a file a method. Private to host/ingress. [loop thread] */
#ifndef HOST_INGRESS_METHOD_H
#define HOST_INGRESS_METHOD_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/error.h"
#include "wire/rpc.h"

struct connection;

struct method {
	const char *name;
	size_t size;    /* of name */
	uint32_t right; /* that it needs; 0: none (door/access.h) */
	/* Checks the params and hands the request to the engine: true, and the answer comes later. False: refused, and
	 * nothing has happened. */
	bool (*serve)(struct connection *connection, const struct rpc_frame *frame, struct error *error);
};

/* NULL: there is none of that name. */
const struct method *method_find(struct bytes name);

void method_unknown(struct bytes name, struct error *error);

bool method_ingest(struct connection *connection, const struct rpc_frame *frame, struct error *error);
bool method_send(struct connection *connection, const struct rpc_frame *frame, struct error *error);
bool method_call(struct connection *connection, const struct rpc_frame *frame, struct error *error);
bool method_subscribe(struct connection *connection, const struct rpc_frame *frame, struct error *error);
bool method_auth(struct connection *connection, const struct rpc_frame *frame, struct error *error);
bool method_ack(struct connection *connection, const struct rpc_frame *frame, struct error *error);

#endif
