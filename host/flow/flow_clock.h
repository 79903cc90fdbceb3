/* The time of the flow: milliseconds since 1970 that never go back, across restarts (rule 38). The system clock forward
 * is adopted; while the system clock is behind, this one goes at half speed until it has been caught up. Under
 * --test-clock it stands, and moves only by flow_clock_set. Any thread. */
#ifndef HOST_FLOW_FLOW_CLOCK_H
#define HOST_FLOW_FLOW_CLOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct flow_clock {
	bool test;
	pthread_mutex_t mutex;
	_Atomic uint64_t now_ms;
	bool held;        /* under mutex */
	uint64_t base_ms; /* under mutex: now_ms when the monotonic clock said base_mono_us */
	uint64_t base_mono_us;
};

/* At a start: a last durable time that is so far ahead of the system's (CLOCK_AHEAD_MS_MAX) was written by a wrong clock, or
 * the clock is wrong now; either way timers would wait for hours. ERROR_REFUSED with what to do. */
bool flow_clock_check(uint64_t last_ms, struct error *error);

/* Starts at the later of the system's time (or test_ms) and last_ms, the last durable time. */
void flow_clock_init(struct flow_clock *clock, bool test, uint64_t test_ms, uint64_t last_ms);

/* Looks at the system's clocks; returns the new time. */
uint64_t flow_clock_update(struct flow_clock *clock);

/* Time stands still from then on, until it is let go: returns where. What came to its end is then the same for all who look, each
 * in an epoch of its own. */
uint64_t flow_clock_hold(struct flow_clock *clock);
void flow_clock_let_go(struct flow_clock *clock);
bool flow_clock_held(struct flow_clock *clock);

static inline uint64_t flow_clock_now(struct flow_clock *clock) {
	return atomic_load_explicit(&clock->now_ms, memory_order_relaxed);
}

/* REQUIRES test. Never goes back; moves a clock that is held, too; returns the time that now is. */
uint64_t flow_clock_set(struct flow_clock *clock, uint64_t to_ms);

/* Microseconds of the monotonic clock: for durations only. */
uint64_t monotonic_us(void);

/* A simulation's clocks from here on, process-wide; 0: the machine's again. */
void monotonic_simulate(uint64_t now_us);
void system_simulate(uint64_t now_ms);

#endif
