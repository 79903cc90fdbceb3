/* The data socket: MessagePack-RPC (wire/rpc.h) on a socket that listens already (supervisor/listen.h). Reads with read calls of its own and hands
 * frames to the engine where they lie; the answers of one turn of the loop leave in one write a connection.
 * [loop thread] */
#ifndef HOST_INGRESS_DATA_SERVER_H
#define HOST_INGRESS_DATA_SERVER_H

#include <stdbool.h>

#include "config/config.h"
#include "flow/engine/engine.h"
#include "flow/request/request.h"

struct doors;
struct egress_hub;
struct event_base;
struct data_server;

/* Takes the listening socket over; requests are served from the first turn of the loop. Keeps all pointers. */
struct data_server *data_server_create(
	struct event_base *base, const struct config *config, struct engine *engine, struct requests *requests, int fd);

/* What `subscribe` and `ack` read from; before the first turn of the loop. */
void data_server_egresses(struct data_server *server, struct egress_hub *hub);

/* Accepts on another socket that listens, and takes it over. Who connects there must show what the doors ask for; they are
 * kept. doors = NULL: a Unix socket, whose user may do everything. */
void data_server_listen(struct data_server *server, int fd, const struct doors *doors);

/* Sockets are not read until data_server_resume. The server pauses by itself while engine_pressed(); this is for any
 * other reason to wait. */
void data_server_pause(struct data_server *server);
void data_server_resume(struct data_server *server);

/* Takes no more connections: nobody can connect any more. Reads nothing more; what is open may still be answered. */
void data_server_stop(struct data_server *server);

/* True until every request has been answered and its answer written (or its connection is gone). */
bool data_server_busy(const struct data_server *server);

/* Closes all connections; open requests are cancelled. NULL is fine. */
void data_server_destroy(struct data_server *server);

#endif
