/* Counts of instances by schema: changes of an epoch, their sum, and the rows as bytes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/migration/schema_counts.h"
#include "state/redo.h"

struct seen {
	char text[256];
};

static void see(void *arg, uint16_t type, uint32_t schema, uint64_t instances) {
	struct seen *seen = arg;
	size_t size = strlen(seen->text);
	snprintf(seen->text + size, sizeof seen->text - size, "%u/%u=%llu ", type, schema, (unsigned long long)instances);
}

static void counts_are(struct schema_counts *counts, const char *text) {
	struct seen seen = {""};
	schema_counts_each(counts, see, &seen);
	ck_assert_str_eq(seen.text, text);
}

static void redo_is(struct buf *redo, const char *hex) {
	char text[512] = "";
	ck_assert_uint_lt(redo->size * 2 + 1, sizeof text);
	for (size_t i = 0; i < redo->size; i++)
		snprintf(text + 2 * i, 3, "%02x", redo->data[i]);
	ck_assert_str_eq(text, hex);
	buf_reset(redo);
}

START_TEST(changes_add_up) {
	struct schema_changes changes = {0};
	schema_changes_add(&changes, 3, 1, 1);
	schema_changes_add(&changes, 40, 1, 1);
	schema_changes_add(&changes, 3, 2, 1);
	schema_changes_add(&changes, 3, 1, 1);
	schema_changes_add(&changes, 3, 2, -1);
	ck_assert_uint_eq(changes.count, 3);
	ck_assert_int_eq(changes.changes[0].change, 2);
	ck_assert_int_eq(changes.changes[2].change, 0);
	schema_changes_reset(&changes);
	schema_changes_add(&changes, 3, 2, 5);
	ck_assert_uint_eq(changes.count, 1);
	ck_assert_int_eq(changes.changes[0].change, 5);
	schema_changes_finish(&changes);
}
END_TEST

START_TEST(only_what_changed_is_written) {
	struct schema_changes changes = {0};
	struct schema_counts counts;
	struct buf redo = {0};
	schema_counts_init(&counts);
	counts.kept = true;
	schema_changes_add(&changes, 2, 1, 3);
	schema_changes_add(&changes, 1, 7, 1);
	schema_changes_add(&changes, 1, 8, 0);
	schema_counts_apply(&counts, &changes);
	ck_assert_uint_eq(changes.count, 0);
	counts_are(&counts, "2/1=3 1/7=1 ");
	schema_counts_redo(&counts, &redo);
	/* put runtime, key S 0002 00000001, value [3]; ... [1]; key S, value [1] */
	redo_is(&redo,
		"0100"
		"07"
		"53000200000001"
		"02"
		"9103"
		"0100"
		"07"
		"53000100000007"
		"02"
		"9101"
		"0100"
		"01"
		"53"
		"02"
		"9101");
	schema_counts_redo(&counts, &redo);
	redo_is(&redo, "");
	schema_changes_add(&changes, 2, 1, -3);
	schema_changes_add(&changes, 2, 2, 3);
	schema_counts_apply(&counts, &changes);
	counts_are(&counts, "1/7=1 2/2=3 ");
	schema_counts_redo(&counts, &redo);
	redo_is(&redo,
		"0200"
		"07"
		"53000200000001"
		"0100"
		"07"
		"53000200000002"
		"02"
		"9103");
	schema_changes_finish(&changes);
	schema_counts_finish(&counts);
	buf_finish(&redo);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("schema_counts");
	TCase *tests = tcase_create("counts");
	tcase_add_test(tests, changes_add_up);
	tcase_add_test(tests, only_what_changed_is_written);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
