#include "flow/recover/recover.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "flow/counts/owed.h"
#include "flow/flow.h"
#include "flow/operation/restore.h"
#include "flow/queue/queue.h"
#include "flow/recover/recovery.h"
#include "flow/shard.h"
#include "state/key.h"
#include "wire/pack.h"

enum { MOVE_EPOCH_BYTES = 1 << 20 /* of messages moved in one epoch */ };

void message_count(struct recovery *recovery, struct shard *shard, const uint8_t *at) {
	const struct message_head *head = (const struct message_head *)(const void *)at;
	if (head->operation != MESSAGE_ORDINARY)
		operations_restore(shard, at);
	shard->counts.born++;
	shard->counts.colour[head->flags & MESSAGE_COLOUR]++;
	recovery->messages++;
	if ((head->flags & MESSAGE_COUNTED) != 0)
		owed_add(&shard->owed, shard->flow, head, 1);
}

void message_append(struct recovery *recovery, struct queue *queue, uint32_t to, const uint8_t *at) {
	const struct message_head *head = (const struct message_head *)(const void *)at;
	memcpy(queue_reserve(queue, head->size), at, head->size);
	queue_commit(queue, head->size);
	queue_publish(queue);
	recovery->moved_bytes += head->size;
	message_count(recovery, recovery->flow->shards[to], at);
}

/* ---- epochs of recovery's own ---- */

static void queue_redo(struct recovery *recovery, struct shard *shard, struct queue *queue, uint64_t epoch) {
	struct flow *flow = recovery->flow;
	queue_publish(queue);
	queue_log(queue, epoch, &recovery->redo);
	if (atomic_load(&shard->queue_memory) > flow->queue_bytes)
		queue_page_out(queue, store_applied(flow->store), epoch, flow->queue_bytes, &recovery->redo);
}

static void queues_redo(struct recovery *recovery, uint64_t epoch) {
	struct flow *flow = recovery->flow;
	for (uint32_t to = 0; to < flow->shards_count; to++) {
		struct shard *shard = flow->shards[to];
		for (uint32_t from = 0; from < flow->shards_count; from++)
			queue_redo(recovery, shard, shard_channel(flow, from, to), epoch);
		for (size_t type = 0; type < shard->park_count; type++) {
			if (shard->parks[type] != NULL)
				queue_redo(recovery, shard, shard->parks[type], epoch);
		}
	}
}

/* No thread runs yet: the applier's turn is here, so that memory stays bounded whatever is moved. */
static bool applier_turn(struct recovery *recovery, uint64_t epoch) {
	struct store *store = recovery->flow->store;
	while ((store_applied(store) < epoch || committer_must_wait(recovery->committer)) &&
		!store_failed(store, recovery->error)) {
		if (!store_applier_step(store) && store_applied(store) >= epoch)
			break;
	}
	return !store_failed(store, recovery->error);
}

bool moved_commit(struct recovery *recovery) {
	struct flow *flow = recovery->flow;
	const uint64_t epoch = recovery->committer->epoch;
	if (recovery->redo.size == 0)
		return true;
	queues_redo(recovery, epoch);
	if (!committer_commit_now(recovery->committer, &recovery->redo, recovery->error))
		return false;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		flow->shards[i]->epoch = recovery->committer->epoch;
		atomic_store(&flow->shards[i]->sealed, recovery->committer->epoch - 1);
	}
	recovery->moved_bytes = 0;
	return applier_turn(recovery, epoch);
}

bool moved_commit_if_full(struct recovery *recovery) {
	return recovery->moved_bytes < MOVE_EPOCH_BYTES || moved_commit(recovery);
}

/* ---- operations ---- */

/* Nobody knows what came of an operation that was under way: its address is told so, behind what stands in its mailbox, before
 * anything new comes in. */
static bool unknown_send(void *arg, const uint8_t *result) {
	struct recovery *recovery = arg;
	struct flow *flow = recovery->flow;
	const struct message_head *head = (const struct message_head *)(const void *)result;
	const uint32_t to = message_shard(head->hash, flow->shards_count);
	message_append(recovery, shard_channel(flow, to, to), to, result);
	flow->shards[to]->counts.channels_in++;
	flow->shards[to]->counts.operations_unknown++;
	return moved_commit_if_full(recovery);
}

static bool operations_recover(struct recovery *recovery) {
	return operations_unknown_each(recovery->flow, &recovery->redo, unknown_send, recovery, recovery->error) &&
		moved_commit(recovery);
}

/* ---- the order ---- */

static void layout_redo(const struct flow *flow, struct buf *redo) {
	struct key key = key_of(KEY_LAYOUT);
	struct buf row = {0};
	pack_array(&row, 3);
	pack_uint(&row, flow->layout);
	pack_uint(&row, flow->shards_count);
	pack_uint(&row, flow->layout_epoch);
	redo_put(redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&row));
	buf_finish(&row);
}

/* Inputs wait until each shard has consumed what stood in its channels before. */
static void restored_mark(struct flow *flow) {
	for (uint32_t to = 0; to < flow->shards_count; to++) {
		struct shard *shard = flow->shards[to];
		shard->restored = check_alloc(flow->shards_count, sizeof *shard->restored);
		for (uint32_t from = 0; from < flow->shards_count; from++)
			shard->restored[from] = shard_channel(flow, from, to)->tail.number;
	}
	atomic_store(&flow->restoring, flow->shards_count);
}

static bool recovery_run(struct recovery *recovery, bool layout_changed, uint64_t *ret_restored) {
	if (!queues_restore(recovery))
		return false;
	*ret_restored = recovery->messages;
	if (layout_changed)
		layout_redo(recovery->flow, &recovery->redo);
	return layouts_move(recovery) && moved_commit(recovery) && operations_recover(recovery);
}

bool recover_queues(struct flow *flow, struct committer *committer, bool layout_changed, struct error *error) {
	struct recovery recovery = {.flow = flow, .committer = committer, .error = error};
	uint64_t restored;
	const bool good = recovery_run(&recovery, layout_changed, &restored);
	buf_finish(&recovery.redo);
	buf_finish(&recovery.left);
	buf_finish(&recovery.head_value);
	if (!good)
		return false;
	/* moved now, or by a start that ended before they were consumed */
	if (recovery.messages > restored || recovery.moved_before)
		restored_mark(flow);
	log_event(LOG_INFO, "mailboxes", "waiting=%llu moved=%llu layout=%u shards=%u",
		(unsigned long long)recovery.messages, (unsigned long long)(recovery.messages - restored), flow->layout,
		flow->shards_count);
	return true;
}
