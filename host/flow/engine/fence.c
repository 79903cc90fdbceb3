/* Fences: a view that counts from an epoch on, and what is still owed by the versions before it. [loop thread] */
#include <stdlib.h>

#include "base/check.h"
#include "flow/counts/owed.h"
#include "flow/engine/inside.h"

void engine_fence(struct engine *engine, uint64_t token, const struct engine_fence *order) {
	struct flow *flow = &engine->flow;
	struct fence *fence = check_alloc(1, sizeof *fence);
	check(engine->fence == NULL && order->view->generation > engine->view->generation);
	*fence = (struct fence){.view = order->view, .place = FENCE_NOWHERE, .token = token};
	for (size_t i = 0; i < order->row_count; i++) {
		const struct engine_row *row = &order->rows[i];
		if (row->remove)
			redo_remove(&fence->redo, REDO_RUNTIME, row->key);
		else
			redo_put(&fence->redo, REDO_RUNTIME, row->key, row->value);
		if (i == order->fence_row && order->fence_offset != FENCE_NOWHERE)
			fence->place = fence->redo.size - row->value.size + order->fence_offset;
	}
	engine->fence = fence;
	atomic_store(&flow->fence_asked, fence);
	park_wake(&flow->committer_park);
}

void engine_fence_answered(struct engine *engine, uint64_t token) {
	struct fence *fence = engine->fence;
	if (fence == NULL || fence->token != token)
		return;
	struct old_view *old = check_alloc(1, sizeof *old);
	*old = (struct old_view){.next = engine->old_views, .view = engine->view};
	engine->old_views = old;
	engine->view = fence->view;
	engine->fence = NULL;
	free(fence);
}

void engine_fence_destroy(struct engine *engine) {
	if (engine->fence == NULL)
		return;
	buf_finish(&engine->fence->redo);
	view_destroy(engine->fence->view);
	free(engine->fence);
}

/* An epoch that begins after every shard has adopted the view must be durable before what is owed can be believed. */
static bool drain_settled(struct engine *engine, uint16_t type, uint64_t fence) {
	struct flow *flow = &engine->flow;
	if (engine_adopted(engine) < engine->view->generation)
		return false;
	if (engine->drain_fence[type] != fence) {
		engine->drain_fence[type] = fence;
		engine->drain_epoch[type] = atomic_load(&flow->cut) + 2;
	}
	if (atomic_load(&flow->durable) >= engine->drain_epoch[type])
		return true;
	atomic_store(&flow->shards[0]->wants, atomic_load(&flow->cut) + 1);
	park_wake(&flow->committer_park);
	return false;
}

static uint64_t owed_sum(const struct engine *engine, uint16_t type, uint8_t side) {
	uint64_t owed = 0;
	for (uint32_t shard = 0; shard < engine->flow.shards_count; shard++)
		owed += owed_of(&engine->flow, type, shard, side);
	return owed;
}

uint8_t engine_side_next(struct engine *engine, uint8_t side, const uint16_t *types, size_t count) {
	for (uint8_t step = 1; step < MESSAGE_SIDES; step++) {
		uint8_t next = (uint8_t)((side + step) % MESSAGE_SIDES);
		bool vacant = true;
		for (size_t i = 0; i < count; i++)
			vacant = vacant && owed_sum(engine, types[i], next) == 0;
		if (vacant)
			return next;
	}
	return side;
}

uint64_t engine_undecided_messages(struct engine *engine) {
	pthread_mutex_lock(&engine->committer.release_mutex);
	uint64_t messages = engine->committer.counts.undecided;
	pthread_mutex_unlock(&engine->committer.release_mutex);
	return messages;
}

void engine_waiting(
	struct engine *engine, uint16_t type, uint8_t side, uint64_t fence, struct engine_waiting *ret_waiting) {
	uint64_t owed = 0;
	for (uint8_t other = 0; other < MESSAGE_SIDES; other++)
		owed += other != side ? owed_sum(engine, type, other) : 0;
	bool settled = drain_settled(engine, type, fence);
	*ret_waiting = (struct engine_waiting){.messages = owed > 0 ? owed : settled ? 0 : 1};
}
