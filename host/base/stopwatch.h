/* How long something takes: time that no clock's setting moves. */
#ifndef HOST_BASE_STOPWATCH_H
#define HOST_BASE_STOPWATCH_H

#include <stdint.h>
#include <time.h>

static inline uint64_t stopwatch_us(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* Milliseconds since *at_us, which goes on to now. */
static inline uint64_t stopwatch_lap_ms(uint64_t *at_us) {
	const uint64_t now_us = stopwatch_us();
	const uint64_t lap_us = now_us - *at_us;
	*at_us = now_us;
	return lap_us / 1000u;
}

#endif
