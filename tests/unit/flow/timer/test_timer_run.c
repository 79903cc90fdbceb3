/* A run of timers: taken from the front, appended behind, cut off at any place. */
#include <check.h>
#include <stdlib.h>

#include "flow/timer/run.h"

enum { ROWS = 100 };

static struct timer_run run;

static void setup(void) {
	run = (struct timer_run){0};
}

static void teardown(void) {
	timer_run_finish(&run);
}

static struct timer_place place(uint64_t number) {
	return (struct timer_place){.due_ms = number / 10, .serial = number};
}

/* Of differing sizes. */
static void rows_append(uint64_t from, uint64_t until) {
	_Alignas(8) uint8_t room[sizeof(struct timer_row) + 8 * 8] = {0};
	struct timer_row *row = (struct timer_row *)(void *)room;
	for (uint64_t number = from; number < until; number++) {
		row->place = place(number);
		row->size = (uint32_t)(sizeof *row + 8 * (number % 8));
		timer_run_append(&run, row);
	}
}

static void is(uint64_t from, uint64_t until) {
	ck_assert_uint_eq(run.count, until - from);
	for (uint64_t number = from; number < until; number++) {
		ck_assert(timer_place_same(timer_run_first(&run)->place, place(number)));
		ck_assert_uint_eq(timer_run_first(&run)->size, sizeof(struct timer_row) + 8 * (number % 8));
		timer_run_take(&run);
	}
	ck_assert_ptr_null(timer_run_first(&run));
	ck_assert_uint_eq(timer_run_bytes(&run), 0);
}

START_TEST(what_is_appended_comes_in_order) {
	ck_assert_ptr_null(timer_run_first(&run));
	rows_append(0, ROWS);
	is(0, ROWS);
	rows_append(ROWS, 2 * ROWS); /* used up, and used again */
	is(ROWS, 2 * ROWS);
}
END_TEST

START_TEST(what_was_taken_leaves_its_memory) {
	rows_append(0, ROWS);
	const size_t bytes = timer_run_bytes(&run);
	for (uint64_t number = ROWS; number < 50 * ROWS; number++) {
		timer_run_take(&run);
		rows_append(number, number + 1);
	}
	ck_assert_uint_le(run.rows.size, 2 * bytes + 2 * sizeof(struct timer_row) + 16 * 8);
	is(49 * ROWS, 50 * ROWS);
}
END_TEST

START_TEST(it_is_cut_at_any_place) {
	for (uint64_t first = 0; first < ROWS; first += 7) {
		for (uint64_t cut = first; cut <= ROWS + 1; cut++) {
			setup();
			rows_append(0, ROWS);
			for (uint64_t taken = 0; taken < first; taken++)
				timer_run_take(&run);
			timer_run_cut(&run, place(cut));
			const uint64_t until = cut < ROWS ? cut : ROWS;
			rows_append(until, until + 3); /* behind what is left */
			is(first, until + 3);
			teardown();
		}
	}
	timer_run_cut(&run, place(0)); /* an empty one */
	ck_assert_uint_eq(run.count, 0);
}
END_TEST

START_TEST(its_middle_halves_it) {
	rows_append(0, ROWS);
	for (int taken = 0; taken < 10; taken++)
		timer_run_take(&run);
	timer_run_cut(&run, timer_run_middle(&run));
	is(10, 10 + (ROWS - 10) / 2);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("timer run");
	TCase *tests = tcase_create("timer run");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, what_is_appended_comes_in_order);
	tcase_add_test(tests, what_was_taken_leaves_its_memory);
	tcase_add_test(tests, it_is_cut_at_any_place);
	tcase_add_test(tests, its_middle_halves_it);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
