#include "world.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "deaths.h"
#include "points.h"
#include "world_inside.h"

uint64_t world_random(struct world *world) {
	world->random = hash_mix(world->random, 0x2545f4914f6cdd1du);
	return world->random;
}

uint64_t world_below(struct world *world, uint64_t limit) {
	return world_random(world) % limit;
}

void world_wrong(struct world *world, const char *what, uint64_t found, uint64_t expected) {
	if (!world->result->good)
		return;
	world->result->good = false;
	snprintf(world->result->what, sizeof world->result->what, "%s: found %llu, expected %llu", what,
		(unsigned long long)found, (unsigned long long)expected);
}

void world_wrong_error(struct world *world, const char *what, const struct error *error) {
	if (!world->result->good)
		return;
	world->result->good = false;
	snprintf(world->result->what, sizeof world->result->what, "%s: %s", what, error->message);
}

bool world_alive(void) {
	return !points_crashed();
}

void world_unable(struct world *world, const char *what, const struct error *error) {
	if (world_alive())
		world_wrong_error(world, what, error);
}

/* ---- one run ---- */

/* Past the deadline: something is waited for that does not come. */
static void deadline_check(struct world *world) {
	struct world_result *result = world->result;
	const struct flow *flow = &world->engine->flow;
	if (result->steps <= world->options->steps_max)
		return;
	uint64_t timers = 0;
	for (uint32_t i = 0; i < flow->shards_count; i++)
		timers += lane_count(&flow->shards[i]->timers.messages);
	result->good = false;
	snprintf(result->what, sizeof result->what,
		"%llu steps without an end: %llu timers in memory, %llu operations under way, records to %llu and %llu of %u "
		"durable, %s",
		(unsigned long long)result->steps, (unsigned long long)timers,
		(unsigned long long)atomic_load(&flow->operations_open), (unsigned long long)world->producers[0].durable,
		(unsigned long long)world->producers[1].durable, world->options->records, host_swap_phase(world));
}

/* What the program itself has found, as soon as it has: the rest of the run is of no use. */
static void violations_check(struct world *world) {
	if (program_hooks.violations == 0 || !world->result->good)
		return;
	world->result->good = false;
	snprintf(world->result->what, sizeof world->result->what, "%s", program_hooks.what);
}

/* Lives until a crash or the end. True: the end. */
static bool world_live(struct world *world) {
	if (!host_start(world) || setjmp(world->death) != 0)
		return false;
	while (world->result->good) {
		world_step(world);
		violations_check(world);
		if (!world_alive())
			return false;
		if (atomic_load(&world->engine->flow.failed))
			world_wrong_error(world, "the store failed", &world->engine->flow.failure);
		deadline_check(world);
		point_pass(host_swap_phase(world), false);
		if (world->crash_countdown > 0 && --world->crash_countdown == 0)
			return false;
		if (world_done(world))
			return true;
	}
	return true;
}

/* Half of the crashes come at a named event of the disk or of a database, half between two steps. */
static void crash_plan(struct world *world) {
	world->crash_countdown = 0;
	if (world->result->crashes >= world->options->crashes_max)
		return;
	if (world_below(world, 2) == 0)
		points_plan(1 + world_below(world, world->options->crash_events));
	else
		world->crash_countdown = 1 + world_below(world, world->options->crash_steps);
}

static bool mutant_is(const struct world_options *options, const char *name) {
	return options->mutant != NULL && strcmp(options->mutant, name) == 0;
}

static bool judge_hook(void *arg, uint64_t generation, uint64_t birth_epoch) {
	struct world *world = arg;
	return swaps_judge(&world->swaps, generation, birth_epoch);
}

static uint64_t ended_hook(
	void *arg, const sofun_context *context, int way, struct bytes id, uint64_t from_ms, uint64_t now_ms) {
	struct world *world = arg;
	return swaps_ended_ms(&world->swaps, context, (enum terms_way)way, id, from_ms, now_ms);
}

static void hooks_set(struct world *world) {
	program_hooks = (struct program_hooks){
		.seed = world->options->seed,
		.inside = world_inside_hook,
		.judge = judge_hook,
		.ended = ended_hook,
		.instances = world->options->instances,
		.poison = world->options->seed % 3 == 2 ? world->options->poison_one_in : 0,
		.entered = world_entered_hook,
		.working = work_begun_hook,
		.outside = work_outside_hook,
		.arg = world,
	};
}

static void world_init(struct world *world) {
	const struct world_options *options = world->options;
	keys_init(&world->keys, options->seed, options->keys);
	world->disk = fault_disk_create(options->seed);
	world->kv = sim_kv_create(options->seed);
	if (mutant_is(options, "no_sync"))
		fault_disk_lie(world->disk);
	if (mutant_is(options, "naive_trim"))
		sim_kv_lie(world->kv);
	points_watch(world->disk, world->kv);
	config_init(&world->config);
	world->config.test_clock = true;
	world->config.test_clock_ms = 1000000;
	world->config.retry_block_ms_max = UINT64_C(1) << 50; /* only a verdict may end what waits for one */
	check(world->config.retry_attempts == PROGRAM_ATTEMPTS);
	swaps_init(&world->swaps, options->seed, options->swap_one_in, world->config.test_clock_ms);
	world->swapping = options->seed % 4 != 0;
	world->now_us = 1000000;
	monotonic_simulate(world->now_us);
	hooks_set(world);
	deaths_forget();
}

static void world_finish(struct world *world) {
	host_drop(world);
	swaps_finish(&world->swaps);
	config_finish(&world->config);
	keys_finish(&world->keys);
	sim_kv_destroy(world->kv);
	fault_disk_destroy(world->disk);
	monotonic_simulate(0);
}

void world_run(const struct world_options *options, struct world_result *ret_result) {
	struct world world = {.options = options, .result = ret_result, .random = options->seed * HASH_K0 + 1};
	*ret_result = (struct world_result){.good = true};
	world_init(&world);
	do {
		crash_plan(&world);
		if (world_live(&world))
			break;
		host_crash(&world);
	} while (ret_result->good);
	program_hooks.inside = NULL;
	program_hooks.entered = NULL;
	ret_result->swaps = world.swaps.done;
	ret_result->undecided = world.swaps.undecided;
	memcpy(ret_result->commands, program_hooks.commands, sizeof ret_result->commands);
	points_calm();
	if (ret_result->good)
		world_judge(&world);
	violations_check(&world);
	world_finish(&world);
}
