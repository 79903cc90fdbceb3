/* The committer: asks for a cut, makes it durable with one append, and only then lets out what waited on it. Private to
 * host/flow. */
#ifndef HOST_FLOW_EPOCH_COMMIT_H
#define HOST_FLOW_EPOCH_COMMIT_H

#include "flow/shard.h"

enum {
	/* Appended epochs that the applier has not taken: a thousand small ones are nothing, so bytes count, too. */
	EPOCHS_BEHIND_MAX = 1024,
	BEHIND_MEMORY_PART = 16, /* of limits.memory_bytes */
	/* Tenths of it for the applier's tables: a checkpoint is on its way, and will empty one. What budget.c gives the engine, the
	 * block cache and the write buffers of a host of 512 MiB fits beside it. */
	TABLES_MEMORY_TENTHS = 4,
};

enum committer_state { COMMITTER_IDLE, COMMITTER_CUTTING, COMMITTER_WRITING };

/* A barrier or a clock move that waits for its epoch; at most one of each is under way. [committer] answers it. */
struct milestone {
	_Atomic uint64_t serial; /* set by the loop thread once the inputs are placed; 0: none */
	uint64_t token;
	uint8_t colour; /* barrier: what must be handled */
	bool both;      /* barrier: messages of both colours, an earlier barrier was given up */
};

/* Outputs of one epoch on their way to the loop thread. */
struct release {
	struct release *next;
	size_t count;
	struct buf outputs[];
};

/* Rows that came from outside of the shards (commit_rows.c). */
struct committer_rows {
	pthread_mutex_t mutex;
	_Atomic bool asked;
	struct buf redo;   /* under mutex */
	struct buf tokens; /* the same: who waits */
	struct buf taken;  /* [committer] who waits for the record that is under way */
};

struct committer {
	struct flow *flow;
	enum committer_state state;
	uint64_t epoch;                        /* the next to be committed */
	struct store_epoch *part;              /* COMMITTER_WRITING */
	struct fence *fence;                   /* that stands behind this epoch; NULL: none */
	uint64_t cut_us;                       /* when the cut was asked for */
	uint64_t synced_us;                    /* durability=interval: when the journal was last synced */
	bool unsynced;                         /* something was appended since */
	uint64_t handed_bytes;                 /* of redo, since the start */
	uint64_t handed_at[EPOCHS_BEHIND_MAX]; /* the same as of each epoch */
	struct milestone barrier;
	struct milestone clock;
	struct committer_rows rows;
	struct buf answers; /* of milestones and rows, for the next release */
	_Atomic bool waiting_for_space;
	struct commit_tally tally;
	uint64_t handled[SHARDS_MAX]; /* what the last seal of each shard said */

	pthread_mutex_t release_mutex;
	struct release *release_first; /* under release_mutex, in order */
	struct release **release_last;
	int release_fd; /* eventfd: readable when there is one */

	/* as of the last durable cut, for engine_status; under release_mutex */
	struct counts counts;
	uint64_t time_ms;
};

void committer_init(struct committer *committer, struct flow *flow, uint64_t epoch);
void committer_finish(struct committer *committer);

/* What the seals say becomes what engine_status says. */
void committer_counts_update(struct committer *committer);

/* One step. False: nothing to do now; committer_idle_us says until when. */
bool committer_step(struct committer *committer);
uint64_t committer_idle_us(const struct committer *committer);

/* True if everything that shards closed is durable and released, and none of them has anything open. */
bool committer_settled(const struct committer *committer);

/* Epochs that the applier has not taken are memory, and so is a journal that is not checkpointed: then commits wait, and
 * with them the shards. The applier needs nothing of either. */
bool committer_must_wait(const struct committer *committer);

/* Commits redo as an epoch of its own, and waits for it. Only while no thread runs yet. */
bool committer_commit_now(struct committer *committer, struct buf *redo, struct error *error);

void committer_rows_init(struct committer_rows *rows);
void committer_rows_finish(struct committer_rows *rows);
/* [loop] Answered when durable. */
void committer_rows_add(struct committer *committer, uint64_t token, struct bytes redo);
/* [committer] Appends those that wait to the record's redo; false: there are none. */
bool committer_rows_take(struct committer *committer, struct buf *redo);
/* [committer] The record is durable. */
void committer_rows_answer(struct committer *committer);
/* [loop] The threads have ended: calls refuse() for those that are not durable. */
void committer_rows_refuse(struct committer *committer, void (*refuse)(void *arg, uint64_t token), void *arg);

/* [loop] Takes all releases; the caller frees each, with release_destroy. */
struct release *committer_take(struct committer *committer);
void release_destroy(struct release *release);

/* [loop, committer] Outputs that did not need an epoch. */
void committer_release_now(struct committer *committer, struct buf *outputs);

#endif
