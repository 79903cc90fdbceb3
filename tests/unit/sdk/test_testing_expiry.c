/* State that ends in the testing library, on the fixture `mayfly` (tests/fixtures/mayfly/mayfly.c): idle 1000 ms, mark 100 ms
 * after it was written, note 50 ms after the last message. */
#include <check.h>
#include <sofun/testing.h>
#include <stdlib.h>

#define MAYFLY "test/mayfly"

static sofun_test *test;

static void stop(const char *text) {
	ck_abort_msg("%s", text);
}

static void begin(const char *file) {
	test = sofun_test_open(file);
	sofun_test_on_failure(test, stop);
}

static void setup(void) {
	begin(TEST_BUILD_DIR "/tests/fixtures/mayfly_2.so");
}

static void teardown(void) {
	sofun_test_close(test);
}

/* What stood there before it. */
static void found(const char *json, const char *before) {
	SOFUN_EXPECT_OK(test, sofun_test_call(test, MAYFLY, "a", json));
	SOFUN_EXPECT_REPLY(test, before);
}

START_TEST(values_end_by_themselves) {
	found("[1,\"m\",\"n\"]", "[0,\"\",\"\"]");
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 49));
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "note", "\"n\"");
	found("[0,null,null]", "[1,\"m\",\"n\"]"); /* a touch: the note goes on, the mark was not written */
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 49));
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "note", "\"n\"");
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "mark", "\"m\"");
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 1));
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "note", NULL);
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "mark", "\"m\"");
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 1));
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "mark", NULL);
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "count", "1");
	SOFUN_EXPECT_NOTHING(test);
}
END_TEST

START_TEST(a_message_that_fails_is_no_touch) {
	found("[1,null,\"n\"]", "[0,\"\",\"\"]");
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 49));
	ck_assert_int_ne(sofun_test_call(test, MAYFLY, "a", "true"), 0);
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 1));
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "note", NULL);
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 950));
	SOFUN_EXPECT_EMIT(test, "mayfly", "[1,\"\",\"\"]");
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "count", NULL);
}
END_TEST

START_TEST(on_expire_that_fails_keeps_the_instance) {
	found("[13,null,null]", "[0,\"\",\"\"]");
	ck_assert_int_ne(sofun_test_advance(test, 1000), 0);
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "count", "13");
	SOFUN_EXPECT_NOTHING(test);
	ck_assert_int_ne(sofun_test_call(test, MAYFLY, "a", "[1,null,null]"), 0); /* ahead of the message */
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "count", "13");
}
END_TEST

START_TEST(a_migration_is_no_touch) {
	teardown();
	begin(TEST_BUILD_DIR "/tests/fixtures/mayfly_3.so");
	sofun_test_state_put(test, MAYFLY, "a", 1, "count", "5");
	sofun_test_state_put(test, MAYFLY, "a", 1, "mark", "\"m\"");
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 60));
	SOFUN_EXPECT_OK(test, sofun_test_migrate(test, MAYFLY, "a", 2));
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 39));
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "mark", "\"m\"");
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 1));
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "mark", NULL);
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 900));
	SOFUN_EXPECT_EMIT(test, "mayfly", "[5,\"\",\"\"]");
	SOFUN_EXPECT_STATE(test, MAYFLY, "a", "count", NULL);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("testing expiry");
	TCase *tests = tcase_create("expiry");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, values_end_by_themselves);
	tcase_add_test(tests, a_message_that_fails_is_no_touch);
	tcase_add_test(tests, on_expire_that_fails_keeps_the_instance);
	tcase_add_test(tests, a_migration_is_no_touch);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	const int failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures == 0 ? 0 : 1;
}
