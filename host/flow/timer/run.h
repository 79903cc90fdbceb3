/* Timers as they were loaded: in order of their places, back to back in one piece of memory, taken from the front. Those have
 * no name, so nobody looks for one of them. Belongs to whoever holds the shard. Private to host/flow/timer. */
#ifndef HOST_FLOW_TIMER_RUN_H
#define HOST_FLOW_TIMER_RUN_H

#include "base/bytes.h"
#include "flow/timer/place.h"

/* A timer on its way from the store to its shard; the message (8-aligned), then the token follow. */
struct timer_row {
	struct timer_place place;
	uint32_t size; /* of all of it, a multiple of 8 */
	uint32_t message_size;
	uint32_t token_size;
	uint32_t reserved;
};

struct timer_run {
	struct buf rows;
	size_t first; /* where the first one begins */
	size_t last;  /* the same of the last one */
	size_t count;
};

void timer_run_finish(struct timer_run *run);

/* NULL: it is empty. */
struct timer_row *timer_run_first(const struct timer_run *run);

/* REQUIRES: not empty. */
void timer_run_take(struct timer_run *run);

/* REQUIRES: behind all that are there. */
void timer_run_append(struct timer_run *run, const struct timer_row *row);

/* Of the one in the middle. REQUIRES: not empty. */
struct timer_place timer_run_middle(const struct timer_run *run);

/* Drops all from `place` on. */
void timer_run_cut(struct timer_run *run, struct timer_place place);

/* Of memory that its timers take. */
static inline size_t timer_run_bytes(const struct timer_run *run) {
	return run->rows.size - run->first;
}

#endif
