/* Which sweeps share a generation: those that are filed while none of it is due. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "flow/expiry/sweep_age.h"

enum { HOUR_MS = 3600000 };

static struct sweep_age ages[SWEEP_AGES];
static _Atomic uint64_t serial;

static void setup(void) {
	memset(ages, 0, sizeof ages);
	serial = 100;
}

static uint64_t file(uint64_t now_ms, uint64_t due_ms) {
	return sweep_age_generation(ages, &serial, now_ms, due_ms, 1);
}

START_TEST(those_of_about_one_time_share_it) {
	const uint64_t first = file(1000, 1000 + HOUR_MS);
	ck_assert_uint_eq(first, 100);
	ck_assert_uint_eq(file(1001, 1001 + HOUR_MS), first);
	ck_assert_uint_eq(file(600000, 600000 + HOUR_MS - 5000), first);
	ck_assert_uint_ne(file(600000, 600000 + 60000), first); /* due too soon */
	ck_assert_uint_ne(file(1000 + HOUR_MS, 1000 + 2 * HOUR_MS), first);
}
END_TEST

START_TEST(one_that_is_due_already_is_alone) {
	const uint64_t first = file(1000, 1000);
	const uint64_t second = file(1000, 1001);
	ck_assert_uint_ne(second, first);
	ck_assert_uint_ne(file(1000, 1000), second);
	ck_assert_uint_ne(file(1000, 0), file(1000, 0));
}
END_TEST

START_TEST(the_most_distant_time_has_a_place) {
	ck_assert_uint_eq(file(0, UINT64_MAX), file(1, UINT64_MAX));
}
END_TEST

/* A changed time: whatever is filed behind the change tells that it was. */
START_TEST(a_change_begins_a_generation) {
	const uint64_t before = file(1000, 1000 + HOUR_MS);
	const uint64_t below = atomic_load(&serial);
	const uint64_t behind = sweep_age_generation(ages, &serial, 1001, 1001 + HOUR_MS, below);
	ck_assert_uint_lt(before, below);
	ck_assert_uint_ge(behind, below);
	ck_assert_uint_eq(file(1002, 1002 + HOUR_MS), behind);
}
END_TEST

/* What makes it safe to share: when a sweep comes, the instance it looks after gets another number. */
START_TEST(who_comes_due_gets_another_one) {
	enum { INSTANCES = 50, STEPS = 200000 };
	struct {
		uint64_t generation, due_ms;
	} filed[INSTANCES] = {{0, 0}};
	uint64_t random = 1, now_ms = 1;
	for (int step = 0; step < STEPS; step++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		const size_t i = (random >> 33) % INSTANCES;
		const uint64_t ahead_ms = 1 + ((random >> 40) & ((1u << (random >> 60)) - 1));
		now_ms += (random >> 50) % 3;
		if (filed[i].due_ms > now_ms)
			continue;
		const uint64_t generation = file(now_ms, now_ms + ahead_ms);
		ck_assert_uint_ne(generation, filed[i].generation);
		filed[i].generation = generation;
		filed[i].due_ms = now_ms + ahead_ms;
	}
}
END_TEST

int main(void) {
	TCase *all = tcase_create("sweep_age");
	tcase_add_checked_fixture(all, setup, NULL);
	tcase_add_test(all, those_of_about_one_time_share_it);
	tcase_add_test(all, one_that_is_due_already_is_alone);
	tcase_add_test(all, the_most_distant_time_has_a_place);
	tcase_add_test(all, a_change_begins_a_generation);
	tcase_add_test(all, who_comes_due_gets_another_one);
	Suite *suite = suite_create("sweep_age");
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
