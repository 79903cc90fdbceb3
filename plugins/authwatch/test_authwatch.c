/* The bundled plugin `authwatch`, through the ABI alone: which lines are failures, and what a source keeps of them.
 * Whole logs are compared with an independent count by tests/abi/test_authwatch.py. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include <sofun/testing.h>

#define SOURCE "auth/source"
#define HEAD "Dec 10 06:55:46 gate "

static sofun_test *test;

static void setup(void) {
	test = sofun_test_open(TEST_BUILD_DIR "/lib/sofun/plugins/authwatch.so");
}

static void teardown(void) {
	sofun_test_close(test);
}

static int route(const char *line) {
	return sofun_test_route(test, "authlog", sofun_text(line));
}

/* The line is one failure message: to the source, with that count and user. */
static void assert_failure(const char *line, const char *source, int count, const char *user) {
	ck_assert_int_eq(route(line), 0);
	ck_assert_msg(sofun_test_effect_count(test) == 1, "no failure: %s", line);
	const sofun_test_effect *effect = sofun_test_effect_at(test, 0);
	ck_assert(sofun_bytes_equal(effect->name, sofun_text(SOURCE)));
	ck_assert_msg(sofun_bytes_equal(effect->id, sofun_text(source)), "another source: %s", line);
	const sofun_bytes expected =
		sofun_test_json(test, "{\"count\":%d,\"time\":\"%.15s\",\"user\":\"%s\"}", count, line, user);
	ck_assert_msg(sofun_bytes_equal(effect->payload, expected), "another count or user: %s", line);
	sofun_test_effects_clear(test);
}

static void assert_nothing(const char *line) {
	ck_assert_int_eq(route(line), 0);
	ck_assert_msg(sofun_test_effect_count(test) == 0, "taken for a failure: %s", line);
}

START_TEST(failures_are_seen) {
	assert_failure(HEAD "sshd[24200]: Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2",
		"173.234.31.186", 1, "webmaster");
	assert_failure(HEAD "sshd[1]: Failed password for root from 2001:db8::1 port 22 ssh2\r", "2001:db8::1", 1, "root");
	assert_failure(HEAD "sshd[1]: Failed none for root from a.example.net", "a.example.net", 1, "root");
	assert_failure(
		HEAD "sshd[1]: Failed keyboard-interactive/pam for a b from 1.2.3.4 port 1 ssh2", "1.2.3.4", 1, "a b");
	assert_failure(
		HEAD "sshd[1]: Failed publickey for root from 1.2.3.4 port 1 ssh2: RSA SHA256:x", "1.2.3.4", 1, "root");
	assert_failure("Apr  1 05:46:54 gate sshd[1]: Failed password for root from 1.2.3.4 port 1", "1.2.3.4", 1, "root");
	assert_failure(
		"2024-12-10T06:55:46+00:00 gate sshd[1]: Failed password for u from 1.2.3.4 port 1", "1.2.3.4", 1, "u");
}
END_TEST

START_TEST(repeated_messages_count_as_often) {
	assert_failure(HEAD
		"sshd[1]: message repeated 5 times: [ Failed password for root from 5.36.59.76 port 42393 ssh2]",
		"5.36.59.76", 5, "root");
	assert_failure(HEAD "sshd[1]: message repeated 12 times: [ Failed password for invalid user x from 5.36.59.76]",
		"5.36.59.76", 12, "x");
	assert_nothing(HEAD "sshd[1]: message repeated 0 times: [ Failed password for root from 5.36.59.76 port 1 ssh2]");
	assert_nothing(HEAD "sshd[1]: message repeated 1234567890123456789 times: [ Failed password for a from 1.1.1.1]");
	assert_nothing(HEAD "sshd[1]: message repeated x times: [ Failed password for root from 5.36.59.76 port 1 ssh2]");
	assert_nothing(HEAD "sshd[1]: message repeated 2 times: [ Invalid user a from 5.36.59.76]");
	assert_nothing(
		HEAD "sshd[1]: message repeated 2 times: [ message repeated 2 times: [ Failed password for a from b]]");
}
END_TEST

START_TEST(an_empty_user_is_legal) {
	assert_failure(HEAD "sshd[1]: Failed password for invalid user  from 1.2.3.4 port 1 ssh2", "1.2.3.4", 1, "");
	assert_failure(HEAD "sshd[1]: Failed password for  from 1.2.3.4 port 1 ssh2", "1.2.3.4", 1, "");
	assert_failure(HEAD "sshd[1]: Failed password for invalid user from 1.2.3.4 port 1 ssh2", "1.2.3.4", 1, "");
	assert_failure(HEAD "sshd[1]: Failed password for from 1.2.3.4 port 1 ssh2", "1.2.3.4", 1, "");
}
END_TEST

START_TEST(a_user_name_may_contain_the_words) {
	assert_failure(HEAD "sshd[1]: Failed password for invalid user x from 9.9.9.9 port 2 ssh2 from 1.2.3.4 port 1 ssh2",
		"1.2.3.4", 1, "x from 9.9.9.9 port 2 ssh2");
	assert_failure(HEAD
		"sshd[1]: Failed password for invalid user Failed password for root from 9.9.9.9 from 1.2.3.4 port 1",
		"1.2.3.4", 1, "Failed password for root from 9.9.9.9");
	assert_failure(HEAD "sshd[1]: Failed password for invalid user  from  from  from 1.2.3.4 port 1", "1.2.3.4", 1,
		" from  from ");
	assert_failure(HEAD
		"sshd[1]: Failed password for invalid user sshd[2]: Failed password for root from 1.2.3.4 port 1",
		"1.2.3.4", 1, "sshd[2]: Failed password for root");
	assert_failure(
		HEAD "sshd[1]: Failed password for invalid users from 1.2.3.4 port 1", "1.2.3.4", 1, "invalid users");
	assert_nothing(HEAD "sshd[1]: Invalid user Failed password for root from 1.2.3.4 port 1");
	assert_nothing(HEAD "sshd[1]: Invalid user sshd[2]: Failed password for root from 9.9.9.9 from 1.2.3.4");
	assert_nothing(
		HEAD "sshd[1]: Invalid user message repeated 9 times: [ Failed password for root from 9.9.9.9] from 1.2.3.4");
}
END_TEST

START_TEST(other_lines_are_not_failures) {
	assert_nothing("");
	assert_nothing("\r");
	assert_nothing("Failed password for root from 1.2.3.4 port 1 ssh2");
	assert_nothing(HEAD "sshd[1]: Accepted password for root from 1.2.3.4 port 1 ssh2");
	assert_nothing(HEAD "sshd[1]: pam_unix(sshd:auth): authentication failure; rhost=1.2.3.4");
	assert_nothing(HEAD "sshd[1]: Failed to release session");
	assert_nothing(HEAD "sshd[1]: Failed password for");
	assert_nothing(HEAD "sshd[1]: Failed password for root");
	assert_nothing(HEAD "sshd[1]: Failed password for root from ");
	assert_nothing(HEAD "sshd[1]: Failed password forroot from 1.2.3.4");
	assert_nothing(HEAD "sshd[1]: Failed  for root from 1.2.3.4");
	assert_nothing(HEAD "sshd[1]: failed password for root from 1.2.3.4");
	assert_nothing(HEAD "sshd[1]:Failed password for root from 1.2.3.4");
	assert_nothing(HEAD "sshd[]: Failed password for root from 1.2.3.4");
	assert_nothing(HEAD "sshd: Failed password for root from 1.2.3.4");
	assert_nothing(HEAD "xsshd[1]: Failed password for root from 1.2.3.4");
	assert_nothing(HEAD "logger: sshd[7]: Failed password for root from 1.2.3.4");
	assert_nothing(HEAD "sudo: deploy : COMMAND=/bin/echo sshd[7]: Failed password for root from 1.2.3.4");
}
END_TEST

START_TEST(an_address_that_is_too_long_fails_with_a_text) {
	char line[512];
	(void)snprintf(line, sizeof line, HEAD "sshd[1]: Failed password for root from %0256d port 1", 0);
	ck_assert_int_ne(route(line), 0);
	ck_assert_str_eq(sofun_test_failure(test), "an address of 256 bytes is none: at most 255");
	ck_assert_uint_eq(sofun_test_effect_count(test), 0);
}
END_TEST

static int call(sofun_bytes payload) {
	const sofun_test_message message = {.type = SOURCE, .id = sofun_text("s"), .payload = payload};
	return sofun_test_invoke(test, &message);
}

static int told(const char *user, const char *time, int count) {
	return call(sofun_test_json(test, "{\"user\":\"%s\",\"time\":\"%s\",\"count\":%d}", user, time, count));
}

static int64_t kept(const char *value) {
	return sofun_test_state_int(test, SOURCE, "s", value);
}

START_TEST(a_source_keeps_what_it_tried) {
	ck_assert_int_eq(told("root", "Dec 10 06:55:46", 1), 0);
	ck_assert_int_eq(told("admin", "Dec 10 06:55:47", 2), 0);
	ck_assert_int_eq(told("root", "Dec 10 06:55:48", 1), 0);
	ck_assert_int_eq(kept("failures"), 4);
	ck_assert_int_eq(kept("users"), 2);
	ck_assert(sofun_bytes_equal(
		sofun_test_state(test, SOURCE, sofun_text("s"), "first"), sofun_test_json(test, "\"Dec 10 06:55:46\"")));
	ck_assert(sofun_bytes_equal(
		sofun_test_state(test, SOURCE, sofun_text("s"), "last"), sofun_test_json(test, "\"Dec 10 06:55:48\"")));
	ck_assert(sofun_bytes_equal(
		sofun_test_state(test, SOURCE, sofun_text("s"), "names"), sofun_test_json(test, "[\"root\",\"admin\"]")));
	ck_assert_int_eq(told("", "Dec 10 06:55:48", 1), 0);
	ck_assert_int_eq(told("", "Dec 10 06:55:48", 1), 0);
	ck_assert_int_eq(kept("users"), 3);
}
END_TEST

START_TEST(a_ban_comes_once_with_the_count_of_its_line) {
	ck_assert_int_eq(told("root", "Dec 10 06:55:46", 4), 0);
	ck_assert_uint_eq(sofun_test_effect_count(test), 0);
	ck_assert_int_eq(told("root", "Dec 10 06:55:47", 3), 0);
	ck_assert_uint_eq(sofun_test_effect_count(test), 1);
	const sofun_test_effect *effect = sofun_test_effect_at(test, 0);
	ck_assert_int_eq(effect->kind, SOFUN_TEST_EMIT);
	ck_assert(sofun_bytes_equal(effect->name, sofun_text("bans")));
	ck_assert(sofun_bytes_equal(
		effect->payload, sofun_test_json(test, "{\"source\":\"s\",\"failures\":7,\"last\":\"Dec 10 06:55:47\"}")));
	ck_assert_int_eq(told("root", "Dec 10 06:55:48", 5), 0);
	ck_assert_uint_eq(sofun_test_effect_count(test), 1);
}
END_TEST

START_TEST(names_that_do_not_fit_are_no_longer_counted) {
	sofun_test_value_bytes_max(test, 64); /* the host's own limit comes first here */
	char user[8];
	for (int i = 0; i < 40; i++) {
		(void)snprintf(user, sizeof user, "u%03d", i % 20);
		ck_assert_int_eq(told(user, "Dec 10 06:55:46", 1), 0);
	}
	ck_assert_int_eq(kept("failures"), 40);
	ck_assert_int_eq(kept("users"), 12); /* 12 names of 5 bytes, a head, and room for the nil */
	ck_assert_uint_eq(sofun_test_log_count(test), 1);
}
END_TEST

START_TEST(bad_payloads_fail_with_a_text) {
	const char *const payloads[] = {"null", "{}", "{\"user\":\"a\",\"time\":\"t\",\"count\":0}",
		"{\"user\":\"a\",\"time\":\"t\",\"count\":\"1\"}", "{\"user\":\"a\",\"user\":\"b\",\"count\":1,\"time\":1}",
		"{\"user\":\"a\",\"time\":\"sixteen bytes...\",\"count\":1}", "{\"user\":1,\"time\":\"t\",\"count\":1}"};
	for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
		ck_assert_int_ne(sofun_test_call(test, SOURCE, "s", payloads[i]), 0);
		ck_assert_str_eq(sofun_test_failure(test),
			"the payload must be {count: 1 or more, time: a text of at most 15 bytes, user: a name}");
	}
	ck_assert_int_eq(told("a", "t", 1), 0);
	ck_assert_int_ne(
		call(sofun_test_json(test, "{\"user\":\"a\",\"time\":\"t\",\"count\":%lld}", 9223372036854775807LL)), 0);
	ck_assert_str_eq(sofun_test_failure(test), "overflow: 1 + 9223372036854775807 failures");
	ck_assert_int_eq(kept("failures"), 1);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("authwatch");
	TCase *tests = tcase_create("authwatch");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, failures_are_seen);
	tcase_add_test(tests, repeated_messages_count_as_often);
	tcase_add_test(tests, an_empty_user_is_legal);
	tcase_add_test(tests, a_user_name_may_contain_the_words);
	tcase_add_test(tests, other_lines_are_not_failures);
	tcase_add_test(tests, an_address_that_is_too_long_fails_with_a_text);
	tcase_add_test(tests, a_source_keeps_what_it_tried);
	tcase_add_test(tests, a_ban_comes_once_with_the_count_of_its_line);
	tcase_add_test(tests, names_that_do_not_fit_are_no_longer_counted);
	tcase_add_test(tests, bad_payloads_fail_with_a_text);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
