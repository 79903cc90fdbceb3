#include "ingress/pending.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "flow/request/answer_error.h"
#include "ingress/connection.h"

static void pending_close(struct pending *pending) {
	struct connection *connection = pending->connection;
	deadline_stop(connection->server->deadlines, &pending->deadline);
	LIST_REMOVE(pending, link);
	connection->pending_count--;
	connection_due(connection);
	SLIST_INSERT_HEAD(&connection->server->pool, pending, free);
}

static void failure_write(struct pending *pending, const struct engine_answer *answer) {
	struct buf *out = &pending->connection->output;
	struct error error;
	answer_error(answer, &error);
	if (pending->silent)
		log_event(LOG_DEBUG, "notification_failed", "session=%llu code=%s message=\"%s\"",
			(unsigned long long)pending->connection->session, error_code_name(error.code), error.message);
	else if (answer->code == ERROR_GAP)
		rpc_write_gap(out, pending->msgid, &error, answer->accepted, answer->number);
	else
		rpc_write_error(out, pending->msgid, &error);
}

static void pending_answered(void *arg, const struct engine_answer *answer) {
	struct pending *pending = arg;
	if (answer->code != ERROR_NONE) {
		failure_write(pending, answer);
	} else if (!pending->silent) {
		rpc_write_result(&pending->connection->output, pending->msgid);
		pending->write(&pending->connection->output, answer);
	}
	pending_close(pending);
}

static struct pending *pending_take(struct data_server *server) {
	struct pending *pending = SLIST_FIRST(&server->pool);
	if (pending == NULL)
		return check_alloc(1, sizeof *pending);
	SLIST_REMOVE_HEAD(&server->pool, free);
	return pending;
}

struct pending *pending_open(struct connection *connection, const struct rpc_frame *frame,
	void (*write)(struct buf *out, const struct engine_answer *answer)) {
	struct pending *pending = pending_take(connection->server);
	pending->connection = connection;
	pending->write = write;
	pending->msgid = frame->msgid;
	pending->silent = frame->kind == RPC_NOTIFICATION;
	pending->token = request_open(connection->server->requests, pending_answered, pending);
	LIST_INSERT_HEAD(&connection->pendings, pending, link);
	connection->pending_count++;
	return pending;
}

static void pending_due(struct deadline *deadline) {
	struct pending *pending = (struct pending *)((char *)deadline - offsetof(struct pending, deadline));
	struct error error;
	engine_call_late(pending->connection->server->engine, pending->type, pending->timeout_ms, &error);
	struct engine_answer answer = {.code = ERROR_TIMEOUT, .error = &error};
	request_cancel(pending->connection->server->requests, pending->token);
	failure_write(pending, &answer);
	pending_close(pending);
}

void pending_limit(struct pending *pending, uint16_t type, uint64_t timeout_ms) {
	pending->type = type;
	pending->timeout_ms = timeout_ms;
	deadline_start(pending->connection->server->deadlines, &pending->deadline, timeout_ms, pending_due);
}

void pending_cancel(struct pending *pending) {
	request_cancel(pending->connection->server->requests, pending->token);
	pending_close(pending);
}

void pending_pool_finish(struct data_server *server) {
	for (struct pending *pending; (pending = SLIST_FIRST(&server->pool)) != NULL;) {
		SLIST_REMOVE_HEAD(&server->pool, free);
		free(pending);
	}
}
