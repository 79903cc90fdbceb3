/* What layouts of another number of shards left goes into the queues of this one, message by message: parked before sent, newer
 * layouts before older ones, each sender's messages into the one channel that it will go on sending by. */
#include <stdlib.h>

#include "base/check.h"
#include "flow/flow.h"
#include "flow/queue/queue.h"
#include "flow/recover/recovery.h"
#include "flow/shard.h"
#include "state/key.h"

/* A sender's messages to one address stay in order: they stood in one old queue, and go to one new one. */
static void message_move(struct recovery *recovery, const uint8_t *at) {
	struct flow *flow = recovery->flow;
	struct message message;
	message_read(at, &message);
	const bool parked = queue_id_kind(recovery->queue_id) == QUEUE_PARK;
	if (!parked && message.head->birth_epoch >= recovery->birth_limit) {
		buf_append(&recovery->left, at, message.head->size);
		return;
	}
	const uint32_t to = message_shard(message.head->hash, flow->shards_count);
	uint32_t from = to;
	if (message.head->caller_type != 0)
		from = message_shard(flow_hash(flow, message.head->caller_type, message.caller_id), flow->shards_count);
	struct queue *queue = parked ? park_of(flow->shards[to], message.head->type) : shard_channel(flow, from, to);
	message_append(recovery, queue, to, at);
	if (parked)
		atomic_fetch_add(&flow->parked[message.head->type], 1);
	else
		flow->shards[to]->counts.channels_in++;
}

/* The first run of a queue is moved as a whole, so the head row goes with it. */
static bool queue_enter(struct recovery *recovery, uint64_t queue) {
	recovery->queue_id = queue;
	if (!queue_head_read(recovery, queue))
		return false;
	if (recovery->head_exists) {
		struct key key = key_queue_head(queue);
		redo_remove(&recovery->redo, REDO_RUNTIME, key_bytes(&key));
	}
	return true;
}

static bool run_move(struct recovery *recovery, const struct run *run) {
	if (recovery->queue_id != run->queue && !queue_enter(recovery, run->queue))
		return false;
	struct key key = key_queue_run(run->queue, run->first);
	buf_reset(&recovery->left);
	run_messages_each(recovery, run, message_move);
	if (recovery->left.size == 0)
		redo_remove(&recovery->redo, REDO_RUNTIME, key_bytes(&key));
	else if (recovery->left.size < run->messages.size)
		redo_put(&recovery->redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&recovery->left));
	return moved_commit_if_full(recovery);
}

static bool layout_move(struct recovery *recovery, enum queue_kind kind, uint32_t layout) {
	return queue_runs_each(recovery, queue_id(kind, layout, 0, 0), queue_id(kind, layout + 1, 0, 0), run_move);
}

/* One pass: of channels, what was born before the limit. */
static bool pass_move(struct recovery *recovery, uint64_t birth_limit) {
	uint32_t layout = recovery->flow->layout;
	recovery->birth_limit = birth_limit;
	recovery->queue_id = UINT64_MAX;
	for (;;) {
		if (!queue_layout_before(recovery, layout, &layout))
			return false;
		if (layout == 0)
			return moved_commit(recovery);
		if (!layout_move(recovery, QUEUE_PARK, layout) || !layout_move(recovery, QUEUE_CHANNEL, layout))
			return false;
	}
}

static int fence_compare(const void *a, const void *b) {
	const uint64_t one = *(const uint64_t *)a;
	const uint64_t other = *(const uint64_t *)b;
	return one < other ? -1 : one > other;
}

/* The epochs of all fences, and behind them the end of time; the caller frees them. */
static uint64_t *fences_list(const struct view *view, size_t *ret_count) {
	uint64_t *limits = check_alloc(view->binding_count + 1, sizeof *limits);
	size_t count = 0;
	for (size_t i = 1; i < view->binding_count; i++) {
		if (view->bindings[i].fence != 0)
			limits[count++] = view->bindings[i].fence;
	}
	qsort(limits, count, sizeof *limits, fence_compare);
	limits[count++] = UINT64_MAX;
	*ret_count = count;
	return limits;
}

/* Several old channels become one new one: there, what is behind a fence must not stand before what is in front of it, or
 * an address would go to the new version and back. So it goes in passes, from fence to fence. */
bool layouts_move(struct recovery *recovery) {
	uint32_t layout;
	if (!queue_layout_before(recovery, recovery->flow->layout, &layout))
		return false;
	if (layout == 0) /* as at most starts: no pass has anything to do */
		return true;
	size_t count;
	uint64_t *limits = fences_list(recovery->flow->shards[0]->view, &count);
	bool good = true;
	for (size_t i = 0; good && i < count; i++) {
		if (i == 0 || limits[i] != limits[i - 1])
			good = pass_move(recovery, limits[i]);
	}
	free(limits);
	return good;
}
