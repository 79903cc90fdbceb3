#include "flow/queue/queue.h"

#include <stdlib.h>

#include "base/check.h"
#include "limits.h"
#include "state/key.h"

enum {
	CHUNK_FIRST_BYTES = 512, /* a wait holds few messages; a busy queue reaches QUEUE_CHUNK_BYTES in four steps */
	CHUNK_RUNS_MAX = 8,      /* more rows than this in one chunk become one row when it is paged out */
};

/* ---- chunks ---- */

static struct queue_chunk *chunk_create(struct queue *queue, uint32_t capacity, bool with_data) {
	struct queue_chunk *chunk = check_alloc(1, sizeof *chunk);
	chunk->capacity = capacity;
	if (with_data) {
		chunk->data = malloc(capacity);
		check_memory(chunk->data);
		atomic_fetch_add_explicit(queue->memory, capacity, memory_order_relaxed);
	}
	return chunk;
}

static void chunk_data_free(struct queue *queue, struct queue_chunk *chunk) {
	if (chunk->data == NULL)
		return;
	free(chunk->data);
	chunk->data = NULL;
	atomic_fetch_sub_explicit(queue->memory, chunk->capacity, memory_order_relaxed);
}

static void chunk_destroy(struct queue *queue, struct queue_chunk *chunk) {
	chunk_data_free(queue, chunk);
	free(chunk->runs);
	free(chunk);
}

static struct queue_chunk *chunk_next(const struct queue_chunk *chunk) {
	return atomic_load_explicit(&chunk->next, memory_order_acquire);
}

static uint32_t chunk_used(const struct queue_chunk *chunk) {
	return atomic_load_explicit(&chunk->used, memory_order_acquire);
}

static void chunk_run_add(struct queue_chunk *chunk, const struct queue_run *run) {
	if (chunk->run_count == chunk->run_capacity) {
		chunk->run_capacity = chunk->run_capacity == 0 ? 1 : chunk->run_capacity * 2;
		chunk->runs = realloc(chunk->runs, chunk->run_capacity * sizeof *chunk->runs);
		check_memory(chunk->runs);
	}
	chunk->runs[chunk->run_count++] = *run;
}

static bool run_read(
	struct store *store, uint64_t queue, const struct queue_run *run, struct buf *data, struct error *error) {
	struct key key = key_queue_run(queue, run->first);
	size_t before = data->size;
	int found = store_get(store, REDO_RUNTIME, key_bytes(&key), data, error);
	if (found < 0)
		return false;
	if (found == 0 || data->size - before != run->bytes)
		return error_set(error, ERROR_STORE_FAILED,
			"waiting messages %llu of queue %llx are not in the store as they were logged",
			(unsigned long long)run->first, (unsigned long long)queue);
	return true;
}

static bool chunk_page_in(struct queue *queue, struct queue_chunk *chunk, struct store *store, struct error *error) {
	struct buf data = {0};
	buf_reserve(&data, chunk->capacity);
	for (uint32_t i = 0; i < chunk->run_count; i++) {
		if (!run_read(store, queue->id, &chunk->runs[i], &data, error)) {
			buf_finish(&data);
			return false;
		}
	}
	check(data.size == chunk_used(chunk));
	chunk->data = data.data;
	atomic_fetch_add_explicit(queue->memory, chunk->capacity, memory_order_relaxed);
	return true;
}

/* ---- life ---- */

void queue_init(struct queue *queue, uint64_t id, uint64_t first_number, _Atomic uint64_t *memory) {
	*queue = (struct queue){.id = id, .memory = memory, .next_capacity = CHUNK_FIRST_BYTES, .head_row = UINT64_MAX};
	struct queue_chunk *chunk = chunk_create(queue, CHUNK_FIRST_BYTES, true);
	queue->tail = (struct queue_cursor){.chunk = chunk, .number = first_number};
	queue->head = queue->tail;
	queue->logged = queue->tail;
}

void queue_finish(struct queue *queue) {
	struct queue_chunk *chunk = queue->head.chunk;
	while (chunk != NULL) {
		struct queue_chunk *next = chunk_next(chunk);
		chunk_destroy(queue, chunk);
		chunk = next;
	}
	buf_finish(&queue->gone);
}

/* ---- writer ---- */

static void tail_extend(struct queue *queue, uint32_t size) {
	if (queue->next_capacity < QUEUE_CHUNK_BYTES)
		queue->next_capacity *= 4;
	if (queue->next_capacity > QUEUE_CHUNK_BYTES)
		queue->next_capacity = (uint32_t)QUEUE_CHUNK_BYTES;
	uint32_t capacity = size > queue->next_capacity ? size : queue->next_capacity;
	struct queue_chunk *chunk = chunk_create(queue, capacity, true);
	struct queue_chunk *full = queue->tail.chunk;
	queue_publish(queue);
	queue->tail.chunk = chunk;
	queue->tail.offset = 0;
	atomic_store_explicit(&full->next, chunk, memory_order_release);
}

uint8_t *queue_reserve(struct queue *queue, uint32_t size) {
	check(size % 8 == 0);
	if (queue->tail.chunk->capacity - queue->tail.offset < size)
		tail_extend(queue, size);
	return queue->tail.chunk->data + queue->tail.offset;
}

void queue_commit(struct queue *queue, uint32_t size) {
	queue->tail.offset += size;
	queue->tail.number++;
}

void queue_mark(struct queue *queue, uint64_t epoch) {
	queue_publish(queue);
	queue->marks[epoch % QUEUE_MARKS] = queue->tail.number;
	atomic_store_explicit(&queue->marked, epoch, memory_order_release);
}

/* ---- reader: the head ---- */

/* Moves a cursor that stands at the end of a full chunk into the next one. False: nothing behind it is visible. */
static bool cursor_settle(struct queue_cursor *cursor) {
	for (;;) {
		/* next before used: once next is set, used is final */
		struct queue_chunk *next = chunk_next(cursor->chunk);
		if (cursor->offset < chunk_used(cursor->chunk))
			return true;
		if (next == NULL)
			return false;
		cursor->chunk = next;
		cursor->offset = 0;
	}
}

static void head_leave(struct queue *queue, struct queue_chunk *to) {
	while (queue->head.chunk != to) {
		struct queue_chunk *left = queue->head.chunk;
		queue->head.chunk = chunk_next(left);
		queue->head.offset = 0;
		for (uint32_t i = 0; i < left->run_count; i++)
			buf_append(&queue->gone, &left->runs[i].first, sizeof left->runs[i].first);
		if (queue->logged.chunk == left)
			queue->logged = queue->head;
		if (queue->page == left)
			queue->page = NULL;
		chunk_destroy(queue, left);
	}
	if (queue->page == queue->head.chunk)
		queue->page = NULL;
}

const uint8_t *queue_peek(struct queue *queue, struct store *store, bool *ret_failed, struct error *error) {
	const struct queue_chunk *chunk = queue->head.chunk;
	if (chunk->data != NULL && queue->head.offset < chunk_used(chunk))
		return chunk->data + queue->head.offset;
	struct queue_cursor at = queue->head;
	if (!cursor_settle(&at))
		return NULL;
	if (at.chunk != queue->head.chunk)
		head_leave(queue, at.chunk);
	if (at.chunk->data == NULL && !chunk_page_in(queue, at.chunk, store, error)) {
		*ret_failed = true;
		return NULL;
	}
	return at.chunk->data + queue->head.offset;
}

static uint32_t message_size_at(const struct queue_cursor *cursor) {
	const struct message_head *head = (const struct message_head *)(const void *)(cursor->chunk->data + cursor->offset);
	return head->size;
}

size_t queue_ahead(const struct queue *queue, const struct message_head **ret_heads, size_t max) {
	const struct queue_chunk *chunk = queue->head.chunk;
	uint32_t used = chunk->data == NULL ? 0 : chunk_used(chunk);
	uint32_t offset = queue->head.offset;
	size_t count = 0;
	while (count < max && offset < used) {
		ret_heads[count] = (const struct message_head *)(const void *)(chunk->data + offset);
		offset += ret_heads[count++]->size;
	}
	return count;
}

bool queue_empty(const struct queue *queue) {
	struct queue_cursor at = queue->head;
	return !cursor_settle(&at);
}

/* ---- reader: making it durable ---- */

/* Logs from the logged cursor to the end of its chunk, at most up to the writer's mark. False: nothing was logged. */
static bool chunk_log(struct queue *queue, uint64_t epoch, struct buf *redo) {
	struct queue_cursor *at = &queue->logged;
	struct queue_chunk *chunk = at->chunk;
	uint32_t used = chunk_used(chunk);
	/* after `used`: what was published behind the mark shows the mark, too */
	uint64_t limit = queue_limit(queue, epoch);
	struct queue_run run = {.first = at->number, .epoch = epoch};
	uint32_t start = at->offset;
	while (at->offset < used && at->number < limit) {
		at->offset += message_size_at(at);
		at->number++;
	}
	run.count = (uint32_t)(at->number - run.first);
	run.bytes = at->offset - start;
	if (run.count == 0)
		return false;
	struct key key = key_queue_run(queue->id, run.first);
	redo_put(redo, REDO_RUNTIME, key_bytes(&key), bytes_of(chunk->data + start, run.bytes));
	chunk_run_add(chunk, &run);
	queue->runs++;
	return true;
}

void queue_log(struct queue *queue, uint64_t epoch, struct buf *redo) {
	if (queue->logged.number < queue->head.number)
		queue->logged = queue->head;
	while (cursor_settle(&queue->logged) && chunk_log(queue, epoch, redo)) {
	}
}

static void run_remove(struct queue *queue, uint64_t first, struct buf *redo) {
	struct key key = key_queue_run(queue->id, first);
	redo_remove(redo, REDO_RUNTIME, key_bytes(&key));
	queue->runs--;
}

static void gone_remove(struct queue *queue, struct buf *redo) {
	for (size_t at = 0; at < queue->gone.size; at += sizeof(uint64_t)) {
		uint64_t first;
		memcpy(&first, queue->gone.data + at, sizeof first);
		run_remove(queue, first, redo);
	}
	buf_reset(&queue->gone);
}

static void consumed_remove(struct queue *queue, struct buf *redo) {
	struct queue_chunk *chunk = queue->head.chunk;
	uint32_t consumed = 0;
	while (
		consumed < chunk->run_count && chunk->runs[consumed].first + chunk->runs[consumed].count <= queue->head.number)
		run_remove(queue, chunk->runs[consumed++].first, redo);
	if (consumed > 0) {
		chunk->run_count -= consumed;
		memmove(chunk->runs, chunk->runs + consumed, chunk->run_count * sizeof *chunk->runs);
	}
}

static void head_row_put(struct queue *queue, struct buf *redo, const struct queue_head_row *head_row) {
	struct key key = key_queue_head(queue->id);
	struct buf value = {0};
	head_row->write(head_row->arg, queue->head.number, &value);
	redo_put(redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&value));
	buf_finish(&value);
	queue->head_row = queue->head.number;
}

static void head_row_remove(struct queue *queue, struct buf *redo) {
	if (queue->head_row == UINT64_MAX)
		return;
	struct key key = key_queue_head(queue->id);
	redo_remove(redo, REDO_RUNTIME, key_bytes(&key));
	queue->head_row = UINT64_MAX;
}

void queue_trim(struct queue *queue, struct buf *redo, const struct queue_head_row *head_row) {
	gone_remove(queue, redo);
	consumed_remove(queue, redo);
	const struct queue_chunk *chunk = queue->head.chunk;
	bool within = chunk->run_count > 0 && chunk->runs[0].first < queue->head.number;
	if (head_row->always || (within && queue->head_row != queue->head.number))
		head_row_put(queue, redo, head_row);
	else if (!within)
		head_row_remove(queue, redo);
}

void queue_drop_rows(struct queue *queue, struct buf *redo) {
	gone_remove(queue, redo);
	for (struct queue_chunk *chunk = queue->head.chunk; chunk != NULL; chunk = chunk_next(chunk)) {
		for (uint32_t i = 0; i < chunk->run_count; i++)
			run_remove(queue, chunk->runs[i].first, redo);
		chunk->run_count = 0;
	}
	check(queue->runs == 0);
	head_row_remove(queue, redo);
}

/* ---- reader: paging out ---- */

/* One row instead of many small ones; it takes the key of the first. */
static void chunk_join_rows(struct queue *queue, struct queue_chunk *chunk, uint64_t epoch, struct buf *redo) {
	struct queue_run joined = {.first = chunk->runs[0].first, .epoch = epoch, .bytes = chunk_used(chunk)};
	joined.count = chunk->runs[0].count;
	for (uint32_t i = 1; i < chunk->run_count; i++) {
		joined.count += chunk->runs[i].count;
		run_remove(queue, chunk->runs[i].first, redo);
	}
	struct key key = key_queue_run(queue->id, joined.first);
	redo_put(redo, REDO_RUNTIME, key_bytes(&key), bytes_of(chunk->data, joined.bytes));
	chunk->runs[0] = joined;
	chunk->run_count = 1;
}

static bool chunk_rows_applied(const struct queue_chunk *chunk, uint64_t applied) {
	uint32_t covered = 0;
	for (uint32_t i = 0; i < chunk->run_count; i++) {
		if (chunk->runs[i].epoch > applied)
			return false;
		covered += chunk->runs[i].bytes;
	}
	check(covered == chunk_used(chunk)); /* what is let go stands in rows, all of it */
	return true;
}

void queue_page_out(struct queue *queue, uint64_t applied, uint64_t epoch, uint64_t memory_goal, struct buf *redo) {
	if (queue->logged.chunk == queue->head.chunk)
		return; /* nothing behind the head chunk is logged */
	struct queue_chunk *chunk = queue->page != NULL ? queue->page : chunk_next(queue->head.chunk);
	while (chunk != NULL && chunk != queue->logged.chunk && chunk_next(chunk) != NULL &&
		atomic_load_explicit(queue->memory, memory_order_relaxed) > memory_goal) {
		if (chunk->data != NULL) {
			if (!chunk_rows_applied(chunk, applied))
				break;
			if (chunk->run_count > CHUNK_RUNS_MAX) {
				chunk_join_rows(queue, chunk, epoch, redo);
				break;
			}
			chunk_data_free(queue, chunk);
		}
		chunk = chunk_next(chunk);
	}
	queue->page = chunk;
}

/* ---- recovery ---- */

void queue_restore_run(struct queue *queue, const struct queue_run *run) {
	struct queue_chunk *chunk = chunk_create(queue, run->bytes, false);
	chunk_run_add(chunk, run);
	queue->runs++;
	atomic_store_explicit(&chunk->used, run->bytes, memory_order_relaxed);
	struct queue_chunk *last = queue->tail.chunk;
	if (chunk_used(last) == 0) { /* the chunk of queue_init: nothing was before this run */
		check(last == queue->head.chunk);
		chunk_destroy(queue, last);
		queue->head = (struct queue_cursor){.chunk = chunk, .number = run->first};
		queue->logged = queue->head;
	} else {
		atomic_store_explicit(&last->next, chunk, memory_order_release);
	}
	queue->tail = (struct queue_cursor){.chunk = chunk, .offset = run->bytes, .number = run->first + run->count};
}

bool queue_restore_end(
	struct queue *queue, uint64_t head, bool head_row_exists, struct store *store, struct error *error) {
	queue->head_row = head_row_exists ? head : UINT64_MAX;
	if (queue->runs == 0)
		return true;
	if (head < queue->head.number || head >= queue->tail.number)
		return error_set(error, ERROR_STORE_FAILED, "the head of queue %llx does not fit its rows: run sofund --verify",
			(unsigned long long)queue->id);
	tail_extend(queue, 0);
	queue->logged = queue->tail;
	bool failed = false;
	while (queue->head.number < head) {
		if (queue_peek(queue, store, &failed, error) == NULL)
			return false;
		queue_consume(queue);
	}
	return true;
}
