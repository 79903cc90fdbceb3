/* Queues of this layout become channels, parks and waits again, where they stood; their messages stay in the store until they
 * are wanted, and are only counted. */
#include "flow/flow.h"
#include "flow/queue/queue.h"
#include "flow/recover/recovery.h"
#include "flow/shard.h"

/* A wait belongs to an address, which has it from now on. */
static bool wait_begin(struct recovery *recovery) {
	struct flow *flow = recovery->flow;
	const struct wait_row *head = &recovery->head;
	if (!recovery->head_exists || head->type == 0)
		return recovery_malformed(recovery->error, "a queue of retries without its head row");
	const uint64_t serial = recovery->queue_id & 0xffffffffffffffu;
	if (serial >= atomic_load(&flow->wait_next))
		atomic_store(&flow->wait_next, serial + 1);
	struct bytes id = head->id;
	const uint32_t hash = flow_hash(flow, (uint16_t)head->type, id);
	struct shard *shard = flow->shards[message_shard(hash, flow->shards_count)];
	const struct view *view = shard->view;
	uint32_t value_count = 0;
	uint32_t schema = 1;
	if (head->type < view->binding_count) {
		const struct binding *binding = &view->bindings[head->type];
		const struct version *version = binding_version(binding, 0, id);
		value_count = binding->value_count;
		if (version != NULL)
			schema = version->schema;
	}
	struct instance *instance = cache_get(&shard->cache, flow->store, hash, (uint16_t)head->type, id, value_count,
		schema, ROOM_NONE, UINT64_MAX, recovery->error);
	if (instance == NULL)
		return false;
	recovery->shard = shard;
	recovery->queue = &retry_restore(shard, instance, head, recovery->queue_id)->queue;
	return true;
}

static bool channel_begin(struct recovery *recovery, uint16_t from, uint16_t to) {
	struct flow *flow = recovery->flow;
	if (from >= flow->shards_count || to >= flow->shards_count)
		return recovery_malformed(recovery->error, "a channel");
	recovery->shard = flow->shards[to];
	recovery->queue = shard_channel(flow, from, to);
	return true;
}

static bool park_begin(struct recovery *recovery, uint16_t shard, uint16_t type) {
	if (shard >= recovery->flow->shards_count)
		return recovery_malformed(recovery->error, "a park");
	recovery->shard = recovery->flow->shards[shard];
	recovery->queue = park_of(recovery->shard, type);
	return true;
}

static bool queue_begin(struct recovery *recovery, uint64_t id) {
	const uint16_t from = (uint16_t)(id >> 16), to = (uint16_t)id;
	recovery->queue_id = id;
	if (!queue_head_read(recovery, id))
		return false;
	switch (queue_id_kind(id)) {
	case QUEUE_WAIT:
		return wait_begin(recovery);
	case QUEUE_CHANNEL:
		return channel_begin(recovery, from, to);
	case QUEUE_PARK:
		return park_begin(recovery, from, to);
	case QUEUE_WAIT_AHEAD: /* its id is that of a wait */
		break;
	}
	return recovery_malformed(recovery->error, "a queue of an unknown kind");
}

static bool queue_end(struct recovery *recovery) {
	if (recovery->queue == NULL)
		return true;
	const uint64_t head = recovery->head_exists ? recovery->head.head : recovery->queue->head.number;
	const bool good =
		queue_restore_end(recovery->queue, head, recovery->head_exists, recovery->flow->store, recovery->error);
	recovery->queue = NULL;
	return good;
}

static void restored_count(struct recovery *recovery, const uint8_t *at) {
	const struct message_head *head = (const struct message_head *)(const void *)at;
	struct counts *counts = &recovery->shard->counts;
	message_count(recovery, recovery->shard, at);
	if (queue_id_kind(recovery->queue_id) == QUEUE_CHANNEL) {
		counts->channels_in++;
		recovery->moved_before |= head->birth_epoch < recovery->flow->layout_epoch;
	}
	if (queue_id_kind(recovery->queue_id) == QUEUE_WAIT && recovery->head.undecided != 0)
		counts->undecided++;
	if (queue_id_kind(recovery->queue_id) == QUEUE_PARK)
		atomic_fetch_add(&recovery->flow->parked[head->type], 1);
}

static bool run_restore(struct recovery *recovery, const struct run *run) {
	const bool same = recovery->queue != NULL && recovery->queue_id == run->queue;
	if (!same && (!queue_end(recovery) || !queue_begin(recovery, run->queue)))
		return false;
	const struct queue_run row = {.first = run->first, .count = run->count, .bytes = (uint32_t)run->messages.size};
	queue_restore_run(recovery->queue, &row);
	run_messages_each(recovery, run, restored_count);
	return true;
}

static bool layout_restore(struct recovery *recovery, enum queue_kind kind) {
	const uint32_t layout = recovery->flow->layout;
	return queue_runs_each(recovery, queue_id(kind, layout, 0, 0), queue_id(kind, layout + 1, 0, 0), run_restore) &&
		queue_end(recovery);
}

bool queues_restore(struct recovery *recovery) {
	recovery->queue_id = UINT64_MAX;
	return queue_runs_each(recovery, queue_wait_id(0), queue_wait_id(0) + (UINT64_C(1) << 56), run_restore) &&
		queue_end(recovery) && layout_restore(recovery, QUEUE_PARK) && layout_restore(recovery, QUEUE_CHANNEL);
}
