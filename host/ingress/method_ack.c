/* ack {egress, name, next} → {next}, when the position is durable. */
#include "egress/acked.h"
#include "ingress/connection.h"
#include "ingress/method.h"
#include "ingress/params.h"
#include "wire/pack.h"

enum { EGRESS, NAME, NEXT, FIELDS };

static const struct param_field fields[FIELDS] = {
	[EGRESS] = {PARAM_NAMED("egress"), .kinds = PARAM_STR, .expected = "a str"},
	[NAME] = {PARAM_NAMED("name"), .kinds = PARAM_STR, .expected = "a str"},
	[NEXT] = {PARAM_NAMED("next"), .kinds = PARAM_UINT, .expected = "the offset after the last record that is done"},
};

static void next_write(struct buf *out, const struct engine_answer *answer) {
	pack_map(out, 1);
	pack_text(out, "next");
	pack_uint(out, answer->number);
}

bool method_ack(struct connection *connection, const struct rpc_frame *frame, struct error *error) {
	struct data_server *server = connection->server;
	struct param params[FIELDS];
	if (!params_read(frame->map, server->config->nesting, fields, FIELDS, params, error) ||
		!param_name_check(&fields[EGRESS], &params[EGRESS], 1, UINT8_MAX, error) ||
		!param_name_check(&fields[NAME], &params[NAME], 1, SUBSCRIBER_NAME_MAX, error) ||
		!egress_known(server->hub, params[EGRESS].item.bytes, error))
		return false;
	struct pending *pending = pending_open(connection, frame, next_write);
	acked_advance(
		server->hub, params[EGRESS].item.bytes, params[NAME].item.bytes, params[NEXT].item.uint, pending->token);
	return true;
}
