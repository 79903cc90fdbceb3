#include "control/surveyed.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/check.h"

/* A shard that runs is looked at when its turn ends, in microseconds; only one that waits for the disk takes longer. */
enum { SURVEY_MS_MAX = 100 };

struct survey_wait {
	struct exchange *exchange;
	void (*then)(struct exchange *exchange);
	uint64_t token;
	struct event *timer;
};

static void wait_end(struct survey_wait *wait) {
	struct exchange *exchange = wait->exchange;
	void (*then)(struct exchange * exchange) = wait->then;
	event_free(wait->timer);
	free(wait);
	then(exchange);
}

static void survey_answered(void *arg, const struct engine_answer *answer) {
	(void)answer;
	wait_end(arg);
}

static void survey_late(evutil_socket_t fd, short what, void *arg) {
	struct survey_wait *wait = arg;
	(void)fd, (void)what;
	request_cancel(wait->exchange->control->requests, wait->token);
	wait_end(wait);
}

void exchange_surveyed(struct exchange *exchange, void (*then)(struct exchange *exchange)) {
	struct control *control = exchange->control;
	struct survey_wait *wait = check_alloc(1, sizeof *wait);
	const struct timeval limit = {.tv_usec = SURVEY_MS_MAX * 1000};
	*wait = (struct survey_wait){.exchange = exchange, .then = then};
	wait->timer = evtimer_new(control->base, survey_late, wait);
	check_memory(wait->timer);
	check(evtimer_add(wait->timer, &limit) == 0);
	wait->token = request_open(control->requests, survey_answered, wait);
	engine_survey(control->engine, wait->token);
}
