/* An answer without an end: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) over one HTTP
 * exchange. Who serves one embeds struct stream, writes events into it while stream_has_room, and goes on in drained(). A
 * client that does not read is written no more; one that went away, and the host's stop, end it by closed(). Idle streams get a
 * comment every STREAM_COMMENT_S, so that proxies and dead peers show. [loop thread] */
#ifndef HOST_CONTROL_HTTP_STREAM_H
#define HOST_CONTROL_HTTP_STREAM_H

#include <sys/queue.h>

#include "control/http/exchange.h"

enum { STREAM_COMMENT_S = 15 };

/* Unwritten bytes above which nothing more is to be written. */
#define STREAM_ROOM_BYTES KIB(256)

struct stream {
	LIST_ENTRY(stream) link;
	struct exchange *exchange; /* NULL: it is closed */
	void (*drained)(struct stream *stream);
	void (*closed)(struct stream *stream); /* called once; may free what it is embedded in */
	struct event *comment;
	struct buf pending; /* of this turn */
};

/* Answers the exchange with 200 and the beginning of a stream; drained and closed are set. False: the client has gone, the
 * exchange is answered, and closed() is not called. */
bool stream_open(struct stream *stream, struct exchange *exchange);

/* One event; its parts may be NULL, data is one line. Sent by stream_flush. */
void stream_event(struct stream *stream, const char *event, const char *id, struct bytes data);
void stream_flush(struct stream *stream);

bool stream_has_room(const struct stream *stream);

/* Says a last word, if event is not NULL, and ends it: closed() is called. */
void stream_end(struct stream *stream);

/* The host stops: ends all of them. */
void streams_end(struct control *control);

#endif
