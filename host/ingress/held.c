#include "ingress/held.h"

#include <time.h>

#include "base/log.h"
#include "ingress/connection.h"

static uint64_t now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void drop(struct connection *connection, const char *why) {
	log_event(LOG_WARN, "connection_dropped", "session=%llu held=%zu reason=\"%s\"",
		(unsigned long long)connection->session, connection->held_bytes, why);
	connection->lost = true;
	connection_due(connection);
}

static void look(struct data_server *server, uint64_t time_ms) {
	struct connection *connection;
	if (time_ms - server->held_look_ms < HELD_LOOK_MS)
		return;
	server->held_look_ms = time_ms;
	LIST_FOREACH(connection, &server->connections, link) {
		if (connection->held_bytes > HELD_SHARE_BYTES && time_ms - connection->held_ms > HELD_STILL_MS)
			drop(connection, "connections hold too much together, and this one stands still");
	}
}

void held_count(struct connection *connection) {
	struct data_server *server = connection->server;
	size_t held = connection->large == LARGE_NOT ? connection->input.size : 0; /* large ones have places (large.h) */
	held += connection_unsent(connection);
	if (held == connection->held_bytes)
		return;
	server->held_bytes += held - connection->held_bytes;
	connection->held_bytes = held;
	connection->held_ms = now_ms();
	uint64_t most = server->config->memory_bytes / HELD_MEMORY_PART;
	if (server->held_bytes > HELD_PARTS_MAX * most && held > HELD_SHARE_BYTES)
		drop(connection, "connections hold too much together");
	else if (server->held_bytes > most)
		look(server, connection->held_ms);
}

void held_forget(struct connection *connection) {
	connection->server->held_bytes -= connection->held_bytes;
}
