/* Functions by HTTP: the body is the payload, the answer is the reply (or the epoch, with mode=send). */
#include <event2/event.h>
#include <stdlib.h>
#include <strings.h>

#include "base/check.h"
#include "control/handlers.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/json.h"

/* As for a barrier: a day; beyond it is a mistake in units. */
#define TIMEOUT_MS_MAX UINT64_C(86400000)

struct invocation {
	struct exchange *exchange;
	bool msgpack; /* how the reply is wanted */
	uint64_t token;
	struct event *timer; /* call only */
	uint64_t timeout_ms;
	uint16_t type; /* of the function that is called */
};

static void invocation_end(struct invocation *invocation) {
	if (invocation->timer != NULL)
		event_free(invocation->timer);
	free(invocation);
}

/* ---- answers ---- */

static void reply_send(struct invocation *invocation, struct bytes payload) {
	struct error error;
	if (invocation->msgpack) {
		exchange_bytes(invocation->exchange, 200, "application/msgpack", payload);
		return;
	}
	json_t *json = json_from_value(payload, CURSOR_NESTING_MAX, &error);
	if (json == NULL)
		exchange_error(invocation->exchange, &error);
	else
		exchange_json(invocation->exchange, 200, json);
}

static void call_answered(void *arg, const struct engine_answer *answer) {
	struct invocation *invocation = arg;
	if (answer->code == ERROR_NONE)
		reply_send(invocation, answer->payload);
	else
		exchange_answer_error(invocation->exchange, answer);
	invocation_end(invocation);
}

static void send_answered(void *arg, const struct engine_answer *answer) {
	struct invocation *invocation = arg;
	if (answer->code == ERROR_NONE)
		exchange_json(invocation->exchange, 202, json_pack("{s:I}", "epoch", (json_int_t)answer->number));
	else
		exchange_answer_error(invocation->exchange, answer);
	invocation_end(invocation);
}

static void call_late(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct invocation *invocation = arg;
	struct error error;
	request_cancel(invocation->exchange->control->requests, invocation->token);
	engine_call_late(invocation->exchange->control->engine, invocation->type, invocation->timeout_ms, &error);
	exchange_error(invocation->exchange, &error);
	invocation_end(invocation);
}

/* ---- what was asked ---- */

struct question {
	bool send;
	bool msgpack;
	uint64_t timeout_ms;
	struct buf to;
	struct buf payload;
	struct bytes key; /* empty: none */
};

static void question_finish(struct question *question) {
	buf_finish(&question->to);
	buf_finish(&question->payload);
}

/* What the reply is written in: what Accept names, else what the body came in. */
static bool reply_is_msgpack(const struct exchange *exchange) {
	const char *accept = exchange_header(exchange, "Accept");
	if (accept != NULL && strcasestr(accept, "msgpack") != NULL)
		return true;
	if (accept != NULL && strcasestr(accept, "json") != NULL)
		return false;
	return exchange_body_kind(exchange) == BODY_MSGPACK;
}

static bool mode_parse(const struct exchange *exchange, struct question *question, struct error *error) {
	struct bytes mode = bytes_text("call");
	target_query(&exchange->target, "mode", &mode);
	question->send = bytes_equal(mode, bytes_text("send"));
	if (question->send || bytes_equal(mode, bytes_text("call")))
		return target_query_number(&exchange->target, "timeout_ms", TIMEOUT_MS_MAX, &question->timeout_ms, error);
	error_set(error, ERROR_BAD_REQUEST, "the mode is not known");
	exchange_found(exchange, mode, error);
	return error_advise(error, "send or call", "call waits for the reply, send until the message is durable");
}

static bool payload_parse(const struct exchange *exchange, struct buf *payload, struct error *error) {
	const struct config *config = exchange->control->config;
	struct bytes body = exchange_body(exchange);
	if (body.size == 0) {
		buf_append_u8(payload, 0xc0); /* no body: the payload is nil */
		return true;
	}
	if (exchange_body_kind(exchange) == BODY_MSGPACK) {
		buf_append_bytes(payload, body);
		return cursor_check_error(body, config->nesting, "payload", error);
	}
	return json_text_to_value(body, config->nesting, payload, error);
}

static bool size_check(const struct exchange *exchange, const struct buf *payload, struct error *error) {
	uint64_t most = exchange->control->config->message_bytes;
	if (payload->size <= most)
		return true;
	error_set(error, ERROR_TOO_LARGE, "the payload is too large");
	error_found(error, "%zu bytes of MessagePack", payload->size);
	error_expected(error, "at most %llu bytes", (unsigned long long)most);
	error_hint(error, "the limit is the setting limits.message_bytes");
	return false;
}

static bool address_check(struct bytes type, struct bytes id, struct error *error) {
	if (!bytes_utf8(type)) {
		error_set(error, ERROR_BAD_UTF8, "the function type is not UTF-8");
		error_found(error, "bytes that are no UTF-8 between the slashes");
		return error_advise(
			error, "/v1/functions/NAMESPACE/NAME/ID", "only the id may hold any bytes, percent-encoded");
	}
	if (id.size >= 1 && id.size <= ID_BYTES_MAX)
		return true;
	error_set(error, ERROR_BAD_ID, "the id has no fitting length");
	error_found(error, "%zu bytes", id.size);
	error_expected(error, "1 to %d bytes", ID_BYTES_MAX);
	error_hint(error, "/v1/functions/NAMESPACE/NAME/ID, with the id percent-encoded");
	return false;
}

static bool key_parse(const struct exchange *exchange, struct question *question, struct error *error) {
	const char *key = exchange_header(exchange, "Idempotency-Key");
	if (key == NULL)
		return true;
	question->key = bytes_text(key);
	if (question->key.size >= 1 && question->key.size <= KEYED_KEY_BYTES_MAX)
		return true;
	error_set(error, ERROR_BAD_REQUEST, "the Idempotency-Key has no fitting length");
	error_found(error, "%zu bytes", question->key.size);
	error_expected(error, "1 to %d bytes", KEYED_KEY_BYTES_MAX);
	error_hint(error, "a UUID will do; without the header nothing is remembered");
	return false;
}

static bool question_parse(const struct exchange *exchange, struct question *question, struct error *error) {
	*question = (struct question){
		.msgpack = reply_is_msgpack(exchange),
		.timeout_ms = exchange->control->config->call_timeout_ms,
	};
	buf_append_bytes(&question->to, exchange_param(exchange, 0));
	buf_append_u8(&question->to, '/');
	buf_append_bytes(&question->to, exchange_param(exchange, 1));
	return key_parse(exchange, question, error) &&
		address_check(bytes_buf(&question->to), exchange_param(exchange, 2), error) &&
		mode_parse(exchange, question, error) && payload_parse(exchange, &question->payload, error) &&
		size_check(exchange, &question->payload, error);
}

/* ---- start ---- */

static void invocation_start(struct exchange *exchange, const struct question *question) {
	struct control *control = exchange->control;
	const char *content = exchange_header(exchange, "Content-Type");
	struct invocation *invocation = check_alloc(1, sizeof *invocation);
	struct engine_message message = {
		.to = bytes_buf(&question->to),
		.id = exchange_param(exchange, 2),
		.payload = bytes_buf(&question->payload),
		.key = question->key,
		.content = bytes_text(content == NULL ? "" : content),
		.body = exchange_body(exchange),
	};
	invocation->exchange = exchange;
	invocation->msgpack = question->msgpack;
	if (question->send) {
		engine_send(control->engine, request_open(control->requests, send_answered, invocation), &message);
		return;
	}
	struct timeval limit = {
		.tv_sec = (time_t)(question->timeout_ms / 1000),
		.tv_usec = (suseconds_t)(question->timeout_ms % 1000) * 1000,
	};
	invocation->timer = evtimer_new(control->base, call_late, invocation);
	check_memory(invocation->timer);
	check(evtimer_add(invocation->timer, &limit) == 0);
	invocation->timeout_ms = question->timeout_ms;
	invocation->token = request_open(control->requests, call_answered, invocation);
	invocation->type = engine_call(control->engine, invocation->token, &message);
}

void handle_function(struct exchange *exchange) {
	struct question question;
	struct error error;
	if (exchange_body_kind(exchange) == BODY_OTHER) {
		error_set(&error, ERROR_BAD_REQUEST, "the body's Content-Type is not one that is read here");
		error_found(&error, "%.200s", exchange_header(exchange, "Content-Type"));
		error_advise(&error, "application/json or application/msgpack", "curl: -H 'Content-Type: application/json'");
		exchange_error_status(exchange, 415, &error);
		return;
	}
	if (question_parse(exchange, &question, &error))
		invocation_start(exchange, &question);
	else
		exchange_error(exchange, &error);
	question_finish(&question);
}
