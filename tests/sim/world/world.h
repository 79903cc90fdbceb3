/* One simulated life of a host: all shards, committer and applier on one thread, stepped in an order that a seed chooses,
 * on a disk and databases that fail and lose as real ones do. A world survives crashes: the disk stays, the host is made
 * anew on it. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "program.h"

struct world;

struct world_options {
	uint64_t seed;
	uint32_t instances;
	uint32_t records; /* of each producer */
	uint32_t keys;    /* idempotency keys */
	uint32_t crashes_max;
	uint32_t deaths_max;    /* once so many lives have ended, no innocent message is blamed any more */
	uint32_t segment_bytes; /* of the journal: room for four epochs of each shard */
	uint32_t epoch_bytes_max;
	uint32_t crash_steps;   /* a crash comes within so many steps, */
	uint32_t crash_events;  /* or at one of so many events of the disk and the databases */
	uint32_t swap_one_in;   /* chances of a swap, one every ten steps while none is under way */
	uint32_t poison_one_in; /* messages kill the host, always, in every third seed; */
	uint32_t blame_one_in;  /* and of the others are taken for the culprit */
	uint64_t steps_max;     /* the deadline: a run that needs more hangs */
	const char *mutant;     /* NULL: none; see world.c */
	bool trace;
};

struct world_result {
	bool good;
	char what[700]; /* the first thing that was wrong */
	uint64_t messages;
	uint64_t crashes;
	uint64_t steps;
	uint64_t swaps;       /* whole ones: fence, drain, end */
	uint64_t undecided;   /* looks that found addresses waiting for the verdict on a version */
	uint64_t cuts_inside; /* epochs cut on behalf of a shard inside its function */
	uint64_t reshards;    /* lives with another number of shards than the one before */
	uint64_t commands[PROGRAM_COMMANDS];
};

/* Runs one seed to its end and checks everything. */
void world_run(const struct world_options *options, struct world_result *ret_result);

#endif
