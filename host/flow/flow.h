/* What shards, committer and engine share. Private to host/flow: no other code includes this file.
 *
 * Who owns what:
 *   a shard (shard.h)      whoever holds it: its thread, or the committer while that thread sleeps or is in a plugin
 *   a channel              its tail the sending shard, its head the receiving one
 *   an input queue         its tail the loop thread, its head the shard
 *   a seal                 the shard until `sealed` names its epoch, then the committer
 *   everything else below  as its line says */
#ifndef HOST_FLOW_FLOW_H
#define HOST_FLOW_FLOW_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/park.h"
#include "config/config.h"
#include "flow/counts/survey.h"
#include "flow/engine/engine.h"
#include "flow/epoch/gather.h"
#include "flow/flow_clock.h"
#include "flow/message.h"
#include "flow/migration/blocked.h"
#include "flow/migration/schema_counts.h"
#include "flow/operation/pool.h"
#include "flow/queue/queue.h"
#include "flow/timer/backlog.h"
#include "limits.h"
#include "sofun/host.h"

struct shard;

enum { EGRESSES_MAX = 1024, EGRESS_NAME_BYTES_MAX = 63 };

/* An egress that was used; index = its number in this process. */
struct egress {
	char name[EGRESS_NAME_BYTES_MAX + 1];
	size_t name_size;
	uint64_t next; /* [committer] offset of the next record */
};

/* Counts of a shard since the start; a seal holds what they were at its cut. */
struct counts {
	uint64_t born;    /* messages that came to stand in mailboxes, or were taken from an input */
	uint64_t handled; /* of these, consumed for good */
	uint64_t retried;
	uint64_t dead;
	uint64_t records;
	uint64_t replies_stale;
	uint64_t migrated;     /* instances, from a schema to another */
	int64_t colour[2];     /* in flight, by colour */
	uint64_t barrier_seen; /* serial of the last barrier whose place in the input was passed */
	uint64_t clock_seen;   /* the same for clock moves */
	uint64_t due;          /* shards on which a retry or a timer is due and not tried or sent yet */
	uint64_t due_next_ms;  /* of the next one; UINT64_MAX: none */
	uint64_t channels_in;  /* messages put into channels; less channels_out: they stand there */
	uint64_t channels_out;
	uint64_t timers_set;
	uint64_t timers_sent;
	uint64_t timers_cancelled;
	uint64_t expired; /* instances */
	uint64_t values_expired;
	uint64_t operations_started;
	uint64_t operations_succeeded; /* by their results */
	uint64_t operations_failed;
	uint64_t operations_unknown;
	uint64_t operations_late; /* results of none that was under way, dropped */
	uint64_t retrying;        /* addresses in backoff */
	uint64_t undecided;       /* messages at addresses that wait for the verdict on a version */
	uint64_t cache_bytes;     /* memory of instances */
};

/* Where in a redo buffer the committer writes an egress offset. */
struct egress_place {
	uint32_t egress;
	size_t place;
};

/* Counted messages that are in flight (owed.h). */
struct owed {
	int64_t side[MESSAGE_SIDES];
};
struct owed_table {
	struct owed *rows;                /* [type * shards + shard of the address] */
	size_t types;                     /* that it has rows for */
	uint64_t touched[TYPES_MAX / 64]; /* types that changed since the last cut, a bit each */
};

/* A change of views at an epoch that the committer chooses, on its way there and back. [loop] makes and frees it. */
struct fence {
	struct view *view;
	struct buf redo; /* its rows */
	size_t place;    /* of the epoch in them: 8 bytes, big-endian */
	uint64_t token;
	uint64_t epoch; /* found by the committer */
};

/* A shard's part of an epoch that is closed. */
struct seal {
	uint64_t epoch;
	uint64_t time_ms;
	struct buf redo;
	struct buf outputs; /* struct output, back to back */
	struct buf places;  /* struct egress_place */
	struct counts counts;
	int64_t keys;       /* idempotency keys that came less those that went */
	uint64_t dead_gone; /* the greatest number of a dead letter that went; 0: none did */
	struct owed_table owed;
	struct schema_changes schemas;
	struct job *jobs; /* work that may begin */
};

/* What leaves once the epoch is durable. payload, then type, follow; the whole is 8-aligned. */
struct output {
	uint32_t size;
	uint32_t code; /* enum error_code */
	uint64_t token;
	uint64_t number;
	uint64_t accepted;
	uint32_t payload_size;
	uint32_t type_size;
};

void output_put(struct buf *outputs, const struct engine_answer *answer);

/* What an image is given, and how a function that gets only the table finds the rest. */
struct flow_host {
	sofun_host table; /* first */
	struct flow *flow;
};

static inline struct flow *flow_of_host(const sofun_host *host) {
	return ((const struct flow_host *)(const void *)host)->flow;
}

struct flow {
	struct flow_host host;
	const struct config *config;
	struct store *store;
	uint32_t shards_count;
	uint32_t layout;       /* rising with every change of the number of shards: part of queue ids */
	uint64_t layout_epoch; /* the first one of it: what was born before may have come from an older one */
	uint64_t incarnation;  /* of this process, in reply routes */
	uint64_t hash_seed;    /* of addresses; from the store id */
	struct shard **shards;
	struct queue *channels; /* [from * shards_count + to] */
	struct flow_clock clock;
	size_t cache_bytes;       /* a shard's budget for instances */
	size_t queue_bytes;       /* a shard's budget for waiting messages in memory */
	size_t timer_bytes;       /* a shard's budget for delayed messages in memory */
	size_t sweep_bytes;       /* a shard's budget for sweeps in memory */
	size_t operation_bytes;   /* a shard's budget for what waits in memory for the pool */
	uint64_t epoch_bytes_max; /* of a shard's open epoch */
	struct park *reader_park; /* wakes who loads timers; NULL: the simulation does it */
	struct buf timer_row;     /* [reader] scratch */
	struct sweep_backlog sweep_backlog;

	_Atomic(struct view *) view;         /* [loop] publishes; with a fence [committer] */
	_Atomic(struct fence *) fence_asked; /* [loop] sets, [committer] takes */
	_Atomic uint64_t cut;                /* [committer] every shard is to close this epoch */
	struct gather gather;                /* whether a cut waits for inputs that are coming in */
	_Atomic uint64_t durable;            /* [committer] last released epoch */
	_Atomic bool strained;               /* [committer] the store falls behind: what is in no hurry waits */
	_Atomic uint64_t dead_next;          /* number of the next dead letter */
	uint64_t dead_removed;               /* [committer] the greatest number of those that went: row 'D' */
	_Atomic int64_t keys;                /* [committer] idempotency keys as of the last cut */
	_Atomic uint32_t sweeping;           /* inputs of the sweep that no shard has taken yet */
	_Atomic uint64_t wait_next;          /* serial of the next wait queue */
	_Atomic uint64_t timer_next;         /* serial of the next timer */
	_Atomic uint64_t operations_open;    /* under way, on all shards */
	_Atomic uint64_t generation_next;    /* of the next table or list that begins, and of what is dropped */
	_Atomic bool stopping;               /* shards take nothing more */
	_Atomic uint32_t trial_shard;        /* 1 + the shard that tries a suspect: all others stand still; 0: none does */
	_Atomic uint64_t trial_serial;       /* of the last trial */
	_Atomic uint32_t restoring;          /* shards that still have messages of an older layout: inputs wait for them */
	_Atomic uint64_t parked[TYPES_MAX];
	_Atomic int64_t *
		owed; /* [committer] as of the last durable cut: [(shard of the address * TYPES_MAX + type) * MESSAGE_SIDES + side] */
	struct schema_counts schemas;
	struct blocked blocked;   /* addresses whose state cannot be migrated */
	struct blocked undecided; /* addresses that wait for the verdict on a version on probation */
	struct surveys surveys;
	struct work_pool pool; /* works for operations */
	struct park committer_park;
	void (*interleave)(void *arg); /* the simulation lets others run between the steps of a turn; NULL in the host */
	void *interleave_arg;

	pthread_mutex_t egress_mutex;
	struct egress egresses[EGRESSES_MAX]; /* append-only under egress_mutex */
	_Atomic uint32_t egress_count;

	pthread_mutex_t failure_mutex;
	struct error failure; /* under failure_mutex; set once */
	_Atomic bool failed;
};

/* Stops commits for good: the first reason counts. [any thread] */
void flow_fail(struct flow *flow, const struct error *error);

/* The egress's index, a new one if it was never used; -1 if there are EGRESSES_MAX already. [any thread] */
int flow_egress(struct flow *flow, struct bytes name);

/* Chooses the shard of a producer. */
uint32_t flow_producer_hash(const struct flow *flow, struct bytes ingress, struct bytes producer);

/* The address hash of FORMAT.md. */
static inline uint32_t flow_hash(const struct flow *flow, uint16_t type, struct bytes id) {
	return (uint32_t)hash_bytes(flow->hash_seed ^ ((uint64_t)type * HASH_K0), id.data, id.size);
}

#endif
