/* How many sweeps an epoch of a shard has room for. A sweep is in no hurry: nobody sees what has expired before it comes. So who
 * works beside many of them is to feel little: they share each epoch's redo, and wait for its cut. Private to host/flow; the
 * holder of the shard calls. */
#ifndef HOST_FLOW_TIMER_SHARE_H
#define HOST_FLOW_TIMER_SHARE_H

#include <stdbool.h>

enum {
	/* Beside inputs: half a millisecond of the shard, and a record that the disk writes about as fast as without. An epoch then
	 * takes a millisecond or two: some 60,000 sweeps a second and shard. */
	SWEEPS_BESIDE = 128,
	/* While the store falls behind: what it has takes long enough without them. Some must go, for time goes on. */
	SWEEPS_STRAINED = 8,
};

struct shard;

/* One more sweep is to be sent in the open epoch: true if it has room for that. */
bool sweep_share_take(struct shard *shard);

#endif
