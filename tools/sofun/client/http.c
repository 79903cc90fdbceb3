#include "client/http.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "client/http_reader.h"
#include "client/socket.h"
#include "fail.h"

enum {
	PROBLEM_BYTES = 256,
	READ_BYTES = 65536,
	RETRY_MS = 50,
	TIMEOUT_MS = 60000, /* of a request that has no limit of its own: the host answers these from memory or one sync */
};

void target_append(struct buf *target, struct bytes text) {
	for (size_t i = 0; i < text.size; i++) {
		unsigned char byte = text.data[i];
		if (isalnum(byte) || (byte != '\0' && strchr("-._~", byte) != NULL))
			buf_append_u8(target, byte);
		else
			buf_printf(target, "%%%02X", byte);
	}
}

bool target_append_type(struct buf *target, const char *type) {
	const char *slash = strchr(type, '/');
	if (slash == NULL || slash == type || slash[1] == '\0')
		return false;
	target_append(target, bytes_of(type, (size_t)(slash - type)));
	buf_append_u8(target, '/');
	target_append(target, bytes_text(slash + 1));
	return true;
}

const char *target_text(struct buf *target) {
	*buf_reserve(target, 1) = '\0';
	return (const char *)target->data;
}

static enum http_result send_all(int socket, struct bytes request, uint64_t deadline_ms, char *problem) {
	while (request.size > 0) {
		ssize_t sent = send(socket, request.data, request.size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent >= 0) {
			request = bytes_of(request.data + sent, request.size - (size_t)sent);
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return HTTP_OK; /* refused early: its reason may stand in the answer */
		} else if (errno != EAGAIN && errno != EINTR) {
			snprintf(problem, PROBLEM_BYTES, "cannot send: %s", strerror(errno));
			return HTTP_UNREACHABLE;
		} else if (socket_wait(socket, POLLOUT, deadline_ms) == 0) {
			return HTTP_TIMEOUT;
		}
	}
	return HTTP_OK;
}

static enum http_result receive(int socket, uint64_t deadline_ms, struct http_answer *answer, char *problem) {
	struct buf received = {0};
	enum http_result result = HTTP_OK;
	for (;;) {
		if (socket_wait(socket, POLLIN, deadline_ms) == 0) {
			result = HTTP_TIMEOUT;
			break;
		}
		ssize_t size = recv(socket, buf_reserve(&received, READ_BYTES), READ_BYTES, MSG_DONTWAIT);
		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		received.size += size > 0 ? (size_t)size : 0;
		enum http_reading reading = http_read(bytes_buf(&received), size <= 0, &answer->status, &answer->body);
		if (reading == HTTP_READING_DONE)
			break;
		if (reading == HTTP_READING_BAD || size <= 0) {
			snprintf(problem, PROBLEM_BYTES,
				received.size == 0 ? "the host closed the connection without an answer"
								   : "the answer is not whole, or no HTTP");
			result = received.size == 0 ? HTTP_UNREACHABLE : HTTP_BROKEN;
			break;
		}
	}
	buf_finish(&received);
	return result;
}

enum http_result http_request(const char *socket_path, const char *method, const char *target, struct bytes body,
	uint64_t timeout_ms, struct http_answer *ret_answer, char *problem) {
	*ret_answer = (struct http_answer){0};
	uint64_t deadline_ms = timeout_ms == 0 ? DEADLINE_NONE : clock_ms() + timeout_ms;
	int connected = socket_connect(socket_path);
	if (connected < 0) {
		snprintf(problem, PROBLEM_BYTES, "no host answers at %s: %s", socket_path, strerror(-connected));
		return HTTP_UNREACHABLE;
	}
	struct buf request = {0};
	buf_printf(&request, "%s %s HTTP/1.1\r\nHost: sofun\r\nConnection: close\r\n", method, target);
	if (body.data != NULL || strcmp(method, "POST") == 0)
		buf_printf(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.size);
	buf_printf(&request, "\r\n");
	buf_append_bytes(&request, body);
	enum http_result result = send_all(connected, bytes_buf(&request), deadline_ms, problem);
	if (result == HTTP_OK)
		result = receive(connected, deadline_ms, ret_answer, problem);
	close(connected);
	buf_finish(&request);
	if (result != HTTP_OK)
		buf_finish(&ret_answer->body);
	return result;
}

static json_t *body_parse(const struct buf *body) {
	if (body->size == 0)
		return json_null();
	json_error_t error;
	return json_loadb((const char *)body->data, body->size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
}

/* What the answer says, told or handed on. */
static int answer_take(
	const struct invocation *run, const char *target, const struct http_answer *answer, json_t **ret_answer) {
	json_t *parsed = body_parse(&answer->body);
	if (parsed == NULL)
		return fail_here(run, "the host's answer to %s is no JSON (status %d)", target, answer->status);
	if (answer->status >= 200 && answer->status < 300) {
		*ret_answer = parsed;
		return EXIT_OK;
	}
	json_t *error = json_object_get(parsed, "error");
	int result = error != NULL ? fail_host(run, error)
							   : fail_here(run, "the host answered status %d to %s", answer->status, target);
	json_decref(parsed);
	return result;
}

/* EXIT_OK: there is an answer, of whatever status. Else it is told why not. */
static int answer_judge(
	const struct invocation *run, enum http_result result, uint64_t timeout_ms, const char *problem) {
	switch (result) {
	case HTTP_UNREACHABLE:
		return fail_unreachable(run, "%s", problem);
	case HTTP_TIMEOUT:
		return fail_timeout(run, "no answer within %.3g s", (double)timeout_ms / 1000);
	case HTTP_BROKEN:
		return fail_here(run, "%s", problem);
	case HTTP_OK:
		break;
	}
	return EXIT_OK;
}

static int answer_ask(const struct invocation *run, const char *method, const char *target, struct bytes body,
	uint64_t timeout_ms, struct http_answer *ret_answer) {
	char problem[PROBLEM_BYTES] = "";
	enum http_result result = http_request(run->control, method, target, body, timeout_ms, ret_answer, problem);
	return answer_judge(run, result, timeout_ms, problem);
}

int http_json_patient(const struct invocation *run, const char *target, uint64_t patience_ms, json_t **ret_answer) {
	const uint64_t deadline_ms = clock_ms() + patience_ms;
	char problem[PROBLEM_BYTES] = "";
	struct http_answer answer;
	enum http_result result;
	for (;;) {
		result = http_request(run->control, "GET", target, bytes_of(NULL, 0), TIMEOUT_MS, &answer, problem);
		const bool away =
			result == HTTP_UNREACHABLE || result == HTTP_BROKEN || (result == HTTP_OK && answer.status == 503);
		if (!away || clock_ms() + RETRY_MS > deadline_ms)
			break;
		buf_finish(&answer.body);
		socket_wait(-1, 0, clock_ms() + RETRY_MS);
	}
	int code = answer_judge(run, result, TIMEOUT_MS, problem);
	if (code == EXIT_OK)
		code = answer_take(run, target, &answer, ret_answer);
	buf_finish(&answer.body);
	return code;
}

int http_call(const struct invocation *run, const char *method, const char *target, struct bytes body,
	uint64_t timeout_ms, json_t **ret_answer) {
	struct http_answer answer;
	int result = answer_ask(run, method, target, body, timeout_ms, &answer);
	if (result != EXIT_OK)
		return result;
	return http_answered(run, target, &answer, ret_answer);
}

int http_answered(const struct invocation *run, const char *target, struct http_answer *answer, json_t **ret_answer) {
	int result = answer_take(run, target, answer, ret_answer);
	buf_finish(&answer->body);
	return result;
}

json_t *http_json_quiet(const struct invocation *run, const char *target, uint64_t timeout_ms) {
	struct http_answer answer;
	char problem[PROBLEM_BYTES];
	if (http_request(run->control, "GET", target, bytes_of(NULL, 0), timeout_ms, &answer, problem) != HTTP_OK)
		return NULL;
	json_t *json = answer.status == 200 ? json_loadb((const char *)answer.body.data, answer.body.size, 0, NULL) : NULL;
	buf_finish(&answer.body);
	return json;
}

int http_json_if_found(const struct invocation *run, const char *target, json_t **ret_answer) {
	struct http_answer answer;
	*ret_answer = NULL;
	int result = answer_ask(run, "GET", target, bytes_of(NULL, 0), TIMEOUT_MS, &answer);
	if (result != EXIT_OK)
		return result;
	if (answer.status != 404)
		result = answer_take(run, target, &answer, ret_answer);
	buf_finish(&answer.body);
	return result;
}

int http_json(
	const struct invocation *run, const char *method, const char *target, const json_t *body, json_t **ret_answer) {
	char *text = body == NULL ? NULL : json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
	check(body == NULL || text != NULL);
	int result =
		http_call(run, method, target, text == NULL ? bytes_of(NULL, 0) : bytes_text(text), TIMEOUT_MS, ret_answer);
	free(text);
	return result;
}
