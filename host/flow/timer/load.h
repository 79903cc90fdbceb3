/* Brings timers from the store into memory, in order of their due times, on the reader's thread: a shard asks, and goes
 * on. One pass over the rows of a kind serves every shard that asks for that kind at the time. Private to host/flow. */
#ifndef HOST_FLOW_TIMER_LOAD_H
#define HOST_FLOW_TIMER_LOAD_H

#include "flow/timer/place.h"

struct flow;

/* Of sweeps among the delayed messages, where an older host kept them, a pass brings no more: each is written anew, all in one
 * epoch of their shard. */
enum { TIMERS_LOAD_OLD_MAX = 4096 };

/* [shard] Something is wanted. */
void timers_load_wake(struct flow *flow);

/* [reader] Does a pass of each kind that a shard asks for, if the store is ready for it; false if there was nothing to do. */
bool timers_load_step(struct flow *flow);

/* [reader] True while a shard asks. */
bool timers_load_asked(const struct flow *flow);

#endif
