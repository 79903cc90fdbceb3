#include "flow/flow_clock.h"

#include <time.h>

#include "limits.h"

static _Atomic uint64_t simulated_us; /* 0: not simulated */
static _Atomic uint64_t simulated_ms; /* the same */

void monotonic_simulate(uint64_t now_us) {
	atomic_store(&simulated_us, now_us);
}

void system_simulate(uint64_t now_ms) {
	atomic_store(&simulated_ms, now_ms);
}

uint64_t monotonic_us(void) {
	uint64_t simulated = atomic_load_explicit(&simulated_us, memory_order_relaxed);
	if (simulated != 0)
		return simulated;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t system_ms(void) {
	uint64_t simulated = atomic_load_explicit(&simulated_ms, memory_order_relaxed);
	if (simulated != 0)
		return simulated;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool flow_clock_check(uint64_t last_ms, struct error *error) {
	uint64_t now_ms = system_ms();
	if (last_ms <= now_ms + CLOCK_AHEAD_MS_MAX)
		return true;
	uint64_t ahead_s = (last_ms - now_ms) / 1000;
	error_set(error, ERROR_REFUSED, "the store's last committed time is ahead of the system clock");
	error_found(error, "%llu s ahead", (unsigned long long)ahead_s);
	error_expected(error, "at most %d s", CLOCK_AHEAD_MS_MAX / 1000);
	error_hint(error,
		"set the system clock right; if it is right, start once with --accept-clock: time goes on from the store's, at "
		"half speed until the system clock has caught up");
	return false;
}

void flow_clock_init(struct flow_clock *clock, bool test, uint64_t test_ms, uint64_t last_ms) {
	clock->test = test;
	clock->held = false;
	pthread_mutex_init(&clock->mutex, NULL);
	uint64_t start = test ? test_ms : system_ms();
	clock->base_ms = start > last_ms ? start : last_ms;
	clock->base_mono_us = monotonic_us();
	atomic_init(&clock->now_ms, clock->base_ms);
}

uint64_t flow_clock_update(struct flow_clock *clock) {
	if (clock->test)
		return flow_clock_now(clock);
	pthread_mutex_lock(&clock->mutex);
	uint64_t system = system_ms();
	uint64_t mono_us = monotonic_us();
	uint64_t now = atomic_load_explicit(&clock->now_ms, memory_order_relaxed);
	if (clock->held) {
		pthread_mutex_unlock(&clock->mutex);
		return now;
	}
	uint64_t half_ms = clock->base_ms + (mono_us - clock->base_mono_us) / 2000;
	if (half_ms > now)
		now = half_ms;
	if (system >= now) {
		now = system;
		clock->base_ms = now;
		clock->base_mono_us = mono_us;
	}
	atomic_store_explicit(&clock->now_ms, now, memory_order_relaxed);
	pthread_mutex_unlock(&clock->mutex);
	return now;
}

uint64_t flow_clock_set(struct flow_clock *clock, uint64_t to_ms) {
	pthread_mutex_lock(&clock->mutex);
	if (to_ms > atomic_load_explicit(&clock->now_ms, memory_order_relaxed))
		atomic_store_explicit(&clock->now_ms, to_ms, memory_order_relaxed);
	uint64_t now = flow_clock_now(clock);
	pthread_mutex_unlock(&clock->mutex);
	return now;
}

uint64_t flow_clock_hold(struct flow_clock *clock) {
	flow_clock_update(clock);
	pthread_mutex_lock(&clock->mutex);
	clock->held = true;
	uint64_t now = flow_clock_now(clock);
	pthread_mutex_unlock(&clock->mutex);
	return now;
}

void flow_clock_let_go(struct flow_clock *clock) {
	pthread_mutex_lock(&clock->mutex);
	clock->held = false;
	pthread_mutex_unlock(&clock->mutex);
}

bool flow_clock_held(struct flow_clock *clock) {
	pthread_mutex_lock(&clock->mutex);
	bool held = clock->held;
	pthread_mutex_unlock(&clock->mutex);
	return held;
}
