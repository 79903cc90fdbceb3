/* The cut: when there is to be one, and who closes the epoch on each shard. */
#include "base/check.h"
#include "flow/epoch/commit_inside.h"

/* Closes on behalf of a shard that sleeps or is inside a plugin; one that runs does it itself. */
static void shard_cut(struct committer *committer, struct shard *shard, bool patient) {
	enum hold from = HOLD_IDLE;
	if (!hold_borrow(shard, HOLD_IDLE)) {
		if (patient || !hold_borrow(shard, HOLD_PLUGIN))
			return;
		from = HOLD_PLUGIN;
	}
	if (shard->epoch == committer->epoch && shard->recording == 0)
		epoch_close(shard);
	epoch_complete(shard);
	bool wake = atomic_exchange(&shard->stalled, false);
	wake |= shard->view != atomic_load_explicit(&shard->flow->view, memory_order_relaxed);
	atomic_store_explicit(&shard->hold, from, memory_order_release);
	if (wake)
		park_wake(&shard->park);
}

static bool shards_sealed(const struct committer *committer) {
	const struct flow *flow = committer->flow;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		if (atomic_load_explicit(&flow->shards[i]->sealed, memory_order_acquire) < committer->epoch)
			return false;
	}
	return true;
}

bool cut_wanted(const struct committer *committer) {
	if (atomic_load(&committer->flow->fence_asked) != NULL || atomic_load(&committer->rows.asked))
		return true;
	for (uint32_t i = 0; i < committer->flow->shards_count; i++) {
		if (atomic_load(&committer->flow->shards[i]->wants) >= committer->epoch)
			return true;
	}
	return false;
}

static uint64_t handed_behind(const struct committer *committer, uint64_t applied) {
	return committer->handed_bytes - committer->handed_at[applied % EPOCHS_BEHIND_MAX];
}

static bool must_wait(const struct committer *committer, const struct store_figures *figures) {
	const struct flow *flow = committer->flow;
	uint64_t applied = store_applied(flow->store);
	if (committer->epoch > applied + EPOCHS_BEHIND_MAX || store_pressed(flow->store))
		return true;
	if (figures->table_bytes > flow->config->memory_bytes / 10 * TABLES_MEMORY_TENTHS)
		return true;
	return committer->epoch > applied + 1 &&
		handed_behind(committer, applied) > flow->config->memory_bytes / BEHIND_MEMORY_PART;
}

bool committer_must_wait(const struct committer *committer) {
	struct store_figures figures;
	store_figures(committer->flow->store, &figures);
	return must_wait(committer, &figures);
}

/* Three quarters of what would make everybody wait. */
static bool store_strained(const struct committer *committer, const struct store_figures *figures) {
	const struct flow *flow = committer->flow;
	const uint64_t memory = flow->config->memory_bytes / 4 * 3;
	return figures->journal_untrimmed_bytes > figures->journal_bytes_max / 4 * 3 ||
		figures->table_bytes > memory / 10 * TABLES_MEMORY_TENTHS ||
		handed_behind(committer, store_applied(flow->store)) > memory / BEHIND_MEMORY_PART;
}

/* A fence stands at the epoch behind this one. Its view is published before the cut is asked for, so whoever opens the
 * epoch finds it; its rows go into this record, so nothing of that epoch is durable without them (rule 29). */
static void fence_place(struct committer *committer) {
	struct flow *flow = committer->flow;
	struct fence *fence = atomic_exchange(&flow->fence_asked, NULL);
	if (fence == NULL)
		return;
	check(committer->fence == NULL);
	fence->epoch = committer->epoch + 1;
	view_fence(fence->view, fence->epoch);
	for (size_t i = 0; fence->place != FENCE_NOWHERE && i < 8; i++)
		fence->redo.data[fence->place + i] = (uint8_t)(fence->epoch >> (56 - 8 * i));
	committer->fence = fence;
	atomic_store(&flow->view, fence->view);
}

bool cut_begin(struct committer *committer) {
	struct flow *flow = committer->flow;
	struct store_figures figures;
	if (atomic_load(&flow->failed) || !cut_wanted(committer) || gather_holds(&flow->gather))
		return false;
	store_figures(flow->store, &figures);
	if (must_wait(committer, &figures))
		return false;
	atomic_store_explicit(&flow->strained, store_strained(committer, &figures), memory_order_relaxed);
	fence_place(committer);
	atomic_store(&flow->cut, committer->epoch);
	committer->cut_us = monotonic_us();
	committer->state = COMMITTER_CUTTING;
	return true;
}

bool cut_seals(struct committer *committer) {
	struct flow *flow = committer->flow;
	bool patient = monotonic_us() - committer->cut_us < CUT_PATIENCE_US;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		if (atomic_load_explicit(&flow->shards[i]->sealed, memory_order_acquire) < committer->epoch)
			shard_cut(committer, flow->shards[i], patient);
	}
	return shards_sealed(committer);
}
