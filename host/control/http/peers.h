/* The connections that evhttp serves, watched from beside it: a request must arrive in time, unfinished ones must not fill the
 * memory, and a refused client is let finish so that it reads why. evhttp 2.1 has none of that. [loop thread] */
#ifndef HOST_CONTROL_HTTP_PEERS_H
#define HOST_CONTROL_HTTP_PEERS_H

#include <stdbool.h>
#include <stddef.h>

struct bufferevent;
struct config;
struct event_base;
struct evhttp_connection;
struct peers;

enum {
	/* A request's first bytes are given so long, and behind that each further second needs so many bytes more: a header
	 * that drips is cut, a body over a slow line is not. */
	PEER_REQUEST_MS = 10000,
	PEER_BYTES_PER_MS = 16,
	/* Unfinished requests of all connections together take one part in so many of limits.memory_bytes: who would send more,
	 * and has sent more than PEER_SHARE_BYTES, is cut. So do answers that are not read: then who has more than that unread,
	 * and took nothing for PEER_READ_MS, is cut. */
	PEERS_MEMORY_PART = 8,
	PEER_SHARE_BYTES = 64 << 10,
	PEER_READ_MS = 1000,
	/* More wait to be accepted until one leaves. */
	PEERS_MAX = 16384,
};

struct peers *peers_create(struct event_base *base, const struct config *config);
void peers_destroy(struct peers *peers); /* after the servers; NULL is fine */

/* A connection that evhttp is about to get. */
void peers_add(struct peers *peers, struct bufferevent *connection);

/* As many as there may be: nothing more should be accepted. */
bool peers_full(const struct peers *peers);

/* Its request is whole, and is being answered; or the answer is written. */
void peer_asked(struct peers *peers, struct evhttp_connection *connection);
void peer_answered(struct peers *peers, struct evhttp_connection *connection);

/* closed() is called when the connection goes down, instead of what was set before; NULL: nobody asks. In the place of
 * evhttp_connection_set_closecb, which belongs to the peer. */
void peer_on_close(struct peers *peers, struct evhttp_connection *connection,
	void (*closed)(struct evhttp_connection *connection, void *arg), void *arg);

#endif
