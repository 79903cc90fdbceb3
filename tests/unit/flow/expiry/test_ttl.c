/* When state ends: from times that are known, that are not, that were before; and by a time that was shorter once. */
#include <check.h>

#include "flow/expiry/ttl.h"

static struct ttl *ttl;

static void setup(void) {
	ttl = ttl_create(3, 2);
	ttl->idle = (struct ttl_term){.ms = 100, .since_ms = 1000};
	ttl->values[0].after_write = (struct ttl_term){.ms = 50, .since_ms = 1000};
	ttl->values[0].after_invoke = (struct ttl_term){.ms = 70, .since_ms = 2000};
	ttl->values_expire = true;
}

static void teardown(void) {
	ttl_destroy(ttl);
}

START_TEST(time_runs_from_the_last_touch_or_the_introduction) {
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 1500), 1600);
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 500), 1100);
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 0), 1100);
	ck_assert_uint_eq(ttl_idle_due_ms(NULL, 1500), UINT64_MAX);
}
END_TEST

START_TEST(a_value_ends_by_whichever_is_first) {
	ck_assert_uint_eq(ttl_value_due_ms(ttl, 0, 1500, 1500), 1550);
	ck_assert_uint_eq(ttl_value_due_ms(ttl, 0, 2500, 2100), 2170);
	ck_assert_uint_eq(ttl_value_due_ms(ttl, 1, 1500, 1500), UINT64_MAX);
	ck_assert_uint_eq(ttl_value_due_ms(ttl, 2, 1500, 1500), UINT64_MAX);
}
END_TEST

START_TEST(never_and_beyond_all_time) {
	ttl->idle.ms = 0;
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 1500), UINT64_MAX);
	ttl->idle.ms = UINT64_MAX - 10;
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 1500), UINT64_MAX);
}
END_TEST

START_TEST(what_has_ended_stays_so) {
	ttl->idle.ms = 10000;
	ttl->idle.from_ms = 1530;
	ttl->idle.past = (struct ttl_past){.ms = 30, .from_ms = 1035, .until_ms = 1530};
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 1500), 1530);
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 1490), 1520);
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 0), 1035); /* it had not ended before that time held */
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 1501), 11501);
	ttl->idle.ms = 0;
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 1500), 1530);
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 1501), UINT64_MAX);
}
END_TEST

START_TEST(a_shorter_time_ends_nothing_before_it_holds) {
	ttl->idle.from_ms = 1800;
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 1500), 1800);
	ck_assert_uint_eq(ttl_idle_due_ms(ttl, 1750), 1850);
}
END_TEST

START_TEST(each_schema_has_its_own) {
	ttl->next = ttl_create(2, 1);
	ck_assert_ptr_eq(ttl_of_schema(ttl, 3), ttl);
	ck_assert_ptr_eq(ttl_of_schema(ttl, 2), ttl->next);
	ck_assert_ptr_null(ttl_of_schema(ttl, 1));
	ck_assert(ttl_counts(ttl));
	ck_assert(!ttl_counts(ttl->next));
	ck_assert(!ttl_counts(NULL));
}
END_TEST

int main(void) {
	Suite *suite = suite_create("ttl");
	TCase *tests = tcase_create("ttl");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, time_runs_from_the_last_touch_or_the_introduction);
	tcase_add_test(tests, a_value_ends_by_whichever_is_first);
	tcase_add_test(tests, never_and_beyond_all_time);
	tcase_add_test(tests, what_has_ended_stays_so);
	tcase_add_test(tests, a_shorter_time_ends_nothing_before_it_holds);
	tcase_add_test(tests, each_schema_has_its_own);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
