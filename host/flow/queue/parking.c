/* Messages whose type has no live version wait here, a queue a type, and keep their order: once something is parked,
 * later messages of that type go behind it. */
#include <stdlib.h>

#include "base/check.h"
#include "flow/shard.h"
#include "wire/pack.h"

struct queue *park_of(struct shard *shard, uint16_t type) {
	if (type >= shard->park_count) {
		size_t count = (size_t)type + 16;
		shard->parks = realloc(shard->parks, count * sizeof *shard->parks);
		check_memory(shard->parks);
		memset(shard->parks + shard->park_count, 0, (count - shard->park_count) * sizeof *shard->parks);
		shard->park_count = count;
	}
	if (shard->parks[type] == NULL) {
		struct queue *park = check_alloc(1, sizeof *park);
		queue_init(
			park, queue_id(QUEUE_PARK, shard->flow->layout, (uint16_t)shard->index, type), 0, &shard->queue_memory);
		shard->parks[type] = park;
	}
	return shard->parks[type];
}

bool park_waits(const struct shard *shard, uint16_t type) {
	return type < shard->park_count && shard->parks[type] != NULL && !queue_empty(shard->parks[type]);
}

void park_message(struct shard *shard, const uint8_t *at) {
	const struct message_head *head = (const struct message_head *)(const void *)at;
	struct queue *park = park_of(shard, head->type);
	struct message_head *copy = (struct message_head *)(void *)queue_reserve(park, head->size);
	memcpy(copy, head, head->size);
	queue_commit(park, head->size);
	queue_publish(park);
	shard->epoch_bytes += head->size;
	shard->epoch_messages++;
	atomic_fetch_add_explicit(&shard->flow->parked[head->type], 1, memory_order_relaxed);
}

static bool park_step(struct shard *shard, uint16_t type, int *budget) {
	struct queue *park = shard->parks[type];
	bool worked = false;
	while (*budget > 0 && !queue_empty(park) && shard_epoch_open(shard)) {
		if (!dispatch_parked(shard, park))
			return worked;
		queue_consume(park);
		atomic_fetch_sub_explicit(&shard->flow->parked[type], 1, memory_order_relaxed);
		worked = true;
		(*budget)--;
	}
	return worked;
}

bool parks_step(struct shard *shard, int *budget) {
	bool worked = false;
	bool left = false;
	for (size_t type = 0; type < shard->park_count; type++) {
		if (!park_waits(shard, (uint16_t)type) || !shard_binding_live(shard, (uint16_t)type))
			continue;
		worked |= park_step(shard, (uint16_t)type, budget);
		left |= park_waits(shard, (uint16_t)type);
	}
	shard->parks_live = left;
	return worked;
}

/* The value of a channel's or park's head row: [kind, head]. */
void queue_head_row_plain(void *arg, uint64_t head, struct buf *ret_value) {
	const enum queue_kind *kind = arg;
	pack_array(ret_value, 2);
	pack_uint(ret_value, *kind);
	pack_uint(ret_value, head);
}

void parks_redo(struct shard *shard, struct buf *redo, uint64_t epoch) {
	enum queue_kind kind = QUEUE_PARK;
	struct queue_head_row row = {.write = queue_head_row_plain, .arg = &kind};
	for (size_t type = 0; type < shard->park_count; type++) {
		struct queue *park = shard->parks[type];
		if (park == NULL)
			continue;
		queue_trim(park, redo, &row);
		queue_log(park, epoch, redo);
		shard_page_out(shard, park, epoch, redo);
	}
}

void shard_page_out(struct shard *shard, struct queue *queue, uint64_t epoch, struct buf *redo) {
	uint64_t before = atomic_load(&shard->queue_memory);
	if (before <= shard->flow->queue_bytes)
		return;
	queue_page_out(queue, store_applied(shard->flow->store), epoch, shard->flow->queue_bytes, redo);
	uint64_t after = atomic_load(&shard->queue_memory); /* others may have sent meanwhile */
	if (after < before)
		tally_add(&shard->tally.spilled_bytes, before - after);
}

void parks_finish(struct shard *shard) {
	for (size_t type = 0; type < shard->park_count; type++) {
		if (shard->parks[type] != NULL) {
			queue_finish(shard->parks[type]);
			free(shard->parks[type]);
		}
	}
	free(shard->parks);
}
