/* Sweeps beside those who wait: an epoch has room for few of them, a delayed message goes past all, in memory and in the store,
 * and without anybody who waits, or with a disk that keeps up, nothing holds them back. One shard, stepped by hand; nobody
 * sweeps: no version is live. */
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
	STEPS_MAX = 20000,
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

/* The store was asked for both kinds. */
static bool asked(void) {
	return shard->timers.messages.horizon.due_ms > 0 && shard->timers.sweeps.horizon.due_ms > 0;
}

static void settled(void) {
	for (int step = 0; step < STEPS_MAX && (shard_step(shard) || !asked()); step++)
		committed();
	ck_assert(asked());
	committed();
}

static void host_start(void) {
	struct store_recovered recovered;
	struct error error;
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

static void host_stop(void) {
	struct error error;
	engine->started = false;
	engine_destroy(engine);
	ck_assert(store_close(store, false, &error));
	config_finish(&config);
}

static void setup(void) {
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	host_start();
	ck_assert_uint_eq(timers_next_ms(shard), UINT64_MAX); /* a new store has none */
}

static void teardown(void) {
	host_stop();
	nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* The message of a timer; valid until the next one. */
static const struct message_head *message_of(uint8_t flags) {
	static const uint8_t nil = 0xc0;
	static _Alignas(8) uint8_t room[256];
	const struct bytes id = bytes_text("a");
	struct message_parts parts = {
		.head = {.hash = flow_hash(&engine->flow, TYPE, id), .type = TYPE, .caller_type = TYPE, .flags = flags},
		.id = id,
		.caller_id = id,
		.payload = bytes_of(&nil, 1)};
	ck_assert_uint_le(message_measure(&parts), sizeof room);
	message_put(room, &parts);
	return (const struct message_head *)(const void *)room;
}

static void sweeps_put(int count, uint64_t due_ms) {
	shard_touch(shard);
	for (int i = 0; i < count; i++)
		timers_file(shard, due_ms, message_of(MESSAGE_SWEEP));
}

static void delayed_put(int count, uint64_t due_ms) {
	shard_touch(shard);
	for (int i = 0; i < count; i++)
		timers_set(shard, due_ms, bytes_of(NULL, 0), message_of(0));
}

/* As an older host filed it: a row among those of delayed messages. */
static void old_sweeps_put(int count, uint64_t due_ms) {
	const struct message_head *message = message_of(MESSAGE_SWEEP);
	struct buf row = {0};
	shard_touch(shard);
	buf_append_u8(&row, 0);
	buf_append(&row, message, message->size);
	for (int i = 0; i < count; i++) {
		const struct timer_place place = {due_ms, atomic_fetch_add(&engine->flow.timer_next, 1)};
		struct key key = key_timer(TIMER_MESSAGE, place);
		redo_put(&shard->redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&row));
	}
	buf_finish(&row);
}

static int rows(enum timer_kind kind) {
	struct error error;
	struct key first = key_of((enum key_kind)kind);
	struct bytes key, value;
	struct store_cursor *cursor = store_cursor_open(store, REDO_RUNTIME, key_bytes(&first), &error);
	int count = 0;
	while (store_cursor_next(cursor, &key, &value) && key.data[0] == kind)
		count++;
	store_cursor_close(cursor);
	return count;
}

/* They fall due at once: many sweeps, and behind them some delayed messages. */
static void all_due(void) {
	sweeps_put(SWEEPS, DUE_MS);
	delayed_put(DELAYED, DUE_MS + 1);
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

static uint64_t delayed_sent(void) {
	return shard->counts.timers_sent;
}

static void time_passes(uint64_t us) {
	static uint64_t now_us = 1000000;
	now_us += us;
	monotonic_simulate(now_us);
}

/* As many turns as an epoch can have at most, in no time, and no cut meanwhile. */
static uint64_t moment_take(void) {
	const uint64_t before = sweeps_sent(), epoch = shard->epoch;
	for (int turn = 0; turn < TURNS; turn++)
		shard_step(shard);
	ck_assert_uint_eq(shard->epoch, epoch);
	return sweeps_sent() - before;
}

static uint64_t turns_take(void) {
	time_passes(SWEEPS_STRAINED_US);
	return moment_take();
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
	ck_assert_uint_eq(delayed_sent(), DELAYED);
	ck_assert_uint_lt(sweeps_sent(), SWEEPS_BESIDE);
}
END_TEST

START_TEST(a_delayed_message_in_the_store_goes_past_sweeps_there) {
	engine->flow.sweep_bytes = engine->flow.timer_bytes = 512; /* a handful */
	all_due();
	ck_assert_uint_lt(lane_count(&shard->timers.messages), DELAYED);
	ck_assert_uint_lt(lane_count(&shard->timers.sweeps), SWEEPS / 2);
	atomic_store(&engine->flow.strained, true);
	for (int turn = 0; turn < 2 * DELAYED && delayed_sent() < DELAYED; turn++) {
		time_passes(SWEEPS_STRAINED_US);
		shard_step(shard);
		committed();
		atomic_store(&engine->flow.strained, true); /* the committer sees that it is not */
	}
	ck_assert_uint_eq(delayed_sent(), DELAYED);
	ck_assert_uint_lt(sweeps_sent(), SWEEPS / 2);
	shard_step(shard);
	ck_assert_uint_eq(tally_get(&shard->tally.timers_late_ms), 0);
	ck_assert_uint_gt(tally_get(&shard->tally.sweeps_late_ms), 0);
}
END_TEST

START_TEST(the_backlog_counts_what_is_in_the_store) {
	engine->flow.sweep_bytes = 4096;
	all_due();
	ck_assert(!sweep_backlog_step(&engine->flow)); /* nobody has seen yet that they are late */
	ck_assert_uint_eq(sweep_backlog(&engine->flow, TYPE), 0);
	atomic_store(&engine->flow.strained, true);
	ck_assert_uint_eq(turns_take(), SWEEPS_STRAINED);
	committed();
	ck_assert(!sweep_backlog_step(&engine->flow)); /* all in one stretch */
	ck_assert_uint_eq(sweep_backlog(&engine->flow, TYPE), SWEEPS - SWEEPS_STRAINED);
	ck_assert_uint_eq(sweep_backlog(&engine->flow, TYPE + 1), 0);
	sweeps_put(1, DUE_MS);
	atomic_store(&engine->flow.strained, true);
	ck_assert_uint_eq(turns_take(), SWEEPS_STRAINED);
	committed();
	ck_assert(!sweep_backlog_step(&engine->flow)); /* it rests: what is new is not seen, what is sent is */
	ck_assert_uint_eq(sweep_backlog(&engine->flow, TYPE), SWEEPS - 2 * SWEEPS_STRAINED);
	time_passes(1000000);
	sweep_backlog_step(&engine->flow);
	ck_assert_uint_eq(sweep_backlog(&engine->flow, TYPE), SWEEPS + 1 - 2 * SWEEPS_STRAINED);
	for (int turn = 0; turn < STEPS_MAX && sweeps_sent() <= SWEEPS; turn++) {
		time_passes(SWEEPS_STRAINED_US);
		shard_step(shard);
		committed();
	}
	shard_step(shard);
	ck_assert_uint_eq(sweep_backlog(&engine->flow, TYPE), 0);
}
END_TEST

/* More than a pass takes of them. */
START_TEST(sweeps_of_an_older_host_go_to_their_own_lane) {
	enum { OLD = TIMERS_LOAD_OLD_MAX + 1 };
	engine->flow.timer_bytes = 64 << 20;
	old_sweeps_put(OLD, DUE_MS);
	delayed_put(DELAYED, DUE_MS + 1);
	settled();
	host_stop();
	host_start();
	ck_assert_int_eq(rows(TIMER_SWEEP), TIMERS_LOAD_OLD_MAX);
	ck_assert_int_eq(rows(TIMER_MESSAGE), OLD - TIMERS_LOAD_OLD_MAX + DELAYED);
	ck_assert_uint_eq(timers_next_ms(shard), DUE_MS);
	host_stop();
	host_start(); /* nothing of it is lost, or there twice */
	ck_assert_int_eq(rows(TIMER_SWEEP), OLD);
	ck_assert_int_eq(rows(TIMER_MESSAGE), DELAYED);
	flow_clock_set(&engine->flow.clock, DUE_MS + 1);
	settled();
	ck_assert_uint_eq(sweeps_sent(), OLD);
	ck_assert_uint_eq(delayed_sent(), DELAYED);
	ck_assert_int_eq(rows(TIMER_SWEEP) + rows(TIMER_MESSAGE), 0);
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

START_TEST(while_it_falls_behind_short_epochs_have_no_more) {
	all_due();
	input_put();
	atomic_store(&engine->flow.strained, true);
	ck_assert_uint_eq(turns_take(), SWEEPS_STRAINED);
	for (int epoch = 0; epoch < 3; epoch++) {
		committed();
		atomic_store(&engine->flow.strained, true);
		input_put();
		ck_assert_uint_eq(moment_take(), 0);
	}
	ck_assert_uint_eq(turns_take(), SWEEPS_STRAINED);
}
END_TEST

START_TEST(while_it_falls_behind_and_nobody_waits_each_epoch_has_some) {
	all_due();
	for (int epoch = 0; epoch < 5; epoch++) {
		atomic_store(&engine->flow.strained, true);
		ck_assert_uint_eq(moment_take(), SWEEPS_STRAINED);
		committed();
	}
}
END_TEST

START_TEST(the_committer_says_that_the_store_falls_behind) {
	struct store_figures figures;
	all_due();
	store_figures(store, &figures);
	config.memory_bytes =
		figures.table_bytes * 10 / TABLES_MEMORY_TENTHS * 8 / 7; /* more than three quarters, less than all */
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
		sweeps_put(1, UINT64_MAX / 2);
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
	tcase_add_test(tests, a_delayed_message_in_the_store_goes_past_sweeps_there);
	tcase_add_test(tests, the_backlog_counts_what_is_in_the_store);
	tcase_add_test(tests, sweeps_of_an_older_host_go_to_their_own_lane);
	tcase_add_test(tests, a_store_that_falls_behind_gets_the_least);
	tcase_add_test(tests, while_it_falls_behind_short_epochs_have_no_more);
	tcase_add_test(tests, while_it_falls_behind_and_nobody_waits_each_epoch_has_some);
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
