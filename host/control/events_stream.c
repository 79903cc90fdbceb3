/* GET /v1/events: what happens to plugins, as it happens.
 *
 * An event's id is BOOT-NUMBER: the number counts from 1 in each life of the worker, and BOOT tells the lives apart. Who
 * comes back with Last-Event-ID gets what came meanwhile; what is not kept any more, or was of another life, is told by an
 * event `skipped`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "control/handlers.h"
#include "control/http/stream.h"
#include "registry/events.h"
#include "wire/json.h"

struct listener {
	struct stream stream; /* first */
	struct events *events;
	uint64_t boot;
	struct event_subscriber subscriber;
};

/* Into the stream, for the next flush. */
static void listener_put(void *arg, const struct event_record *event) {
	struct listener *listener = arg;
	char id[48];
	struct buf text = {0};
	json_t *body = json_copy(event->body);
	check_memory(body);
	json_object_set_new(body, "number", json_integer((json_int_t)event->number));
	json_object_set_new(body, "time_ms", json_integer((json_int_t)event->time_ms));
	json_to_text(body, &text);
	json_decref(body);
	snprintf(id, sizeof id, "%" PRIx64 "-%" PRIu64, listener->boot, event->number);
	stream_event(&listener->stream, event_kind_name(event->kind), id, bytes_buf(&text));
	buf_finish(&text);
}

/* A client that does not read loses its stream, and comes back with Last-Event-ID. */
static void listener_told(void *arg, const struct event_record *event) {
	struct listener *listener = arg;
	if (!stream_has_room(&listener->stream)) {
		stream_end(&listener->stream);
		return;
	}
	listener_put(listener, event);
	stream_flush(&listener->stream);
}

static void listener_drained(struct stream *stream) {
	(void)stream; /* what comes is sent when it comes */
}

static void listener_closed(struct stream *stream) {
	struct listener *listener = (struct listener *)(void *)stream;
	events_unsubscribe(listener->events, &listener->subscriber);
	free(listener);
}

/* The number of the oldest that is kept, into an uint64_t that is 0. */
static void first_take(void *arg, const struct event_record *event) {
	uint64_t *first = arg;
	if (*first == 0)
		*first = event->number;
}

static void skipped_send(struct listener *listener, const char *why) {
	struct buf text = {0};
	buf_printf(&text, "{\"reason\":\"%s\"}", why);
	stream_event(&listener->stream, "skipped", NULL, bytes_buf(&text));
	buf_finish(&text);
}

/* "BOOT-NUMBER" as it was sent. False: it is not one of ours. */
static bool id_parse(const char *id, uint64_t *ret_boot, uint64_t *ret_number) {
	int used = 0;
	return sscanf(id, "%" SCNx64 "-%" SCNu64 "%n", ret_boot, ret_number, &used) == 2 && id[used] == '\0';
}

/* Sends what was kept since the client was last here. */
static void kept_send(struct listener *listener, const char *last_id) {
	uint64_t boot, number, first = 0;
	bool ours = id_parse(last_id, &boot, &number);
	bool lived = ours && boot == listener->boot;
	uint64_t from = lived ? number + 1 : 1;
	events_each(listener->events, 1, first_take, &first);
	if (!lived)
		skipped_send(listener, "these are events of another life of the host");
	else if (first > from)
		skipped_send(listener, "so many came meanwhile that the oldest were dropped");
	events_each(listener->events, from, listener_put, listener);
}

/* from=earliest: all that is kept; else what comes from now on, or came since Last-Event-ID. */
static bool from_parse(const struct exchange *exchange, bool *ret_all, struct error *error) {
	struct bytes from = {0};
	*ret_all = target_query(&exchange->target, "from", &from);
	if (!*ret_all || bytes_equal(from, bytes_text("earliest")))
		return true;
	error_set(error, ERROR_BAD_REQUEST, "the parameter from is not known");
	exchange_found(exchange, from, error);
	error_expected(error, "earliest, or none");
	error_hint(error, "to go on where a stream ended, send its last id as Last-Event-ID");
	return false;
}

void handle_events(struct exchange *exchange) {
	struct control *control = exchange->control;
	const char *last_id = exchange_header(exchange, "Last-Event-ID");
	struct error error;
	bool all;
	if (!from_parse(exchange, &all, &error)) {
		exchange_error(exchange, &error);
		return;
	}
	struct listener *listener = check_alloc(1, sizeof *listener);
	listener->events = control->events;
	listener->boot = control->started_ms;
	listener->subscriber.told = listener_told;
	listener->subscriber.arg = listener;
	listener->stream.drained = listener_drained;
	listener->stream.closed = listener_closed;
	if (!stream_open(&listener->stream, exchange)) {
		free(listener);
		return;
	}
	events_subscribe(listener->events, &listener->subscriber);
	if (last_id != NULL)
		kept_send(listener, last_id);
	else if (all)
		events_each(listener->events, 1, listener_put, listener);
	stream_flush(&listener->stream);
}
