/* What shards and committer count for the metrics. Private to host/flow; flow/engine/figures.c reads it for the outside. */
#ifndef HOST_FLOW_COUNTS_TALLY_H
#define HOST_FLOW_COUNTS_TALLY_H

#include "base/histogram.h"

/* One invocation in so many is timed: two looks at the clock cost a fifth of a small invocation. */
enum { TALLY_SAMPLE = 64 };

/* Of a version of a function type on one shard. [its shard] writes. */
struct function_tally {
	struct tally in;           /* attempts */
	struct tally again;        /* of these, at messages that were tried before */
	struct tally out;          /* messages sent */
	struct tally egress;       /* records emitted */
	struct tally failed;       /* attempts that failed */
	struct tally failed_first; /* of these, the first ones of their messages */
	struct tally retried;      /* of those that failed, to be tried again */
	struct tally exhausted;    /* of those that failed, the last ones of their messages */
	struct tally expired;      /* instances that ended by themselves */
	struct tally values_expired;
	struct tally sweeps_sent; /* entries of expiry that came due */
	struct tally sweeps_done;
	struct histogram seconds;
};

/* Of a shard; whoever holds it writes, `epoch_` the committer. */
struct shard_tally {
	struct tally spilled_bytes; /* of waiting messages, from memory to the store */
	struct tally cache_instances;
	struct tally cache_bytes;
	struct tally cache_missed;
	struct tally cache_evicted;
	struct tally epoch_messages; /* of the last epoch with any */
	struct tally epoch_bytes;
	struct histogram operation_seconds; /* from the start of an operation to its result */
	struct tally timers_late_ms;        /* since when the first one that is due was due, as of the last turn */
	struct tally sweeps_late_ms;        /* the same for sweeps */
	struct tally sweeps_due;            /* 1: some are due and not sent, as of the last turn */
};

/* [committer] writes. */
struct commit_tally {
	struct tally epochs;
	struct histogram commit; /* from the wish to cut to the release */
	struct histogram append; /* of this, the journal's write and sync */
};

struct committer;
struct shard;

/* A shard's seal with so many bytes of redo becomes part of the record. An epoch in which it had nothing to do says nothing
 * of it. [committer] */
void tally_epoch(struct committer *committer, struct shard *shard, size_t size);

/* An epoch was released that was written from start_us to written_us. [committer] */
void tally_commit(struct committer *committer, uint64_t start_us, uint64_t written_us);

#endif
