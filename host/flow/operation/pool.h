/* The threads that work for operations, beside the shards. A job comes once its operation is durable; it runs once, and what
 * comes of it goes to the shard that has the operation. Jobs wait here in the order in which their epochs were committed: a
 * full pool holds up operations, never a shard. Private to host/flow.
 *
 * An image is pinned while a call of it runs (image->working): it is chosen from the view as it is then, under the protection
 * of the slot's generation (engine_adopted), and let go after its frame has returned. */
#ifndef HOST_FLOW_OPERATION_POOL_H
#define HOST_FLOW_OPERATION_POOL_H

#include <pthread.h>
#include <stdatomic.h>

#include "flow/operation/rows.h"
#include "limits.h"

struct flow;
struct work_slot;

struct job {
	struct job *next;
	uint64_t id; /* of the operation */
	uint64_t row_epoch;
	struct buf asked; /* the message that asked; empty: the row has it */
};

struct job *job_create(uint64_t id, uint64_t row_epoch, const struct message_head *asked);
void job_free(struct job *job);
void jobs_free(struct job *job);

/* A thread of the pool. */
struct work_slot {
	struct work_pool *pool;
	struct note *note;
	_Atomic uint64_t generation; /* 0: it looks at a view, of whatever generation; UINT64_MAX: at none */
	_Atomic uint64_t id;         /* of the operation that runs; 0: none does */
	_Atomic uint32_t image;      /* the note of the image that it is in; NOTE_IMAGE_NONE: of none yet */
	pthread_t thread;
};

struct work_pool {
	struct flow *flow;
	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct job *first; /* under mutex */
	struct job **last;
	uint64_t queued;
	_Atomic uint32_t running;
	_Atomic bool stopping;
	uint32_t slot_count;
	struct work_slot slots[OPERATION_THREADS_MAX];
};

void work_pool_init(struct work_pool *pool, struct flow *flow, uint32_t threads);
/* After its threads have ended. */
void work_pool_finish(struct work_pool *pool);

/* These are durable now. [committer] */
void work_pool_submit(struct work_pool *pool, struct job *jobs);

/* The next one that can run; NULL: none can. [any thread] */
struct job *work_pool_take(struct work_pool *pool);

/* Runs it, and completes its operation. [the slot's thread] */
void work_pool_run(struct work_slot *slot, struct job *job);

/* 0 or SOFUN_...: what an operation may hand over. */
int operation_payload_check(const struct flow *flow, struct bytes payload);

/* The text of a failure, cut at OPERATION_FAILURE_BYTES_MAX. */
void operation_failure_write(struct buf *failure, struct bytes text);

/* A thread's whole life: arg is its slot. */
void *work_pool_main(void *arg);

/* No job is taken any more; what runs is asked to return. [loop] */
void work_pool_stop(struct work_pool *pool);

/* The oldest generation of a view that a thread may look at. [loop] */
uint64_t work_pool_generation(struct work_pool *pool);

/* How many wait. [any thread] */
uint64_t work_pool_queued(struct work_pool *pool);

/* True while a thread works for that operation; then *ret_image is the note of the image that it is in, unless NULL. [any thread] */
bool work_pool_runs(struct work_pool *pool, uint64_t id, uint32_t *ret_image);

#endif
