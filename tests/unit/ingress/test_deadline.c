/* Timeouts in number (ingress/deadline.h). */
#include <check.h>
#include <event2/event.h>
#include <stdlib.h>

#include "ingress/deadline.h"
#include "rig.h"

enum { COUNT = 2000 };

struct sleeper {
	struct deadline deadline; /* first: due() gets a pointer to it */
	uint64_t since_ms;
	uint64_t in_ms;
	size_t woken;
};

static struct event_base *base;
static struct deadlines *deadlines;
static struct sleeper sleepers[COUNT];
static size_t woken;

static void set_up(void) {
	base = event_base_new();
	deadlines = deadlines_create(base);
	memset(sleepers, 0, sizeof sleepers);
	woken = 0;
}

static void tear_down(void) {
	deadlines_destroy(deadlines);
	event_base_free(base);
}

static void sleeper_due(struct deadline *deadline) {
	struct sleeper *sleeper = (struct sleeper *)deadline;
	ck_assert_uint_ge(rig_now_ms() - sleeper->since_ms, sleeper->in_ms);
	sleeper->woken++;
	woken++;
}

static void sleeper_start(struct sleeper *sleeper, uint64_t in_ms, void (*due)(struct deadline *)) {
	sleeper->since_ms = rig_now_ms();
	sleeper->in_ms = in_ms;
	deadline_start(deadlines, &sleeper->deadline, in_ms, due);
}

/* The loop ends by itself when nothing is armed any more. */
static void sleep_through(void) {
	event_base_dispatch(base);
}

START_TEST(test_deadlines_come_true_once_and_never_early) {
	for (size_t i = 0; i < COUNT; i++)
		sleeper_start(&sleepers[i], i * 7 % 300, sleeper_due);
	for (size_t i = 0; i < COUNT; i += 2)
		deadline_stop(deadlines, &sleepers[i].deadline);
	sleep_through();
	for (size_t i = 0; i < COUNT; i++)
		ck_assert_uint_eq(sleepers[i].woken, i % 2);
}
END_TEST

START_TEST(test_deadline_that_is_far_off) {
	sleeper_start(&sleepers[0], UINT64_MAX, sleeper_due);
	sleeper_start(&sleepers[1], 30000, sleeper_due);
	sleeper_start(&sleepers[2], 50, sleeper_due);
	while (woken == 0)
		event_base_loop(base, EVLOOP_ONCE);
	ck_assert_uint_eq(sleepers[2].woken, 1);
	deadline_stop(deadlines, &sleepers[0].deadline);
	deadline_stop(deadlines, &sleepers[1].deadline);
	deadline_stop(deadlines, &sleepers[1].deadline);
	sleep_through();
	ck_assert_uint_eq(woken, 1);
}
END_TEST

static void others_stop(struct deadline *deadline) {
	sleeper_due(deadline);
	for (size_t i = 0; i < 100; i++)
		deadline_stop(deadlines, &sleepers[i].deadline);
}

START_TEST(test_deadline_that_stops_those_due_with_it) {
	for (size_t i = 0; i < 100; i++)
		sleeper_start(&sleepers[i], 20, others_stop);
	sleep_through();
	ck_assert_uint_eq(woken, 1);
}
END_TEST

static void again(struct deadline *deadline) {
	sleeper_due(deadline);
	if (woken < 3)
		sleeper_start((struct sleeper *)deadline, 15, again);
}

START_TEST(test_deadline_that_starts_itself_again) {
	sleeper_start(&sleepers[0], 0, again);
	sleep_through();
	ck_assert_uint_eq(woken, 3);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("deadline");
	TCase *tests = tcase_create("deadline");
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, test_deadlines_come_true_once_and_never_early);
	tcase_add_test(tests, test_deadline_that_is_far_off);
	tcase_add_test(tests, test_deadline_that_stops_those_due_with_it);
	tcase_add_test(tests, test_deadline_that_starts_itself_again);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
