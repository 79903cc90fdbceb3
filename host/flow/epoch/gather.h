/* An epoch costs about the same whatever it carries: a write, a sync, threads that wake each other. So a cut that is wanted
 * waits while the loop thread still takes in what has come by now, but for GATHER_US_MAX at most. Private to host/flow. */
#ifndef HOST_FLOW_EPOCH_GATHER_H
#define HOST_FLOW_EPOCH_GATHER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gather {
	_Atomic bool comes; /* [loop] there was an input, and it has not been looked yet whether there are more */
	_Atomic bool waits; /* [committer] a cut waits for the end of that */
	uint64_t until_us;  /* [committer] and this long at most; 0: none waits */
};

/* [loop] An input came. */
static inline void gather_begin(struct gather *gather) {
	if (!atomic_load_explicit(&gather->comes, memory_order_relaxed))
		atomic_store(&gather->comes, true);
}

/* [loop] There is none more. True: a cut may wait for that, and the committer is to be woken. */
bool gather_end(struct gather *gather);

/* [committer] A cut is wanted. True: it waits. */
bool gather_holds(struct gather *gather);

/* [committer] How long the cut that gather_holds has told of may still wait. */
uint64_t gather_left_us(const struct gather *gather);

#endif
