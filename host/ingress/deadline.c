#include "ingress/deadline.h"

#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"

enum {
	SLOTS = 1024, /* one round is ten seconds: a deadline of the default 30 s is looked at three times */
};
/* Longer is as good as never, and sums do not overflow. */
#define IN_MS_MAX ((uint64_t)1 << 40)

LIST_HEAD(deadline_list, deadline);

struct deadlines {
	struct event *timer; /* runs while any is armed */
	size_t armed;
	uint64_t lag_ms; /* of the coarse clock behind the other, at most */
	uint64_t tick;   /* slots up to this one have been looked at */
	struct deadline_list slots[SLOTS];
};

static uint64_t clock_ms(clockid_t clock) {
	struct timespec now;
	check(clock_gettime(clock, &now) == 0);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t coarse_lag_ms(void) {
	struct timespec step;
	check(clock_getres(CLOCK_MONOTONIC_COARSE, &step) == 0);
	return (uint64_t)step.tv_sec * 1000 + ((uint64_t)step.tv_nsec + 999999) / 1000000;
}

static struct deadline_list *slot_of(struct deadlines *deadlines, uint64_t tick) {
	return &deadlines->slots[tick % SLOTS];
}

/* Moves those whose time has come to *fired. */
static void slot_fire(struct deadline_list *slot, uint64_t now, struct deadline_list *fired) {
	struct deadline *next;
	for (struct deadline *deadline = LIST_FIRST(slot); deadline != NULL; deadline = next) {
		next = LIST_NEXT(deadline, link);
		if (deadline->at_ms > now)
			continue;
		LIST_REMOVE(deadline, link);
		LIST_INSERT_HEAD(fired, deadline, link);
	}
}

static void timer_tick(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	struct deadlines *deadlines = arg;
	struct deadline_list fired = LIST_HEAD_INITIALIZER(fired);
	uint64_t now = clock_ms(CLOCK_MONOTONIC), end = now / DEADLINE_TICK_MS;
	if (end - deadlines->tick > SLOTS)
		deadlines->tick = end - SLOTS;
	while (deadlines->tick < end)
		slot_fire(slot_of(deadlines, ++deadlines->tick), now, &fired);
	for (struct deadline *deadline; (deadline = LIST_FIRST(&fired)) != NULL;) {
		void (*due)(struct deadline *) = deadline->due;
		deadline_stop(deadlines, deadline);
		due(deadline);
	}
}

struct deadlines *deadlines_create(struct event_base *base) {
	struct deadlines *deadlines = check_alloc(1, sizeof *deadlines);
	deadlines->lag_ms = coarse_lag_ms();
	deadlines->timer = event_new(base, -1, EV_PERSIST, timer_tick, deadlines);
	check_memory(deadlines->timer);
	return deadlines;
}

void deadlines_destroy(struct deadlines *deadlines) {
	if (deadlines == NULL)
		return;
	check(deadlines->armed == 0);
	event_free(deadlines->timer);
	free(deadlines);
}

void deadline_start(
	struct deadlines *deadlines, struct deadline *deadline, uint64_t in_ms, void (*due)(struct deadline *deadline)) {
	check(deadline->due == NULL && due != NULL);
	/* each call starts one, and most of that would be the reading of the exact clock */
	uint64_t now = clock_ms(CLOCK_MONOTONIC_COARSE);
	deadline->at_ms = now + deadlines->lag_ms + (in_ms < IN_MS_MAX ? in_ms : IN_MS_MAX);
	deadline->due = due;
	LIST_INSERT_HEAD(slot_of(deadlines, deadline->at_ms / DEADLINE_TICK_MS + 1), deadline, link);
	if (deadlines->armed++ > 0)
		return;
	deadlines->tick = now / DEADLINE_TICK_MS;
	struct timeval tick = {.tv_usec = DEADLINE_TICK_MS * 1000};
	check(event_add(deadlines->timer, &tick) == 0);
}

void deadline_stop(struct deadlines *deadlines, struct deadline *deadline) {
	if (deadline->due == NULL)
		return;
	deadline->due = NULL;
	LIST_REMOVE(deadline, link);
	if (--deadlines->armed == 0)
		check(event_del(deadlines->timer) == 0);
}
