/* Egress logs: what retention takes, by size and by age, and what a crash within it leaves. */
#include <check.h>
#include <stdlib.h>

#include "egress_kit.h"

static struct egress_kit kit;

static void setup(void) {
	egress_kit_start(&kit, 1);
}

static void teardown(void) {
	egress_kit_stop(&kit);
}

static void checkpoint_append(uint64_t time_ms, uint64_t from, uint64_t to) {
	egress_log_begin(kit.log, time_ms, EGRESS_KIT_SEGMENT_BYTES);
	ck_assert_msg(egress_kit_append(&kit, from, to), "%s", kit.error.message);
}

static bool checkpoint_retain(uint64_t bytes, uint64_t oldest_ms) {
	struct egress_retention retention = {.bytes = bytes, .oldest_ms = oldest_ms};
	egress_log_retain(kit.log, &retention);
	return egress_log_sync(kit.log, &kit.row, &kit.error) && egress_log_drop(kit.log, &kit.error);
}

START_TEST(retention_by_size_takes_whole_segments) {
	checkpoint_append(1000, 0, 400);
	ck_assert(checkpoint_retain(UINT64_MAX, 0));
	unsigned all = egress_kit_files(&kit);
	ck_assert_uint_eq(egress_log_start(kit.log), 0);
	checkpoint_append(1001, 400, 401);
	ck_assert(checkpoint_retain(5 * EGRESS_KIT_SEGMENT_BYTES, 0));
	ck_assert_uint_lt(egress_kit_files(&kit), all);
	ck_assert_uint_le(egress_kit_files(&kit), 5);
	uint64_t start = egress_log_start(kit.log);
	ck_assert_uint_gt(start, 250);
	ck_assert_uint_eq(kit.row.start, start);
	egress_kit_holds(&kit, start, 401);
	struct egress_kit_expected expected = {.next = start};
	uint64_t next;
	ck_assert(egress_log_read(kit.log, 3, egress_kit_check, &expected, &next, &kit.error)); /* begins at the start */
	ck_assert_uint_eq(next, 401);
	egress_kit_close(&kit);
	egress_kit_open(&kit);
	ck_assert_uint_eq(egress_log_start(kit.log), start);
	egress_kit_holds(&kit, start, 401);
	ck_assert(checkpoint_retain(1, 0)); /* the last stays */
	ck_assert_uint_eq(egress_kit_files(&kit), 1);
	egress_kit_append_synced(&kit, 401, 500);
	egress_kit_holds(&kit, egress_log_start(kit.log), 500);
}
END_TEST

START_TEST(retention_by_age_takes_what_is_older_and_in_the_end_all) {
	for (uint64_t i = 0; i < 10; i++) {
		checkpoint_append(1000 + i, i * 40, i * 40 + 40);
		ck_assert(checkpoint_retain(UINT64_MAX, 0));
	}
	ck_assert(checkpoint_retain(UINT64_MAX, 999));
	ck_assert_uint_eq(egress_log_start(kit.log), 0);
	ck_assert(checkpoint_retain(UINT64_MAX, 1004));
	uint64_t start = egress_log_start(kit.log);
	ck_assert_uint_gt(start, 100);
	ck_assert_uint_le(start, 200); /* records 200 and later are younger */
	egress_kit_close(&kit);
	egress_kit_open(&kit); /* the times are known again */
	const struct egress_retention younger = {.bytes = UINT64_MAX, .oldest_ms = 1008};
	ck_assert(egress_log_due(kit.log, &younger));
	ck_assert(checkpoint_retain(UINT64_MAX, 1008));
	ck_assert_uint_gt(egress_log_start(kit.log), start);
	egress_kit_holds(&kit, egress_log_start(kit.log), 400);
	ck_assert(checkpoint_retain(UINT64_MAX, 1009));
	ck_assert_uint_eq(egress_kit_files(&kit), 0);
	ck_assert_uint_eq(egress_log_start(kit.log), 400);
	egress_kit_holds(&kit, 400, 400);
	egress_kit_close(&kit);
	egress_kit_open(&kit);
	ck_assert_uint_eq(egress_log_start(kit.log), 400);
	ck_assert_uint_eq(egress_log_end(kit.log), 400);
	checkpoint_append(2000, 400, 410);
	ck_assert(checkpoint_retain(UINT64_MAX, 1009));
	egress_kit_holds(&kit, 400, 410);
}
END_TEST

/* Checkpoints with retention until a crash; `committed` is the kit.row that a start would find. */
static void retention_life(struct egress_row *committed) {
	for (uint64_t i = 0; i < 12; i++) {
		const struct egress_retention retention = {
			.bytes = 2 * EGRESS_KIT_SEGMENT_BYTES, .oldest_ms = i % 4 == 3 ? 1000 + i : 1000 + i / 2};
		egress_log_begin(kit.log, 1000 + i, EGRESS_KIT_SEGMENT_BYTES);
		uint64_t end = egress_log_end(kit.log);
		if (!egress_kit_append(&kit, end, end + (i % 4 == 3 ? 0 : 40)))
			return;
		egress_log_retain(kit.log, &retention);
		if (!egress_log_sync(kit.log, &kit.row, &kit.error))
			return;
		*committed = kit.row;
		if (!egress_log_drop(kit.log, &kit.error))
			return;
	}
}

static bool crashes_at(uint64_t at, bool cut) {
	egress_kit_stop(&kit);
	egress_kit_start(&kit, at);
	struct egress_row committed = {0};
	fault_disk_fail(kit.faults, "", at, FAULT_CRASH);
	retention_life(&committed);
	bool crashed = fault_disk_crashed(kit.faults);
	egress_kit_close(&kit);
	fault_disk_fail(kit.faults, "", 0, FAULT_NONE);
	if (cut)
		fault_disk_cut(kit.faults);
	else
		fault_disk_kill(kit.faults);
	kit.row = committed;
	egress_kit_open(&kit);
	ck_assert_uint_eq(egress_log_start(kit.log), committed.start);
	egress_kit_holds(&kit, committed.start, committed.end);
	checkpoint_append(3000, committed.end, committed.end + 50);
	ck_assert(checkpoint_retain(3 * EGRESS_KIT_SEGMENT_BYTES, 0));
	egress_kit_holds(&kit, egress_log_start(kit.log), committed.end + 50);
	return crashed;
}

START_TEST(a_crash_within_retention_leaves_what_the_row_says) {
	uint64_t at = 1;
	while (crashes_at(at, _i == 1))
		at++;
	ck_assert_uint_gt(at, 60);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("egress_log_retention");
	TCase *cases = tcase_create("retention");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, retention_by_size_takes_whole_segments);
	tcase_add_test(cases, retention_by_age_takes_what_is_older_and_in_the_end_all);
	tcase_add_loop_test(cases, a_crash_within_retention_leaves_what_the_row_says, 0, 2);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
