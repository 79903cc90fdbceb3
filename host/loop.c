#include "loop.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"

enum {
	/* So soon a store is noticed that fails while nobody asks anything, and so long a call keeps others waiting who came before it. */
	LOOK_US = 50000,
	FAILURE_LINGER_MS = 500, /* for this long clients and health checks are told why, before the host ends */
	DRAIN_LOOK_US = 2000,
};

struct loop {
	const struct control *control;
	struct event *answers;
	struct event *tick; /* only so that a turn of the loop ends */
	struct event *watch;
	struct event *terminate;
	struct event *interrupt;
	struct event *hangup;
	void (*on_hangup)(void *arg);
	void *on_hangup_arg;
	uint64_t failed_ms; /* when the store was seen to have failed; 0: it has not */
	bool more;          /* the last turn had requests */
	bool stop;
};

static void timer_add(struct event *timer, uint64_t us) {
	struct timeval time = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
	check(event_add(timer, &time) == 0);
}

/* ---- events ---- */

static void stop_asked(evutil_socket_t signal, short what, void *arg) {
	(void)what;
	struct loop *loop = arg;
	log_event(LOG_INFO, "stop_asked", "signal=%s", signal == SIGTERM ? "SIGTERM" : "SIGINT");
	loop->stop = true;
}

static void hung_up(evutil_socket_t signal, short what, void *arg) {
	(void)signal, (void)what;
	struct loop *loop = arg;
	if (loop->on_hangup != NULL)
		loop->on_hangup(loop->on_hangup_arg);
}

static void answers_ready(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	loop_answer(arg);
}

static void tick_over(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what, (void)arg;
}

static void failure_look(struct loop *loop) {
	struct engine_status status;
	engine_status(loop->control->engine, &status);
	if (!status.failed)
		return;
	if (loop->failed_ms == 0)
		loop->failed_ms = monotonic_ms();
	requests_refuse(loop->control->requests, ERROR_STORE_FAILED, status.error.message);
	if (monotonic_ms() - loop->failed_ms >= FAILURE_LINGER_MS)
		loop->stop = true;
}

static void look(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct loop *loop = arg;
	failure_look(loop);
	engine_look(loop->control->engine);
}

/* ---- life ---- */

static sigset_t own_signals(void) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	return set;
}

void loop_signals_hold(void) {
	sigset_t set = own_signals();
	check(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	check(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

struct loop *loop_create(const struct control *control) {
	struct loop *loop = check_alloc(1, sizeof *loop);
	struct event_base *base = control->base;
	loop->control = control;
	loop->answers = event_new(base, engine_answer_fd(control->engine), EV_READ | EV_PERSIST, answers_ready, loop);
	loop->tick = evtimer_new(base, tick_over, NULL);
	loop->watch = event_new(base, -1, EV_PERSIST, look, loop);
	loop->terminate = evsignal_new(base, SIGTERM, stop_asked, loop);
	loop->interrupt = evsignal_new(base, SIGINT, stop_asked, loop);
	loop->hangup = evsignal_new(base, SIGHUP, hung_up, loop);
	check_memory(loop->answers);
	check_memory(loop->tick);
	check_memory(loop->watch);
	check_memory(loop->terminate);
	check_memory(loop->interrupt);
	check_memory(loop->hangup);
	check(event_add(loop->answers, NULL) == 0);
	check(event_add(loop->terminate, NULL) == 0);
	check(event_add(loop->interrupt, NULL) == 0);
	check(event_add(loop->hangup, NULL) == 0);
	timer_add(loop->watch, LOOK_US);
	sigset_t set = own_signals();
	check(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
	return loop;
}

void loop_destroy(struct loop *loop) {
	if (loop == NULL)
		return;
	event_free(loop->answers);
	event_free(loop->tick);
	event_free(loop->watch);
	event_free(loop->terminate);
	event_free(loop->interrupt);
	event_free(loop->hangup);
	free(loop);
}

/* ---- turns ---- */

static void loop_turn(struct loop *loop) {
	check(event_base_loop(loop->control->base, loop->more ? EVLOOP_NONBLOCK : EVLOOP_ONCE) == 0);
	loop->more = engine_turn(loop->control->engine);
}

void loop_run(struct loop *loop) {
	engine_gather(loop->control->engine, true);
	while (!loop->stop)
		loop_turn(loop);
	engine_gather(loop->control->engine, false);
}

void loop_on_hangup(struct loop *loop, void (*hangup)(void *arg), void *arg) {
	loop->on_hangup = hangup;
	loop->on_hangup_arg = arg;
}

void loop_stop(struct loop *loop) {
	loop->stop = true;
}

bool loop_failed(const struct loop *loop) {
	return loop->failed_ms != 0;
}

void loop_answer(struct loop *loop) {
	engine_take_answers(loop->control->engine, request_answer, loop->control->requests);
	egress_hub_look(loop->control->hub);
}

void loop_drain(struct loop *loop, bool (*busy)(void *arg), void *arg, uint64_t limit_ms) {
	uint64_t until_ms = monotonic_ms() + limit_ms;
	while (busy(arg) && monotonic_ms() < until_ms) {
		timer_add(loop->tick, DRAIN_LOOK_US);
		loop_turn(loop);
	}
}
