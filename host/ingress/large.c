#include "ingress/large.h"

#include "base/check.h"
#include "ingress/connection_read.h"

size_t large_places(const struct config *config) {
	uint64_t places = config->memory_bytes / LARGE_MEMORY_PART / config->frame_bytes;
	return places < LARGE_FRAMES_MIN ? LARGE_FRAMES_MIN : (size_t)places;
}

static void stall_due(struct deadline *deadline);

static void stall_watch(struct connection *connection) {
	deadline_start(connection->server->deadlines, &connection->stall, LARGE_STALL_MS, stall_due);
}

static void stall_due(struct deadline *deadline) {
	struct connection *connection = (struct connection *)((char *)deadline - offsetof(struct connection, stall));
	struct error error;
	/* while the server reads nothing, it is not the peer that stalls */
	if (server_holds(connection->server) || TAILQ_EMPTY(&connection->server->large_queue)) {
		stall_watch(connection);
		return;
	}
	error_set(&error, ERROR_TIMEOUT, "the rest of the frame did not come while others waited to send theirs");
	error_found(&error, "a pause within a frame");
	error_advise(&error, "the frame's next bytes", "send smaller batches, and each frame without a pause");
	connection_refuse(connection, &error);
}

static void place_take(struct connection *connection) {
	connection->large = LARGE_ARRIVING;
	connection->server->large_free--;
	stall_watch(connection);
}

bool large_enter(struct connection *connection) {
	struct data_server *server = connection->server;
	if (connection->large == LARGE_NOT && server->large_free > 0) {
		place_take(connection);
	} else if (connection->large == LARGE_NOT) {
		connection->large = LARGE_WAITING;
		TAILQ_INSERT_TAIL(&server->large_queue, connection, large_link);
	}
	return connection->large == LARGE_ARRIVING;
}

void large_progress(struct connection *connection) {
	check(connection->large == LARGE_ARRIVING);
	deadline_stop(connection->server->deadlines, &connection->stall);
	stall_watch(connection);
}

static void place_give(struct data_server *server) {
	server->large_free++;
	struct connection *next = TAILQ_FIRST(&server->large_queue);
	if (next == NULL)
		return;
	TAILQ_REMOVE(&server->large_queue, next, large_link);
	place_take(next);
	connection_due(next);
}

void large_leave(struct connection *connection) {
	struct data_server *server = connection->server;
	enum large_state was = connection->large;
	connection->large = LARGE_NOT;
	deadline_stop(server->deadlines, &connection->stall);
	if (was == LARGE_WAITING)
		TAILQ_REMOVE(&server->large_queue, connection, large_link);
	else if (was == LARGE_ARRIVING)
		place_give(server);
}
