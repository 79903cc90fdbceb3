/* The host's life: it starts on what the disk holds, and ends at once. */
#include <stdio.h>
#include <string.h>

#include "aged.h"
#include "base/check.h"
#include "deaths.h"
#include "points.h"
#include "world_inside.h"

static void store_start(struct world *world, struct store_recovered *ret_recovered) {
	struct error error;
	uint8_t id[STORE_ID_BYTES] = {0};
	memcpy(id, &world->options->seed, sizeof world->options->seed);
	struct store_options options = {
		.disk = fault_disk_seam(world->disk),
		.factory = sim_kv_factory(world->kv),
		.dir = "data",
		.checkpoint_bytes = (uint64_t)8192 << world_below(world, 4),
		.segment_bytes = world->options->segment_bytes,
		.journal_bytes_max = (uint64_t)4 * world->options->segment_bytes,
		.new_id = id,
	};
	world->store = store_open(&options, ret_recovered, &error);
	if (world->store == NULL) {
		world_unable(world, "the store did not open", &error);
		return;
	}
	store_type_name(world->store, 1, "sim/node");
	store_type_name(world->store, 2, "sim/idle");
}

/* Little memory, so that instances are evicted and queues paged out. */
static void memory_limit(struct world *world) {
	struct flow *flow = &world->engine->flow;
	for (uint32_t i = 0; i < world->config.shards; i++)
		flow->shards[i]->cache.memory_max = (size_t)4096 << world_below(world, 6);
	flow->epoch_bytes_max = world->options->epoch_bytes_max;
	flow->queue_bytes = (size_t)2048 << world_below(world, 8);
	flow->timer_bytes = (size_t)512 << world_below(world, 8);
	flow->sweep_bytes = (size_t)512 << world_below(world, 8);
	flow->operation_bytes = world_below(world, 3) == 0 ? 0 : (size_t)256 << world_below(world, 8);
}

static bool engine_make(struct world *world, const struct store_recovered *recovered) {
	struct error error;
	world->engine = engine_create(&world->config, world->store, recovered, &error);
	if (world->engine == NULL) {
		world_unable(world, "the engine did not start", &error);
		return false;
	}
	world->engine->threadless = true;
	world->engine->flow.interleave = world_inside_hook;
	world->engine->flow.interleave_arg = world;
	memory_limit(world);
	world->parked = world_below(world, 4) == 0;
	if (!swaps_recover(&world->swaps, world->engine, world->store, &error)) {
		world_unable(world, "the row of the swap could not be read", &error);
		return false;
	}
	world->swaps.live = !world->parked;
	return true;
}

/* Some lives follow one of an older host. */
static bool store_age(struct world *world) {
	struct error error;
	if (world_below(world, 8) != 0 || aged_sweeps(world->engine, &error))
		return true;
	world_unable(world, "sweeps could not be put back to where older hosts kept them", &error);
	return false;
}

/* What the world knew of the life before. */
static void life_forget(struct world *world) {
	producers_disconnect(world);
	world->session++;
	world->outside_count = 0;
	program_hooks.life++;
	memset(world->shards_asleep, 0, sizeof world->shards_asleep);
	memset(world->running, 0, sizeof world->running);
	world->inside = false;
	world->committer_asleep = false;
	world->asked_early = false;
	world->barrier_asked = false;
}

bool host_start(struct world *world) {
	struct store_recovered recovered;
	const uint32_t before = world->config.shards;
	world->config.shards = 1 + (uint32_t)world_below(world, 4);
	world->result->reshards += world->session > 0 && world->config.shards != before ? 1 : 0;
	store_start(world, &recovered);
	if (world->store == NULL || !engine_make(world, &recovered) || !store_age(world))
		return false;
	deaths_life_begins(world->config.shards);
	engine_start(world->engine, swaps_view(&world->swaps));
	engine_gather(world->engine, world_below(world, 4) != 0);
	life_forget(world);
	if (atomic_load(&world->engine->flow.failed))
		world_unable(world, "the engine failed at its start", &world->engine->flow.failure);
	return !atomic_load(&world->engine->flow.failed);
}

void host_drop(struct world *world) {
	struct error error;
	for (int i = 0; i < THREADS; i++) {
		if (world->jobs[i] != NULL)
			job_free(world->jobs[i]);
		world->jobs[i] = NULL;
	}
	if (world->engine != NULL) {
		world->engine->started = false;
		engine_destroy(world->engine);
	}
	if (world->store != NULL)
		store_close(world->store, false, &error);
	world->engine = NULL;
	world->store = NULL;
}

const char *host_swap_phase(const struct world *world) {
	if (world->engine == NULL || !world->engine->started)
		return "swap: the host starts";
	return swaps_phase(&world->swaps);
}

void host_crash(struct world *world) {
	bool power = world_below(world, 2) == 0;
	point_pass(host_swap_phase(world), true);
	host_drop(world);
	deaths_life_ends(world_below(world, 4) != 0);
	if (power) {
		fault_disk_cut(world->disk);
		sim_kv_cut(world->kv);
	} else {
		fault_disk_kill(world->disk);
		sim_kv_kill(world->kv);
	}
	points_calm();
	world->result->crashes++;
	if (world->options->trace)
		fprintf(stderr, "  crash %llu (%s) at step %llu\n", (unsigned long long)world->result->crashes,
			power ? "power" : "kill", (unsigned long long)world->result->steps);
}
