/* Gives waiting messages back to their mailboxes after a start. Private to host/flow. REQUIRES: the threads do not run
 * yet, and every shard has adopted the first view. */
#ifndef HOST_FLOW_RECOVER_H
#define HOST_FLOW_RECOVER_H

#include "flow/commit.h"

/* The layout row: which layout of queues was in force, [layout, shards]. Sets flow->layout; a change of the number of
 * shards begins a new one. *ret_changed: its row must be written. */
bool recover_layout(struct flow *flow, bool *ret_changed, struct error *error);

/* Counters that must not go back: numbers of dead letters, waits, types. */
bool recover_numbers(struct flow *flow, uint16_t *ret_types, struct error *error);

/* Queues of this layout become channels, parks and waits again; what an older layout left is moved message by message,
 * in epochs of its own, committed by `committer`. Order per sender and address holds (FORMAT.md, "Queues"). */
bool recover_queues(struct flow *flow, struct committer *committer, bool layout_changed, struct error *error);

#endif
