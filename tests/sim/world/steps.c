/* What happens next: one step of a thread of the host, of a client, or of the clock, as the seed says. */
#include <string.h>

#include "base/check.h"
#include "deaths.h"
#include "flow/timer/load.h"
#include "points.h"
#include "state/reclaim.h"
#include "world_inside.h"

static void world_answered(void *arg, const struct engine_answer *answer) {
	struct world *world = arg;
	if (answer->token == TOKEN_BARRIER) {
		if (answer->code == ERROR_NONE)
			world->barrier_done = true;
		return;
	}
	if (answer->token >= KEYS_TOKEN) {
		const char *what = keys_answered(&world->keys, answer);
		if (what != NULL)
			world_wrong(world, what, answer->code, answer->number);
		return;
	}
	if (answer->token >= TOKEN_SWAP && answer->token <= TOKEN_SURVEY)
		swaps_answered(&world->swaps, answer);
	else if (answer->token >= TOKEN_PRODUCERS)
		producers_answered(world, answer);
}

/* The serial number of the next timer, sweeps included; UINT64_MAX: some are not sent yet. What the store may hold behind
 * the horizon of an alarm was cancelled. */
static uint64_t timers_next_if_none_left(const struct world *world) {
	const struct flow *flow = &world->engine->flow;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		const struct timers *timers = &flow->shards[i]->timers;
		const size_t known = lane_count(&timers->messages) + lane_count(&timers->sweeps);
		if (known > 0 || timers_next_ms(flow->shards[i]) < PROGRAM_ALARM_MS)
			return UINT64_MAX;
	}
	return atomic_load(&flow->timer_next);
}

/* A thread that had nothing to do is stepped again only once it was woken, or its time has come: a wake-up that the host
 * forgets shows as steps without an end. */
static bool awake(bool *asleep, struct park *park, uint64_t idle_us) {
	enum { PARK_WOKEN = 2 };
	if (*asleep && idle_us == UINT64_MAX && atomic_load(&park->state) != PARK_WOKEN)
		return false;
	*asleep = false;
	atomic_store(&park->state, 0);
	return true;
}

static void shard_run(struct world *world) {
	struct flow *flow = &world->engine->flow;
	uint32_t index = (uint32_t)world_below(world, flow->shards_count);
	struct shard *shard = flow->shards[index];
	if (world->running[index]) /* it is in the middle of its turn just now */
		return;
	if (!awake(&world->shards_asleep[index], &shard->park, shard_idle_us(shard)))
		return;
	atomic_store(&shard->hold, HOLD_RUN);
	world->running[index] = true;
	world->shards_asleep[index] = !shard_step(shard);
	world->running[index] = false;
	if (world->shards_asleep[index] || world_below(world, 4) != 0)
		atomic_store(&shard->hold, HOLD_IDLE); /* else it looks busy to the committer until its next turn */
}

static void committer_run(struct world *world) {
	struct committer *committer = &world->engine->committer;
	if (awake(&world->committer_asleep, &world->engine->flow.committer_park, committer_idle_us(committer)))
		world->committer_asleep = !committer_step(committer);
}

/* What happens while a shard is inside its function, or between two steps of its turn: cuts, on its behalf too, and turns
 * of the other shards. */
void world_inside_hook(void *arg) {
	struct world *world = arg;
	if (world_below(world, 6) != 0)
		return;
	uint64_t before = world->engine->committer.epoch;
	bool nested = world->inside;
	world->inside = true;
	for (uint64_t i = world_below(world, 8); i > 0; i--) {
		world->now_us += 150;
		monotonic_simulate(world->now_us);
		if (!nested && world_below(world, 2) == 0)
			shard_run(world);
		else
			committer_run(world);
		if (world_below(world, 3) == 0)
			store_applier_step(world->store);
		if (world_below(world, 4) == 0)
			work_step(world);
		if (world_below(world, 8) == 0)
			engine_look(world->engine);
	}
	world->inside = nested;
	world->result->cuts_inside += world->engine->committer.epoch - before;
}

/* The process dies here if the message is poison; now and then one that is not has to answer for what others broke. */
void world_entered_hook(void *arg, const sofun_message *message, uint64_t generation, bool poison) {
	struct world *world = arg;
	if (program_hooks.poison == 0 || !world_alive())
		return;
	bool blamed = !deaths_alone(message) && world->result->crashes < world->options->deaths_max &&
		world_below(world, world->options->blame_one_in) == 0;
	if (!poison && !blamed)
		return;
	deaths_of(message, world->swaps.images[generation].hash);
	longjmp(world->death, 1);
}

static void clock_run(struct world *world) {
	struct flow *flow = &world->engine->flow;
	if (flow_clock_held(&flow->clock))
		return;
	flow_clock_set(&flow->clock, flow_clock_now(&flow->clock) + world_below(world, 50));
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		if (shard_due_ms(flow->shards[i]) <=
			flow_clock_now(&flow->clock)) /* nobody else: a timer must not hide a lost wake-up */
			park_wake(&flow->shards[i]->park);
	}
}

static void applier_run(struct world *world) {
	store_applier_step(world->store);
	if (world_below(world, 2) == 0)
		timers_load_step(&world->engine->flow);
	if (world_below(world, 2) == 0)
		store_reclaim_step(world->store, world->now_us);
}

static void client_run(struct world *world) {
	if (world_below(world, 5) == 0)
		keys_step(&world->keys, world->engine, world->session, world_random(world));
	else
		producers_step(world);
}

/* The end of a turn of the loop: only now are shards woken for what came in it, and behind one without inputs no cut waits for
 * more (flow/gather.h). */
static void loop_run(struct world *world) {
	(void)engine_turn(world->engine);
}

static void turn_take(struct world *world) {
	uint64_t choice = world_below(world, 19);
	if (choice < 8)
		shard_run(world);
	else if (choice < 11)
		committer_run(world);
	else if (choice < 12)
		applier_run(world);
	else if (choice < 14)
		client_run(world);
	else if (choice < 15)
		clock_run(world);
	else if (choice < 16)
		work_step(world);
	else if (choice < 18)
		loop_run(world);
	else
		engine_take_answers(world->engine, world_answered, world);
}

void world_step(struct world *world) {
	world->result->steps++;
	world->now_us += world_below(world, 400);
	monotonic_simulate(world->now_us);
	turn_take(world);
	if (world->parked && world_below(world, 40) == 0) {
		world->swaps.live = true;
		engine_publish(world->engine, swaps_view(&world->swaps));
		world->parked = false;
	}
	if (world->swapping && world_below(world, 10) == 0)
		swaps_step(&world->swaps, world_random(world));
	if (!world->barrier_asked && producers_done(world) && keys_done(&world->keys)) {
		world->barrier_asked = true;
		world->timers_before = timers_next_if_none_left(world);
		engine_barrier(world->engine, TOKEN_BARRIER);
	}
}

/* A barrier does not wait for timers: the last one has none before it and none behind it. */
bool world_done(struct world *world) {
	if (world->barrier_done && world->timers_before != UINT64_MAX &&
		world->timers_before == timers_next_if_none_left(world))
		return true;
	world->barrier_asked &= !world->barrier_done;
	world->barrier_done = false;
	return false;
}

/* The barrier's epoch and one more must be there. */
void world_settle(struct world *world) {
	engine_gather(world->engine, false);
	for (int i = 0; i < 20000; i++) {
		struct flow *flow = &world->engine->flow;
		for (uint32_t s = 0; s < flow->shards_count; s++) {
			atomic_store(&flow->shards[s]->hold, HOLD_RUN);
			shard_step(flow->shards[s]);
			atomic_store(&flow->shards[s]->hold, HOLD_IDLE);
		}
		if (i == 0)
			engine_commit_rows(
				world->engine, TOKEN_ROWS, NULL, 0); /* one more epoch: it trims what the last one consumed */
		committer_step(&world->engine->committer);
		bool applied = store_applier_step(world->store);
		world->now_us += 500;
		monotonic_simulate(world->now_us);
		if (i > 50 && !applied && committer_settled(&world->engine->committer) &&
			store_applied(world->store) + 1 >= world->engine->committer.epoch)
			return;
	}
	world_wrong(world, "the host does not come to rest", 1, 0);
}
