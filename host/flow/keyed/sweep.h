/* What expires goes: rows 'U' due row stand in the order of their due times, and name a row 'J' (an idempotency key) or 'P'
 * (a producer's position) to be looked at then. The reader thread finds the entries that are due, the loop thread hands
 * them to the shards that own what they name, which judge and delete. Readers see at once what has expired; this only takes
 * the rows away. Private to host/flow. */
#ifndef HOST_FLOW_KEYED_SWEEP_H
#define HOST_FLOW_KEYED_SWEEP_H

#include "state/key.h"

struct engine;

enum {
	SWEEP_BATCH = 512,       /* entries that are on their way at a time */
	SWEEP_LOOK_US = 1000000, /* how often the reader asks whether something may be due */
	SWEEP_LOOK_MS = 3600000, /* of the flow's time: it looks so often even if nothing should be due */
};

struct sweep {
	/* [reader] */
	uint64_t look_ms; /* nothing is due before */
	struct key
		from; /* where to go on: what stands before was swept, and seeking over what is gone costs; size 0: the first */
	/* [reader], then [loop] */
	struct buf found; /* due_ms:u64 owner:u64 key:sized, of each */
	size_t count;
};

/* [reader] True if something was found; then sweep_submit is due. */
bool sweep_scan(struct engine *engine);

/* [loop] */
void sweep_submit(void *engine);

#endif
