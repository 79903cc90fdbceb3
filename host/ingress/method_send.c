/* send {to, id, payload, type?} → {epoch}, when the message is durable. */
#include "ingress/connection.h"
#include "ingress/message_params.h"
#include "ingress/method.h"
#include "wire/pack.h"

static void epoch_write(struct buf *out, const struct engine_answer *answer) {
	pack_map(out, 1);
	pack_text(out, "epoch");
	pack_uint(out, answer->number);
}

bool method_send(struct connection *connection, const struct rpc_frame *frame, struct error *error) {
	struct engine_message message;
	if (!message_params_read(frame, connection->server->config, &message, NULL, error))
		return false;
	struct pending *pending = pending_open(connection, frame, epoch_write);
	engine_send(connection->server->engine, pending->token, &message);
	return true;
}
