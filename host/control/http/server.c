#include "control/http/server.h"

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "control/http/exchange.h"
#include "control/http/peers.h"
#include "door/door.h"
#include "supervisor/listen.h"

#define SERVER_MAGIC 0x48545352u

enum {
	HEADERS_BYTES_MAX = 64 << 10, /* an id of 255 bytes, percent-encoded, is below 1 KiB */
	/* A connection that is silent this long is closed. Longer than people pause between two curl commands on one
	 * connection; a barrier may take longer, for while an answer is being made nothing is read. */
	IDLE_S = 600,
	/* On the network connections cost more than they do between programs of one user. */
	NETWORK_IDLE_S = 60,
	/* When the process has no descriptor left for a connection, it tries again after this long; without the pause the
	 * loop would spin on the connection that waits. */
	ACCEPT_AGAIN_MS = 100,
};

struct http_server {
	uint32_t magic;
	struct control *control;
	struct evhttp *http;
	const struct doors *doors; /* NULL: the Unix socket */
	int fd;                    /* of the listener */
	struct evconnlistener *accepting;
	struct exchange *exchanges; /* without an answer, or being written */
};

/* The listener outlives the timer: the loop does not turn any more once it is freed. */
static void accept_again(evutil_socket_t fd, short what, void *listener) {
	(void)fd, (void)what;
	evconnlistener_enable(listener);
}

/* Looks again after a while; what has come meanwhile waits. */
static void accept_rest(struct evconnlistener *listener) {
	const struct timeval again = {.tv_usec = ACCEPT_AGAIN_MS * 1000};
	evconnlistener_disable(listener);
	check(event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, accept_again, listener, &again) == 0);
}

/* arg is evhttp's. */
static void accept_failed(struct evconnlistener *listener, void *arg) {
	(void)arg;
	log_event(LOG_WARN, "accept_failed", "socket=control reason=\"%s\"", strerror(EVUTIL_SOCKET_ERROR()));
	accept_rest(listener);
}

static void request_read(struct evhttp_request *event, void *arg) {
	struct http_server *server = arg;
	CHECK_OBJECT(server, SERVER_MAGIC);
	exchange_begin(server->control, event, server->doors, &server->exchanges);
}

/* evhttp_set_bevcb: what evhttp reads and writes through. */
static struct bufferevent *connection_make(struct event_base *base, void *arg) {
	const struct http_server *server = arg;
	struct bufferevent *connection;
	if (server->doors != NULL && server->doors->tls != NULL) {
		connection = bufferevent_openssl_socket_new(
			base, -1, tls_session(server->doors->tls), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
		check_memory(connection);
		bufferevent_openssl_set_allow_dirty_shutdown(connection, 1);
	} else {
		connection = bufferevent_socket_new(base, -1, 0);
		check_memory(connection);
	}
	/* evhttp takes a body once it is whole. What a client sends while its answer is made must not pile up. */
	bufferevent_setwatermark(connection, EV_READ, 0, server->control->config->frame_bytes + HEADERS_BYTES_MAX);
	peers_add(server->control->peers, connection);
	if (peers_full(server->control->peers))
		accept_rest(server->accepting);
	return connection;
}

static void http_configure(struct http_server *server) {
	struct evhttp *http = server->http;
	const struct config *config = server->control->config;
	evhttp_set_max_headers_size(http, HEADERS_BYTES_MAX);
	evhttp_set_max_body_size(http, (ev_ssize_t)config->frame_bytes);
	evhttp_set_bevcb(http, connection_make, server);
	evhttp_set_timeout(http, server->doors == NULL ? IDLE_S : NETWORK_IDLE_S);
	evhttp_set_allowed_methods(http,
		EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
			EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	evhttp_set_gencb(http, request_read, server);
}

struct http_server *http_server_create(struct control *control, int fd, const struct doors *doors) {
	struct evconnlistener *listener =
		evconnlistener_new(control->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	check_memory(listener);
	struct http_server *server = check_alloc(1, sizeof *server);
	server->magic = SERVER_MAGIC;
	server->control = control;
	server->doors = doors;
	server->fd = fd;
	server->accepting = listener;
	server->http = evhttp_new(control->base);
	check_memory(server->http);
	http_configure(server);
	check(evhttp_bind_listener(server->http, listener) != NULL);
	evconnlistener_set_error_cb(listener, accept_failed);
	return server;
}

bool http_server_busy(const struct http_server *server) {
	CHECK_OBJECT(server, SERVER_MAGIC);
	return server->exchanges != NULL;
}

void http_server_destroy(struct http_server *server) {
	if (server == NULL)
		return;
	listen_end(server->fd);
	for (const struct exchange *exchange = server->exchanges; exchange != NULL; exchange = exchange->next)
		check(exchange->answered);
	evhttp_free(server->http); /* with the listener; connections that still write are closed, and their exchanges end */
	check(server->exchanges == NULL);
	server->magic = 0;
	free(server);
}
