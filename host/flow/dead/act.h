/* Dead letters that are sent again or dropped, each on one shard whoever asks (dead_owner in engine/requests.c): so that of
 * two who ask for the same one only one gets it, and nobody waits for a call elsewhere. The letter's row goes in the epoch in which its message comes to stand at the tail of its address again. Private to
 * host/flow. */
#ifndef HOST_FLOW_DEAD_ACT_H
#define HOST_FLOW_DEAD_ACT_H

#include "base/bytes.h"

struct shard;
struct input;

enum dead_action { DEAD_DROP, DEAD_MESSAGE, DEAD_RECORD };

/* The body of an INPUT_DEAD, whose `first` is the letter's number; then a message, or ingress, producer and record. */
struct dead_input {
	uint32_t action;
	uint32_t ingress_size;
	uint32_t producer_size;
	uint32_t record_size;
};

/* Letters that went lately: [number:u64 epoch:u64], oldest first; the store may still have them. */
struct dead_gone {
	struct buf gone;
	uint64_t greatest; /* number of those that went in the open epoch; 0: none */
};

/* False if it is not done yet. */
bool dead_take(struct shard *shard, const struct input *input);
void dead_trim(struct shard *shard);

#endif
