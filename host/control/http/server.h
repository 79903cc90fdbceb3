/* HTTP/1.1 by libevent's evhttp on a socket that listens already (supervisor/listen.h): the control socket, and TCP, where
 * functions and metrics are served only. [loop thread] */
#ifndef HOST_CONTROL_HTTP_SERVER_H
#define HOST_CONTROL_HTTP_SERVER_H

#include "control/control.h"

struct doors;
struct http_server;

/* Takes the listening socket over; whoever connects waits until the loop runs. doors: what who connects on TCP must show; they
 * are kept. NULL: the Unix socket, whose user may do everything. */
struct http_server *http_server_create(struct control *control, int fd, const struct doors *doors);

/* True until every request has been answered and its answer written. */
bool http_server_busy(const struct http_server *server);

/* Nobody can connect any more, and all connections are closed. No request may be without its answer, and the loop does not turn
 * any more. NULL is fine. */
void http_server_destroy(struct http_server *server);

#endif
