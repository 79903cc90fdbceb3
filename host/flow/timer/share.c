#include "flow/timer/share.h"

#include "flow/shard.h"

/* Somebody outside waits, or did an epoch ago: a client that sends one call after the other leaves epochs without any. */
static bool serves(const struct shard *shard) {
	return shard->served_epoch + 1 >= shard->epoch ||
		atomic_load_explicit(&shard->input_pending, memory_order_relaxed) > 0;
}

static uint64_t sweep_share(const struct shard *shard) {
	if (atomic_load_explicit(&shard->flow->strained, memory_order_relaxed))
		return SWEEPS_STRAINED;
	return serves(shard) ? SWEEPS_BESIDE : UINT64_MAX;
}

bool sweep_share_take(struct shard *shard) {
	struct timers *timers = &shard->timers;
	if (timers->swept_epoch != shard->epoch) {
		timers->swept_epoch = shard->epoch;
		timers->swept = 0;
	}
	if (timers->swept >= sweep_share(shard))
		return false;
	timers->swept++;
	return true;
}
