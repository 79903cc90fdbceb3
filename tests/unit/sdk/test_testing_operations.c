/* Operations in the testing library: seen, worked for, told, waited for. */
#include <check.h>
#include <sofun/testing.h>
#include <stdlib.h>

static sofun_test *test;

static void setup(void) {
	test = sofun_test_open(TEST_BUILD_DIR "/tests/fixtures/errand.so");
}

static void teardown(void) {
	sofun_test_close(test);
}

static int run(const char *id, const char *json) {
	return sofun_test_call(test, "errand/run", id, json);
}

static void state_is(const char *id, const char *value, const char *json) {
	SOFUN_EXPECT_STATE(test, "errand/run", id, value, json);
}

START_TEST(work_is_called_and_its_result_told) {
	SOFUN_EXPECT_OK(test, run("a", "{\"name\":\"x\",\"starts\":1,\"call\":true}"));
	SOFUN_EXPECT_OPERATION(test, "{\"name\":\"x\",\"starts\":1,\"call\":true}");
	SOFUN_EXPECT_NOTHING(test);
	ck_assert_uint_eq(sofun_test_operation_count(test), 1);
	SOFUN_EXPECT_OK(test, sofun_test_work(test));
	SOFUN_EXPECT_EMIT(test, "errands", "\"x\"");
	SOFUN_EXPECT_REPLY(test, "\"x\"");
	state_is("a", "succeeded", "1");
	ck_assert_uint_eq(sofun_test_operation_count(test), 0);
}
END_TEST

START_TEST(the_test_tells_what_it_likes) {
	SOFUN_EXPECT_OK(test, run("a", "{\"name\":\"x\",\"starts\":3}"));
	ck_assert_uint_eq(sofun_test_operation_count(test), 3);
	uint64_t id = sofun_test_operation_at(test, 0)->operation;
	SOFUN_EXPECT_OK(test, sofun_test_result(test, id, SOFUN_RESULT_SUCCESS, "[1,2]"));
	state_is("a", "last", "[1,2]");
	id = sofun_test_operation_at(test, 0)->operation;
	SOFUN_EXPECT_OK(test, sofun_test_result(test, id, SOFUN_RESULT_FAILURE, "it rains"));
	state_is("a", "last", "\"it rains\"");
	id = sofun_test_operation_at(test, 0)->operation;
	SOFUN_EXPECT_OK(test, sofun_test_result(test, id, SOFUN_RESULT_UNKNOWN, NULL));
	state_is("a", "unknown", "1");
	ck_assert_uint_eq(sofun_test_operation_count(test), 0);
}
END_TEST

START_TEST(a_callback_that_fails_starts_nothing) {
	sofun_test_operations_max(test, 1);
	ck_assert_int_ne(run("a", "{\"starts\":2}"), 0);
	ck_assert_uint_eq(sofun_test_operation_count(test), 0);
	SOFUN_EXPECT_NOTHING(test);
}
END_TEST

START_TEST(on_result_that_fails_is_told_again) {
	SOFUN_EXPECT_OK(test, run("a", "{\"starts\":1,\"fail_times\":1}"));
	SOFUN_EXPECT_FAILURE(test, sofun_test_work(test), "attempt 1 of on_result fails");
	ck_assert_uint_eq(sofun_test_operation_count(test), 1);
	SOFUN_EXPECT_OK(test, sofun_test_deliver(test));
	state_is("a", "succeeded", "1");
}
END_TEST

START_TEST(work_that_fails_tells_why) {
	SOFUN_EXPECT_OK(test, run("a", "{\"starts\":1,\"fail\":\"no\"}"));
	SOFUN_EXPECT_OK(test, sofun_test_work(test));
	state_is("a", "last", "\"no\"");
	state_is("a", "failed", "1");
}
END_TEST

int main(void) {
	Suite *suite = suite_create("testing operations");
	TCase *tcase = tcase_create("operations");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, work_is_called_and_its_result_told);
	tcase_add_test(tcase, the_test_tells_what_it_likes);
	tcase_add_test(tcase, a_callback_that_fails_starts_nothing);
	tcase_add_test(tcase, on_result_that_fails_is_told_again);
	tcase_add_test(tcase, work_that_fails_tells_why);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
