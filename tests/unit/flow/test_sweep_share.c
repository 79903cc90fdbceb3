/* Sweeps beside those who wait: an epoch has room for few of them, a delayed message goes past all, and without anybody who
 * waits, or with a disk that keeps up, nothing holds them back. One shard, stepped by hand; nobody sweeps: no version is live. */
#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/engine/inside.h"
#include "flow/timer/load.h"
#include "flow/timer/share.h"
#include "state/disk.h"

enum {
	TYPE = 1,
	SWEEPS = 4 * SWEEPS_BESIDE,
	DELAYED = 10,
	START_MS = 1000,
	DUE_MS = 5000,
	STEPS_MAX = 2000,
	TURNS = 64
};

static char dir[] = "/tmp/sofun-test-XXXXXX";
static struct config config;
static struct store *store;
static struct engine *engine;
static struct shard *shard;

static int entry_remove(const char *name, const struct stat *status, int type, struct FTW *place) {
	(void)status;
	(void)type;
	(void)place;
	return remove(name);
}

static struct view *view_of_one(void) {
	const struct split nobody = {.base = VERSION_NONE, .canary = VERSION_NONE};
	struct binding bindings[TYPE + 1] = {{0}};
	bindings[TYPE] = (struct binding){.number = TYPE, .name = "test/one", .now = nobody, .before = nobody};
	return view_create(1, bindings, TYPE + 1, NULL, 0);
}

static void committed(void) {
	while (committer_step(&engine->committer))
		;
	while (store_applier_step(store))
		;
	timers_load_step(&engine->flow);
}

static void settled(void) {
	for (int step = 0; step < STEPS_MAX && (shard_step(shard) || shard->timers.horizon.due_ms != UINT64_MAX); step++)
		committed();
	ck_assert_uint_eq(shard->timers.horizon.due_ms, UINT64_MAX); /* the store was asked: it has none */
	committed();
}

static void setup(void) {
	struct store_recovered recovered;
	struct error error;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	config_init(&config);
	config.shards = 1;
	config.durability = DURABILITY_SYNC; /* so that the applier takes each epoch at once */
	config.test_clock = true;
	config.test_clock_ms = START_MS;
	const struct store_options options = {.disk = disk_machine(),
		.factory = kv_leveldb(1 << 20, 8 << 20),
		.dir = dir,
		.checkpoint_bytes = 16 << 20,
		.segment_bytes = 1 << 20,
		.journal_bytes_max = 32 << 20};
	store = store_open(&options, &recovered, &error);
	ck_assert_msg(store != NULL, "%s", error.message);
	store_type_name(store, TYPE, "test/one");
	engine = engine_create(&config, store, &recovered, &error);
	ck_assert_msg(engine != NULL, "%s", error.message);
	engine->threadless = true;
	engine_start(engine, view_of_one());
	shard = engine->flow.shards[0];
	atomic_store(&shard->hold, HOLD_IDLE);
	settled();
}

static void teardown(void) {
	struct error error;
	engine->started = false;
	engine_destroy(engine);
	ck_assert(store_close(store, false, &error));
	config_finish(&config);
	nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static void timer_put(uint64_t due_ms, uint8_t flags) {
	static const uint8_t nil = 0xc0;
	_Alignas(8) uint8_t room[256];
	const struct bytes id = bytes_text("a");
	struct message_parts parts = {
		.head = {.hash = flow_hash(&engine->flow, TYPE, id), .type = TYPE, .caller_type = TYPE, .flags = flags},
		.id = id,
		.caller_id = id,
		.payload = bytes_of(&nil, 1)};
	ck_assert_uint_le(message_measure(&parts), sizeof room);
	message_put(room, &parts);
	shard_touch(shard);
	timers_set(shard, due_ms, bytes_of(NULL, 0), (const struct message_head *)(const void *)room);
}

/* They fall due at once: many sweeps, and behind them some delayed messages. */
static void all_due(void) {
	for (int i = 0; i < SWEEPS; i++)
		timer_put(DUE_MS, MESSAGE_SWEEP);
	for (int i = 0; i < DELAYED; i++)
		timer_put(DUE_MS + 1, 0);
	shard_step(shard);
	committed();
	flow_clock_set(&engine->flow.clock, DUE_MS + 1);
}

static void input_put(void) {
	static const uint8_t nil = 0xc0;
	const struct engine_message message = {
		.to = bytes_text("test/one"), .id = bytes_text("b"), .payload = bytes_of(&nil, 1)};
	engine_send(engine, 1, &message);
}

static uint64_t sweeps_sent(void) {
	return tally_get(&shard_type_tally(shard, TYPE)->sweeps_sent);
}

/* As many turns as an epoch can have at most, and no cut meanwhile. */
static uint64_t turns_take(void) {
	const uint64_t before = sweeps_sent(), epoch = shard->epoch;
	for (int turn = 0; turn < TURNS; turn++)
		shard_step(shard);
	ck_assert_uint_eq(shard->epoch, epoch);
	return sweeps_sent() - before;
}

START_TEST(beside_inputs_an_epoch_has_few_sweeps) {
	all_due();
	for (uint64_t left = SWEEPS; left > 0; left -= SWEEPS_BESIDE) {
		input_put();
		ck_assert_uint_eq(turns_take(), SWEEPS_BESIDE);
		ck_assert(shard->timers.sweeps_wait == (left > SWEEPS_BESIDE));
		ck_assert_uint_eq(atomic_load(&shard->input_pending), 0);
		committed();
	}
	ck_assert_uint_eq(sweeps_sent(), SWEEPS);
}
END_TEST

START_TEST(a_delayed_message_goes_past_sweeps) {
	all_due();
	input_put();
	shard_step(shard);
	ck_assert_uint_eq(shard->counts.timers_sent - sweeps_sent(), DELAYED);
	ck_assert_uint_lt(sweeps_sent(), SWEEPS_BESIDE);
}
END_TEST

START_TEST(a_store_that_falls_behind_gets_the_least) {
	all_due();
	input_put();
	atomic_store(&engine->flow.strained, true);
	ck_assert_uint_eq(turns_take(), SWEEPS_STRAINED);
	ck_assert_uint_lt(shard_idle_us(shard), UINT64_MAX); /* it looks again by itself */
	committed();
	ck_assert(!atomic_load(&engine->flow.strained)); /* there is next to nothing in this one */
	input_put();
	ck_assert_uint_eq(turns_take(), SWEEPS_BESIDE);
}
END_TEST

START_TEST(the_committer_says_that_the_store_falls_behind) {
	struct store_figures figures;
	all_due();
	store_figures(store, &figures);
	config.memory_bytes =
		figures.table_bytes * TABLES_MEMORY_PART * 8 / 7; /* more than three quarters, less than all */
	input_put();
	ck_assert_uint_eq(turns_take(), SWEEPS_BESIDE);
	committed();
	ck_assert(atomic_load(&engine->flow.strained));
	ck_assert_uint_eq(turns_take(), SWEEPS_STRAINED);
}
END_TEST

START_TEST(whose_epoch_is_cut_goes_on) {
	all_due();
	input_put();
	ck_assert_uint_eq(turns_take(), SWEEPS_BESIDE);
	ck_assert(atomic_load(&shard->stalled)); /* so the committer wakes it */
	ck_assert_uint_eq(atomic_load(&shard->wants), shard->epoch);
}
END_TEST

START_TEST(without_inputs_nothing_is_held_back) {
	settled();
	for (int epoch = 0; epoch < 3; epoch++) {
		timer_put(UINT64_MAX / 2, MESSAGE_SWEEP);
		shard_step(shard);
		committed();
	}
	all_due();
	ck_assert_uint_eq(turns_take(), SWEEPS);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("sweep share");
	TCase *tests = tcase_create("sweep share");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, beside_inputs_an_epoch_has_few_sweeps);
	tcase_add_test(tests, a_delayed_message_goes_past_sweeps);
	tcase_add_test(tests, a_store_that_falls_behind_gets_the_least);
	tcase_add_test(tests, the_committer_says_that_the_store_falls_behind);
	tcase_add_test(tests, whose_epoch_is_cut_goes_on);
	tcase_add_test(tests, without_inputs_nothing_is_held_back);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
