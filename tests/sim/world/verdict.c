/* The end of a run: what the host holds against what the model says. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "world_inside.h"

static void counts_compare(struct world *world, const struct program_model *model) {
	for (uint32_t i = 0; i < world->options->instances; i++) {
		char id[8];
		struct error error;
		struct buf row = {0};
		uint64_t count = 0;
		program_id(id, i);
		struct key key = key_instance(bytes_text(id));
		int found = store_get(world->store, 1, key_bytes(&key), &row, &error);
		if (found < 0)
			world_wrong_error(world, "an instance could not be read", &error);
		if (found == 1 && !program_count(bytes_buf(&row), &count))
			world_wrong(world, "an instance's row is malformed", 0, 1);
		if (count != model->counts[i])
			world_wrong(world, "count of an instance", count, model->counts[i]);
		buf_finish(&row);
	}
}

struct egress_sum {
	uint64_t records;
	uint64_t sum;
	uint64_t next;
	bool hole;
};

static bool egress_add(void *arg, uint64_t offset, struct bytes record) {
	struct egress_sum *sum = arg;
	struct cursor cursor = cursor_of(record);
	struct cursor_item item;
	uint32_t fields;
	uint64_t number;
	check(cursor_read_array(&cursor, &fields) && fields == 4 && cursor_next(&cursor, &item) &&
		cursor_next(&cursor, &item) && cursor_next(&cursor, &item) && cursor_read_uint(&cursor, &number));
	sum->hole |= offset != sum->next;
	sum->next = offset + 1;
	sum->records++;
	sum->sum += number;
	return true;
}

static struct egress_sum egress_read(struct world *world, const char *name) {
	struct egress_sum sum = {0};
	struct error error;
	uint64_t next;
	if (!store_egress_read(world->store, bytes_text(name), 0, egress_add, &sum, &next, &error))
		world_wrong_error(world, "an egress could not be read", &error);
	if (sum.hole)
		world_wrong(world, "offsets of the egress have a hole", 1, 0);
	return sum;
}

static void egresses_compare(struct world *world, const struct program_model *model) {
	struct egress_sum sum = egress_read(world, "sim");
	if (sum.records != model->emitted)
		world_wrong(world, "egress records", sum.records, model->emitted);
	if (sum.sum != model->emitted_sum)
		world_wrong(world, "sum of the egress records", sum.sum, model->emitted_sum);
	sum = egress_read(world, "idle");
	if (sum.sum != model->idled)
		world_wrong(world, "messages that instances told of when they expired", sum.sum, model->idled);
}

/* Nothing is under way any more. */
static void rest_compare(struct world *world, const struct program_model *model) {
	rows_are(world, "dead letters", KEY_DEAD, model->dead);
	rows_are(world, "rows of timers when none is left", KEY_TIMER, 0);
	rows_are(world, "rows of sweeps when no instance is left to expire", KEY_SWEEP, 0);
	rows_are(world, "rows of tokens when no timer is left", KEY_TOKEN, 0);
	rows_are(world, "rows of operations when none is under way", KEY_OPERATION, 0);
	rows_are(world, "rows of waiting messages when none waits", KEY_QUEUE_RUN, 0);
	uint64_t open = atomic_load(&world->engine->flow.operations_open);
	if (open != 0)
		world_wrong(world, "operations that are under way", open, 0);
	if (rows_count(world, 2, KEY_INSTANCE) != 0)
		world_wrong(world, "instances that should have expired", rows_count(world, 2, KEY_INSTANCE), 0);
}

static void world_compare(struct world *world) {
	struct program_model model = {.counts = check_alloc(world->options->instances, sizeof *model.counts)};
	for (uint32_t producer = 0; producer < PROGRAM_PRODUCERS; producer++) {
		for (uint64_t sequence = 1; sequence <= world->options->records; sequence++)
			program_expect(&model, world->options->seed, producer, sequence);
	}
	keys_expect(&world->keys, &model);
	world->result->messages = model.messages;
	counts_compare(world, &model);
	egresses_compare(world, &model);
	schemas_compare(world);
	entries_compare(world);
	rest_compare(world, &model);
	free(model.counts);
}

/* A year later nothing is left of keys and producers, whichever order the sweep took. */
static void expiry_compare(struct world *world) {
	struct flow *flow = &world->engine->flow;
	rows_are(world, "idempotency keys", KEY_KEYED, world->keys.count);
	rows_are(world, "their answers", KEY_KEYED_ANSWER, world->keys.count);
	rows_are(world, "entries of the sweep", KEY_WAKE, world->keys.count + PROGRAM_PRODUCERS);
	flow_clock_set(&flow->clock, flow_clock_now(&flow->clock) + UINT64_C(366) * 86400 * 1000);
	for (int i = 0; i < 3 && world->result->good; i++) {
		if (sweep_scan(world->engine))
			sweep_submit(world->engine);
		world_settle(world);
	}
	rows_are(world, "idempotency keys that expired", KEY_KEYED, 0);
	rows_are(world, "answers that expired", KEY_KEYED_ANSWER, 0);
	rows_are(world, "producers that expired", KEY_PRODUCER, 0);
	rows_are(world, "entries of the sweep that are done", KEY_WAKE, 0);
	if (atomic_load(&flow->keys) != 0)
		world_wrong(world, "count of idempotency keys", (uint64_t)atomic_load(&flow->keys), 0);
}

void world_judge(struct world *world) {
	world_settle(world);
	world_compare(world);
	if (world->result->good)
		expiry_compare(world);
}
