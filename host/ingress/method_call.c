/* call {to, id, payload, type?, timeout_ms?} → {payload, type?}: the function's reply. */
#include "ingress/connection.h"
#include "ingress/message_params.h"
#include "ingress/method.h"
#include "wire/pack.h"

static void reply_write(struct buf *out, const struct engine_answer *answer) {
	pack_map(out, answer->type.size == 0 ? 1 : 2);
	pack_text(out, "payload");
	if (answer->payload.size == 0)
		pack_nil(out); /* an empty reply is nil */
	else
		pack_raw(out, answer->payload);
	if (answer->type.size == 0)
		return;
	pack_text(out, "type");
	pack_str_clean(out, answer->type);
}

bool method_call(struct connection *connection, const struct rpc_frame *frame, struct error *error) {
	struct engine_message message;
	uint64_t timeout_ms;
	if (!message_params_read(frame, connection->server->config, &message, &timeout_ms, error))
		return false;
	struct pending *pending = pending_open(connection, frame, reply_write);
	const uint16_t type = engine_call(connection->server->engine, pending->token, &message);
	pending_limit(pending, type, timeout_ms);
	return true;
}
