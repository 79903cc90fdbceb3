/* What the parts of recovery share. Private to host/flow/recover. */
#ifndef HOST_FLOW_RECOVER_RECOVERY_H
#define HOST_FLOW_RECOVER_RECOVERY_H

#include "flow/queue/wait_row.h"
#include "flow/recover/recover.h"

enum { LAYOUTS_MAX = 0xffffff };

struct recovery {
	struct flow *flow;
	struct committer *committer;
	struct error *error;
	uint64_t messages; /* that wait, so far */
	bool moved_before; /* some of them stood in a channel of an older layout */
	/* the queue whose rows are being read */
	uint64_t queue_id; /* UINT64_MAX: none */
	bool head_exists;
	struct wait_row head;  /* of a channel or park: its head alone */
	struct buf head_value; /* what its views are of */
	/* restore.c: what that queue has become */
	struct queue *queue; /* NULL: none */
	struct shard *shard;
	/* the next epoch of recovery's own */
	struct buf redo;
	size_t moved_bytes;
	/* move.c */
	uint64_t birth_limit; /* what was born behind a fence is moved after all that was born before it */
	struct buf left;      /* of the row that is being moved */
};

bool recovery_malformed(struct error *error, const char *what);

/* ---- rows.c: the rows of queues ---- */

/* Reads the head row of a queue, if there is one. */
bool queue_head_read(struct recovery *recovery, uint64_t queue);

/* A row of messages that stand behind each other in a queue. */
struct run {
	uint64_t queue;
	uint64_t first;
	uint32_t count;
	struct bytes messages; /* whole ones */
};

typedef bool run_visit(struct recovery *recovery, const struct run *run);

/* Every run with from <= queue id < until, in order. */
bool queue_runs_each(struct recovery *recovery, uint64_t from, uint64_t until, run_visit *visit);

/* The messages of a run that are not consumed yet, as the head row that was read last says. */
void run_messages_each(
	struct recovery *recovery, const struct run *run, void (*each)(struct recovery *recovery, const uint8_t *at));

/* The highest layout below `below` that has rows of channels or parks; 0 if none has. */
bool queue_layout_before(struct recovery *recovery, uint32_t below, uint32_t *ret_layout);

/* ---- restore.c ---- */

bool queues_restore(struct recovery *recovery);

/* ---- move.c ---- */

bool layouts_move(struct recovery *recovery);

/* ---- recover.c ---- */

/* A message that waits, and where. */
void message_count(struct recovery *recovery, struct shard *shard, const uint8_t *at);
/* A message goes behind what stands in the channel to shard `to`. */
void message_append(struct recovery *recovery, struct queue *queue, uint32_t to, const uint8_t *at);

/* Commits what was moved, and that it is gone from where it was: now if there is enough for an epoch, or in any case. */
bool moved_commit(struct recovery *recovery);
bool moved_commit_if_full(struct recovery *recovery);

#endif
