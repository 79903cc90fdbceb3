/* How many sweeps a shard has room for. A sweep is in no hurry: nobody sees what has expired before it comes. So who
 * works beside many of them is to feel little: they share each epoch's redo, and wait for its cut. Private to host/flow; the
 * holder of the shard calls. */
#ifndef HOST_FLOW_TIMER_SHARE_H
#define HOST_FLOW_TIMER_SHARE_H

#include <stdbool.h>

enum {
	/* Beside inputs, in an epoch: a fifth of a millisecond of the shard, and a record that the disk writes about as fast as
	 * without. With half as many an epoch is little shorter, for then it is the disk's sync that takes it; with twice as many the
	 * sweep is no faster on two cores, for then it is the applier that takes them. */
	SWEEPS_BESIDE = 64,
	/* While the store falls behind, in an epoch: what it has takes long enough without them. Some must go, for time goes on. Beside
	 * inputs in SWEEPS_STRAINED_US: epochs may be so short that as many would still fill the tables, and then everybody waits. */
	SWEEPS_STRAINED = 8,
	SWEEPS_STRAINED_US = 2000,
};

struct shard;

/* One more sweep is to be sent in the open epoch: true if there is room for that. */
bool sweep_share_take(struct shard *shard);

#endif
