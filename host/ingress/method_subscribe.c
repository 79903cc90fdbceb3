/* subscribe {egress, from, name?, window?, incarnation?} → {subscription, next, incarnation, forked?}, then notifications
 * `records` (subscription.h), and `ended` when another connection subscribes by the same name. */
#include "egress/acked.h"
#include "ingress/connection.h"
#include "ingress/method.h"
#include "ingress/params.h"

enum { EGRESS, FROM, NAME, WINDOW, INCARNATION, FIELDS };

static const struct param_field fields[FIELDS] = {
	[EGRESS] = {PARAM_NAMED("egress"), .kinds = PARAM_STR, .expected = "a str"},
	[FROM] = {PARAM_NAMED("from"), .kinds = PARAM_STR | PARAM_UINT, .expected = "an offset, earliest, latest or acked"},
	[NAME] = {PARAM_NAMED("name"), .kinds = PARAM_STR, .optional = true, .expected = "a str"},
	[WINDOW] = {PARAM_NAMED("window"), .kinds = PARAM_UINT, .optional = true, .expected = "an integer of at least 1"},
	[INCARNATION] = {PARAM_NAMED("incarnation"), .kinds = PARAM_UINT, .optional = true,
		.expected = "the integer that an earlier answer had"},
};

static const char *const from_words[] = {
	[EGRESS_EARLIEST] = "earliest", [EGRESS_LATEST] = "latest", [EGRESS_ACKED] = "acked"};

static bool from_read(const struct param *param, struct egress_request *place, struct error *error) {
	const struct cursor_item *item = &param->item;
	if (item->kind == CURSOR_UINT) {
		place->from = EGRESS_OFFSET;
		place->offset = item->uint;
		return true;
	}
	for (size_t i = 0; i < sizeof from_words / sizeof *from_words; i++)
		if (bytes_equal(item->bytes, bytes_text(from_words[i]))) {
			place->from = (enum egress_from)i;
			return true;
		}
	error_set(error, ERROR_BAD_REQUEST, "`from` is no place of an egress");
	error_found_text(error, item->bytes.data, item->bytes.size);
	return error_advise(error, fields[FROM].expected, "acked goes on behind what the name has acknowledged");
}

static bool name_read(const struct param *params, struct egress_request *place, struct error *error) {
	if (params[NAME].given) {
		place->name = params[NAME].item.bytes;
		return param_name_check(&fields[NAME], &params[NAME], 1, SUBSCRIBER_NAME_MAX, error);
	}
	if (place->from != EGRESS_ACKED)
		return true;
	error_set(error, ERROR_BAD_REQUEST, "only a subscriber with a name has acknowledged anything");
	error_found(error, "from acked without `name`");
	return error_advise(error, "`name`, or another `from`", "give each subscriber that goes on later a name");
}

static bool window_read(const struct param *param, uint32_t *ret_window, struct error *error) {
	*ret_window = WINDOW_DEFAULT;
	if (!param->given)
		return true;
	if (param->item.uint >= 1 && param->item.uint <= WINDOW_MAX) {
		*ret_window = (uint32_t)param->item.uint;
		return true;
	}
	error_set(error, ERROR_BAD_REQUEST, "`window` is out of range");
	error_found(error, "%llu", (unsigned long long)param->item.uint);
	error_expected(error, "1 to %d", WINDOW_MAX);
	error_hint(error, "leave it out for %d records", WINDOW_DEFAULT);
	return false;
}

static bool room_check(const struct connection *connection, struct error *error) {
	if (connection->subscriptions.count < SUBSCRIPTIONS_MAX)
		return true;
	error_set(error, ERROR_REFUSED, "this connection has too many subscriptions");
	error_found(error, "%u", connection->subscriptions.count);
	error_expected(error, "fewer than %d", SUBSCRIPTIONS_MAX);
	error_hint(error, "open another connection");
	return false;
}

bool method_subscribe(struct connection *connection, const struct rpc_frame *frame, struct error *error) {
	struct data_server *server = connection->server;
	struct param params[FIELDS];
	struct subscription_options options = {0};
	if (!params_read(frame->map, server->config->nesting, fields, FIELDS, params, error) ||
		!param_name_check(&fields[EGRESS], &params[EGRESS], 1, UINT8_MAX, error) ||
		!from_read(&params[FROM], &options.place, error) || !name_read(params, &options.place, error) ||
		!window_read(&params[WINDOW], &options.window, error) || !room_check(connection, error))
		return false;
	options.place.egress = params[EGRESS].item.bytes;
	options.place.incarnation = params[INCARNATION].given ? params[INCARNATION].item.uint : 0;
	if (!egress_known(server->hub, options.place.egress, error))
		return false;
	subscription_create(connection, frame, &options);
	return true;
}
