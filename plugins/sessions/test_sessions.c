/* Sessions of clients, and what is told when one ends. */
#include <check.h>
#include <sofun/testing.h>
#include <stdlib.h>

#define SESSION "web/session"
#define HALF_AN_HOUR_MS 1800000

static sofun_test *test;

static void stop(const char *text) {
	ck_abort_msg("%s", text);
}

static void setup(void) {
	test = sofun_test_open(TEST_BUILD_DIR "/lib/sofun/plugins/sessions.so");
	sofun_test_on_failure(test, stop);
}

static void teardown(void) {
	sofun_test_close(test);
}

/* A request of that client, from the log to its session. */
static int request(const char *client, const char *time, const char *bytes) {
	char line[256];
	(void)snprintf(
		line, sizeof line, "%s - - [%s] \"GET /\\\"quoted\\\" HTTP/1.1\" 200 %s \"-\" \"curl\"", client, time, bytes);
	const int result = sofun_test_route(test, "accesslog", sofun_text(line));
	return result != 0 ? result : sofun_test_deliver(test);
}

START_TEST(requests_of_a_client_are_one_session) {
	SOFUN_EXPECT_OK(test, request("10.0.0.1", "12:00", "100"));
	SOFUN_EXPECT_OK(test, request("10.0.0.1", "12:05", "-"));
	SOFUN_EXPECT_OK(test, request("10.0.0.1", "12:09", "23"));
	SOFUN_EXPECT_STATE(test, SESSION, "10.0.0.1", "requests", "3");
	SOFUN_EXPECT_STATE(test, SESSION, "10.0.0.1", "bytes", "123");
	SOFUN_EXPECT_STATE(test, SESSION, "10.0.0.1", "first", "\"12:00\"");
	SOFUN_EXPECT_STATE(test, SESSION, "10.0.0.1", "last", "\"12:09\"");
	SOFUN_EXPECT_NOTHING(test);
}
END_TEST

START_TEST(a_session_ends_half_an_hour_after_its_last_request) {
	SOFUN_EXPECT_OK(test, request("10.0.0.1", "12:00", "100"));
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, HALF_AN_HOUR_MS - 1));
	SOFUN_EXPECT_OK(test, request("10.0.0.1", "12:29", "5"));
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, HALF_AN_HOUR_MS - 1));
	SOFUN_EXPECT_NOTHING(test);
	SOFUN_EXPECT_STATE(test, SESSION, "10.0.0.1", "requests", "2");
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 1));
	SOFUN_EXPECT_EMIT(test, "sessions",
		"{\"client\":\"10.0.0.1\",\"requests\":2,\"bytes\":105,\"first\":\"12:00\",\"last\":\"12:29\"}");
	SOFUN_EXPECT_STATE(test, SESSION, "10.0.0.1", "requests", NULL);
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 10 * (uint64_t)HALF_AN_HOUR_MS));
	SOFUN_EXPECT_NOTHING(test);
}
END_TEST

START_TEST(a_client_that_comes_back_begins_anew) {
	SOFUN_EXPECT_OK(test, request("10.0.0.1", "12:00", "100"));
	SOFUN_EXPECT_OK(test, request("10.0.0.2", "12:00", "7"));
	sofun_test_time(test, 1700000000000u + HALF_AN_HOUR_MS);
	SOFUN_EXPECT_OK(test, request("10.0.0.1", "12:30", "1"));
	SOFUN_EXPECT_EMIT(test, "sessions",
		"{\"client\":\"10.0.0.1\",\"requests\":1,\"bytes\":100,\"first\":\"12:00\",\"last\":\"12:00\"}");
	SOFUN_EXPECT_NOTHING(test);
	SOFUN_EXPECT_STATE(test, SESSION, "10.0.0.1", "requests", "1");
	SOFUN_EXPECT_STATE(test, SESSION, "10.0.0.1", "first", "\"12:30\"");
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 0));
	SOFUN_EXPECT_EMIT(test, "sessions",
		"{\"client\":\"10.0.0.2\",\"requests\":1,\"bytes\":7,\"first\":\"12:00\",\"last\":\"12:00\"}");
	SOFUN_EXPECT_NOTHING(test);
}
END_TEST

START_TEST(what_is_no_line_of_a_log_fails) {
	static const char *const lines[] = {
		"", "10.0.0.1", "10.0.0.1 - - [12:00", "10.0.0.1 - - [12:00] GET", " - - [a] \"b\" 200 1"};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		SOFUN_EXPECT_FAILURE(test, sofun_test_route(test, "accesslog", sofun_text(lines[i])),
			"no line of an access log: CLIENT - - [TIME] \"REQUEST\" STATUS BYTES ...");
	SOFUN_EXPECT_NOTHING(test);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("sessions");
	TCase *tests = tcase_create("sessions");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, requests_of_a_client_are_one_session);
	tcase_add_test(tests, a_session_ends_half_an_hour_after_its_last_request);
	tcase_add_test(tests, a_client_that_comes_back_begins_anew);
	tcase_add_test(tests, what_is_no_line_of_a_log_fails);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	const int failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures == 0 ? 0 : 1;
}
