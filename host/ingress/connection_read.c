#include "ingress/connection_read.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "ingress/large.h"
#include "ingress/method.h"

bool connection_may_parse(const struct connection *connection) {
	return connection->state == CONNECTION_OPEN && !connection->lost && !server_holds(connection->server) &&
		connection->pending_count < CONNECTION_PENDING_MAX && connection_unsent(connection) < OUTPUT_BYTES_MAX;
}

/* ---- frames ---- */

static void frame_serve(struct connection *connection, const struct rpc_frame *frame) {
	const struct method *method = method_find(frame->method);
	struct error error;
	if (method == NULL) {
		if (frame->kind == RPC_NOTIFICATION)
			return;
		method_unknown(frame->method, &error);
	} else if ((method->right & ~connection_rights(connection)) != 0) {
		access_refuse(method->right, connection->doors->access != NULL, &error);
	} else if (method->serve(connection, frame, &error)) {
		return;
	}
	if (frame->kind == RPC_NOTIFICATION) {
		log_event(LOG_DEBUG, "notification_refused", "session=%llu code=%s message=\"%s\"",
			(unsigned long long)connection->session, error_code_name(error.code), error.message);
		return;
	}
	rpc_write_error(&connection->output, frame->msgid, &error);
	connection_due(connection);
}

static void linger_over(struct deadline *deadline) {
	struct connection *connection = (struct connection *)((char *)deadline - offsetof(struct connection, linger));
	connection->lost = true;
	connection_due(connection);
}

void connection_refuse(struct connection *connection, const struct error *error) {
	rpc_write_unparsable(&connection->output, error);
	connection->state = CONNECTION_REFUSING;
	buf_finish(&connection->input);
	large_leave(connection);
	deadline_start(connection->server->deadlines, &connection->linger, REFUSED_LINGER_MS, linger_over);
	connection_due(connection);
}

/* Serves the whole frames at the front of *received as long as it may, and moves it behind them. */
static void connection_parse(struct connection *connection, struct bytes *received) {
	while (received->size > 0 && connection_may_parse(connection)) {
		struct rpc_frame frame;
		struct error error;
		size_t before = received->size;
		enum rpc_result result = rpc_read(&connection->reader, received, &frame, &error);
		if (result == RPC_MORE)
			return;
		if (result == RPC_UNPARSABLE) {
			connection_refuse(connection, &error);
			break;
		}
		frame_serve(connection, &frame);
		server_count_frame(connection->server, before - received->size);
	}
	if (connection->state != CONNECTION_OPEN)
		received->size = 0;
}

/* ---- bytes ---- */

/* What is left of the input waits for more: in no more memory than it needs, and in no place that another could have. */
static void input_shrink(struct connection *connection) {
	struct buf *input = &connection->input;
	if (input->size > CARRY_BYTES_MAX)
		return;
	large_leave(connection);
	if (input->capacity <= (input->size == 0 ? BUFFER_KEPT_BYTES : 2 * CARRY_BYTES_MAX))
		return;
	struct buf smaller = {0};
	buf_append_bytes(&smaller, bytes_buf(input));
	buf_finish(input);
	*input = smaller;
}

void connection_parse_waiting(struct connection *connection) {
	if (connection->input.size == 0 || !connection_may_parse(connection))
		return;
	struct bytes rest = bytes_buf(&connection->input);
	connection_parse(connection, &rest);
	struct buf *input = &connection->input;
	if (rest.size > 0 && rest.size < input->size)
		memmove(input->data, rest.data, rest.size);
	input->size = rest.size;
	input_shrink(connection);
}

static void connection_end(struct connection *connection, ssize_t size) {
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size < 0) {
		connection->lost = true;
		return;
	}
	/* The peer has sent its last byte. If it has closed altogether, nobody is left to be answered. */
	struct pollfd poller = {.fd = connection->transport.fd, .events = POLLOUT};
	connection->lost = poll(&poller, 1, 0) > 0 && (poller.revents & (POLLHUP | POLLERR)) != 0;
	connection->state = CONNECTION_FINISHING;
	buf_finish(&connection->input);
	large_leave(connection);
}

/* The beginning of a frame is copied in front of what is read now, and what is left at the end is kept. */
static void receive_small(struct connection *connection) {
	uint8_t *scratch = connection->server->scratch;
	struct buf *input = &connection->input;
	size_t carried = input->size;
	if (carried > 0)
		memcpy(scratch, input->data, carried);
	ssize_t size = transport_read(&connection->transport, scratch + carried, READ_BYTES);
	if (size <= 0) {
		connection_end(connection, size);
		return;
	}
	struct bytes received = bytes_of(scratch, carried + (size_t)size);
	connection_parse(connection, &received);
	buf_reset(input);
	buf_append_bytes(input, received);
	input_shrink(connection);
}

/* A large frame is read to where it stays. */
static void receive_large(struct connection *connection) {
	struct buf *input = &connection->input;
	ssize_t size = transport_read(&connection->transport, buf_reserve(input, READ_BYTES), READ_BYTES);
	if (size <= 0) {
		connection_end(connection, size);
		return;
	}
	input->size += (size_t)size;
	large_progress(connection);
	connection_parse_waiting(connection);
}

/* After an unparsable frame: whatever still comes is thrown away. */
static void receive_nothing(struct connection *connection) {
	ssize_t size = transport_read(&connection->transport, connection->server->scratch, READ_BYTES);
	if (size <= 0)
		connection_end(connection, size);
}

void connection_read_ready(int fd, short what, void *arg) {
	(void)fd, (void)what;
	struct connection *connection = arg;
	CHECK_OBJECT(connection, CONNECTION_MAGIC);
	server_ask_pressed(connection->server);
	if (connection->state == CONNECTION_REFUSING)
		receive_nothing(connection);
	else if (connection_may_parse(connection) && connection->input.size <= CARRY_BYTES_MAX)
		receive_small(connection);
	else if (connection_may_parse(connection) && large_enter(connection))
		receive_large(connection);
	connection_settle(connection);
}
