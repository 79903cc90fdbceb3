/* Version 2 of the bundled plugin `authwatch`: the sliding window, the score, and the migration from version 1 and back. What
 * it shares with version 1 is tested there. */
#include <check.h>
#include <stdlib.h>

#include <sofun/testing.h>

#define SOURCE "auth/source"

static sofun_test *test;

static void setup(void) {
	test = sofun_test_open(TEST_BUILD_DIR "/lib/sofun/plugins/next/authwatch.so");
}

static void teardown(void) {
	sofun_test_close(test);
}

static void tell(const char *time, int count) {
	const sofun_bytes payload = sofun_test_json(test, "{\"user\":\"root\",\"time\":\"%s\",\"count\":%d}", time, count);
	const sofun_test_message message = {.type = SOURCE, .id = sofun_text("s"), .payload = payload};
	SOFUN_EXPECT_OK(test, sofun_test_invoke(test, &message));
}

#define STATE(value, json) SOFUN_EXPECT_STATE(test, SOURCE, "s", value, json)

/* Minutes of the year: 10 December 06:55 is ((335 + 9) * 24 + 6) * 60 + 55. */
START_TEST(failures_fall_into_minutes_and_leave_the_window) {
	tell("Dec 10 06:55:46", 1);
	STATE("window", "[495775,1]");
	STATE("score", "10");
	tell("Dec 10 06:55:59", 2);
	STATE("window", "[495775,3]");
	tell("Dec 10 06:58:00", 1);
	STATE("window", "[495778,1,0,0,3]");
	STATE("score", "31"); /* 1 * 10 + 3 * 7 */
	tell("Dec 10 06:56:30", 1);
	STATE("window", "[495778,1,0,1,3]");
	tell("Dec 10 07:06:00", 1);
	STATE("window", "[495786,1,0,0,0,0,0,0,0,1]");
	STATE("score", "12");
	tell("Dec 10 09:00:00", 4);
	STATE("window", "[495900,4]");
	STATE("failures", "10");
	STATE("first", "\"Dec 10 06:55:46\"");
	STATE("last", "\"Dec 10 09:00:00\"");
}
END_TEST

START_TEST(other_times_count_for_the_newest_minute_and_a_new_year_begins_anew) {
	tell("Dec 31 23:59:59", 1);
	tell("no time at all", 1);
	STATE("window", "[527039,2]");
	tell("Jan  1 00:00:01", 1);
	STATE("window", "[0,1]");
	tell("Jan 32 00:00:01", 1);
	STATE("window", "[0,2]");
}
END_TEST

START_TEST(a_ban_comes_once) {
	tell("Dec 10 06:55:46", 4);
	SOFUN_EXPECT_NOTHING(test);
	tell("Dec 10 06:55:47", 3);
	SOFUN_EXPECT_EMIT(test, "bans", "{\"source\":\"s\",\"failures\":7,\"last\":\"Dec 10 06:55:47\"}");
	tell("Dec 10 06:55:48", 3);
	SOFUN_EXPECT_NOTHING(test);
}
END_TEST

static void put_1(const char *value, const char *json) {
	sofun_test_state_put(test, SOURCE, "s", 1, value, json);
}

static void put_all_of_1(void) {
	put_1("failures", "9");
	put_1("users", "2");
	put_1("first", "\"Dec 10 06:00:00\"");
	put_1("last", "\"Dec 10 06:55:46\"");
	put_1("names", "[\"root\",\"admin\",null]");
}

static void kept_as_in_1(void) {
	STATE("failures", "9");
	STATE("users", "2");
	STATE("first", "\"Dec 10 06:00:00\"");
	STATE("last", "\"Dec 10 06:55:46\"");
	STATE("names", "[\"root\",\"admin\",null]");
}

START_TEST(up_and_down_again_is_as_it_was) {
	put_all_of_1();
	SOFUN_EXPECT_OK(test, sofun_test_migrate(test, SOURCE, "s", 2));
	kept_as_in_1();
	STATE("window", "[495775,1]");
	STATE("score", "10");
	SOFUN_EXPECT_OK(test, sofun_test_migrate(test, SOURCE, "s", 1));
	kept_as_in_1();
	SOFUN_EXPECT_NOTHING(test);
}
END_TEST

START_TEST(what_was_migrated_goes_on) {
	put_all_of_1();
	SOFUN_EXPECT_OK(test, sofun_test_migrate(test, SOURCE, "s", 2));
	tell("Dec 10 06:56:00", 1);
	STATE("failures", "10");
	STATE("window", "[495776,1,1]");
	SOFUN_EXPECT_OK(test, sofun_test_migrate(test, SOURCE, "s", 1));
	STATE("failures", "10");
	STATE("last", "\"Dec 10 06:56:00\"");
}
END_TEST

START_TEST(what_is_unset_stays_unset) {
	put_1("failures", "1");
	SOFUN_EXPECT_OK(test, sofun_test_migrate(test, SOURCE, "s", 2));
	STATE("failures", "1");
	STATE("names", NULL);
	STATE("first", NULL);
}
END_TEST

START_TEST(a_state_that_is_no_state_fails_with_a_text) {
	put_1("last", "7");
	SOFUN_EXPECT_FAILURE(
		test, sofun_test_migrate(test, SOURCE, "s", 2), "value 3 could not be carried over: bad argument");
	put_1("last", "\"Dec 10 06:55:46\"");
	SOFUN_EXPECT_OK(test, sofun_test_migrate(test, SOURCE, "s", 2));
}
END_TEST

int main(void) {
	Suite *suite = suite_create("authwatch_2");
	TCase *tests = tcase_create("authwatch_2");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, failures_fall_into_minutes_and_leave_the_window);
	tcase_add_test(tests, other_times_count_for_the_newest_minute_and_a_new_year_begins_anew);
	tcase_add_test(tests, a_ban_comes_once);
	tcase_add_test(tests, up_and_down_again_is_as_it_was);
	tcase_add_test(tests, what_was_migrated_goes_on);
	tcase_add_test(tests, what_is_unset_stays_unset);
	tcase_add_test(tests, a_state_that_is_no_state_fails_with_a_text);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
