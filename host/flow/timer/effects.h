/* What an invocation asked of timers, in the order in which it asked: a run of operations in invocation.timers. Private to
 * host/flow. */
#ifndef HOST_FLOW_TIMER_EFFECTS_H
#define HOST_FLOW_TIMER_EFFECTS_H

#include "flow/timer/place.h"

struct shard;

enum timer_op_kind { TIMER_SET = 1, TIMER_CANCEL };

/* Followed by the message (8-aligned; set) and the token, padded to 8. */
struct timer_op {
	uint32_t size; /* of all of it */
	uint32_t message_size;
	uint8_t kind;
	uint8_t token_size;
	uint16_t reserved;
	uint32_t reserved2;
	uint64_t due_ms;          /* set */
	struct timer_place place; /* cancel: of the timer, as far as it stood before the invocation */
};

/* The table of the extension "sofun.timer/1". */
const void *timer_api_table(void);

/* Everything happens, in the open epoch. REQUIRES that the invocation succeeded. */
void timer_effects_apply(struct shard *shard);

#endif
