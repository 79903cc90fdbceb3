/* The store as the flow sees it: what is handed is found, wherever a checkpoint has brought it by then. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "store_kit.h"

static struct store_kit *kit;

static void setup(void) {
	kit = check_alloc(1, sizeof *kit);
	store_kit_start(kit, 1);
}

static void teardown(void) {
	store_kit_stop(kit);
	free(kit);
}

static void must(bool good) {
	char line[2048];
	error_line(&kit->error, line, sizeof line);
	ck_assert_msg(good, "%s", line);
}

START_TEST(a_new_store_is_empty) {
	must(store_kit_open(kit));
	ck_assert(kit->recovered.created);
	ck_assert(!kit->recovered.clean);
	ck_assert_uint_eq(kit->recovered.epoch, 0);
	ck_assert_uint_eq(store_applied(kit->store), 0);
	ck_assert(!store_pressed(kit->store));
	ck_assert(!store_applier_step(kit->store));
	ck_assert_uint_eq(store_egress_end(kit->store, bytes_text("none")), 0);
	must(store_kit_holds(kit, 0));
}
END_TEST

START_TEST(what_is_handed_is_found_at_every_step_of_a_checkpoint) {
	must(store_kit_open(kit));
	while (kit->epoch < 200) {
		must(store_kit_epoch(kit, true));
		store_applier_step(kit->store);
		while (store_applied(kit->store) < kit->epoch)
			store_applier_step(kit->store);
		must(store_kit_holds(kit, kit->epoch));
	}
	struct store_figures figures;
	store_figures(kit->store, &figures);
	ck_assert_uint_gt(figures.checkpoints, 3);
	ck_assert_uint_gt(figures.journal_bytes_written, 0);
	ck_assert_uint_gt(figures.table_bytes, 0);
}
END_TEST

START_TEST(an_orderly_stop_leaves_nothing_to_replay) {
	must(store_kit_open(kit));
	uint8_t id[STORE_ID_BYTES];
	memcpy(id, kit->recovered.store_id, sizeof id);
	while (kit->epoch < 30)
		must(store_kit_epoch(kit, true));
	must(store_kit_close(kit));
	must(store_kit_open(kit));
	ck_assert(kit->recovered.clean);
	ck_assert(!kit->recovered.created);
	ck_assert_uint_eq(kit->recovered.epoch, 30);
	ck_assert_uint_eq(kit->recovered.time_ms, 300);
	ck_assert_mem_eq(kit->recovered.store_id, id, sizeof id);
	struct store_figures figures;
	store_figures(kit->store, &figures);
	ck_assert_uint_eq(figures.table_entries, 0);
	must(store_kit_holds(kit, 30));
}
END_TEST

START_TEST(a_kill_after_an_orderly_stop_is_no_orderly_stop) {
	must(store_kit_open(kit));
	must(store_kit_epoch(kit, true));
	must(store_kit_close(kit));
	must(store_kit_open(kit));
	ck_assert(kit->recovered.clean);
	store_kit_drop(kit);
	store_kit_power(kit, false);
	must(store_kit_open(kit));
	ck_assert(!kit->recovered.clean);
	must(store_kit_holds(kit, 1));
}
END_TEST

START_TEST(what_was_not_checkpointed_is_replayed) {
	must(store_kit_open(kit));
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < 11; i++)
			must(store_kit_epoch(kit, true));
		for (int i = 0; i < round; i++)
			store_applier_step(kit->store);
		store_kit_drop(kit);
		store_kit_power(kit, false);
		uint64_t epoch = kit->epoch;
		must(store_kit_open(kit));
		ck_assert(!kit->recovered.clean);
		ck_assert_uint_eq(kit->recovered.epoch, epoch);
		ck_assert_uint_eq(kit->recovered.time_ms, epoch * 10);
		ck_assert_uint_gt(kit->recovered.journal_bytes, 0);
		must(store_kit_holds(kit, epoch));
	}
}
END_TEST

START_TEST(the_applier_takes_only_what_is_synced) {
	must(store_kit_open(kit));
	must(store_kit_epoch(kit, true));
	must(store_kit_epoch(kit, false));
	store_kit_apply(kit);
	ck_assert_uint_eq(store_applied(kit->store), 1);
	must(store_kit_epoch(kit, true));
	store_kit_apply(kit);
	ck_assert_uint_eq(store_applied(kit->store), 3);
	must(store_kit_holds(kit, 3));
}
END_TEST

START_TEST(what_nobody_syncs_the_applier_syncs_in_the_end) {
	must(store_kit_open(kit));
	must(store_kit_epoch(kit, false));
	int waits = 0;
	while (store_applied(kit->store) < 1) {
		ck_assert_int_lt(waits++, 10000);
		if (!store_applier_step(kit->store))
			store_applier_wait(kit->store, 0);
	}
	must(store_kit_holds(kit, 1));
	/* Much that waits does not wait so long. */
	uint64_t applied = 1;
	while (store_applied(kit->store) == applied) {
		must(store_kit_epoch(kit, false));
		store_kit_apply(kit);
	}
	must(store_kit_holds(kit, kit->epoch));
}
END_TEST

START_TEST(a_journal_far_ahead_presses) {
	must(store_kit_open(kit));
	while (!store_pressed(kit->store))
		must(store_kit_epoch(kit, true));
	store_kit_apply(kit);
	ck_assert(!store_pressed(kit->store));
	must(store_kit_holds(kit, kit->epoch));
}
END_TEST

START_TEST(a_full_disk_of_databases_is_waited_for) {
	must(store_kit_open(kit));
	for (int round = 0; round < 12; round++) {
		struct store_figures before;
		store_figures(kit->store, &before);
		struct store_figures figures = before;
		while (figures.checkpoints == before.checkpoints) {
			must(store_kit_epoch(kit, true));
			kit->space = store_kit_random(kit, 2) == 0 ? FAULT_ENOSPC : FAULT_NONE;
			for (int i = 0; i < 6; i++)
				store_applier_step(kit->store);
			kit->space = FAULT_NONE;
			if (store_pressed(kit->store))
				while (store_applier_step(kit->store))
					;
			must(store_kit_holds(kit, store_applied(kit->store)));
			store_figures(kit->store, &figures);
		}
		ck_assert(!store_failed(kit->store, NULL));
	}
	store_kit_apply(kit);
	must(store_kit_holds(kit, kit->epoch));
	must(store_kit_close(kit));
	must(store_kit_open(kit));
	must(store_kit_holds(kit, kit->epoch));
}
END_TEST

START_TEST(a_full_disk_presses_until_there_is_space) {
	must(store_kit_open(kit));
	struct store_figures figures = {0};
	while (figures.journal_untrimmed_bytes < STORE_KIT_CHECKPOINT_BYTES + 8192) {
		must(store_kit_epoch(kit, true));
		store_figures(kit->store, &figures);
	}
	kit->space = FAULT_ENOSPC;
	store_kit_apply(kit);
	ck_assert(store_pressed(kit->store));
	ck_assert(!store_applier_step(kit->store));
	ck_assert(!store_failed(kit->store, NULL));
	must(store_kit_holds(kit, kit->epoch));
	kit->space = FAULT_NONE;
	store_kit_apply(kit);
	ck_assert(!store_pressed(kit->store));
	must(store_kit_holds(kit, kit->epoch));
}
END_TEST

START_TEST(an_orderly_stop_on_a_full_disk_says_so_and_loses_nothing) {
	must(store_kit_open(kit));
	must(store_kit_epoch(kit, true));
	kit->space = FAULT_ENOSPC;
	ck_assert(!store_kit_close(kit));
	ck_assert_int_eq(kit->error.system, ENOSPC);
	kit->space = FAULT_NONE;
	must(store_kit_open(kit));
	ck_assert(!kit->recovered.clean);
	must(store_kit_holds(kit, 1));
}
END_TEST

START_TEST(a_disk_that_fails_ends_the_store) {
	must(store_kit_open(kit));
	struct store_figures figures = {0};
	while (figures.journal_untrimmed_bytes < STORE_KIT_CHECKPOINT_BYTES + 8192) {
		must(store_kit_epoch(kit, true));
		store_figures(kit->store, &figures);
	}
	kit->space = FAULT_EIO;
	store_kit_apply(kit);
	struct error error;
	ck_assert(store_failed(kit->store, &error));
	ck_assert_int_eq(error.system, EIO);
	ck_assert_int_eq(error.code, ERROR_STORE_FAILED);
	ck_assert(!store_applier_step(kit->store));
	kit->space = FAULT_NONE;
	ck_assert(!store_kit_close(kit));
	must(store_kit_open(kit));
	must(store_kit_holds(kit, kit->epoch));
}
END_TEST

static void names_take(void *arg, struct bytes name, uint64_t start, uint64_t end) {
	uint32_t *seen = arg;
	ck_assert(bytes_equal(name, store_kit_egress(*seen)));
	ck_assert_uint_eq(start, 0);
	ck_assert_uint_eq(end, kit->models[kit->epoch].ends[*seen]);
	++*seen;
}

static bool two_only(void *arg, uint64_t offset, struct bytes record) {
	(void)record;
	*(uint64_t *)arg = offset;
	return offset % 3 != 2;
}

START_TEST(egresses_are_named_and_read_in_pieces) {
	must(store_kit_open(kit));
	while (kit->epoch < 60) {
		must(store_kit_epoch(kit, true));
		store_kit_apply(kit);
	}
	uint32_t seen = 0;
	store_egress_names(kit->store, names_take, &seen);
	ck_assert_uint_eq(seen, STORE_KIT_EGRESSES);
	uint64_t last = 0;
	uint64_t next = 1;
	must(store_egress_read(kit->store, bytes_text("bans"), 1, two_only, &last, &next, &kit->error));
	ck_assert_uint_eq(last, 2);
	ck_assert_uint_eq(next, 3);
	must(store_egress_read(kit->store, bytes_text("nobody"), 7, two_only, &last, &next, &kit->error));
	ck_assert_uint_eq(next, 7);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("store");
	TCase *cases = tcase_create("store");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 120);
	tcase_add_test(cases, a_new_store_is_empty);
	tcase_add_test(cases, what_is_handed_is_found_at_every_step_of_a_checkpoint);
	tcase_add_test(cases, an_orderly_stop_leaves_nothing_to_replay);
	tcase_add_test(cases, a_kill_after_an_orderly_stop_is_no_orderly_stop);
	tcase_add_test(cases, what_was_not_checkpointed_is_replayed);
	tcase_add_test(cases, the_applier_takes_only_what_is_synced);
	tcase_add_test(cases, what_nobody_syncs_the_applier_syncs_in_the_end);
	tcase_add_test(cases, a_journal_far_ahead_presses);
	tcase_add_test(cases, a_full_disk_of_databases_is_waited_for);
	tcase_add_test(cases, a_full_disk_presses_until_there_is_space);
	tcase_add_test(cases, an_orderly_stop_on_a_full_disk_says_so_and_loses_nothing);
	tcase_add_test(cases, a_disk_that_fails_ends_the_store);
	tcase_add_test(cases, egresses_are_named_and_read_in_pieces);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
