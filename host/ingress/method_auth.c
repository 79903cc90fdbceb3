/* auth {token} → {rights:[…]}: what this connection may do from here on. Answered at once: nothing durable is in it. */
#include "ingress/connection.h"
#include "ingress/method.h"
#include "ingress/params.h"
#include "wire/pack.h"

enum { TOKEN, FIELDS };

enum { TOKEN_BYTES_MAX = 1024 };

static const struct param_field fields[FIELDS] = {
	[TOKEN] = {PARAM_NAMED("token"), .kinds = PARAM_STR, .expected = "a str"},
};

static void rights_write(struct buf *out, uint32_t rights) {
	static const uint32_t all[] = {RIGHT_CALL, RIGHT_INGEST, RIGHT_SUBSCRIBE, RIGHT_METRICS, RIGHT_CONTROL};
	uint32_t count = 0;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		count += (rights & all[i]) != 0;
	pack_map(out, 1);
	pack_text(out, "rights");
	pack_array(out, count);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		char word[64];
		rights_words(all[i], word, sizeof word);
		if ((rights & all[i]) != 0)
			pack_text(out, word);
	}
}

bool method_auth(struct connection *connection, const struct rpc_frame *frame, struct error *error) {
	struct param params[FIELDS];
	if (!params_read(frame->map, connection->server->config->nesting, fields, FIELDS, params, error) ||
		!param_name_check(&fields[TOKEN], &params[TOKEN], 1, TOKEN_BYTES_MAX, error))
		return false;
	access_show(&connection->pass, params[TOKEN].item.bytes);
	uint32_t rights = connection_rights(connection);
	if (rights == 0) {
		error_set(error, ERROR_FORBIDDEN, "nobody has this token");
		error_found(error, "an unknown token");
		return error_advise(error, "a token of the file that auth.tokens names", "SIGHUP reads that file again");
	}
	if (frame->kind == RPC_REQUEST) {
		rpc_write_result(&connection->output, frame->msgid);
		rights_write(&connection->output, rights);
		connection_due(connection);
	}
	return true;
}
