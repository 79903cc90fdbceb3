/* The data server's inside: what its connections share. Private to host/ingress. [loop thread] */
#ifndef HOST_INGRESS_SERVER_H
#define HOST_INGRESS_SERVER_H

#include <stdbool.h>
#include <sys/queue.h>

#include "door/door.h"
#include "ingress/data_server.h"
#include "ingress/deadline.h"
#include "limits.h"

enum {
	DATA_SERVER_MAGIC = 0x64617461,
	/* More wait in the backlog until one leaves: each may hold a partial frame and answers. */
	CONNECTIONS_MAX = 16384,
	/* After a failed accept (no descriptor left), or at CONNECTIONS_MAX, look again this much later. */
	ACCEPT_AGAIN_MS = 100,
	/* How often to look whether the engine can take more: soon enough that the shards do not run dry. */
	PRESSED_LOOK_US = 1000,
};

/* One read call takes this much: beyond it a larger buffer no longer saves system calls. */
#define READ_BYTES KIB(256)
/* A frame's beginning up to this size is copied in front of what is read next; a larger one gets a buffer of its own. */
#define CARRY_BYTES_MAX KIB(64)
/* After so many bytes of frames within one turn the engine is asked again whether it can take more. */
#define PRESSED_BYTES KIB(64)

struct connection;
struct pending;
LIST_HEAD(connection_list, connection);
TAILQ_HEAD(connection_queue, connection);
SLIST_HEAD(pending_pool, pending);

/* A socket that listens. */
struct data_listener {
	SLIST_ENTRY(data_listener) link;
	struct data_server *server;
	const struct doors *doors; /* NULL: the Unix socket */
	int fd;
	struct evconnlistener *accepting;
};
SLIST_HEAD(data_listeners, data_listener);

struct data_server {
	uint32_t magic; /* DATA_SERVER_MAGIC */
	struct event_base *base;
	const struct config *config;
	struct engine *engine;
	struct requests *requests;
	struct egress_hub *hub;
	struct data_listeners listeners; /* empty: stopped */
	struct event *accept_again;
	struct event *turn; /* made active when a connection is due; runs behind what the turn has still to do */
	struct event *look; /* while pressed */
	struct deadlines *deadlines;

	struct connection_list connections;
	size_t connection_count;
	size_t held_bytes;                   /* of them all (held.h) */
	uint64_t held_look_ms;               /* when they were last looked at */
	struct connection_queue due;         /* have something to write, or may go on reading, at the end of this turn */
	struct connection_queue held;        /* have something to read, and wait for the server to go on */
	struct connection_queue large_queue; /* wait for a place (large.h) */
	size_t large_free;
	uint64_t sessions; /* numbers given to connections so far */

	bool paused;  /* data_server_pause */
	bool pressed; /* engine_pressed() when last asked */
	bool stopped;
	size_t unasked_bytes; /* of frames since it was asked */

	struct pending_pool pool; /* requests that are answered, for reuse */
	uint8_t *scratch;         /* CARRY_BYTES_MAX + READ_BYTES; only within one event */
};

/* True: no connection may read or parse now. */
static inline bool server_holds(const struct data_server *server) {
	return server->paused || server->pressed || server->stopped;
}

/* Asks the engine whether it can take more, and waits for it if not. */
void server_ask_pressed(struct data_server *server);

/* A frame of this size was handed on. */
static inline void server_count_frame(struct data_server *server, size_t size) {
	server->unasked_bytes += size;
	if (server->unasked_bytes >= PRESSED_BYTES)
		server_ask_pressed(server);
}

#endif
