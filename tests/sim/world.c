#include "world.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "deaths.h"
#include "fault_disk.h"
#include "flow/engine/inside.h"
#include "flow/entries/header.h"
#include "flow/instance_record.h"
#include "flow/operation/operations.h"
#include "flow/recover.h"
#include "flow/timer/load.h"
#include "keys.h"
#include "points.h"
#include "sim_kv.h"
#include "sofun/operation.h"
#include "state/key.h"
#include "state/reclaim.h"
#include "swaps.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum {
	SIM_SEGMENT_BYTES = 256 * 1024,
	STEPS_MAX = 400000, /* a run that needs more hangs */
	BATCH_MAX = 8,
	IN_FLIGHT_MAX = 3,
	THREADS = 4, /* of the pool: a call of work begins and ends in one step, but in any order */
	OUTSIDE_MAX = 4096,
};

struct producer_client {
	uint64_t durable; /* the host said so: it may never be less again */
	uint64_t next;    /* first record not yet sent on this connection; 0: the position must be asked */
	uint32_t in_flight;
};

struct world {
	const struct world_options *options;
	struct world_result *result;
	uint64_t random;
	struct fault_disk *disk;
	struct sim_kv *kv;
	struct config config;
	struct store *store;
	struct engine *engine;
	struct swaps swaps;
	uint64_t session;
	uint64_t now_us;
	struct producer_client clients[PROGRAM_PRODUCERS];
	struct keys keys;
	bool inside;                   /* somebody is in the middle of a turn */
	jmp_buf death;                 /* out of the call that the host dies in */
	struct job *jobs[THREADS];     /* taken, and not run yet */
	uint64_t outside[OUTSIDE_MAX]; /* operations that somebody must complete */
	size_t outside_count;
	bool running[SHARDS_MAX];
	bool shards_asleep[SHARDS_MAX];
	bool committer_asleep;
	bool asked_early;
	bool parked; /* the first view has no live version */
	bool swapping;
	bool barrier_asked;
	bool barrier_done;
	uint64_t timers_before;   /* set before it was asked, and none left; UINT64_MAX: some were left */
	uint64_t crash_countdown; /* in world steps */
};

static void inside_hook(void *arg);
static void entered_hook(void *arg, const sofun_message *message, uint64_t generation, bool poison);

/* ---- chance ---- */

static uint64_t world_random(struct world *world) {
	world->random = hash_mix(world->random, 0x2545f4914f6cdd1du);
	return world->random;
}

static uint64_t world_below(struct world *world, uint64_t limit) {
	return world_random(world) % limit;
}

static void wrong(struct world *world, const char *what, uint64_t found, uint64_t expected) {
	if (!world->result->good)
		return;
	world->result->good = false;
	snprintf(world->result->what, sizeof world->result->what, "%s: found %llu, expected %llu", what,
		(unsigned long long)found, (unsigned long long)expected);
}

static void wrong_error(struct world *world, const char *what, const struct error *error) {
	if (!world->result->good)
		return;
	world->result->good = false;
	snprintf(world->result->what, sizeof world->result->what, "%s: %s", what, error->message);
}

/* ---- the host's life ---- */

/* True while nothing has crashed on purpose: only then an error is a defect. */
static bool alive(struct world *world) {
	(void)world;
	return !points_crashed();
}

/* False: it crashed while starting, or found something wrong. */
static bool host_start(struct world *world) {
	struct error error;
	struct store_recovered recovered;
	world->config.shards = 1 + (uint32_t)world_below(world, 4);
	uint8_t id[STORE_ID_BYTES] = {0};
	memcpy(id, &world->options->seed, sizeof world->options->seed);
	struct store_options options = {
		.disk = fault_disk_seam(world->disk),
		.factory = sim_kv_factory(world->kv),
		.dir = "data",
		.checkpoint_bytes = (uint64_t)8192 << world_below(world, 4),
		.segment_bytes = SIM_SEGMENT_BYTES,
		.journal_bytes_max = 4 * SIM_SEGMENT_BYTES,
		.new_id = id,
	};
	world->store = store_open(&options, &recovered, &error);
	if (world->store == NULL) {
		if (alive(world))
			wrong_error(world, "the store did not open", &error);
		return false;
	}
	store_type_name(world->store, 1, "sim/node");
	store_type_name(world->store, 2, "sim/idle");
	world->engine = engine_create(&world->config, world->store, &recovered, &error);
	if (world->engine == NULL) {
		if (alive(world))
			wrong_error(world, "the engine did not start", &error);
		return false;
	}
	world->engine->threadless = true;
	world->engine->flow.interleave = inside_hook;
	world->engine->flow.interleave_arg = world;
	/* little memory, so that instances are evicted and queues paged out */
	for (uint32_t i = 0; i < world->config.shards; i++)
		world->engine->flow.shards[i]->cache.memory_max = (size_t)4096 << world_below(world, 6);
	world->engine->flow.queue_bytes = (size_t)2048 << world_below(world, 8);
	world->engine->flow.timer_bytes = (size_t)512 << world_below(world, 8);
	world->engine->flow.operation_bytes = world_below(world, 3) == 0 ? 0 : (size_t)256 << world_below(world, 8);
	world->parked = world_below(world, 4) == 0;
	if (!swaps_recover(&world->swaps, world->engine, world->store, &error)) {
		if (alive(world))
			wrong_error(world, "the row of the swap could not be read", &error);
		return false;
	}
	world->swaps.live = !world->parked;
	deaths_life_begins(world->config.shards);
	engine_start(world->engine, swaps_view(&world->swaps));
	for (int i = 0; i < PROGRAM_PRODUCERS; i++) {
		world->clients[i].next = 0;
		world->clients[i].in_flight = 0;
	}
	world->session++;
	world->outside_count = 0;
	program_hooks.life++;
	memset(world->shards_asleep, 0, sizeof world->shards_asleep);
	memset(world->running, 0, sizeof world->running);
	world->inside = false;
	world->committer_asleep = false;
	world->asked_early = false;
	world->barrier_asked = false;
	if (atomic_load(&world->engine->flow.failed) && alive(world))
		wrong_error(world, "the engine failed at its start", &world->engine->flow.failure);
	return !atomic_load(&world->engine->flow.failed);
}

static void host_drop(struct world *world) {
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

/* The process dies, or the power goes. */
static const char *swap_phase(const struct world *world) {
	if (world->engine == NULL || !world->engine->started)
		return "swap: the host starts";
	return swaps_phase(&world->swaps);
}

static void host_crash(struct world *world) {
	bool power = world_below(world, 2) == 0;
	point_pass(swap_phase(world), true);
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

/* ---- the clients ---- */

enum { TOKEN_BARRIER = 1, TOKEN_INGEST = 1000 };

/* token = TOKEN_INGEST + ((session * 2 + position) * PRODUCERS + producer) */
static uint64_t ingest_token(const struct world *world, uint32_t producer, bool position) {
	return TOKEN_INGEST + (world->session * 2 + (position ? 1 : 0)) * PROGRAM_PRODUCERS + producer;
}

static void ingest_answered(struct world *world, const struct engine_answer *answer) {
	uint64_t rest = answer->token - TOKEN_INGEST;
	struct producer_client *client = &world->clients[rest % PROGRAM_PRODUCERS];
	bool position = rest / PROGRAM_PRODUCERS % 2 == 1;
	client->in_flight--;
	if (answer->code == ERROR_UNKNOWN_INGRESS && world->asked_early) {
		client->next = 0; /* asked before the plugin was there */
		return;
	}
	if (answer->code != ERROR_NONE) {
		wrong(world, "an ingest was answered with an error", answer->code, ERROR_NONE);
		return;
	}
	if (answer->number < client->durable)
		wrong(world, "a durable position went back", answer->number, client->durable);
	client->durable = answer->number;
	if (position)
		client->next = answer->number + 1;
}

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
			wrong(world, what, answer->code, answer->number);
		return;
	}
	if (answer->token >= TOKEN_SWAP && answer->token <= TOKEN_SURVEY)
		swaps_answered(&world->swaps, answer);
	else if (answer->token >= TOKEN_INGEST)
		ingest_answered(world, answer);
}

static void records_send(struct world *world, uint32_t producer) {
	struct producer_client *client = &world->clients[producer];
	uint64_t left = world->options->records + 1 - client->next;
	uint64_t count = 1 + world_below(world, BATCH_MAX);
	if (count > left)
		count = left;
	if (count == 0)
		return;
	/* now and then from further back: what was accepted must not count twice */
	uint64_t back = world_below(world, 8) == 0 ? world_below(world, 6) : 0;
	uint64_t first = client->next > back ? client->next - back : 1;
	struct buf records = {0};
	for (uint64_t sequence = first; sequence < client->next + count; sequence++)
		program_record(&records, producer, sequence);
	char name[16];
	snprintf(name, sizeof name, "p%u", producer);
	engine_ingest(world->engine, ingest_token(world, producer, false), world->session, bytes_text("sim"),
		bytes_text(name), first, (uint32_t)(client->next + count - first), bytes_buf(&records));
	client->next += count;
	client->in_flight++;
	buf_finish(&records);
}

/* The serial number of the next timer, sweeps included; UINT64_MAX: some are not sent yet. What the store may hold behind
 * the horizon of an alarm was cancelled. */
static uint64_t timers_next_if_none_left(const struct world *world) {
	const struct flow *flow = &world->engine->flow;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		const struct timers *timers = &flow->shards[i]->timers;
		if (timers->messages.count > 0 || timers->sweeps.count > 0 || timers->horizon.due_ms < PROGRAM_ALARM_MS)
			return UINT64_MAX;
	}
	return atomic_load(&flow->timer_next);
}

static void client_step(struct world *world) {
	if (world_below(world, 5) == 0) {
		keys_step(&world->keys, world->engine, world->session, world_random(world));
		return;
	}
	uint32_t producer = (uint32_t)world_below(world, PROGRAM_PRODUCERS);
	struct producer_client *client = &world->clients[producer];
	if (world->parked && world_below(world, 4) != 0)
		return; /* no router yet: now and then somebody tries all the same */
	world->asked_early |= world->parked;
	if (client->in_flight >= IN_FLIGHT_MAX || (client->next == 0 && client->in_flight > 0))
		return;
	char name[16];
	snprintf(name, sizeof name, "p%u", producer);
	if (client->next == 0) {
		engine_ingest(world->engine, ingest_token(world, producer, true), world->session, bytes_text("sim"),
			bytes_text(name), 1, 0, bytes_of(NULL, 0));
		client->in_flight++;
		return;
	}
	records_send(world, producer);
}

static bool all_sent(const struct world *world) {
	for (int i = 0; i < PROGRAM_PRODUCERS; i++) {
		if (world->clients[i].durable < world->options->records)
			return false;
	}
	return keys_done(&world->keys);
}

/* ---- steps ---- */

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

/* ---- operations ---- */

static void outside_hook(void *arg, uint64_t id) {
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

static void working_hook(void *arg, uint64_t id) {
	struct world *world = arg;
	struct flow *flow = &world->engine->flow;
	struct row_find find = {.id = id, .epoch = UINT64_MAX};
	for (uint32_t i = 0; i < flow->shards_count; i++)
		operations_each(&flow->shards[i]->operations, row_find, &find);
	if (find.epoch > atomic_load(&flow->durable))
		wrong(world, "work began before its operation was durable: epoch", find.epoch, atomic_load(&flow->durable));
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

static void work_step(struct world *world) {
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

/* What happens while a shard is inside its function, or between two steps of its turn: cuts, on its behalf too, and turns
 * of the other shards. */
static void inside_hook(void *arg) {
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
	}
	world->inside = nested;
	world->result->cuts_inside += world->engine->committer.epoch - before;
}

/* The process dies here if the message is poison; now and then one that is not has to answer for what others broke. */
static void entered_hook(void *arg, const sofun_message *message, uint64_t generation, bool poison) {
	struct world *world = arg;
	if (!program_hooks.poison || !alive(world))
		return;
	bool blamed = !deaths_alone(message) && world->result->crashes < 40 && world_below(world, 1500) == 0;
	if (!poison && !blamed)
		return;
	deaths_of(message, world->swaps.images[generation].hash);
	longjmp(world->death, 1);
}

static bool judge_hook(void *arg, uint64_t generation, uint64_t birth_epoch) {
	struct world *world = arg;
	return swaps_judge(&world->swaps, generation, birth_epoch);
}

static void clock_run(struct world *world) {
	struct flow *flow = &world->engine->flow;
	flow_clock_set(&flow->clock, flow_clock_now(&flow->clock) + world_below(world, 50));
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		if (shard_due_ms(flow->shards[i]) <=
			flow_clock_now(&flow->clock)) /* nobody else: a timer must not hide a lost wake-up */
			park_wake(&flow->shards[i]->park);
	}
}

static void world_step(struct world *world) {
	world->result->steps++;
	world->now_us += world_below(world, 400);
	monotonic_simulate(world->now_us);
	uint64_t choice = world_below(world, 17);
	if (choice < 8) {
		shard_run(world);
	} else if (choice < 11) {
		committer_run(world);
	} else if (choice < 12) {
		store_applier_step(world->store);
		if (world_below(world, 2) == 0)
			timers_load_step(&world->engine->flow);
		if (world_below(world, 2) == 0)
			store_reclaim_step(world->store, world->now_us);
	} else if (choice < 14) {
		client_step(world);
	} else if (choice < 15) {
		clock_run(world);
	} else if (choice < 16) {
		work_step(world);
	} else {
		engine_take_answers(world->engine, world_answered, world);
	}
	if (world->parked && world_below(world, 40) == 0) {
		world->swaps.live = true;
		engine_publish(world->engine, swaps_view(&world->swaps));
		world->parked = false;
	}
	if (world->swapping && world_below(world, 10) == 0)
		swaps_step(&world->swaps, world_random(world));
	if (all_sent(world) && !world->barrier_asked) {
		world->barrier_asked = true;
		world->timers_before = timers_next_if_none_left(world);
		engine_barrier(world->engine, TOKEN_BARRIER);
	}
}

/* ---- the end ---- */

static void counts_compare(struct world *world, const struct program_model *model) {
	for (uint32_t i = 0; i < PROGRAM_INSTANCES; i++) {
		char id[8];
		struct error error;
		struct buf row = {0};
		uint64_t count = 0;
		program_id(id, i);
		struct key key = key_instance(bytes_text(id));
		int found = store_get(world->store, 1, key_bytes(&key), &row, &error);
		if (found < 0)
			wrong_error(world, "an instance could not be read", &error);
		if (found == 1 && !program_count(bytes_buf(&row), &count))
			wrong(world, "an instance's row is malformed", 0, 1);
		if (count != model->counts[i])
			wrong(world, "count of an instance", count, model->counts[i]);
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
		wrong_error(world, "an egress could not be read", &error);
	if (sum.hole)
		wrong(world, "offsets of the egress have a hole", 1, 0);
	return sum;
}

static void egresses_compare(struct world *world, const struct program_model *model) {
	struct egress_sum sum = egress_read(world, "sim");
	if (sum.records != model->emitted)
		wrong(world, "egress records", sum.records, model->emitted);
	if (sum.sum != model->emitted_sum)
		wrong(world, "sum of the egress records", sum.sum, model->emitted_sum);
	sum = egress_read(world, "idle");
	if (sum.sum != model->idled)
		wrong(world, "messages that instances told of when they expired", sum.sum, model->idled);
}

static uint64_t rows_count(struct world *world, uint32_t database, enum key_kind kind) {
	struct error error;
	struct key key = key_of(kind);
	struct store_cursor *cursor = store_cursor_open(world->store, database, key_bytes(&key), &error);
	struct bytes found, value;
	uint64_t count = 0;
	check(cursor != NULL);
	while (store_cursor_next(cursor, &found, &value) && found.data[0] == (uint8_t)kind)
		count++;
	store_cursor_close(cursor);
	return count;
}

struct schema_sum {
	uint64_t instances[3]; /* by schema; [0]: another */
};

static void schema_add(void *arg, const struct engine_schema *schema) {
	struct schema_sum *sum = arg;
	if (schema->number == 1)
		sum->instances[schema->schema <= 2 ? schema->schema : 0] += schema->instances;
}

/* The counts by schema are those of the rows. */
static void schemas_compare(struct world *world) {
	struct schema_sum sum = {{0}};
	struct schema_sum rows = {{0}};
	struct instance_header header;
	struct error error;
	struct bytes found, value;
	struct key key = key_of(KEY_INSTANCE);
	struct store_cursor *cursor = store_cursor_open(world->store, 1, key_bytes(&key), &error);
	check(cursor != NULL);
	while (store_cursor_next(cursor, &found, &value) && found.data[0] == KEY_INSTANCE) {
		check(instance_header_take(&value, &header));
		rows.instances[header.schema <= 2 ? header.schema : 0]++;
	}
	store_cursor_close(cursor);
	engine_schemas_each(world->engine, schema_add, &sum);
	for (int schema = 0; schema < 3; schema++)
		if (sum.instances[schema] != rows.instances[schema])
			wrong(world, "instances counted by schema", sum.instances[schema], rows.instances[schema]);
}

static void rows_are(struct world *world, const char *what, enum key_kind kind, uint64_t expected) {
	uint64_t rows = rows_count(world, REDO_RUNTIME, kind);
	if (rows != expected)
		wrong(world, what, rows, expected);
}

static void world_settle(struct world *world);

/* A year later nothing is left of keys and producers, whichever order the sweep took. */
static void expiry_compare(struct world *world) {
	struct flow *flow = &world->engine->flow;
	rows_are(world, "idempotency keys", KEY_KEYED, KEYS_COUNT);
	rows_are(world, "their answers", KEY_KEYED_ANSWER, KEYS_COUNT);
	rows_are(world, "entries of the sweep", KEY_WAKE, KEYS_COUNT + PROGRAM_PRODUCERS);
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
		wrong(world, "count of idempotency keys", (uint64_t)atomic_load(&flow->keys), 0);
}

/* Everything that was dropped is taken back: a checkpoint is asked for, if none comes by itself. */
static void reclaim_all(struct world *world) {
	enum { STEP_US = 2000000 };
	for (int i = 0; i < 20000; i++) {
		bool applied = store_applier_step(world->store);
		world->now_us += STEP_US;
		bool worked = store_reclaim_step(world->store, world->now_us) == 0;
		if (i > 50 && !applied && !worked && rows_count(world, REDO_RUNTIME, KEY_DROPPED) == 0)
			return;
	}
	wrong(world, "ranges that are never taken back", rows_count(world, REDO_RUNTIME, KEY_DROPPED), 0);
}

/* How many of an instance's rows its headers tell of. */
static bool entry_told(struct world *world, uint32_t database, struct bytes key) {
	struct error error;
	struct buf row = {0};
	struct instance_header header;
	struct instance_value value;
	struct entries_header entries;
	bool told = false;
	struct bytes id = bytes_of(key.data + 2, key.data[1]);
	uint64_t generation = key_u64_at(id.data + id.size);
	struct key instance = key_instance(id);
	if (store_get(world->store, database, key_bytes(&instance), &row, &error) == 1) {
		struct bytes rest = bytes_buf(&row);
		check(instance_header_take(&rest, &header));
		while (!told && rest.size > 0 && instance_value_take(&rest, &value))
			told = entries_header_read(value.msgpack, &entries) && entries.generation == generation &&
				(entries.kind == SOFUN_KIND_TABLE || key_u64_at(id.data + id.size + 8) >= entries.first);
	}
	buf_finish(&row);
	return told;
}

/* No row of an entry is left that nobody tells of. */
static void entries_compare(struct world *world, uint32_t database) {
	struct error error;
	struct key from = key_of(KEY_ENTRY);
	struct bytes key, value;
	struct store_cursor *cursor = store_cursor_open(world->store, database, key_bytes(&from), &error);
	check(cursor != NULL);
	while (world->result->good && store_cursor_next(cursor, &key, &value) && key.data[0] == KEY_ENTRY)
		if (!entry_told(world, database, key))
			wrong(world, "the row of an entry that nobody tells of", database, 0);
	store_cursor_close(cursor);
}

static void world_compare(struct world *world) {
	struct program_model model = {0};
	for (uint32_t producer = 0; producer < PROGRAM_PRODUCERS; producer++) {
		for (uint64_t sequence = 1; sequence <= world->options->records; sequence++)
			program_expect(&model, world->options->seed, producer, sequence);
	}
	keys_expect(&model, world->options->seed);
	world->result->messages = model.messages;
	counts_compare(world, &model);
	egresses_compare(world, &model);
	schemas_compare(world);
	reclaim_all(world);
	entries_compare(world, 1);
	entries_compare(world, 2);
	if (rows_count(world, REDO_RUNTIME, KEY_DEAD) != model.dead)
		wrong(world, "dead letters", rows_count(world, REDO_RUNTIME, KEY_DEAD), model.dead);
	if (rows_count(world, REDO_RUNTIME, KEY_TIMER) + rows_count(world, REDO_RUNTIME, KEY_TOKEN) != 0)
		wrong(world, "rows of timers when none is left", rows_count(world, REDO_RUNTIME, KEY_TIMER), 0);
	rows_are(world, "rows of operations when none is under way", KEY_OPERATION, 0);
	if (atomic_load(&world->engine->flow.operations_open) != 0)
		wrong(world, "operations that are under way", atomic_load(&world->engine->flow.operations_open), 0);
	if (rows_count(world, REDO_RUNTIME, KEY_QUEUE_RUN) != 0)
		wrong(world, "rows of waiting messages when none waits", rows_count(world, REDO_RUNTIME, KEY_QUEUE_RUN), 0);
	if (rows_count(world, 2, KEY_INSTANCE) != 0)
		wrong(world, "instances that should have expired", rows_count(world, 2, KEY_INSTANCE), 0);
	if (program_hooks.violations > 0 && world->result->good) {
		world->result->good = false;
		snprintf(world->result->what, sizeof world->result->what, "%s", program_hooks.what);
	}
}

/* Steps until the barrier's epoch and one more are in the tables: then everything that was handled is to be seen. */
static void world_settle(struct world *world) {
	for (int i = 0; i < 20000; i++) {
		struct flow *flow = &world->engine->flow;
		for (uint32_t s = 0; s < flow->shards_count; s++) {
			atomic_store(&flow->shards[s]->hold, HOLD_RUN);
			shard_step(flow->shards[s]);
			atomic_store(&flow->shards[s]->hold, HOLD_IDLE);
		}
		if (i == 0)
			engine_commit_rows(world->engine, 2, NULL, 0); /* one more epoch: it trims what the last one consumed */
		committer_step(&world->engine->committer);
		bool applied = store_applier_step(world->store);
		world->now_us += 500;
		monotonic_simulate(world->now_us);
		if (i > 50 && !applied && committer_settled(&world->engine->committer) &&
			store_applied(world->store) + 1 >= world->engine->committer.epoch)
			return;
	}
	wrong(world, "the host does not come to rest", 1, 0);
}

/* ---- one run ---- */

/* Lives until a crash or the end. True: the end. */
static bool world_live(struct world *world) {
	if (!host_start(world) || setjmp(world->death) != 0)
		return false;
	while (world->result->good) {
		if (world->result->steps > STEPS_MAX) {
			wrong(world, "steps without an end", world->result->steps, STEPS_MAX);
			return true;
		}
		world_step(world);
		if (!alive(world))
			return false;
		if (atomic_load(&world->engine->flow.failed)) {
			wrong_error(world, "the store failed", &world->engine->flow.failure);
			return true;
		}
		point_pass(swap_phase(world), false);
		if (world->crash_countdown > 0 && --world->crash_countdown == 0)
			return false;
		/* a barrier does not wait for timers: the last one has none before it and none behind it */
		if (world->barrier_done && world->timers_before != UINT64_MAX &&
			world->timers_before == timers_next_if_none_left(world))
			return true;
		world->barrier_asked &= !world->barrier_done;
		world->barrier_done = false;
	}
	return true;
}

/* Half of the crashes come at a named event of the disk or of a database, half between two steps. */
static void crash_plan(struct world *world) {
	world->crash_countdown = 0;
	if (world->result->crashes >= world->options->crashes_max)
		return;
	if (world_below(world, 2) == 0)
		points_plan(1 + world_below(world, 60));
	else
		world->crash_countdown = 1 + world_below(world, 1500);
}

static bool mutant_is(const struct world_options *options, const char *name) {
	return options->mutant != NULL && strcmp(options->mutant, name) == 0;
}

void world_run(const struct world_options *options, struct world_result *ret_result) {
	struct world world = {.options = options, .result = ret_result, .random = options->seed * HASH_K0 + 1};
	*ret_result = (struct world_result){.good = true};
	world.keys.seed = options->seed;
	world.disk = fault_disk_create(options->seed);
	world.kv = sim_kv_create(options->seed);
	if (mutant_is(options, "no_sync"))
		fault_disk_lie(world.disk);
	if (mutant_is(options, "naive_trim"))
		sim_kv_lie(world.kv);
	points_watch(world.disk, world.kv);
	config_init(&world.config);
	world.config.test_clock = true;
	world.config.test_clock_ms = 1000000;
	swaps_init(&world.swaps, options->seed);
	world.config.retry_block_ms_max = UINT64_C(1) << 50; /* only a verdict may end what waits for one */
	check(world.config.retry_attempts == PROGRAM_ATTEMPTS);
	world.swapping = options->seed % 4 != 0;
	world.now_us = 1000000;
	monotonic_simulate(world.now_us);
	program_hooks = (struct program_hooks){
		.seed = options->seed,
		.inside = inside_hook,
		.judge = judge_hook,
		.poison = options->seed % 3 == 2,
		.entered = entered_hook,
		.working = working_hook,
		.outside = outside_hook,
		.arg = &world,
	};
	deaths_forget();
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
	points_calm();
	if (ret_result->good && alive(&world)) {
		world_settle(&world);
		world_compare(&world);
		if (ret_result->good)
			expiry_compare(&world);
	}
	host_drop(&world);
	config_finish(&world.config);
	sim_kv_destroy(world.kv);
	fault_disk_destroy(world.disk);
	monotonic_simulate(0);
}
