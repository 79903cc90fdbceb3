/* Dropped ranges: a power cut at every single call that changes something while they are taken back leaves no row that nobody
 * tells of, and takes none that somebody does. */
#include <check.h>
#include <stdlib.h>

#include "base/check.h"
#include "state/key.h"
#include "state/reclaim.h"
#include "store_kit.h"

enum { TYPE = 1, DROPPED = 1, KEPT = 2, DROPPED_KEYS = 40, KEPT_KEYS = 5, STEP_US = 2000000, SEEDS = 30 };

static struct store_kit *kit;

static struct key entry_key(uint64_t generation, uint64_t number) {
	struct key key = key_entries(bytes_text("id"), generation);
	key_u64(&key, number);
	return key;
}

static void entries_put(struct buf *redo, uint64_t generation, uint64_t count) {
	for (uint64_t number = 0; number < count; number++) {
		struct key key = entry_key(generation, number);
		redo_put(redo, TYPE, key_bytes(&key), bytes_text("x"));
	}
}

static void range_drop(struct buf *redo, uint64_t epoch) {
	struct key key = key_dropped(epoch, 1);
	struct key from = key_entries(bytes_text("id"), DROPPED);
	struct key to = key_entries(bytes_text("id"), DROPPED + 1);
	struct buf value = {0};
	dropped_row_put(&value, &(struct dropped_row){.database = TYPE, .from = key_bytes(&from), .to = key_bytes(&to)});
	redo_put(redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&value));
	buf_finish(&value);
}

static void epoch_commit(struct buf *redo) {
	struct store_epoch *epoch = store_epoch_create(1);
	epoch->epoch = ++kit->epoch;
	epoch->time_ms = kit->epoch;
	epoch->parts[0] = *redo;
	*redo = (struct buf){0};
	ck_assert(store_append(kit->store, epoch, &kit->error));
	ck_assert(store_sync(kit->store, &kit->error));
	store_hand(kit->store, epoch);
}

static uint64_t rows_count(uint32_t database, struct bytes prefix) {
	struct store_cursor *cursor = store_cursor_open(kit->store, database, prefix, &kit->error);
	struct bytes key, value;
	uint64_t count = 0;
	ck_assert_ptr_nonnull(cursor);
	while (store_cursor_next(cursor, &key, &value) && key.size >= prefix.size &&
		memcmp(key.data, prefix.data, prefix.size) == 0)
		count++;
	store_cursor_close(cursor);
	return count;
}

static uint64_t dropped_count(void) {
	struct key key = key_of(KEY_DROPPED);
	return rows_count(REDO_RUNTIME, key_bytes(&key));
}

/* Until nothing is left to take back; false where it crashed. */
static bool reclaim_all(void) {
	uint64_t now_us = 1;
	for (int i = 0; i < 1000; i++) {
		bool applied = store_applier_step(kit->store);
		now_us += STEP_US;
		bool worked = store_reclaim_step(kit->store, now_us) == 0;
		if (kit->crashed || store_failed(kit->store, &kit->error))
			return false;
		if (!applied && !worked && i > 20 && dropped_count() == 0)
			return true;
	}
	ck_abort_msg("a range is never taken back");
	return false;
}

static void work_begin(uint64_t seed) {
	struct buf redo = {0};
	store_kit_start(kit, seed);
	ck_assert(store_kit_open(kit));
	entries_put(&redo, DROPPED, DROPPED_KEYS);
	entries_put(&redo, KEPT, KEPT_KEYS);
	epoch_commit(&redo);
	store_kit_apply(kit);
	range_drop(&redo, kit->epoch + 1);
	epoch_commit(&redo);
}

/* False: it ended before that many calls. */
static bool cut_at(uint64_t seed, uint64_t call) {
	work_begin(seed);
	kit->crash_at = kit->events + call;
	bool whole = reclaim_all();
	kit->crash_at = 0;
	store_kit_drop(kit); /* at its end, too: what it removed without a sync may come back, with its row or without */
	kit->crashed = false;
	store_kit_power(kit, true);
	ck_assert(store_kit_open(kit));
	ck_assert(reclaim_all());
	struct key dropped = key_entries(bytes_text("id"), DROPPED);
	struct key kept = key_entries(bytes_text("id"), KEPT);
	ck_assert_msg(rows_count(TYPE, key_bytes(&dropped)) == 0, "seed %llu, cut at call %llu: rows are left",
		(unsigned long long)seed, (unsigned long long)call);
	ck_assert_uint_eq(rows_count(TYPE, key_bytes(&kept)), KEPT_KEYS);
	ck_assert(store_kit_close(kit));
	store_kit_stop(kit);
	return !whole;
}

START_TEST(a_power_cut_leaves_no_row_of_a_dropped_range) {
	kit = check_alloc(1, sizeof *kit);
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint64_t call = 1;
		while (cut_at(seed, call))
			call++;
		ck_assert_uint_gt(call, 10);
	}
	free(kit);
}
END_TEST

START_TEST(a_range_is_read_in_order_from_all_that_hold_it) {
	kit = check_alloc(1, sizeof *kit);
	work_begin(1);
	struct buf redo = {0};
	struct key key = entry_key(KEPT, 2);
	redo_remove(&redo, TYPE, key_bytes(&key));
	key = entry_key(KEPT, 100);
	redo_put(&redo, TYPE, key_bytes(&key), bytes_text("y"));
	ck_assert(reclaim_all()); /* what there was is in the database */
	epoch_commit(&redo);
	store_kit_apply(kit);
	static const uint64_t expected[] = {0, 1, 3, 4, 100};
	struct key prefix = key_entries(bytes_text("id"), KEPT);
	struct store_range *range = store_range_open(kit->store, TYPE, key_bytes(&prefix), key_bytes(&prefix), &kit->error);
	ck_assert_ptr_nonnull(range);
	struct buf found = {0}, value = {0};
	uint64_t passed = 0;
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		buf_reset(&found);
		ck_assert_int_eq(store_range_next(range, &found, &value, &passed, &kit->error), 1);
		key = entry_key(KEPT, expected[i]);
		ck_assert(bytes_equal(bytes_buf(&found), key_bytes(&key)));
	}
	ck_assert_int_eq(store_range_next(range, &found, &value, &passed, &kit->error), 0);
	ck_assert_uint_eq(passed, 1); /* the removed one */
	store_range_close(range);
	buf_finish(&found);
	buf_finish(&value);
	ck_assert(store_kit_close(kit));
	store_kit_stop(kit);
	free(kit);
}
END_TEST

static uint64_t table_entries(void) {
	struct store_figures figures;
	store_figures(kit->store, &figures);
	return figures.table_entries;
}

/* After so long without another removal what the tables hold has come to the databases, or has not. */
static bool rested(uint64_t *now_us, uint64_t for_us) {
	(void)store_reclaim_step(kit->store, *now_us += 1);
	(void)store_reclaim_step(kit->store, *now_us += for_us);
	store_kit_apply(kit);
	return table_entries() == 0;
}

static void keys_remove(uint64_t from, uint64_t count) {
	struct buf redo = {0};
	for (uint64_t number = from; number < from + count; number++) {
		struct key key = entry_key(DROPPED, number);
		redo_remove(&redo, TYPE, key_bytes(&key));
	}
	epoch_commit(&redo);
	store_kit_apply(kit);
}

START_TEST(removals_that_rest_come_to_the_databases) {
	enum { SECOND_US = 1000000, MANY = 300 };
	uint64_t now_us = 1;
	struct buf redo = {0};
	kit = check_alloc(1, sizeof *kit);
	store_kit_start(kit, 1);
	kit->checkpoint_bytes = 1 << 30; /* none comes by itself */
	ck_assert(store_kit_open(kit));
	entries_put(&redo, DROPPED, 2 * MANY);
	epoch_commit(&redo);
	store_kit_apply(kit);
	ck_assert(!rested(&now_us, 1000 * SECOND_US)); /* nothing was removed: nobody asks */
	keys_remove(0, MANY);
	ck_assert(!rested(&now_us, 4 * SECOND_US));
	keys_remove(MANY, 1);
	ck_assert(!rested(&now_us, 4 * SECOND_US)); /* it went on meanwhile */
	ck_assert(rested(&now_us, 2 * SECOND_US));
	keys_remove(MANY + 1, 10);
	ck_assert(!rested(&now_us, 50 * SECOND_US)); /* a few wait longer */
	ck_assert(rested(&now_us, 20 * SECOND_US));
	struct key prefix = key_entries(bytes_text("id"), DROPPED);
	ck_assert_uint_eq(rows_count(TYPE, key_bytes(&prefix)), MANY - 11);
	ck_assert(store_kit_close(kit));
	store_kit_stop(kit);
	free(kit);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("state/reclaim");
	TCase *tests = tcase_create("reclaim");
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, a_power_cut_leaves_no_row_of_a_dropped_range);
	tcase_add_test(tests, a_range_is_read_in_order_from_all_that_hold_it);
	tcase_add_test(tests, removals_that_rest_come_to_the_databases);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
