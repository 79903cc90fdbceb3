/* The bundled plugin `counter`, by the testing library: the example to begin with. */
#include <check.h>
#include <sofun/testing.h>
#include <stdlib.h>

#define COUNTER "demo/counter"

static sofun_test *test;

static void stop(const char *text) {
	ck_abort_msg("%s", text);
}

static void setup(void) {
	test = sofun_test_open(TEST_BUILD_DIR "/lib/sofun/plugins/counter.so");
	sofun_test_on_failure(test, stop);
}

static void teardown(void) {
	sofun_test_close(test);
}

static int call(const char *json) {
	return sofun_test_call(test, COUNTER, "a", json);
}

START_TEST(nil_counts_one_and_an_integer_as_much) {
	SOFUN_EXPECT_OK(test, call("null"));
	SOFUN_EXPECT_REPLY(test, "1");
	SOFUN_EXPECT_OK(test, call("256"));
	SOFUN_EXPECT_REPLY(test, "257");
	SOFUN_EXPECT_OK(test, call("-257"));
	SOFUN_EXPECT_REPLY(test, "0");
	SOFUN_EXPECT_OK(test, call("-32"));
	SOFUN_EXPECT_REPLY(test, "-32");
	SOFUN_EXPECT_NOTHING(test);
	SOFUN_EXPECT_STATE(test, COUNTER, "a", "count", "-32");
	SOFUN_EXPECT_STATE(test, COUNTER, "b", "count", NULL);
}
END_TEST

START_TEST(another_payload_fails_with_a_text) {
	const char *const payloads[] = {"\"x\"", "1.0", "{}", "9223372036854775808", "true"};
	SOFUN_EXPECT_OK(test, call("7"));
	SOFUN_EXPECT_REPLY(test, "7");
	for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++)
		SOFUN_EXPECT_FAILURE(test, call(payloads[i]), "the payload must be nil or an integer within 64 bits (signed)");
	SOFUN_EXPECT_NOTHING(test);
	SOFUN_EXPECT_STATE(test, COUNTER, "a", "count", "7");
}
END_TEST

START_TEST(an_overflow_fails_with_a_text) {
	SOFUN_EXPECT_OK(test, call("9223372036854775807"));
	SOFUN_EXPECT_FAILURE(test, call("1"), "overflow: 9223372036854775807 + 1 is beyond 64 bits");
	SOFUN_EXPECT_STATE(test, COUNTER, "a", "count", "9223372036854775807");
	SOFUN_EXPECT_OK(test, call("-9223372036854775808"));
	SOFUN_EXPECT_STATE(test, COUNTER, "a", "count", "-1");
	SOFUN_EXPECT_FAILURE(test, call("-9223372036854775808"), "overflow: -1 + -9223372036854775808 is beyond 64 bits");
}
END_TEST

static int route(const char *line) {
	return sofun_test_route(test, "counter", sofun_text(line));
}

START_TEST(a_line_names_the_counter) {
	SOFUN_EXPECT_OK(test, route("alpha\r"));
	SOFUN_EXPECT_OK(test, route("alpha"));
	SOFUN_EXPECT_OK(test, route("\r\r")); /* one CR is the line's end, the other its id */
	SOFUN_EXPECT_OK(test, sofun_test_deliver(test));
	SOFUN_EXPECT_STATE(test, COUNTER, "alpha", "count", "2");
	SOFUN_EXPECT_STATE(test, COUNTER, "\r", "count", "1");
}
END_TEST

START_TEST(an_empty_or_overlong_line_fails_with_a_text) {
	char line[257];
	memset(line, 'x', sizeof line);
	line[255] = '\0';
	SOFUN_EXPECT_OK(test, route(line));
	SOFUN_EXPECT_SEND(test, COUNTER, line, "null");
	line[255] = 'x';
	line[256] = '\0';
	SOFUN_EXPECT_FAILURE(test, route(line), "a line of 256 bytes is no id: at most 255");
	SOFUN_EXPECT_FAILURE(test, route(""), "an empty line names no counter");
	SOFUN_EXPECT_FAILURE(test, route("\r"), "an empty line names no counter");
	SOFUN_EXPECT_NOTHING(test);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("counter");
	TCase *tests = tcase_create("counter");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, nil_counts_one_and_an_integer_as_much);
	tcase_add_test(tests, another_payload_fails_with_a_text);
	tcase_add_test(tests, an_overflow_fails_with_a_text);
	tcase_add_test(tests, a_line_names_the_counter);
	tcase_add_test(tests, an_empty_or_overlong_line_fails_with_a_text);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
