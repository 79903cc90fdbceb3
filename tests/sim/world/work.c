/* The pool's threads, and those outside who complete operations. */
#include "base/check.h"
#include "flow/operation/operations.h"
#include "sofun/operation.h"
#include "world_inside.h"

void work_outside_hook(void *arg, uint64_t id) {
	struct world *world = arg;
	check(world->outside_count < OUTSIDE_MAX);
	world->outside[world->outside_count++] = id;
}

struct row_find {
	uint64_t id;
	uint64_t epoch; /* of its row; UINT64_MAX: there is none */
};

static void row_find(void *arg, const struct operation *operation) {
	struct row_find *find = arg;
	if (operation->id == find->id)
		find->epoch = operation->row_epoch;
}

void work_begun_hook(void *arg, uint64_t id) {
	struct world *world = arg;
	struct flow *flow = &world->engine->flow;
	struct row_find find = {.id = id, .epoch = UINT64_MAX};
	for (uint32_t i = 0; i < flow->shards_count; i++)
		operations_each(&flow->shards[i]->operations, row_find, &find);
	if (find.epoch > atomic_load(&flow->durable))
		world_wrong(
			world, "work began before its operation was durable: epoch", find.epoch, atomic_load(&flow->durable));
}

/* Somebody outside brings a result; now and then twice. */
static void outside_step(struct world *world) {
	const uint8_t nil = 0xc0;
	const sofun_host *host = engine_host(world->engine);
	if (world->outside_count == 0)
		return;
	size_t at = world_below(world, world->outside_count);
	uint64_t id = world->outside[at];
	bool success = world_below(world, 2) == 0;
	check(sofun_operation_of(host)->complete(host, id, success ? SOFUN_RESULT_SUCCESS : SOFUN_RESULT_FAILURE,
			  (sofun_bytes){&nil, success ? 1 : 0}) == SOFUN_OK);
	if (world_below(world, 8) != 0)
		world->outside[at] = world->outside[--world->outside_count];
}

void work_step(struct world *world) {
	struct work_pool *pool = &world->engine->flow.pool;
	size_t at = world_below(world, THREADS);
	if (world->jobs[at] == NULL) {
		world->jobs[at] = work_pool_take(pool);
	} else {
		struct job *job = world->jobs[at];
		world->jobs[at] = NULL;
		work_pool_run(&pool->slots[at], job);
	}
	if (world_below(world, 2) == 0)
		outside_step(world);
}
