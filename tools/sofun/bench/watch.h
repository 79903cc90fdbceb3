/* What an outside client sees as time goes by: when answers came, and how long they took. An answer_seen (client.h) feeds
 * it; afterwards it is asked about stretches of time. */
#ifndef SOFUN_BENCH_WATCH_H
#define SOFUN_BENCH_WATCH_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/samples.h"

/* Answers that were read together. */
struct arrival {
	uint64_t time_ns;
	uint32_t count;
	uint32_t longest_us; /* from when its request was due */
};

/* A stretch of WATCH_BIN_MS. */
struct bin {
	uint32_t count;
	uint32_t p50_us, p99_us, longest_us;
};

enum { WATCH_BIN_MS = 20 };

struct watch {
	uint64_t start_ns;
	struct arrival *arrivals;
	size_t arrival_count, arrival_room;
	struct bin *bins;
	size_t bin_count, bin_room;
	struct histogram latency; /* of the bin that is not over */
};

/* Time counts from now. */
void watch_init(struct watch *watch);
void watch_finish(struct watch *watch);

/* An answer_seen: arg is the watch. */
void watch_answer(void *arg, uint64_t due_ns, uint64_t now_ns);

/* A stretch of the clock of clock_ns(). */
struct stretch {
	uint64_t from_ns, to_ns;
};

/* The longest time in it without any answer. */
double watch_gap_ms(const struct watch *watch, struct stretch stretch);

/* The longest that an answer of it took. */
double watch_longest_ms(const struct watch *watch, struct stretch stretch);

/* Answers that came in it. */
uint64_t watch_count(const struct watch *watch, struct stretch stretch);

/* [[count, p50_us, p99_us, longest_us], …], one every WATCH_BIN_MS from the start; all zero where no answer came. */
json_t *watch_json(struct watch *watch);

#endif
