/* One simulated life of a host: all shards, committer and applier on one thread, stepped in an order that a seed chooses,
 * on a disk and databases that fail and lose as real ones do. A world survives crashes: the disk stays, the host is made
 * anew on it. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "program.h"

struct world;

struct world_options {
	uint64_t seed;
	uint32_t records; /* of each producer */
	uint32_t crashes_max;
	const char *mutant; /* NULL: none; see world_mutants */
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
};

/* Runs one seed to its end and checks everything. */
void world_run(const struct world_options *options, struct world_result *ret_result);

#endif
