/* The control socket: HTTP/1.1 by libevent's evhttp on a Unix socket of mode 0600. [loop thread] */
#ifndef HOST_CONTROL_SERVER_H
#define HOST_CONTROL_SERVER_H

#include "control/control.h"

struct http_server;

/* Binds and listens; whoever connects waits until the loop runs. A socket file that a killed host has left is replaced:
 * the caller holds the directory's lock. ERROR_BAD_REQUEST: the path is too long; ERROR_REFUSED: it cannot be bound. */
struct http_server *http_server_create(struct control *control, const char *path, struct error *error);

/* True until every request has been answered and its answer written. */
bool http_server_busy(const struct http_server *server);

/* Removes the socket file and closes all connections. No request may be without its answer, and the loop does not turn
 * any more. NULL is fine. */
void http_server_destroy(struct http_server *server);

#endif
