#include "flow/timer/share.h"

#include "flow/shard.h"

/* Somebody outside waits, or did an epoch ago: a client that sends one call after the other leaves epochs without any. */
static bool serves(const struct shard *shard) {
	return shard->served_epoch + 1 >= shard->epoch ||
		atomic_load_explicit(&shard->input_pending, memory_order_relaxed) > 0;
}

bool sweep_share_take(struct shard *shard) {
	struct swept *swept = &shard->timers.swept;
	const bool strained = atomic_load_explicit(&shard->flow->strained, memory_order_relaxed);
	const bool beside = serves(shard), timed = strained && beside;
	const uint64_t span = timed ? shard->turn_us / SWEEPS_STRAINED_US : shard->epoch;
	const uint64_t share = strained ? SWEEPS_STRAINED : beside ? SWEEPS_BESIDE : UINT64_MAX;
	if (swept->span != span || swept->timed != timed)
		*swept = (struct swept){.span = span, .timed = timed};
	if (swept->count >= share)
		return false;
	swept->count++;
	return true;
}
