#include "ingress/connection.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "ingress/connection_read.h"
#include "ingress/held.h"
#include "ingress/large.h"

static void write_ready(evutil_socket_t fd, short what, void *arg);

/* Whoever has not said who it is by now keeps a place from others. */
static void greeting_over(struct deadline *deadline) {
	struct connection *connection = (struct connection *)((char *)deadline - offsetof(struct connection, greeting));
	if (transport_ready(&connection->transport) && connection_rights(connection) != 0)
		return;
	log_event(LOG_INFO, "connection_dropped", "session=%llu reason=\"%s\"", (unsigned long long)connection->session,
		transport_ready(&connection->transport) ? "no token was shown" : "TLS was not agreed on");
	connection->lost = true;
	connection_due(connection);
}

void connection_create(struct data_server *server, int fd, const struct doors *doors) {
	struct connection *connection = check_alloc(1, sizeof *connection);
	connection->magic = CONNECTION_MAGIC;
	connection->server = server;
	connection->session = ++server->sessions;
	connection->doors = doors;
	transport_init(&connection->transport, fd, doors == NULL ? NULL : doors->tls);
	rpc_reader_init(&connection->reader, server->config->frame_bytes, server->config->nesting);
	connection->read_event = event_new(server->base, fd, EV_READ | EV_PERSIST, connection_read_ready, connection);
	connection->write_event = event_new(server->base, fd, EV_WRITE, write_ready, connection);
	check_memory(connection->read_event);
	check_memory(connection->write_event);
	subscriptions_init(&connection->subscriptions);
	LIST_INSERT_HEAD(&server->connections, connection, link);
	server->connection_count++;
	if (doors != NULL)
		deadline_start(server->deadlines, &connection->greeting, DOOR_GREETING_MS, greeting_over);
	connection_settle(connection);
}

uint32_t connection_rights(struct connection *connection) {
	return connection->doors == NULL ? RIGHTS_ALL : access_rights(connection->doors->access, &connection->pass);
}

void connection_destroy(struct connection *connection) {
	CHECK_OBJECT(connection, CONNECTION_MAGIC);
	struct data_server *server = connection->server;
	subscriptions_destroy(connection);
	while (!LIST_EMPTY(&connection->pendings))
		pending_cancel(LIST_FIRST(&connection->pendings));
	large_leave(connection);
	deadline_stop(server->deadlines, &connection->linger);
	deadline_stop(server->deadlines, &connection->greeting);
	if (connection->is_due)
		TAILQ_REMOVE(&server->due, connection, due_link);
	if (connection->is_held)
		TAILQ_REMOVE(&server->held, connection, held_link);
	LIST_REMOVE(connection, link);
	server->connection_count--;
	held_forget(connection);
	event_free(connection->read_event);
	event_free(connection->write_event);
	transport_finish(&connection->transport);
	buf_finish(&connection->input);
	buf_finish(&connection->output);
	connection->magic = 0;
	free(connection);
}

void connection_due(struct connection *connection) {
	struct data_server *server = connection->server;
	if (connection->is_due)
		return;
	if (TAILQ_EMPTY(&server->due))
		event_active(server->turn, EV_TIMEOUT, 0);
	connection->is_due = true;
	TAILQ_INSERT_TAIL(&server->due, connection, due_link);
}

/* ---- writing ---- */

static void output_sent(struct connection *connection, size_t size) {
	struct buf *output = &connection->output;
	connection->output_sent += size;
	if (connection->output_sent == output->size) {
		connection->output_sent = 0;
		buf_reset(output);
		if (output->capacity > BUFFER_KEPT_BYTES)
			buf_finish(output);
	} else if (connection->output_sent > output->size / 2) {
		output->size -= connection->output_sent;
		memmove(output->data, output->data + connection->output_sent, output->size);
		connection->output_sent = 0;
	}
}

/* One write call; what the socket does not take waits until it is writable. */
static void connection_write(struct connection *connection) {
	size_t unsent = connection_unsent(connection);
	if (unsent == 0 || connection->writing || connection->lost)
		return;
	ssize_t size = transport_write(&connection->transport, connection->output.data + connection->output_sent, unsent);
	if (size < 0 && errno != EAGAIN && errno != EINTR) {
		connection->lost = true; /* the peer is gone: what it asked for is done all the same */
		return;
	}
	output_sent(connection, size < 0 ? 0 : (size_t)size);
	unsent = connection_unsent(connection);
	if (unsent == 0)
		return;
	connection->writing = true;
	check(event_add(connection->write_event, NULL) == 0);
	if (unsent > OUTPUT_BYTES_LOST) {
		log_event(LOG_WARN, "connection_dropped",
			"session=%llu reason=\"the caller does not read its answers\" unread=%zu",
			(unsigned long long)connection->session, unsent);
		connection->lost = true;
	}
}

static void write_ready(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct connection *connection = arg;
	CHECK_OBJECT(connection, CONNECTION_MAGIC);
	connection->writing = false;
	if (connection->transport.full) {
		connection->transport.full = false;
		if (connection->reading)
			event_active(connection->read_event, EV_READ, 0); /* what could not be read before its turn to write */
	}
	connection_turn(connection);
}

/* ---- what comes next ---- */

static bool is_answered(const struct connection *connection) {
	return connection->pending_count == 0 && connection_unsent(connection) == 0;
}

static bool wants_to_read(const struct connection *connection) {
	switch (connection->state) {
	case CONNECTION_OPEN:
		return connection_may_parse(connection) && connection->large != LARGE_WAITING;
	case CONNECTION_REFUSING:
		return true;
	default:
		return false;
	}
}

static void reading_set(struct connection *connection, bool reading) {
	if (reading == connection->reading)
		return;
	check((reading ? event_add(connection->read_event, NULL) : event_del(connection->read_event)) == 0);
	connection->reading = reading;
}

/* TLS has its own to write while it agrees, and may hold bytes that the socket does not announce again. */
static void transport_settle(struct connection *connection) {
	if (connection->transport.full && !connection->writing) {
		connection->writing = true;
		check(event_add(connection->write_event, NULL) == 0);
	}
	if (connection->reading && transport_holds(&connection->transport))
		event_active(connection->read_event, EV_READ, 0);
}

void connection_settle(struct connection *connection) {
	struct data_server *server = connection->server;
	held_count(connection);
	if (connection->lost || (connection->state == CONNECTION_FINISHING && is_answered(connection))) {
		connection_destroy(connection);
		return;
	}
	if (connection->state == CONNECTION_REFUSING && is_answered(connection) && !connection->shut) {
		transport_shut(&connection->transport);
		connection->shut = true;
	}
	reading_set(connection, wants_to_read(connection));
	transport_settle(connection);
	if (connection->state == CONNECTION_OPEN && server_holds(server) && !connection->is_held) {
		TAILQ_INSERT_TAIL(&server->held, connection, held_link);
		connection->is_held = true;
	}
}

void connection_turn(struct connection *connection) {
	CHECK_OBJECT(connection, CONNECTION_MAGIC);
	connection_write(connection);
	subscriptions_resume(connection);
	connection_parse_waiting(connection);
	connection_settle(connection);
}
