/* What a start takes from the rows of the flow before its threads run. Each part is a file:
 *
 *   layout.c      which layout of queues was in force
 *   numbers.c     counters that must not go back
 *   restore.c     queues of this layout, as they stood
 *   move.c        what an older layout left, message by message into this one
 *   recover.c     the order of the last two, and operations of which nobody knows what came
 *
 * What the store alone knows is not read: timers, tokens, instances, keys, letters, egress records cost a start nothing, however
 * many there are. REQUIRES: the threads do not run yet. */
#ifndef HOST_FLOW_RECOVER_RECOVER_H
#define HOST_FLOW_RECOVER_RECOVER_H

#include "flow/epoch/commit.h"

/* Sets flow->layout; a change of the number of shards begins a new one. *ret_changed: its row must be written. What was born
 * before flow->layout_epoch may have been moved into it. */
bool recover_layout(struct flow *flow, bool *ret_changed, struct error *error);

/* Numbers of dead letters and types, the count of idempotency keys. */
bool recover_numbers(struct flow *flow, uint16_t *ret_types, struct error *error);

/* Queues become channels, parks and waits again; what is moved is committed by `committer`, in epochs of recovery's own. Order
 * per sender and address holds (FORMAT.md, "Queues"). REQUIRES: every shard has adopted the first view. */
bool recover_queues(struct flow *flow, struct committer *committer, bool layout_changed, struct error *error);

#endif
