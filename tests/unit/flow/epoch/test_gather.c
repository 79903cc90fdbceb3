/* A cut waits for inputs that are coming in, no longer than it may, and not at all when there are none (flow/epoch/gather.h). */
#include <check.h>
#include <stdlib.h>

#include "flow/epoch/gather.h"
#include "flow/flow_clock.h"
#include "limits.h"

enum { START_US = 1000000 };

static struct gather gather;

static void setup(void) {
	gather = (struct gather){.until_us = 0};
	monotonic_simulate(START_US);
}

static void teardown(void) {
	monotonic_simulate(0);
}

START_TEST(nothing_waits_for_nothing) {
	ck_assert(!gather_holds(&gather));
	ck_assert(!gather_end(&gather)); /* nobody is to be woken */
	gather_begin(&gather);
	ck_assert(!gather_end(&gather));
	ck_assert(!gather_holds(&gather));
}
END_TEST

START_TEST(a_cut_waits_until_no_more_inputs_come) {
	gather_begin(&gather);
	ck_assert(gather_holds(&gather));
	ck_assert_uint_eq(gather_left_us(&gather), GATHER_US_MAX);
	gather_begin(&gather);
	ck_assert(gather_holds(&gather));
	ck_assert(gather_end(&gather)); /* and is to be woken then */
	ck_assert(!gather_holds(&gather));
	ck_assert_uint_eq(gather.until_us, 0);
	ck_assert(!gather_end(&gather));
}
END_TEST

START_TEST(a_cut_waits_no_longer_than_it_may) {
	gather_begin(&gather);
	ck_assert(gather_holds(&gather));
	monotonic_simulate(START_US + GATHER_US_MAX - 1);
	gather_begin(&gather); /* however many come */
	ck_assert(gather_holds(&gather));
	ck_assert_uint_eq(gather_left_us(&gather), 1);
	monotonic_simulate(START_US + GATHER_US_MAX);
	ck_assert_uint_eq(gather_left_us(&gather), 0);
	ck_assert(!gather_holds(&gather));
	ck_assert(gather_holds(&gather)); /* the next one has as much time again */
	ck_assert_uint_eq(gather_left_us(&gather), GATHER_US_MAX);
}
END_TEST

int main(void) {
	TCase *tests = tcase_create("gather");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, nothing_waits_for_nothing);
	tcase_add_test(tests, a_cut_waits_until_no_more_inputs_come);
	tcase_add_test(tests, a_cut_waits_no_longer_than_it_may);
	Suite *suite = suite_create("gather");
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
