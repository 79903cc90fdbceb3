/* The bundled plugin `play`, through the ABI alone. What crashes is tried in children. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sofun/testing.h>

#define PLAY "test/play"

static sofun_test *test;

static void setup(void) {
	test = sofun_test_open(TEST_BUILD_DIR "/lib/sofun/plugins/play.so");
}

static void teardown(void) {
	sofun_test_close(test);
}

static int call(const char *id, sofun_bytes payload) {
	const sofun_test_message message = {.type = PLAY, .id = sofun_text(id), .payload = payload};
	return sofun_test_invoke(test, &message);
}

static int call_at(const char *id, sofun_bytes payload, uint32_t attempt) {
	const sofun_test_message message = {.type = PLAY, .id = sofun_text(id), .payload = payload, .attempt = attempt};
	return sofun_test_invoke(test, &message);
}

static int call_from(const char *caller_type, const char *caller_id, const char *id, sofun_bytes payload) {
	const sofun_test_message message = {.type = PLAY,
		.id = sofun_text(id),
		.payload = payload,
		.caller_type = caller_type,
		.caller_id = sofun_text(caller_id)};
	return sofun_test_invoke(test, &message);
}

static int64_t count(const char *id) {
	return sofun_test_state_int(test, PLAY, id, "count");
}

static int64_t gaps(const char *id) {
	return sofun_test_state_int(test, PLAY, id, "gaps");
}

/* What play sends: the number as a first pair, then the map's own pairs (fewer than 15, a small number). */
static sofun_bytes numbered(uint8_t number, sofun_bytes map) {
	static uint8_t room[512];
	ck_assert_uint_eq(map.data[0] & 0xf0, 0x80);
	room[0] = (uint8_t)(map.data[0] + 1);
	room[1] = 0;
	room[2] = number;
	memcpy(room + 3, map.data + 1, map.size - 1);
	return sofun_bytes_of(room, map.size + 2);
}

static void assert_send(size_t index, const char *id, sofun_bytes payload) {
	const sofun_test_effect *effect = sofun_test_effect_at(test, index);
	ck_assert_int_eq(effect->kind, SOFUN_TEST_SEND);
	ck_assert(sofun_bytes_equal(effect->name, sofun_text(PLAY)));
	ck_assert(sofun_bytes_equal(effect->id, sofun_text(id)));
	ck_assert(sofun_bytes_equal(effect->payload, payload));
}

START_TEST(nil_and_an_empty_map_do_nothing) {
	ck_assert_int_eq(call("a", sofun_test_json(test, "null")), 0);
	ck_assert_int_eq(call("a", sofun_test_json(test, "{}")), 0);
	ck_assert_uint_eq(sofun_test_effect_count(test), 0);
	ck_assert_uint_eq(sofun_test_state(test, PLAY, sofun_text("a"), "count").size, 0);
}
END_TEST

START_TEST(reply_answers_the_new_count) {
	ck_assert_int_eq(call("a", sofun_test_json(test, "{\"reply\":true,\"add\":41}")), 0);
	ck_assert(sofun_bytes_equal(sofun_test_effect_at(test, 0)->payload, sofun_test_json(test, "41")));
	ck_assert_int_eq(call("a", sofun_test_json(test, "{\"reply\":true}")), 0);
	ck_assert(sofun_bytes_equal(sofun_test_effect_at(test, 1)->payload, sofun_test_json(test, "41")));
	ck_assert_int_eq(call("a", sofun_test_json(test, "{\"reply\":false,\"add\":-1}")), 0);
	ck_assert_uint_eq(sofun_test_effect_count(test), 2);
	ck_assert_int_eq(count("a"), 40);
}
END_TEST

START_TEST(an_overflow_fails_with_a_text) {
	ck_assert_int_eq(call("a", sofun_test_json(test, "{\"add\":9223372036854775807}")), 0);
	ck_assert_int_ne(call("a", sofun_test_json(test, "{\"add\":1}")), 0);
	ck_assert_str_eq(sofun_test_failure(test), "overflow: 9223372036854775807 + 1 is beyond 64 bits");
}
END_TEST

START_TEST(effects_come_in_their_order) {
	const sofun_bytes all = sofun_test_json(test,
		"{\"reply\":true,\"emit\":{\"payload\":{\"x\":1},\"egress\":\"play\"},"
		"\"send\":[{\"id\":\"b\",\"msg\":{\"add\":1}}],\"add\":1}");
	ck_assert_int_eq(call("a", all), 0);
	ck_assert_uint_eq(sofun_test_effect_count(test), 3);
	assert_send(0, "b", numbered(1, sofun_test_json(test, "{\"add\":1}")));
	ck_assert_int_eq(sofun_test_effect_at(test, 1)->kind, SOFUN_TEST_EMIT);
	ck_assert(sofun_bytes_equal(sofun_test_effect_at(test, 1)->name, sofun_text("play")));
	ck_assert(sofun_bytes_equal(sofun_test_effect_at(test, 1)->payload, sofun_test_json(test, "{\"x\":1}")));
	ck_assert_int_eq(sofun_test_effect_at(test, 2)->kind, SOFUN_TEST_REPLY);
}
END_TEST

START_TEST(sends_are_numbered_per_sender_and_target) {
	const sofun_bytes three = sofun_test_json(test,
		"{\"send\":[{\"id\":\"b\",\"msg\":{}},{\"id\":\"c\",\"msg\":null},"
		"{\"msg\":{\"add\":5},\"id\":\"b\"}]}");
	ck_assert_int_eq(call("a", three), 0);
	assert_send(0, "b", numbered(1, sofun_test_json(test, "{}")));
	assert_send(1, "c", numbered(1, sofun_test_json(test, "{}")));
	assert_send(2, "b", numbered(2, sofun_test_json(test, "{\"add\":5}")));
	ck_assert(sofun_bytes_equal(
		sofun_test_state(test, PLAY, sofun_text("a"), "sent"), sofun_test_json(test, "{\"b\":2,\"c\":1}")));
	ck_assert_int_eq(call("c", sofun_test_json(test, "{\"send\":[{\"id\":\"b\",\"msg\":{}}]}")), 0);
	assert_send(3, "b", numbered(1, sofun_test_json(test, "{}")));
	ck_assert_int_eq(sofun_test_deliver(test), 0);
	ck_assert(sofun_bytes_equal(
		sofun_test_state(test, PLAY, sofun_text("b"), "seen"), sofun_test_json(test, "{\"a\":2,\"c\":1}")));
	ck_assert_int_eq(gaps("b"), 0);
	ck_assert_int_eq(count("b"), 5);
}
END_TEST

START_TEST(gaps_grow_at_each_number_that_is_not_the_next) {
	const uint8_t numbers[] = {1, 2, 4, 4, 3, 4, 5};
	const int64_t expected[] = {0, 0, 1, 2, 3, 3, 3};
	for (size_t i = 0; i < sizeof numbers; i++) {
		const sofun_bytes payload = numbered(numbers[i], sofun_test_json(test, "{\"add\":1}"));
		ck_assert_int_eq(call_from(PLAY, "a", "b", payload), 0);
		ck_assert_int_eq(gaps("b"), expected[i]);
	}
	const sofun_bytes second = numbered(2, sofun_test_json(test, "{}"));
	ck_assert_int_eq(call_from(PLAY, "other", "b", second), 0);
	ck_assert_int_eq(gaps("b"), 4);
	ck_assert_int_eq(count("b"), 7);
}
END_TEST

START_TEST(a_number_from_outside_is_refused) {
	ck_assert_int_ne(call("b", numbered(1, sofun_test_json(test, "{\"add\":1}"))), 0);
	ck_assert_str_eq(sofun_test_failure(test), "every key must be a string");
	const sofun_bytes from_elsewhere = numbered(1, sofun_test_json(test, "{}"));
	ck_assert_int_ne(call_from("demo/counter", "a", "b", from_elsewhere), 0);
}
END_TEST

START_TEST(ten_thousand_targets_of_one_message_are_each_numbered) {
	static char json[500000];
	size_t size = (size_t)sprintf(json, "{\"send\":[");
	for (int i = 0; i < 10000; i++)
		size += (size_t)sprintf(json + size, "%s{\"id\":\"i%d\",\"msg\":{\"add\":1}}", i == 0 ? "" : ",", i % 5000);
	(void)strcpy(json + size, "]}");
	SOFUN_EXPECT_OK(test, sofun_test_call(test, PLAY, "a", json));
	ck_assert_uint_eq(sofun_test_effect_count(test), 10000);
	assert_send(4999, "i4999", numbered(1, sofun_test_json(test, "{\"add\":1}")));
	assert_send(9999, "i4999", numbered(2, sofun_test_json(test, "{\"add\":1}")));
}
END_TEST

START_TEST(fail_leaves_nothing_behind) {
	const sofun_bytes payload =
		sofun_test_json(test, "{\"fail\":\"as told\",\"add\":1,\"send\":[{\"id\":\"b\",\"msg\":{}}]}");
	ck_assert_int_ne(call("a", payload), 0);
	ck_assert_str_eq(sofun_test_failure(test), "as told");
	ck_assert_uint_eq(sofun_test_effect_count(test), 0);
	ck_assert_int_eq(count("a"), 0);
}
END_TEST

START_TEST(fail_times_fails_so_many_attempts_and_then_acts) {
	const char *texts[] = {"attempt 1 of 2 that fail as told", "attempt 2 of 2 that fail as told"};
	const sofun_bytes twice = sofun_test_json(test, "{\"fail_times\":2,\"add\":1}");
	for (uint32_t attempt = 1; attempt <= 2; attempt++) {
		ck_assert_int_ne(call_at("a", twice, attempt), 0);
		ck_assert_str_eq(sofun_test_failure(test), texts[attempt - 1]);
	}
	ck_assert_int_eq(call_at("a", twice, 3), 0);
	ck_assert_int_eq(count("a"), 1);
	const sofun_bytes both = sofun_test_json(test, "{\"fail_times\":1,\"fail\":\"once\",\"add\":1}");
	ck_assert_int_ne(call_at("a", both, 1), 0);
	ck_assert_str_eq(sofun_test_failure(test), "once");
	ck_assert_int_eq(call_at("a", both, 2), 0);
	ck_assert_int_eq(call("a", sofun_test_json(test, "{\"fail_times\":0,\"add\":1}")), 0);
	ck_assert_int_eq(count("a"), 3);
}
END_TEST

START_TEST(delayed_sends_come_when_they_are_due) {
	ck_assert_int_eq(call("a",
						 sofun_test_json(test,
							 "{\"send\":[{\"id\":\"b\",\"msg\":{\"add\":2},\"after_ms\":20},"
							 "{\"id\":\"b\",\"msg\":{\"add\":1},\"after_ms\":10}]}")),
		0);
	ck_assert_int_eq(sofun_test_advance(test, 9), 0);
	ck_assert_int_eq(count("b"), 0);
	ck_assert_int_eq(sofun_test_advance(test, 1), 0);
	ck_assert_int_eq(count("b"), 1);
	ck_assert_int_eq(sofun_test_advance(test, 100), 0);
	ck_assert_int_eq(count("b"), 3);
	ck_assert_int_eq(sofun_test_state_int(test, "test/play", "b", "gaps"), 0);
}
END_TEST

START_TEST(a_cancelled_send_never_comes) {
	const char *set = "{\"send\":[{\"id\":\"b\",\"msg\":{\"add\":1},\"after_ms\":10,\"token\":\"t\"}]}";
	ck_assert_int_eq(call("a", sofun_test_json(test, "%s", set)), 0);
	ck_assert_int_ne(call("a", sofun_test_json(test, "%s", set)), 0);
	ck_assert_str_eq(sofun_test_failure(test), "the token of a timer is in use");
	ck_assert_int_eq(call("b", sofun_test_json(test, "{\"cancel\":\"t\"}")), 0); /* b's own, and it has none */
	ck_assert_int_ne(call("a", sofun_test_json(test, "{\"cancel\":\"t\",\"fail_times\":9}")), 0);
	ck_assert_uint_eq(sofun_test_effect_count(test), 1);
	ck_assert_int_eq(call("a", sofun_test_json(test, "{\"cancel\":\"t\"}")), 0);
	ck_assert_int_eq(call("a", sofun_test_json(test, "{\"cancel\":\"t\"}")), 0);
	ck_assert_int_eq(sofun_test_advance(test, 100), 0);
	ck_assert_int_eq(count("b"), 0);
	ck_assert_int_eq(call("a", sofun_test_json(test, "%s", set)), 0);
	ck_assert_int_eq(sofun_test_advance(test, 100), 0);
	ck_assert_int_eq(count("b"), 1);
}
END_TEST

START_TEST(bad_payloads_fail_with_a_text) {
	const char *const cases[][2] = {
		{"7", "the payload must be a map"},
		{"[]", "the payload must be a map"},
		{"{\"adds\":1}", "unknown key 'adds'"},
		{"{\"add\":1.5}", "add must be an integer within 64 bits (signed)"},
		{"{\"send\":{}}", "send must be an array of {id, msg}"},
		{"{\"send\":[1]}", "what names id and msg must be a map"},
		{"{\"send\":[{\"id\":\"b\"}]}", "id and msg must both be there"},
		{"{\"send\":[{\"id\":\"\",\"msg\":{}}]}", "id must be a string or binary of 1 to 255 bytes"},
		{"{\"send\":[{\"id\":\"b\",\"msg\":1}]}", "msg must be a map or nil"},
		{"{\"send\":[{\"id\":\"b\",\"msg\":{},\"to\":1}]}", "unknown key 'to'"},
		{"{\"emit\":{\"egress\":\"play\"}}", "emit must be {egress, payload}"},
		{"{\"reply\":1}", "reply must be true or false"},
		{"{\"crash\":\"softly\"}", "crash must be segv, abort, loop or stack"},
		{"{\"fail\":1}", "fail must be a text"},
		{"{\"fail_times\":-1}", "fail_times must be an integer from 0 on"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_int_ne(call("a", sofun_test_json(test, "%s", cases[i][0])), 0);
		ck_assert_str_eq(sofun_test_failure(test), cases[i][1]);
	}
	ck_assert_uint_eq(sofun_test_effect_count(test), 0);
}
END_TEST

START_TEST(a_record_goes_to_its_instance) {
	ck_assert_int_eq(sofun_test_route(test, "play", sofun_test_json(test, "{\"id\":\"r\",\"msg\":{\"add\":3}}")), 0);
	assert_send(0, "r", sofun_test_json(test, "{\"add\":3}"));
	ck_assert_int_eq(sofun_test_deliver(test), 0);
	ck_assert_int_eq(count("r"), 3);
	ck_assert_int_ne(sofun_test_route(test, "play", sofun_test_json(test, "{\"id\":\"r\"}")), 0);
	ck_assert_str_eq(sofun_test_failure(test), "id and msg must both be there");
	ck_assert_int_ne(sofun_test_route(test, "play", sofun_test_json(test, "[1]")), 0);
	ck_assert_int_ne(
		sofun_test_route(test, "play", sofun_test_json(test, "{\"id\":\"r\",\"msg\":{},\"after_ms\":1}")), 0);
	ck_assert_str_eq(sofun_test_failure(test), "unknown key 'after_ms'");
}
END_TEST

/* The child is a fork of Check's own; its CPU time is limited, so that a loop ends by SIGXCPU. */
static int died_of(const char *kind) {
	const pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		const struct rlimit second = {1, 2}, no_core = {0, 0};
		(void)setrlimit(RLIMIT_CPU, &second);
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)signal(SIGSEGV, SIG_DFL);
		(void)call("a", sofun_test_json(test, "{\"crash\":\"%s\"}", kind));
		_exit(0);
	}
	int status;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

START_TEST(crashes_are_what_they_say) {
	ck_assert_int_eq(died_of("segv"), SIGSEGV);
	ck_assert_int_eq(died_of("abort"), SIGABRT);
	ck_assert_int_eq(died_of("stack"), SIGSEGV);
	ck_assert_int_eq(died_of("loop"), SIGXCPU);
}
END_TEST

START_TEST(the_next_version_behaves_alike) {
	sofun_test *next = sofun_test_open(TEST_BUILD_DIR "/lib/sofun/plugins/next/play.so");
	ck_assert_str_eq(sofun_test_plugin(test)->version, "1.0.0");
	ck_assert_str_eq(sofun_test_plugin(next)->version, "1.1.0");
	ck_assert_int_eq(sofun_test_call(next, PLAY, "a", "{\"add\":2,\"reply\":true}"), 0);
	ck_assert_int_eq(sofun_test_state_int(next, PLAY, "a", "count"), 2);
	sofun_test_close(next);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("play");
	TCase *tests = tcase_create("play");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, nil_and_an_empty_map_do_nothing);
	tcase_add_test(tests, reply_answers_the_new_count);
	tcase_add_test(tests, an_overflow_fails_with_a_text);
	tcase_add_test(tests, effects_come_in_their_order);
	tcase_add_test(tests, sends_are_numbered_per_sender_and_target);
	tcase_add_test(tests, gaps_grow_at_each_number_that_is_not_the_next);
	tcase_add_test(tests, a_number_from_outside_is_refused);
	tcase_add_test(tests, ten_thousand_targets_of_one_message_are_each_numbered);
	tcase_add_test(tests, fail_leaves_nothing_behind);
	tcase_add_test(tests, fail_times_fails_so_many_attempts_and_then_acts);
	tcase_add_test(tests, delayed_sends_come_when_they_are_due);
	tcase_add_test(tests, a_cancelled_send_never_comes);
	tcase_add_test(tests, bad_payloads_fail_with_a_text);
	tcase_add_test(tests, a_record_goes_to_its_instance);
#ifndef SOFUN_SANITIZED /* a sanitizer answers a crash in its own way */
	tcase_add_test(tests, crashes_are_what_they_say);
#else
	(void)crashes_are_what_they_say;
#endif
	tcase_add_test(tests, the_next_version_behaves_alike);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
