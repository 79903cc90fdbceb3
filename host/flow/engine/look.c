/* A shard asks for a cut at the end of a turn. A call that takes its time has no such end in sight, and all that was done in the turn
 * before it, on the shards that it has in its epoch, would be told to nobody (rule 21). So the loop looks. */
#include "flow/engine/inside.h"

void engine_look(struct engine *engine) {
	struct flow *flow = &engine->flow;
	bool late = false;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		const struct shard *shard = flow->shards[i];
		const uint64_t calls = atomic_load_explicit(&shard->note->entries, memory_order_relaxed);
		late |= calls != engine->calls[i] && atomic_load_explicit(&shard->hold, memory_order_relaxed) == HOLD_PLUGIN;
		engine->calls[i] = calls; /* once for each call: nothing more happens on that shard until it ends */
	}
	if (!late)
		return;
	atomic_store(&flow->shards[0]->wants, atomic_load(&flow->cut) + 1);
	park_wake(&flow->committer_park);
}
