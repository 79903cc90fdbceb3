#include "ingress/data_server.h"

#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "ingress/connection.h"
#include "ingress/large.h"
#include "supervisor/listen.h"

static struct timeval time_of_us(uint64_t us) {
	return (struct timeval){.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
}

/* ---- accepting ---- */

static void accept_rest(struct data_server *server) {
	struct timeval again = time_of_us(ACCEPT_AGAIN_MS * 1000);
	struct data_listener *listener;
	SLIST_FOREACH(listener, &server->listeners, link)
	evconnlistener_disable(listener->accepting);
	check(evtimer_add(server->accept_again, &again) == 0);
}

static void accept_again(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct data_server *server = arg;
	struct data_listener *listener;
	if (server->connection_count >= CONNECTIONS_MAX) {
		accept_rest(server);
		return;
	}
	SLIST_FOREACH(listener, &server->listeners, link)
	evconnlistener_enable(listener->accepting);
}

/* The socket's mode keeps others out already; this also holds where a data directory was made readable by mistake. */
static bool peer_refused(const struct data_listener *listener, int fd) {
	struct error error;
	if (listener->doors != NULL || access_peer(fd, &error))
		return false;
	struct buf answer = {0};
	rpc_write_unparsable(&answer, &error);
	ssize_t sent = send(fd, answer.data, answer.size, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)sent; /* whoever may not come in is owed no answer */
	buf_finish(&answer);
	log_event(LOG_WARN, "peer_refused", "socket=data %s", error.found);
	close(fd);
	return true;
}

static void accepted(
	struct evconnlistener *accepting, evutil_socket_t fd, struct sockaddr *address, int size, void *arg) {
	(void)accepting, (void)address, (void)size;
	const struct data_listener *listener = arg;
	struct data_server *server = listener->server;
	if (peer_refused(listener, fd))
		return;
	connection_create(server, fd, listener->doors);
	if (server->connection_count >= CONNECTIONS_MAX)
		accept_rest(server);
}

static void accept_failed(struct evconnlistener *accepting, void *arg) {
	(void)accepting;
	const struct data_listener *listener = arg;
	log_event(LOG_WARN, "accept_failed", "socket=data reason=\"%s\"", strerror(EVUTIL_SOCKET_ERROR()));
	accept_rest(listener->server);
}

void data_server_listen(struct data_server *server, int fd, const struct doors *doors) {
	struct data_listener *listener = check_alloc(1, sizeof *listener);
	listener->server = server;
	listener->doors = doors;
	listener->fd = fd;
	listener->accepting =
		evconnlistener_new(server->base, accepted, listener, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	check_memory(listener->accepting);
	evconnlistener_set_error_cb(listener->accepting, accept_failed);
	SLIST_INSERT_HEAD(&server->listeners, listener, link);
}

static void listeners_end(struct data_server *server) {
	for (struct data_listener *listener; (listener = SLIST_FIRST(&server->listeners)) != NULL;) {
		SLIST_REMOVE_HEAD(&server->listeners, link);
		listen_end(listener->fd); /* before the listener closes it */
		evconnlistener_free(listener->accepting);
		free(listener);
	}
}

/* ---- turns ---- */

static void turn_end(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct data_server *server = arg;
	/* what becomes due meanwhile belongs to the next turn */
	struct connection_queue due = TAILQ_HEAD_INITIALIZER(due);
	TAILQ_CONCAT(&due, &server->due, due_link);
	struct connection *next;
	for (struct connection *connection = TAILQ_FIRST(&due); connection != NULL; connection = next) {
		next = TAILQ_NEXT(connection, due_link);
		TAILQ_REMOVE(&due, connection, due_link);
		connection->is_due = false;
		connection_turn(connection);
	}
}

static void held_release(struct data_server *server) {
	if (server_holds(server))
		return;
	for (struct connection *connection; (connection = TAILQ_FIRST(&server->held)) != NULL;) {
		TAILQ_REMOVE(&server->held, connection, held_link);
		connection->is_held = false;
		connection_due(connection);
	}
}

static void look_again(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct data_server *server = arg;
	server->pressed = false;
	server_ask_pressed(server);
	held_release(server);
}

void server_ask_pressed(struct data_server *server) {
	server->unasked_bytes = 0;
	if (server->pressed || server->stopped)
		return;
	server->pressed = engine_pressed(server->engine);
	if (!server->pressed)
		return;
	struct timeval look = time_of_us(PRESSED_LOOK_US);
	check(evtimer_add(server->look, &look) == 0);
}

/* ---- life ---- */

static struct event *timer_new(struct data_server *server, event_callback_fn run) {
	struct event *timer = evtimer_new(server->base, run, server);
	check_memory(timer);
	return timer;
}

struct data_server *data_server_create(
	struct event_base *base, const struct config *config, struct engine *engine, struct requests *requests, int fd) {
	struct data_server *server = check_alloc(1, sizeof *server);
	*server = (struct data_server){.magic = DATA_SERVER_MAGIC,
		.base = base,
		.config = config,
		.engine = engine,
		.requests = requests,
		.scratch = check_alloc(1, CARRY_BYTES_MAX + READ_BYTES)};
	TAILQ_INIT(&server->due);
	TAILQ_INIT(&server->held);
	TAILQ_INIT(&server->large_queue);
	server->large_free = large_places(config);
	server->accept_again = timer_new(server, accept_again);
	server->turn = timer_new(server, turn_end);
	server->look = timer_new(server, look_again);
	server->deadlines = deadlines_create(base);
	data_server_listen(server, fd, NULL);
	return server;
}

void data_server_egresses(struct data_server *server, struct egress_hub *hub) {
	CHECK_OBJECT(server, DATA_SERVER_MAGIC);
	server->hub = hub;
}

void data_server_pause(struct data_server *server) {
	CHECK_OBJECT(server, DATA_SERVER_MAGIC);
	server->paused = true;
}

void data_server_resume(struct data_server *server) {
	CHECK_OBJECT(server, DATA_SERVER_MAGIC);
	server->paused = false;
	held_release(server);
}

void data_server_stop(struct data_server *server) {
	CHECK_OBJECT(server, DATA_SERVER_MAGIC);
	if (server->stopped)
		return;
	server->stopped = true;
	listeners_end(server);
	evtimer_del(server->accept_again);
	evtimer_del(server->look);
}

bool data_server_busy(const struct data_server *server) {
	CHECK_OBJECT(server, DATA_SERVER_MAGIC);
	struct connection *connection;
	LIST_FOREACH(connection, &server->connections, link) {
		if (connection->pending_count > 0 || connection_unsent(connection) > 0)
			return true;
	}
	return false;
}

void data_server_destroy(struct data_server *server) {
	if (server == NULL)
		return;
	data_server_stop(server);
	while (!LIST_EMPTY(&server->connections))
		connection_destroy(LIST_FIRST(&server->connections));
	pending_pool_finish(server);
	deadlines_destroy(server->deadlines);
	event_free(server->accept_again);
	event_free(server->turn);
	event_free(server->look);
	free(server->scratch);
	server->magic = 0;
	free(server);
}
