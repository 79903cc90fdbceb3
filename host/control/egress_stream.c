/* GET /v1/egresses/E with `Accept: text/event-stream`: its records as server-sent events, first those that are there, then
 * those that come. A record is an event without a name, with its offset as id and its JSON as data; so EventSource and
 * `curl -N` go on where they were by Last-Event-ID. `skipped` {skipped}: retention passed the client. `forked` {from}: the
 * offset that it came with means another record now. `failed` {error}: the egress cannot be read. [loop thread] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control/handlers.h"
#include "control/http/stream.h"
#include "egress/record.h"
#include "wire/json.h"

struct egress_stream {
	struct stream stream;
	struct exchange *exchange; /* while its place is looked for */
	struct egress_reader reader;
	uint64_t left; /* records until it ends by itself */
	struct buf egress;
	struct buf line;
};

static void egress_stream_free(struct egress_stream *self) {
	egress_reader_close(&self->reader);
	buf_finish(&self->egress);
	buf_finish(&self->line);
	free(self);
}

static void stream_closed(struct stream *stream) {
	egress_stream_free((struct egress_stream *)stream);
}

static void stream_drained(struct stream *stream) {
	struct egress_stream *self = (struct egress_stream *)stream;
	if (stream_has_room(stream))
		egress_reader_want(&self->reader);
}

/* ---- records ---- */

static void number_event(struct stream *stream, const char *name, const char *key, uint64_t number) {
	char data[64];
	snprintf(data, sizeof data, "{\"%s\":%" PRIu64 "}", key, number);
	stream_event(stream, name, NULL, bytes_text(data));
}

static void record_event(struct egress_stream *self, uint64_t offset, struct bytes map) {
	char id[24];
	json_t *json = record_json(offset, map);
	buf_reset(&self->line);
	json_to_text(json, &self->line);
	json_decref(json);
	snprintf(id, sizeof id, "%" PRIu64, offset);
	stream_event(&self->stream, NULL, id, bytes_buf(&self->line));
}

static void records_ready(struct egress_reader *reader, const struct egress_batch *batch, size_t i) {
	struct egress_stream *self = (struct egress_stream *)((char *)reader - offsetof(struct egress_stream, reader));
	if (reader->skipped > 0)
		number_event(&self->stream, "skipped", "skipped", reader->skipped);
	reader->skipped = 0;
	for (; i < batch->count && self->left > 0 && stream_has_room(&self->stream); i++, self->left--)
		record_event(self, reader->next++, egress_batch_map(batch, i));
	stream_flush(&self->stream);
	if (self->left == 0)
		stream_end(&self->stream);
	else if (stream_has_room(&self->stream))
		egress_reader_want(reader);
}

static void records_failed(struct egress_reader *reader, const struct error *error) {
	struct egress_stream *self = (struct egress_stream *)((char *)reader - offsetof(struct egress_stream, reader));
	json_t *json = json_from_error(error);
	buf_reset(&self->line);
	json_to_text(json, &self->line);
	json_decref(json);
	stream_event(&self->stream, "failed", NULL, bytes_buf(&self->line));
	stream_end(&self->stream);
}

/* ---- the beginning ---- */

static void place_found(void *arg, const struct egress_found *found) {
	struct egress_stream *self = arg;
	struct egress_hub *hub = self->exchange->control->hub;
	if (found->error.code != ERROR_NONE) {
		exchange_error(self->exchange, &found->error);
		egress_stream_free(self);
		return;
	}
	self->stream.drained = stream_drained;
	self->stream.closed = stream_closed;
	self->reader.ready = records_ready;
	self->reader.failed = records_failed;
	if (!stream_open(&self->stream, self->exchange)) {
		egress_stream_free(self);
		return;
	}
	if (found->forked)
		number_event(&self->stream, "forked", "from", found->next);
	stream_flush(&self->stream);
	egress_reader_open(hub, &self->reader, bytes_buf(&self->egress), found->next);
	egress_reader_want(&self->reader);
}

bool egress_stream_asked(const struct exchange *exchange) {
	const char *accept = exchange_header(exchange, "Accept");
	return accept != NULL && strstr(accept, "text/event-stream") != NULL;
}

/* What the client has seen last wins over what its address says: a browser asks again with both. */
static bool place_parse(const struct exchange *exchange, struct egress_request *request, struct error *error) {
	const char *last = exchange_header(exchange, "Last-Event-ID");
	struct bytes text = bytes_text("earliest");
	char *end;
	request->from = EGRESS_OFFSET;
	if (last != NULL && last[0] >= '0' && last[0] <= '9') {
		request->offset = strtoull(last, &end, 10) + 1;
		if (*end == '\0')
			return true;
	}
	target_query(&exchange->target, "from", &text);
	if (bytes_equal(text, bytes_text("earliest")))
		request->from = EGRESS_EARLIEST;
	else if (bytes_equal(text, bytes_text("latest")))
		request->from = EGRESS_LATEST;
	else if (!target_query_number(&exchange->target, "from", INT64_MAX, &request->offset, error)) {
		error_expected(error, "an offset, earliest or latest");
		return false;
	}
	return true;
}

void egress_stream_start(struct exchange *exchange) {
	struct egress_request request = {.egress = exchange_param(exchange, 0)};
	struct error error;
	uint64_t left = UINT64_MAX;
	if (!place_parse(exchange, &request, &error) ||
		!target_query_number(&exchange->target, "limit", UINT64_MAX, &left, &error)) {
		exchange_error(exchange, &error);
		return;
	}
	struct egress_stream *self = check_alloc(1, sizeof *self);
	self->exchange = exchange;
	self->left = left > 0 ? left : 1;
	buf_append_bytes(&self->egress, request.egress);
	(void)egress_find(exchange->control->hub, &request, place_found, self);
}
