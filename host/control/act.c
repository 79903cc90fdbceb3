/* What moves the host: barrier and clock. */
#include <event2/event.h>
#include <stdlib.h>

#include "base/check.h"
#include "control/handlers.h"
#include "control/http/body.h"

/* A barrier or a call may be asked to wait this long: a day; beyond it is a mistake in units. */
#define TIMEOUT_MS_MAX UINT64_C(86400000)

/* ---- barrier ---- */

struct barrier {
	struct exchange *exchange;
	uint64_t token;
	struct event *timer;
};

static void barrier_answered(void *arg, const struct engine_answer *answer) {
	struct barrier *barrier = arg;
	if (answer->code == ERROR_NONE)
		exchange_json(barrier->exchange, 200, json_pack("{s:I}", "epoch", (json_int_t)answer->number));
	else
		exchange_answer_error(barrier->exchange, answer);
	event_free(barrier->timer);
	free(barrier);
}

/* The engine answers the cancelled barrier with ERROR_TIMEOUT. */
static void barrier_late(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct barrier *barrier = arg;
	engine_barrier_cancel(barrier->exchange->control->engine, barrier->token);
}

static void barrier_start(struct exchange *exchange, uint64_t timeout_ms) {
	struct control *control = exchange->control;
	struct barrier *barrier = check_alloc(1, sizeof *barrier);
	struct timeval limit = {.tv_sec = (time_t)(timeout_ms / 1000), .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};
	barrier->exchange = exchange;
	barrier->timer = evtimer_new(control->base, barrier_late, barrier);
	check_memory(barrier->timer);
	check(evtimer_add(barrier->timer, &limit) == 0);
	barrier->token = request_open(control->requests, barrier_answered, barrier);
	engine_barrier(control->engine, barrier->token);
}

void handle_barrier(struct exchange *exchange) {
	struct error error;
	uint64_t timeout_ms = exchange->control->config->call_timeout_ms;
	json_t *body = exchange_body_object(exchange, "timeout_ms");
	if (body == NULL)
		return;
	bool good = body_number(body, "timeout_ms", 0, TIMEOUT_MS_MAX, &timeout_ms, &error);
	json_decref(body);
	if (good)
		barrier_start(exchange, timeout_ms);
	else
		exchange_error(exchange, &error);
}

/* ---- clock ---- */

static void clock_answered(void *arg, const struct engine_answer *answer) {
	struct exchange *exchange = arg;
	if (answer->code == ERROR_NONE)
		exchange_json(exchange, 200, json_pack("{s:I}", "time_ms", (json_int_t)answer->number));
	else
		exchange_answer_error(exchange, answer);
}

static bool clock_parse(json_t *body, bool *ret_relative, uint64_t *ret_ms, struct error *error) {
	bool to = json_object_get(body, "to_ms") != NULL, advance = json_object_get(body, "advance_ms") != NULL;
	if (!body_number(body, "to_ms", 0, INT64_MAX, ret_ms, error) ||
		!body_number(body, "advance_ms", 0, INT64_MAX, ret_ms, error))
		return false;
	*ret_relative = advance;
	if (to != advance)
		return true;
	error_set(error, ERROR_BAD_REQUEST, "the clock needs to know where to");
	error_found(error, "%s", to ? "both" : "neither");
	return error_advise(error, "either to_ms or advance_ms", "advance_ms goes on from now, to_ms names a time");
}

void handle_clock(struct exchange *exchange) {
	struct control *control = exchange->control;
	struct error error;
	bool relative;
	uint64_t ms = 0;
	if (!control->config->test_clock) {
		error_set(&error, ERROR_FORBIDDEN, "the clock of this host is the machine's");
		error_found(&error, "a host without --test-clock");
		error_advise(&error, "a host whose clock is moved by hand", "start sofund with --test-clock MS");
		exchange_error(exchange, &error);
		return;
	}
	json_t *body = exchange_body_object(exchange, "to_ms,advance_ms");
	if (body == NULL)
		return;
	if (clock_parse(body, &relative, &ms, &error))
		engine_clock(control->engine, request_open(control->requests, clock_answered, exchange), relative, ms);
	else
		exchange_error(exchange, &error);
	json_decref(body);
}
