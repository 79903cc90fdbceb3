#include "bench/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/check.h"
#include "bench/program.h"
#include "client/rpc.h"
#include "client/socket.h"
#include "fail.h"
#include "wire/cursor.h"

enum {
	READ_BYTES = 1 << 17,
	EVENTS = 128,
	TICK_US = 200,          /* at a rate: what falls due in it goes out in one write */
	SILENCE_MS_MAX = 40000, /* longer than the host's own time-out of a call */
};

struct slot {
	uint64_t due_ns; /* when its request was sent, or was to be */
};

struct connection {
	int socket;
	bool blocked; /* its socket takes no more for now */
	uint64_t sent;
	struct buf out;
	size_t out_start;
	struct buf in;
	struct slot *slots;
	uint32_t *free_slots; /* a stack */
	uint32_t free_count;
};

struct client {
	const struct invocation *run;
	const struct client_plan *plan;
	struct client_result *result;
	struct connection *connections;
	int epoll;
	int timer; /* -1: none */
	uint64_t start_ns, end_ns;
	uint64_t due; /* at a rate: requests that have been written */
	uint64_t in_flight;
	uint32_t turn; /* at a rate: the connection of the next tick */
	bool failed;   /* told */
};

/* ---- sending ---- */

static void request_add(struct client *client, uint32_t index, uint64_t due_ns) {
	struct connection *connection = &client->connections[index];
	check(connection->free_count > 0);
	if (connection->out_start == connection->out.size) {
		connection->out_start = 0;
		buf_reset(&connection->out);
	}
	const uint32_t slot = connection->free_slots[--connection->free_count];
	connection->slots[slot].due_ns = due_ns;
	client->plan->write(client->plan->arg, index, connection->sent++, slot, &connection->out);
	client->in_flight++;
}

static void connection_lost(struct client *client, const char *why) {
	if (!client->failed)
		fail_unreachable(client->run, "%s: the connection was lost: %s", client->plan->socket, why);
	client->failed = true;
}

static void events_want(struct client *client, uint32_t index, bool writing) {
	struct connection *connection = &client->connections[index];
	struct epoll_event event = {.events = EPOLLIN | (writing ? (uint32_t)EPOLLOUT : 0), .data.u32 = index};
	check(epoll_ctl(client->epoll, EPOLL_CTL_MOD, connection->socket, &event) == 0);
	connection->blocked = writing;
}

static void requests_flush(struct client *client, uint32_t index) {
	struct connection *connection = &client->connections[index];
	while (connection->out_start < connection->out.size) {
		const ssize_t size = send(connection->socket, connection->out.data + connection->out_start,
			connection->out.size - connection->out_start, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 && errno != EAGAIN) {
			connection_lost(client, strerror(errno));
			return;
		}
		if (size < 0)
			break;
		connection->out_start += (size_t)size;
	}
	const bool left = connection->out_start < connection->out.size;
	if (left != connection->blocked)
		events_want(client, index, left);
}

static void connection_fill(struct client *client, uint32_t index, uint64_t now_ns) {
	struct connection *connection = &client->connections[index];
	while (now_ns < client->end_ns && connection->free_count > 0)
		request_add(client, index, now_ns);
	requests_flush(client, index);
}

/* At a rate: what has fallen due by now. If a connection has no free slot its requests stay due, and their time runs. */
static void due_send(struct client *client, uint64_t now_ns) {
	const uint64_t until_ns = now_ns < client->end_ns ? now_ns : client->end_ns;
	const double step_ns = 1e9 / (double)client->plan->rate;
	const uint64_t wanted = (uint64_t)((double)(until_ns - client->start_ns) / step_ns);
	for (uint32_t tries = 0; client->due < wanted && tries < client->plan->connections; tries++) {
		const uint32_t index = client->turn++ % client->plan->connections;
		while (client->due < wanted && client->connections[index].free_count > 0)
			request_add(client, index, client->start_ns + (uint64_t)((double)client->due++ * step_ns));
		requests_flush(client, index);
	}
}

/* ---- receiving ---- */

static void answer_count(struct client *client, const struct slot *slot, uint64_t now_ns) {
	struct client_result *result = client->result;
	client->in_flight--;
	if (now_ns <= client->end_ns)
		result->answered++;
	else
		result->late++;
	if (client->plan->seen != NULL)
		client->plan->seen(client->plan->seen_arg, slot->due_ns, now_ns);
	if (now_ns <= client->end_ns || client->plan->rate > 0)
		histogram_add(&result->latency, now_ns > slot->due_ns ? now_ns - slot->due_ns : 0, 1);
}

/* [1, msgid, error, result] at the cursor: false if it is not whole. */
static bool answer_take(struct client *client, struct connection *connection, struct cursor *cursor, uint64_t now_ns) {
	struct cursor at = *cursor;
	struct bytes error;
	uint32_t count;
	uint64_t kind, msgid;
	if (!cursor_read_array(&at, &count) || !cursor_read_uint(&at, &kind) || !cursor_read_uint(&at, &msgid) ||
		cursor_take(&at, CURSOR_NESTING_MAX, &error) != CURSOR_GOOD ||
		cursor_skip(&at, CURSOR_NESTING_MAX) != CURSOR_GOOD)
		return false;
	*cursor = at;
	if (count != 4 || kind != 1 || msgid >= client->plan->in_flight) {
		connection_lost(client, "the answer is none that was asked for");
	} else if (error.data[0] != 0xc0) {
		if (!client->failed)
			rpc_fail(client->run, error);
		client->failed = true;
	} else {
		answer_count(client, &connection->slots[msgid], now_ns);
		connection->free_slots[connection->free_count++] = (uint32_t)msgid;
	}
	return true;
}

static void answers_read(struct client *client, uint32_t index) {
	struct connection *connection = &client->connections[index];
	const ssize_t size = recv(connection->socket, buf_reserve(&connection->in, READ_BYTES), READ_BYTES, MSG_DONTWAIT);
	if (size <= 0) {
		if (size == 0 || (errno != EAGAIN && errno != EINTR))
			connection_lost(client, size == 0 ? "its end came" : strerror(errno));
		return;
	}
	connection->in.size += (size_t)size;
	const uint64_t now_ns = clock_ns();
	struct cursor cursor = cursor_of(bytes_buf(&connection->in));
	while (!client->failed && !cursor_at_end(&cursor) && answer_take(client, connection, &cursor, now_ns))
		;
	const struct bytes left = cursor_left(&cursor);
	memmove(connection->in.data, left.data, left.size);
	connection->in.size = left.size;
	if (client->plan->rate == 0 && !client->failed)
		connection_fill(client, index, now_ns);
}

/* ---- the loop ---- */

static bool connection_open(struct client *client, uint32_t index) {
	struct connection *connection = &client->connections[index];
	const uint32_t slots = client->plan->in_flight;
	connection->slots = check_alloc(slots, sizeof *connection->slots);
	connection->free_slots = check_alloc(slots, sizeof *connection->free_slots);
	for (uint32_t i = 0; i < slots; i++)
		connection->free_slots[connection->free_count++] = i;
	connection->socket = socket_connect(client->plan->socket);
	if (connection->socket < 0) {
		connection_lost(client, strerror(-connection->socket));
		return false;
	}
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
	check(epoll_ctl(client->epoll, EPOLL_CTL_ADD, connection->socket, &event) == 0);
	return true;
}

static void timer_open(struct client *client) {
	const struct itimerspec tick = {{0, TICK_US * 1000}, {0, TICK_US * 1000}};
	client->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	check(client->timer >= 0 && timerfd_settime(client->timer, 0, &tick, NULL) == 0);
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
	check(epoll_ctl(client->epoll, EPOLL_CTL_ADD, client->timer, &event) == 0);
}

static void tick(struct client *client) {
	uint64_t expirations;
	if (read(client->timer, &expirations, sizeof expirations) == sizeof expirations)
		due_send(client, clock_ns());
}

static void event_handle(struct client *client, const struct epoll_event *event) {
	if (event->data.u32 == UINT32_MAX) {
		tick(client);
		return;
	}
	if ((event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		answers_read(client, event->data.u32);
	if ((event->events & EPOLLOUT) != 0 && !client->failed)
		requests_flush(client, event->data.u32);
}

static void loop(struct client *client) {
	struct epoll_event events[EVENTS];
	const struct client_plan *plan = client->plan;
	client->start_ns = clock_ns();
	client->end_ns = client->start_ns + (uint64_t)plan->duration_ms * 1000000u;
	for (uint32_t i = 0; plan->rate == 0 && i < plan->connections; i++)
		connection_fill(client, i, client->start_ns);
	while (!client->failed && (client->in_flight > 0 || clock_ns() < client->end_ns)) {
		const int count = epoll_wait(client->epoll, events, EVENTS, SILENCE_MS_MAX);
		if (count == 0 || clock_ns() > client->end_ns + (uint64_t)SILENCE_MS_MAX * 1000000u) {
			fail_timeout(client->run, "%s: no answers for %d s", plan->socket, SILENCE_MS_MAX / 1000);
			client->failed = true;
		}
		for (int i = 0; i < count && !client->failed; i++)
			event_handle(client, &events[i]);
	}
}

static void connection_close(struct connection *connection) {
	if (connection->socket >= 0)
		close(connection->socket);
	buf_finish(&connection->in);
	buf_finish(&connection->out);
	free(connection->slots);
	free(connection->free_slots);
}

bool client_run(const struct invocation *run, const struct client_plan *plan, struct client_result *ret_result) {
	struct client client = {.run = run, .plan = plan, .result = ret_result, .timer = -1};
	memset(ret_result, 0, sizeof *ret_result);
	client.connections = check_alloc(plan->connections, sizeof *client.connections);
	for (uint32_t i = 0; i < plan->connections; i++)
		client.connections[i].socket = -1;
	client.epoll = epoll_create1(EPOLL_CLOEXEC);
	check(client.epoll >= 0);
	uint32_t open = 0;
	while (open < plan->connections && connection_open(&client, open))
		open++;
	if (!client.failed && plan->rate > 0)
		timer_open(&client);
	if (!client.failed)
		loop(&client);
	ret_result->seconds = (double)plan->duration_ms / 1000;
	for (uint32_t i = 0; i < plan->connections; i++)
		connection_close(&client.connections[i]);
	if (client.timer >= 0)
		close(client.timer);
	close(client.epoll);
	free(client.connections);
	return !client.failed;
}
