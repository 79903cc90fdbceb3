/* The metrics' view of the engine: what shards and committer have counted. */
#include "flow/engine/figures.h"

#include "base/check.h"
#include "flow/engine/inside.h"

static void tally_read(const struct function_tally *tally, struct engine_function_figures *figures) {
	figures->in += tally_get(&tally->in);
	figures->again += tally_get(&tally->again);
	figures->out += tally_get(&tally->out);
	figures->egress += tally_get(&tally->egress);
	figures->failed += tally_get(&tally->failed);
	figures->failed_first += tally_get(&tally->failed_first);
	figures->retried += tally_get(&tally->retried);
	figures->exhausted += tally_get(&tally->exhausted);
	figures->expired += tally_get(&tally->expired);
	figures->values_expired += tally_get(&tally->values_expired);
	figures->sweeps_sent += tally_get(&tally->sweeps_sent);
	figures->sweeps_done += tally_get(&tally->sweeps_done);
	histogram_read(&tally->seconds, &figures->seconds);
}

void engine_version_figures(
	struct engine *engine, uint16_t type, uint8_t tally, struct engine_function_figures *figures) {
	check(type < TYPES_MAX && tally < TALLY_VERSIONS);
	for (uint32_t i = 0; i < engine->flow.shards_count; i++)
		tally_read(&engine->flow.shards[i]->functions[(size_t)type * TALLY_VERSIONS + tally], figures);
}

void engine_functions_each(struct engine *engine,
	void (*each)(void *arg, const char *type, const struct engine_function_figures *figures), void *arg) {
	const struct flow *flow = &engine->flow;
	for (size_t type = 0; type < engine->view->binding_count; type++) {
		const char *name = engine->view->bindings[type].name;
		struct engine_function_figures figures = {.waiting = atomic_load(&flow->parked[type])};
		if (name == NULL)
			continue;
		for (uint8_t tally = 0; tally < TALLY_VERSIONS; tally++)
			engine_version_figures(engine, (uint16_t)type, tally, &figures);
		figures.sweeps = figures.sweeps_sent > figures.sweeps_done ? figures.sweeps_sent - figures.sweeps_done : 0;
		figures.sweeps += sweep_backlog(flow, (uint16_t)type);
		each(arg, name, &figures);
	}
}

void engine_shard_figures(struct engine *engine, uint32_t index, struct engine_shard_figures *ret_figures) {
	struct shard *shard = engine->flow.shards[index];
	const struct shard_tally *tally = &shard->tally;
	*ret_figures = (struct engine_shard_figures){
		.backlog_bytes = atomic_load_explicit(&shard->queue_memory, memory_order_relaxed),
		.input_bytes = atomic_load_explicit(&shard->input_pending, memory_order_relaxed),
		.spilled_bytes = tally_get(&tally->spilled_bytes),
		.cache_instances = tally_get(&tally->cache_instances),
		.cache_bytes = tally_get(&tally->cache_bytes),
		.cache_missed = tally_get(&tally->cache_missed),
		.cache_evicted = tally_get(&tally->cache_evicted),
		.epoch_messages = tally_get(&tally->epoch_messages),
		.epoch_bytes = tally_get(&tally->epoch_bytes),
		.timers_late_ms = tally_get(&tally->timers_late_ms),
		.sweeps_late_ms = tally_get(&tally->sweeps_late_ms),
	};
}

void engine_commit_figures(struct engine *engine, struct engine_commit_figures *ret_figures) {
	const struct commit_tally *tally = &engine->committer.tally;
	*ret_figures = (struct engine_commit_figures){.epochs = tally_get(&tally->epochs)};
	histogram_read(&tally->commit, &ret_figures->commit);
	histogram_read(&tally->append, &ret_figures->append);
	for (uint32_t i = 0; i < engine->flow.shards_count; i++)
		histogram_read(&engine->flow.shards[i]->tally.operation_seconds, &ret_figures->operations);
}
