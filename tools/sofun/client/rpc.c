#include "client/rpc.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "client/socket.h"
#include "fail.h"
#include "wire/cursor.h"
#include "wire/json.h"
#include "wire/pack.h"

enum {
	PROBLEM_BYTES = 256,
	READ_BYTES = 65536,
	REQUEST = 0,
	RESPONSE = 1,
	NOTIFICATION = 2,
};

int rpc_open(struct rpc *rpc, const char *path) {
	*rpc = (struct rpc){.socket = socket_connect(path)};
	return rpc->socket < 0 ? rpc->socket : 0;
}

void rpc_close(struct rpc *rpc) {
	if (rpc->socket >= 0)
		close(rpc->socket);
	buf_finish(&rpc->received);
	buf_finish(&rpc->queued);
	*rpc = (struct rpc){.socket = -1};
}

void rpc_begin(struct rpc *rpc, uint32_t id, const char *method) {
	if (rpc->queued_start == rpc->queued.size) {
		rpc->queued_start = 0;
		buf_reset(&rpc->queued);
	}
	pack_array(&rpc->queued, 4);
	pack_uint(&rpc->queued, REQUEST);
	pack_uint(&rpc->queued, id);
	pack_text(&rpc->queued, method);
	pack_array(&rpc->queued, 1);
}

static bool would_block(void) {
	return errno == EAGAIN || errno == EINTR;
}

/* False: the connection is gone. */
static bool send_some(struct rpc *rpc) {
	while (rpc_unsent(rpc) > 0) {
		ssize_t sent =
			send(rpc->socket, rpc->queued.data + rpc->queued_start, rpc_unsent(rpc), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0)
			return would_block();
		rpc->queued_start += (size_t)sent;
	}
	return true;
}

/* What has been taken makes room before more is read, so the buffer stays as small as one answer. */
static bool receive_some(struct rpc *rpc) {
	size_t left = rpc->received.size - rpc->received_start;
	if (left > 0)
		memmove(rpc->received.data, rpc->received.data + rpc->received_start, left);
	rpc->received.size = left;
	rpc->received_start = 0;
	ssize_t size = recv(rpc->socket, buf_reserve(&rpc->received, READ_BYTES), READ_BYTES, MSG_DONTWAIT);
	if (size > 0)
		rpc->received.size += (size_t)size;
	return size > 0 || (size < 0 && would_block());
}

enum rpc_result rpc_exchange(struct rpc *rpc, uint64_t deadline_ms, char *problem) {
	short wanted = (short)(POLLIN | (rpc_unsent(rpc) > 0 ? POLLOUT : 0));
	int ready = socket_wait(rpc->socket, wanted, deadline_ms);
	if (ready == 0)
		return RPC_TIMEOUT;
	bool good = ready > 0;
	/* Reading first: the reason why a connection is closed stands before its end. */
	if (good && (ready & (POLLIN | POLLHUP | POLLERR)) != 0)
		good = receive_some(rpc);
	if (good && (ready & POLLOUT) != 0)
		good = send_some(rpc);
	if (good)
		return RPC_OK;
	snprintf(problem, PROBLEM_BYTES, "the host closed the connection");
	return RPC_LOST;
}

/* [1, id, error, result] behind the array's header. */
static bool response_read(struct cursor *cursor, struct rpc_answer *ret_answer) {
	struct bytes error;
	if (!cursor_read_uint(cursor, &ret_answer->id) || cursor_take(cursor, CURSOR_NESTING_MAX, &error) != CURSOR_GOOD ||
		cursor_take(cursor, CURSOR_NESTING_MAX, &ret_answer->result) != CURSOR_GOOD)
		return false;
	bool none = error.size == 1 && error.data[0] == 0xc0;
	ret_answer->error = none ? bytes_of(NULL, 0) : error;
	return true;
}

/* [2, method, [params]] behind the array's header */
static bool notification_read(struct cursor *cursor, struct rpc_frame *ret_frame) {
	uint32_t count;
	return cursor_read_str(cursor, &ret_frame->method) && cursor_read_array(cursor, &count) && count == 1 &&
		cursor_take(cursor, CURSOR_NESTING_MAX, &ret_frame->params) == CURSOR_GOOD;
}

bool rpc_frame_take(struct rpc *rpc, struct rpc_frame *ret_frame, bool *ret_broken) {
	struct cursor cursor =
		cursor_of(bytes_of(rpc->received.data + rpc->received_start, rpc->received.size - rpc->received_start));
	struct bytes frame;
	uint32_t count;
	uint64_t kind;
	*ret_broken = false;
	*ret_frame = (struct rpc_frame){0};
	enum cursor_result whole = cursor_take(&cursor, CURSOR_NESTING_MAX, &frame);
	if (whole == CURSOR_SHORT)
		return false;
	cursor = cursor_of(frame);
	*ret_broken = whole != CURSOR_GOOD || !cursor_read_array(&cursor, &count) || !cursor_read_uint(&cursor, &kind) ||
		!(kind == RESPONSE ? count == 4 && response_read(&cursor, &ret_frame->answer)
						   : kind == NOTIFICATION && count == 3 && notification_read(&cursor, ret_frame));
	if (!*ret_broken)
		rpc->received_start += frame.size;
	return !*ret_broken;
}

bool rpc_answer_take(struct rpc *rpc, struct rpc_answer *ret_answer, bool *ret_broken) {
	struct rpc_frame frame;
	while (rpc_frame_take(rpc, &frame, ret_broken)) {
		*ret_answer = frame.answer;
		if (frame.method.data == NULL)
			return true;
	}
	return false;
}

int rpc_fail(const struct invocation *run, struct bytes error) {
	struct error problem;
	json_t *json = json_from_value(error, CURSOR_NESTING_MAX, &problem);
	if (json == NULL)
		return fail_error(run, &problem);
	int result = fail_host(run, json);
	json_decref(json);
	return result;
}

static int result_take(const struct invocation *run, const struct rpc_answer *answer, json_t **ret_result) {
	if (answer->error.data != NULL)
		return rpc_fail(run, answer->error);
	struct error problem;
	*ret_result = json_from_value(answer->result, CURSOR_NESTING_MAX, &problem);
	return *ret_result == NULL ? fail_error(run, &problem) : EXIT_OK;
}

static int answer_wait(
	const struct invocation *run, struct rpc *rpc, const struct rpc_patience *patience, json_t **ret_result) {
	const uint64_t began_ms = clock_ms();
	const uint64_t deadline_ms = patience->limit_ms == 0 ? DEADLINE_NONE : began_ms + patience->limit_ms;
	bool told = patience->slow == NULL || (patience->limit_ms > 0 && patience->limit_ms <= patience->slow_ms);
	struct rpc_answer answer;
	bool broken;
	while (!rpc_answer_take(rpc, &answer, &broken)) {
		char problem[PROBLEM_BYTES];
		if (broken)
			return fail_here(run, "the host's answer is no MessagePack-RPC");
		enum rpc_result result = rpc_exchange(rpc, told ? deadline_ms : began_ms + patience->slow_ms, problem);
		if (result == RPC_LOST)
			return fail_unreachable(run, "%s", problem);
		if (result == RPC_TIMEOUT && told)
			return fail_timeout(run, "no answer within %.3g s", (double)patience->limit_ms / 1000);
		if (result == RPC_TIMEOUT)
			patience->slow(run);
		told = told || result == RPC_TIMEOUT;
	}
	return result_take(run, &answer, ret_result);
}

int rpc_call(const struct invocation *run, const char *method, struct bytes params, const struct rpc_patience *patience,
	json_t **ret_result) {
	struct rpc rpc;
	int opened = rpc_open(&rpc, run->data);
	if (opened < 0)
		return fail_unreachable(run, "no host answers at %s: %s", run->data, strerror(-opened));
	rpc_begin(&rpc, 0, method);
	pack_raw(&rpc.queued, params);
	int result = answer_wait(run, &rpc, patience, ret_result);
	rpc_close(&rpc);
	return result;
}
