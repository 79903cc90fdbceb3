/* ingest {ingress, producer, first, records} → {durable, dead?}, when the records are durable. */
#include "ingress/connection.h"
#include "ingress/method.h"
#include "ingress/params.h"
#include "wire/pack.h"

enum { INGRESS, PRODUCER, FIRST, RECORDS, FIELDS };

enum {
	/* Longer than any router's: such a name is answered with unknown_ingress by the engine. */
	INGRESS_BYTES_MAX = 255,
	/* Part of a key of the runtime database, together with an ingress that a router may have. */
	PRODUCER_BYTES_MAX = 200,
};

static const struct param_field fields[FIELDS] = {
	[INGRESS] = {PARAM_NAMED("ingress"), .kinds = PARAM_STR, .expected = "a str"},
	[PRODUCER] = {PARAM_NAMED("producer"), .kinds = PARAM_STR, .expected = "a str"},
	[FIRST] = {PARAM_NAMED("first"), .kinds = PARAM_UINT, .expected = "an integer of at least 1"},
	[RECORDS] = {PARAM_NAMED("records"), .kinds = PARAM_ARRAY, .levels = 1, .expected = "an array"},
};

static bool first_check(uint64_t first, uint32_t count, struct error *error) {
	if (first == 0 || (count == 0 && first != 1) || first > UINT64_MAX - count) {
		error_set(error, ERROR_BAD_REQUEST, "`first` is out of range");
		error_found(error, "%llu", (unsigned long long)first);
		error_expected(error, "%s",
			count == 0 ? "1, to ask for the position with no records" : "the number of the first record, from 1");
		error_hint(error, "records [] with first 1 answers the position; go on at durable + 1");
		return false;
	}
	return true;
}

/* The records' bytes back to back: what follows the array's header. */
static struct bytes records_of(const struct param *records) {
	struct cursor cursor = cursor_of(records->object);
	uint32_t count;
	(void)cursor_read_array(&cursor, &count);
	return cursor_left(&cursor);
}

static bool records_check(struct bytes records, const struct config *config, struct error *error) {
	if (records.size <= config->message_bytes)
		return true; /* then none of them is larger */
	struct cursor cursor = cursor_of(records);
	for (uint64_t i = 0; !cursor_at_end(&cursor); i++) {
		struct bytes record;
		if (cursor_take(&cursor, config->nesting, &record) != CURSOR_GOOD) {
			error_set(error, ERROR_BAD_REQUEST, "record %llu is not MessagePack", (unsigned long long)i);
			error_found(error, "other bytes");
			return error_advise(error, "a str, a bin or any other object", "pack each record as one object");
		}
		if (record.size <= config->message_bytes)
			continue;
		error_set(error, ERROR_TOO_LARGE, "record %llu of this request is too large", (unsigned long long)i);
		error_found(error, "%zu bytes", record.size);
		error_expected(error, "at most %llu", (unsigned long long)config->message_bytes);
		error_hint(error, "raise limits.message_bytes, or send it in pieces");
		return false;
	}
	return true;
}

static void durable_write(struct buf *out, const struct engine_answer *answer) {
	pack_map(out, answer->accepted == 0 ? 1 : 2);
	pack_text(out, "durable");
	pack_uint(out, answer->number);
	if (answer->accepted == 0)
		return;
	pack_text(out, "dead");
	pack_uint(out, answer->accepted);
}

bool method_ingest(struct connection *connection, const struct rpc_frame *frame, struct error *error) {
	const struct config *config = connection->server->config;
	struct param params[FIELDS];
	if (!params_read(frame->map, config->nesting, fields, FIELDS, params, error) ||
		!param_name_check(&fields[INGRESS], &params[INGRESS], 0, INGRESS_BYTES_MAX, error) ||
		!param_name_check(&fields[PRODUCER], &params[PRODUCER], 1, PRODUCER_BYTES_MAX, error))
		return false;
	uint64_t first = params[FIRST].item.uint;
	uint32_t count = params[RECORDS].item.count;
	struct bytes records = records_of(&params[RECORDS]);
	if (!first_check(first, count, error) || !records_check(records, config, error))
		return false;
	struct pending *pending = pending_open(connection, frame, durable_write);
	engine_ingest(connection->server->engine, pending->token, connection->session, params[INGRESS].item.bytes,
		params[PRODUCER].item.bytes, first, count, records);
	return true;
}
