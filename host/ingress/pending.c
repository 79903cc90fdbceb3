#include "ingress/pending.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "ingress/connection.h"

/* What a failure means to a caller when the engine has no words of its own for it, and what to do. */
static const struct {
	const char *message;
	const char *hint;
} failures[ERROR_CODES] = {
	[ERROR_UNKNOWN_INGRESS] = {"no router serves this ingress",
		"drop a plugin with such a router into the plugins directory"},
	[ERROR_UNKNOWN_TYPE] = {"no plugin ever declared this function type",
		"drop a plugin that declares it into the plugins directory, then retry the dead letter"},
	[ERROR_GAP] = {"records are missing before these", "go on at accepted + 1"},
	[ERROR_PRODUCER_BUSY] = {"a younger connection sends as this producer", "use a name of your own for each producer"},
	[ERROR_FUNCTION_FAILED] = {"the function failed", "see the dead letter"},
	[ERROR_TIMEOUT] = {"no reply in time", "what the call did stands; a longer timeout_ms waits longer"},
	[ERROR_KEY_REUSED] = {"this key was used for another request", "a new request needs a new key"},
	[ERROR_KEYS_FULL] = {"no more idempotency keys are kept",
		"raise idempotency.keys_max, or lower idempotency.expiry_s"},
	[ERROR_STOPPING] = {"the host is stopping", "connect again, and ask for the position before you repeat"},
	[ERROR_STORE_FAILED] = {"the store has failed", "see the host's log"},
};

static void failure_fill(const struct engine_answer *answer, struct error *error) {
	const char *message = failures[answer->code].message;
	struct bytes text = answer->payload;
	if (text.size == 0)
		text = bytes_text(message != NULL ? message : error_code_name(answer->code));
	int size = text.size < ERROR_MESSAGE_BYTES ? (int)text.size : ERROR_MESSAGE_BYTES;
	error_set(error, answer->code, "%.*s", size, (const char *)text.data);
	if (failures[answer->code].hint != NULL)
		error_hint(error, "%s", failures[answer->code].hint);
	if (answer->code == ERROR_GAP)
		error_expected(error, "first of at most %llu", (unsigned long long)answer->accepted + 1);
}

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
	failure_fill(answer, &error);
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
	struct engine_answer answer = {.code = ERROR_TIMEOUT};
	request_cancel(pending->connection->server->requests, pending->token);
	failure_write(pending, &answer);
	pending_close(pending);
}

void pending_limit(struct pending *pending, uint64_t timeout_ms) {
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
