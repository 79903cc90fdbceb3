/* Closing an epoch on one shard. The cut across shards goes by marks on the channels, not by a barrier (rule 5): what a
 * shard sent before it closed N and its receiver has not consumed when it closes N is logged by the receiver, in N,
 * even if it comes later. */
#include <stdlib.h>

#include "base/check.h"
#include "flow/counts/owed.h"
#include "flow/shard.h"

static void instances_redo(struct shard *shard) {
	enum { AHEAD = 16 }; /* an epoch of a large state touches more than a core keeps near */
	struct redo_series series = {.begun = false};
	for (size_t i = 0; i < shard->dirty_count; i++) {
		if (i + AHEAD < shard->dirty_count)
			instance_prefetch(shard->dirty[i + AHEAD]);
		struct instance *instance = shard->dirty[i];
		instance->flags &= (uint8_t)~INSTANCE_DIRTY;
		instance->dirty_epoch = shard->epoch;
		bool was = (instance->flags & INSTANCE_ROW) != 0;
		instance_redo(instance, &shard->redo, &series, &shard->scratch);
		bool is = (instance->flags & INSTANCE_ROW) != 0;
		if (is != was)
			schema_changes_add(&shard->schemas, instance->type, instance->schema, is ? 1 : -1);
	}
	shard->dirty_count = 0;
}

static void channel_redo(struct shard *shard, uint32_t source) {
	struct queue *channel = shard_channel(shard->flow, source, shard->index);
	enum queue_kind kind = QUEUE_CHANNEL;
	struct queue_head_row row = {.write = queue_head_row_plain, .arg = &kind};
	queue_trim(channel, &shard->redo, &row);
	queue_log(channel, shard->epoch, &shard->redo);
	shard_page_out(shard, channel, shard->epoch, &shard->redo);
}

static void seal_fill(struct shard *shard) {
	struct seal *seal = &shard->seal;
	seal->epoch = shard->epoch;
	seal->time_ms = shard->epoch_time_ms;
	check(seal->redo.size == 0 && seal->outputs.size == 0 && seal->places.size == 0);
	struct buf spare = seal->redo;
	seal->redo = shard->redo;
	shard->redo = spare;
	spare = seal->outputs;
	seal->outputs = shard->outputs;
	shard->outputs = spare;
	spare = seal->places;
	seal->places = shard->places;
	shard->places = spare;
	struct schema_changes changes = seal->schemas;
	check(changes.count == 0);
	seal->schemas = shard->schemas;
	shard->schemas = changes;
	check(seal->jobs == NULL);
	seal->jobs = shard->operations.asked;
	shard->operations.asked = NULL;
	shard->operations.asked_last = &shard->operations.asked;
	uint64_t now_ms = flow_clock_now(&shard->flow->clock);
	shard->counts.due = retry_due_ms(shard) <= now_ms || timers_next_ms(shard) <= now_ms;
	shard->counts.due_next_ms =
		retry_due_ms(shard) < timers_next_ms(shard) ? retry_due_ms(shard) : timers_next_ms(shard);
	shard->counts.cache_bytes = shard->cache.memory;
	tally_set(&shard->tally.cache_instances, shard->cache.used);
	tally_set(&shard->tally.cache_bytes, shard->cache.memory);
	tally_set(&shard->tally.cache_missed, shard->cache.missed);
	tally_set(&shard->tally.cache_evicted, shard->cache.evicted);
	seal->counts = shard->counts;
	seal->dead_gone = shard->dead_gone.greatest;
	shard->dead_gone.greatest = 0;
	seal->keys = shard->keyed.change;
	shard->keyed.change = 0;
	owed_seal(&shard->owed, &seal->owed, shard->flow->shards_count);
}

static void channels_mark(struct shard *shard) {
	struct flow *flow = shard->flow;
	for (uint32_t to = 0; to < flow->shards_count; to++)
		queue_mark(shard_channel(flow, shard->index, to), shard->epoch);
}

void epoch_close(struct shard *shard) {
	struct flow *flow = shard->flow;
	check(shard->recording == 0 && atomic_load(&shard->sealed) == shard->epoch - 1);
	channels_mark(shard);
	instances_redo(shard);
	entries_redo(shard);
	producers_redo(shard, shard->epoch);
	parks_redo(shard, &shard->redo, shard->epoch);
	retry_redo(shard, &shard->redo, shard->epoch);
	for (uint32_t source = 0; source < flow->shards_count; source++)
		channel_redo(shard, source);
	keyed_trim(shard);
	dead_trim(shard);
	seal_fill(shard);
	shard->epoch++;
	shard->epoch_start_us = 0;
	shard->epoch_messages = 0;
	shard->epoch_bytes = 0;
	shard->recording = flow->shards_count == 64 ? UINT64_MAX : (UINT64_C(1) << flow->shards_count) - 1;
	epoch_complete(shard);
}

void epoch_record(struct shard *shard, uint32_t source) {
	if ((shard->recording & UINT64_C(1) << source) == 0)
		return;
	struct queue *channel = shard_channel(shard->flow, source, shard->index);
	queue_log(channel, shard->seal.epoch, &shard->seal.redo);
	uint64_t limit = queue_limit(channel, shard->seal.epoch);
	if (limit != UINT64_MAX && (channel->logged.number >= limit || channel->head.number >= limit))
		shard->recording &= ~(UINT64_C(1) << source);
}

void epoch_complete(struct shard *shard) {
	if (atomic_load_explicit(&shard->sealed, memory_order_relaxed) >= shard->seal.epoch)
		return; /* not "nothing is recorded any more": a message at the head may have ended that (channel_peek) */
	for (uint32_t source = 0; source < shard->flow->shards_count; source++)
		epoch_record(shard, source);
	if (shard->recording != 0)
		return;
	atomic_store_explicit(&shard->sealed, shard->seal.epoch, memory_order_release);
	park_wake(&shard->flow->committer_park);
}
