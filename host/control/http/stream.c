#include "control/http/stream.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "base/check.h"
#include "control/http/peers.h"
#include "limits.h"

static void stream_close(struct stream *stream) {
	event_free(stream->comment);
	stream->comment = NULL;
	stream->exchange = NULL;
	LIST_REMOVE(stream, link);
	buf_finish(&stream->pending);
	stream->closed(stream);
}

/* evhttp leaves a request that is not answered whole to us, unless its connection goes down with the server. */
static void client_gone(struct evhttp_connection *connection, void *arg) {
	(void)connection;
	struct stream *stream = arg;
	struct exchange *exchange = stream->exchange;
	if (evhttp_request_get_connection(exchange->event) == NULL)
		evhttp_send_reply_end(exchange->event);
	exchange_end(exchange);
	stream_close(stream);
}

static void chunk_written(struct evhttp_connection *connection, void *arg) {
	(void)connection;
	struct stream *stream = arg;
	stream->drained(stream);
}

static void chunk_send(struct stream *stream, struct bytes bytes) {
	struct evbuffer *chunk = evbuffer_new();
	check_memory(chunk);
	check(evbuffer_add(chunk, bytes.data, bytes.size) == 0);
	evhttp_send_reply_chunk_with_cb(stream->exchange->event, chunk, chunk_written, stream);
	evbuffer_free(chunk);
}

static void comment_due(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct stream *stream = arg;
	if (stream_has_room(stream))
		chunk_send(stream, bytes_text(":\n\n"));
}

bool stream_open(struct stream *stream, struct exchange *exchange) {
	struct evhttp_request *request = exchange->event;
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	const struct timeval period = {.tv_sec = STREAM_COMMENT_S};
	if (exchange->head) { /* of a stream nobody reads there is only the head */
		exchange_bytes(exchange, 200, "text/event-stream", bytes_of(NULL, 0));
		return false;
	}
	exchange_answered(exchange, 200);
	if (connection == NULL) {
		evhttp_send_reply_end(request); /* frees it */
		exchange_end(exchange);
		return false;
	}
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	evhttp_add_header(headers, "Content-Type", "text/event-stream");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	stream->exchange = exchange;
	stream->pending = (struct buf){0};
	stream->comment = event_new(exchange->control->base, -1, EV_PERSIST, comment_due, stream);
	check_memory(stream->comment);
	check(event_add(stream->comment, &period) == 0);
	LIST_INSERT_HEAD(&exchange->control->streams, stream, link);
	/* It is no idle connection, and its client sends nothing. */
	bufferevent_set_timeouts(evhttp_connection_get_bufferevent(connection), NULL, NULL);
	peer_on_close(exchange->control->peers, connection, client_gone, stream);
	evhttp_send_reply_start(request, 200, NULL);
	chunk_send(stream, bytes_text(":\n\n")); /* the client sees that it is there */
	return true;
}

void stream_event(struct stream *stream, const char *event, const char *id, struct bytes data) {
	check(stream->exchange != NULL);
	if (event != NULL)
		buf_printf(&stream->pending, "event: %s\n", event);
	if (id != NULL)
		buf_printf(&stream->pending, "id: %s\n", id);
	buf_printf(&stream->pending, "data: ");
	buf_append_bytes(&stream->pending, data);
	buf_printf(&stream->pending, "\n\n");
}

void stream_flush(struct stream *stream) {
	check(stream->exchange != NULL);
	if (stream->pending.size == 0)
		return;
	chunk_send(stream, bytes_buf(&stream->pending));
	buf_reset(&stream->pending);
}

bool stream_has_room(const struct stream *stream) {
	struct evhttp_connection *connection = evhttp_request_get_connection(stream->exchange->event);
	struct bufferevent *event = evhttp_connection_get_bufferevent(connection);
	return evbuffer_get_length(bufferevent_get_output(event)) + stream->pending.size < STREAM_ROOM_BYTES;
}

static void end_written(struct evhttp_request *request, void *arg) {
	exchange_written(arg, evhttp_request_get_connection(request));
	exchange_end(arg);
}

static void end_unwritten(struct evhttp_connection *connection, void *arg) {
	(void)connection;
	exchange_end(arg);
}

void stream_end(struct stream *stream) {
	struct exchange *exchange = stream->exchange;
	stream_flush(stream);
	stream_close(stream);
	peer_on_close(exchange->control->peers, evhttp_request_get_connection(exchange->event), end_unwritten, exchange);
	evhttp_request_set_on_complete_cb(exchange->event, end_written, exchange);
	evhttp_send_reply_end(exchange->event);
}

void streams_end(struct control *control) {
	struct stream *stream;
	while ((stream = LIST_FIRST(&control->streams)) != NULL)
		stream_end(stream);
}
