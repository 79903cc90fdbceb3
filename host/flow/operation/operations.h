/* The operations of the addresses of one shard, from their start until their result was handled. Each is a row 'O' until its
 * result comes, which becomes a message in the same epoch in which the row goes. In memory stands who has one under way,
 * some hundred bytes each; its metadata too only while there is room for it, else the row has it. Belongs to whoever holds
 * the shard; the loop thread may list them.
 *
 *   start ── row, durable ──▶ pool.h: work ── complete ──▶ arrivals ── operations_step ──▶ the result's message ──▶ on_result
 *                        └──▶ the plugin's own means ──┘ */
#ifndef HOST_FLOW_OPERATION_OPERATIONS_H
#define HOST_FLOW_OPERATION_OPERATIONS_H

#include <pthread.h>
#include <stdatomic.h>

#include "flow/operation/rows.h"

struct binding;
struct flow;
struct instance;
struct job;
struct shard;

/* An id says which shard has the operation; the rest rises over all lives of the host (TIMERS_PER_EPOCH_BITS). */
enum { OPERATION_SHARD_BITS = 6 };

struct operation {
	struct operation *next_id;      /* in its bucket, by id */
	struct operation *next_address; /* the same, by address */
	uint64_t id;
	uint64_t birth_epoch; /* of the message that started it: its version is that one's */
	uint64_t row_epoch;   /* in which its row is written */
	uint64_t since_ms;    /* time of the flow when it was started; of one that a restart has found: of that start */
	uint64_t started_us;  /* monotonic */
	uint32_t hash;        /* of the address */
	uint16_t type;
	uint8_t address_size;
	bool waits;        /* its address does */
	bool outside;      /* no work: the plugin's own means bring the result */
	_Atomic bool done; /* its result stands in a mailbox; changes while others look */
	uint8_t address[];
};

/* A result on its way to the shard. What follows `result` is the taker's to free. */
struct completion {
	struct completion *next;
	uint64_t id;
	uint32_t status;
	struct buf asked; /* the message that asked, if whoever worked had it; else empty */
	struct buf result;
};

struct operations {
	pthread_mutex_t mutex; /* over the tables, for whoever lists them */
	struct operation **by_id;
	struct operation **by_address;
	size_t bucket_count; /* a power of two; 0: none yet */
	size_t count;
	uint64_t next;           /* of ids */
	_Atomic uint64_t memory; /* bytes of messages that stand in jobs */

	/* asked for in the open epoch, in order: the seal takes them, and the pool when they are durable */
	struct job *asked;
	struct job **asked_last;

	_Atomic(struct completion *) arrivals; /* a stack: [any thread] pushes */
	struct completion *taken;              /* off it, in order */
	bool unread;                           /* a row that the first one needs is not in the tables yet */
};

void operations_init(struct operations *operations, uint64_t incarnation, uint32_t shard);
void operations_finish(struct operations *operations);

/* ---- effects, in the open epoch ---- */

/* A new id. Whether something comes of it shows at the end of the invocation. */
uint64_t operations_id(struct shard *shard);

/* message: whole and born. outside: nobody works for it. */
void operations_start(struct shard *shard, uint64_t id, const struct message_head *message, bool outside);

/* ---- a turn ---- */

/* Results that have arrived become messages; false if none did. */
bool operations_step(struct shard *shard, int *budget);

/* The result was handled, for good: its address goes on. */
void operations_handled(struct shard *shard, const struct message *message);

/* True if the message must wait for results of its address: one that the address waits for, or, behind a fence, any that a
 * version before it will handle. */
bool operations_hold_back(const struct shard *shard, const struct binding *binding, const struct message *message);

static inline bool operations_hold(const struct operations *operations, const struct shard *shard,
	const struct binding *binding, const struct message *message) {
	return __builtin_expect(operations->count > 0, 0) && operations_hold_back(shard, binding, message);
}

/* ---- completing [any thread] ---- */

/* Takes over what `result` and `asked` hold. */
void operations_complete(struct flow *flow, uint64_t id, uint32_t status, struct buf *result, struct buf *asked);

/* ---- recovery ---- */

/* A result that stood in a mailbox: its operation is under way again until that is handled. */
void operations_restore(struct shard *shard, const uint8_t *at);

/* ---- listing [any thread] ---- */

/* Calls each() for every operation of the shard. */
void operations_each(
	struct operations *operations, void (*each)(void *arg, const struct operation *operation), void *arg);

/* The same for those of one address. */
void operations_of(struct operations *operations, uint32_t hash, uint16_t type, struct bytes id,
	void (*each)(void *arg, const struct operation *operation), void *arg);

static inline struct bytes operation_address(const struct operation *operation) {
	return bytes_of(operation->address, operation->address_size);
}

#endif
