/* A queue of waiting messages: a FIFO of chunks that one thread fills and one empties. There are three kinds: a channel
 * (what one shard sends to another, or to itself), a park (what waits for a live version of its type), and a wait (what
 * waits behind a message in backoff). All become durable in the same way and all spill in the same way.
 *
 * Durably a queue is a set of runs, rows 'Q' queue first → messages back to back, and a head row 'H' (below) once some
 * but not all messages of the first run are consumed. Only what stands unconsumed at a cut is ever logged.
 *
 *   writer  queue_reserve + queue_commit, queue_publish, queue_mark        one thread
 *   reader  everything else                                                whoever holds the reading shard
 *
 * Memory: a chunk that is logged, and whose rows the store can give back, may be paged out (rule 23). */
#ifndef HOST_FLOW_QUEUE_QUEUE_H
#define HOST_FLOW_QUEUE_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "flow/message.h"
#include "state/store.h"

enum queue_kind {
	QUEUE_CHANNEL = 1,
	QUEUE_PARK = 2,
	QUEUE_WAIT = 3,
	QUEUE_WAIT_AHEAD = 4, /* only in a head row: a wait of results, ahead of the other one of its address */
};

/* A durable row: messages [first, first + count) of the queue. */
struct queue_run {
	uint64_t first;
	uint64_t epoch; /* that logged it */
	uint32_t count;
	uint32_t bytes;
};

struct queue_chunk {
	_Atomic(struct queue_chunk *) next; /* set once this one is full: then `used` is final */
	_Atomic uint32_t used;              /* published bytes */
	uint32_t capacity;
	uint8_t *data; /* NULL: paged out */
	/* the reader's */
	struct queue_run *runs; /* rows that cover this chunk, in order */
	uint32_t run_count;
	uint32_t run_capacity;
};

struct queue_cursor {
	struct queue_chunk *chunk;
	uint32_t offset;
	uint64_t number; /* of the message at the cursor */
};

enum { QUEUE_MARKS = 4 }; /* at most two epochs are in flight; a power of two */

struct queue {
	uint64_t id;
	_Atomic uint64_t *memory; /* bytes of chunks, counted for the reading shard */

	/* the writer's */
	struct queue_cursor tail;
	uint32_t next_capacity;

	/* from writer to reader: the tail when the writer closed epoch N, valid once marked >= N */
	uint64_t marks[QUEUE_MARKS];
	_Atomic uint64_t marked;

	/* the reader's */
	struct queue_cursor head;
	struct queue_cursor logged; /* everything before it is durable or consumed */
	struct queue_chunk *page;   /* the next candidate for paging out; NULL: the one behind head */
	uint64_t head_row;          /* head number in the durable head row; UINT64_MAX: no row */
	uint64_t runs;              /* live rows */
	struct buf gone;            /* first numbers of rows whose chunk was left since the last trim */
};

/* id of the channel or park between two parties; waits get a serial number. Part of the key on disk. */
static inline uint64_t queue_id(enum queue_kind kind, uint32_t layout, uint16_t from, uint16_t to) {
	return (uint64_t)kind << 56 | (uint64_t)(layout & 0xffffff) << 32 | (uint64_t)from << 16 | to;
}

static inline uint64_t queue_wait_id(uint64_t serial) {
	return (uint64_t)QUEUE_WAIT << 56 | serial;
}

static inline enum queue_kind queue_id_kind(uint64_t id) {
	return (enum queue_kind)(id >> 56);
}

static inline uint32_t queue_id_layout(uint64_t id) {
	return (uint32_t)(id >> 32) & 0xffffff;
}

void queue_init(struct queue *queue, uint64_t id, uint64_t first_number, _Atomic uint64_t *memory);
void queue_finish(struct queue *queue);

/* ---- writer ---- */

/* Room for one message of `size` bytes at the tail, 8-aligned; not visible before queue_commit and queue_publish. */
uint8_t *queue_reserve(struct queue *queue, uint32_t size);
void queue_commit(struct queue *queue, uint32_t size);

static inline void queue_publish(struct queue *queue) {
	atomic_store_explicit(&queue->tail.chunk->used, queue->tail.offset, memory_order_release);
}

/* Publishes, then states that all written so far was sent in `epoch` or before. */
void queue_mark(struct queue *queue, uint64_t epoch);

/* ---- reader ---- */

/* The message at the head, NULL if none is visible. Fetches a paged-out chunk from the store: on failure NULL and
 * *ret_failed. */
const uint8_t *queue_peek(struct queue *queue, struct store *store, bool *ret_failed, struct error *error);

/* Goes past the message at the head. */
static inline void queue_consume(struct queue *queue) {
	const uint8_t *at = queue->head.chunk->data + queue->head.offset;
	queue->head.offset += ((const struct message_head *)(const void *)at)->size;
	queue->head.number++;
}

/* The messages at the head, as many as are visible in its chunk and in memory, at most `max`: to look at, for nothing is
 * fetched. */
size_t queue_ahead(const struct queue *queue, const struct message_head **ret_heads, size_t max);

/* The number the head may not reach in `epoch`, if the writer has closed it; UINT64_MAX if it has not. */
static inline uint64_t queue_limit(const struct queue *queue, uint64_t epoch) {
	if (atomic_load_explicit(&queue->marked, memory_order_acquire) < epoch)
		return UINT64_MAX;
	return queue->marks[epoch % QUEUE_MARKS];
}

/* True if nothing is visible at the head. */
bool queue_empty(const struct queue *queue);

/* Messages that stand in it, by its one holder. */
static inline uint64_t queue_count(const struct queue *queue) {
	return queue->tail.number - queue->head.number;
}

/* Logs what is visible, unconsumed and not logged yet, as rows of `epoch`: up to the writer's mark of that epoch, if it
 * has one already. */
void queue_log(struct queue *queue, uint64_t epoch, struct buf *redo);

/* Removes rows whose messages are all consumed, and keeps the head row true: it is needed while some messages of the
 * first row are consumed, or always (a wait). head_row() writes the row's value. */
struct queue_head_row {
	bool always; /* write it now, whatever the head */
	void (*write)(void *arg, uint64_t head, struct buf *ret_value);
	void *arg;
};
void queue_trim(struct queue *queue, struct buf *redo, const struct queue_head_row *head_row);

/* Removes every row of the queue, which is empty and goes away. */
void queue_drop_rows(struct queue *queue, struct buf *redo);

/* Frees the memory of logged chunks behind the head; rows of epochs up to `applied` can be read back. Chunks with many
 * small rows get one row instead, logged in `epoch`. Stops when memory is at or below `memory_goal`. */
void queue_page_out(struct queue *queue, uint64_t applied, uint64_t epoch, uint64_t memory_goal, struct buf *redo);

/* Recovery: adds a row read from the store behind those already there; its bytes stay in the store. */
void queue_restore_run(struct queue *queue, const struct queue_run *run);
/* Recovery: after the last run; goes to message `head`, and opens a new chunk for the writer. What was restored counts
 * as logged. */
bool queue_restore_end(
	struct queue *queue, uint64_t head, bool head_row_exists, struct store *store, struct error *error);

#endif
