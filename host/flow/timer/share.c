#include "flow/timer/share.h"

#include "flow/shard.h"

/* Somebody outside waits, or did an epoch ago: a client that sends one call after the other leaves epochs without any. */
static bool serves(const struct shard *shard) {
	return shard->served_epoch + 1 >= shard->epoch ||
		atomic_load_explicit(&shard->input_pending, memory_order_relaxed) > 0;
}

static uint64_t sweep_share(const struct shard *shard, bool strained) {
	if (strained)
		return SWEEPS_STRAINED;
	return serves(shard) ? SWEEPS_BESIDE : UINT64_MAX;
}

bool sweep_share_take(struct shard *shard) {
	struct swept *swept = &shard->timers.swept;
	const bool strained = atomic_load_explicit(&shard->flow->strained, memory_order_relaxed);
	const uint64_t span = strained ? shard->turn_us / SWEEPS_STRAINED_US : shard->epoch;
	if (swept->span != span || swept->strained != strained)
		*swept = (struct swept){.span = span, .strained = strained};
	if (swept->count >= sweep_share(shard, strained))
		return false;
	swept->count++;
	return true;
}
