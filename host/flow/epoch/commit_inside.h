/* What the files of the committer share: commit.c calls cut.c, then release.c. No other code includes this file. [committer] */
#ifndef HOST_FLOW_EPOCH_COMMIT_INSIDE_H
#define HOST_FLOW_EPOCH_COMMIT_INSIDE_H

#include "flow/epoch/commit.h"

enum {
	/* A shard that runs is given this long to close by itself before the committer does it on its behalf. */
	CUT_PATIENCE_US = 200,
};

/* ---- cut.c ---- */
bool cut_wanted(const struct committer *committer);
/* Asks for the cut if one is wanted and nothing holds it up: true, and the state is COMMITTER_CUTTING. */
bool cut_begin(struct committer *committer);
/* Closes on behalf of those that do not; true once every shard has sealed. */
bool cut_seals(struct committer *committer);

/* ---- release.c ---- */
/* The record is durable: what waited for it goes. */
void committer_release(struct committer *committer);

#endif
