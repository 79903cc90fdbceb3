/* How many sweeps are due and not sent yet, most of them in the store, where no shard has met them. The reader counts the rows
 * while some are: a stretch at a time, and for a small part of its time. Between two counts what is sent goes off;
 * what falls due meanwhile is found by the next one. Private to host/flow. */
#ifndef HOST_FLOW_TIMER_BACKLOG_H
#define HOST_FLOW_TIMER_BACKLOG_H

#include "flow/timer/place.h"
#include "flow/view.h"

struct flow;

struct sweep_backlog {
	/* Of the type: once so many were sent, all that were counted are. */
	_Atomic uint64_t sent_at_end[TYPES_MAX];

	/* [reader] the count under way */
	bool counting;
	struct timer_place from; /* where it goes on */
	uint64_t due_ms;         /* what is due by then counts */
	uint64_t spent_us;
	uint64_t rest_until_us; /* no other one begins before */
	uint64_t sent_at_end_found[TYPES_MAX];
};

/* [reader] Counts a stretch, if some are due and it is time for it; true: the next one should follow soon. */
bool sweep_backlog_step(struct flow *flow);

/* Of the type, as far as was counted. [any thread] */
uint64_t sweep_backlog(const struct flow *flow, uint16_t type);

#endif
