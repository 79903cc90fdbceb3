/* The bundled plugin `counter`, through the ABI alone. */
#include <check.h>
#include <stdlib.h>

#include "fake_host.h"

static struct fake *fake;

static void setup(void) {
	fake = fake_create("lib/sofun/plugins/counter.so");
}

static void teardown(void) {
	fake_destroy(fake);
}

#define CALL(literal) fake_call(fake, "demo/counter", "a", bytes_of(literal, sizeof literal - 1))

static void assert_reply(const char *msgpack, size_t size) {
	ck_assert_uint_eq(fake_effect_count(fake), 1);
	const struct fake_effect *effect = fake_effect(fake, 0);
	ck_assert_int_eq(effect->kind, FAKE_REPLY);
	ck_assert(bytes_equal(bytes_buf(&effect->payload), bytes_of(msgpack, size)));
	fake_effects_clear(fake);
}

START_TEST(nil_counts_one_and_an_integer_as_much) {
	ck_assert_int_eq(CALL("\xc0"), 0);
	assert_reply("\x01", 1);
	ck_assert_int_eq(CALL("\xcd\x01\x00"), 0);
	assert_reply("\xcd\x01\x01", 3);
	ck_assert_int_eq(CALL("\xd1\xfe\xff"), 0);
	assert_reply("\x00", 1);
	ck_assert_int_eq(CALL("\xe0"), 0);
	assert_reply("\xe0", 1);
	ck_assert_int_eq(fake_state_int(fake, "demo/counter", "a", "count"), -32);
	ck_assert_uint_eq(fake_state(fake, "demo/counter", bytes_text("b"), "count").size, 0);
}
END_TEST

START_TEST(another_payload_fails_with_a_text) {
	ck_assert_int_eq(CALL("\x07"), 0);
	fake_effects_clear(fake);
	ck_assert_int_ne(CALL("\xa1x"), 0);
	ck_assert_str_eq(fake_text(fake), "the payload must be nil or an integer within 64 bits (signed)");
	ck_assert_int_ne(CALL("\xcb\x3f\xf0\0\0\0\0\0\0"), 0); /* 1.0 */
	ck_assert_int_ne(CALL("\x80"), 0);
	ck_assert_int_ne(CALL("\xcf\x80\0\0\0\0\0\0\0"), 0); /* 2^63 */
	ck_assert_str_ne(fake_text(fake), "");
	ck_assert_uint_eq(fake_effect_count(fake), 0);
	ck_assert_int_eq(fake_state_int(fake, "demo/counter", "a", "count"), 7);
}
END_TEST

START_TEST(an_overflow_fails_with_a_text) {
	ck_assert_int_eq(CALL("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), 0);
	ck_assert_int_ne(CALL("\x01"), 0);
	ck_assert_str_eq(fake_text(fake), "overflow: 9223372036854775807 + 1 is beyond 64 bits");
	ck_assert_int_eq(fake_state_int(fake, "demo/counter", "a", "count"), INT64_MAX);
	ck_assert_int_eq(CALL("\xd3\x80\0\0\0\0\0\0\0"), 0);
	ck_assert_int_eq(fake_state_int(fake, "demo/counter", "a", "count"), -1);
	ck_assert_int_ne(CALL("\xd3\x80\0\0\0\0\0\0\0"), 0);
}
END_TEST

static int route(const char *line, size_t size) {
	return fake_route(fake, "counter", bytes_of(line, size));
}

START_TEST(a_line_names_the_counter) {
	ck_assert_int_eq(route("alpha\r", 6), 0);
	ck_assert_int_eq(route("alpha", 5), 0);
	ck_assert_int_eq(route("\r\r", 2), 0); /* one CR is the line's end, the other its id */
	ck_assert_int_eq(fake_deliver(fake), 0);
	ck_assert_int_eq(fake_state_int(fake, "demo/counter", "alpha", "count"), 2);
	ck_assert_int_eq(fake_state_int(fake, "demo/counter", "\r", "count"), 1);
}
END_TEST

START_TEST(an_empty_or_overlong_line_fails_with_a_text) {
	char line[256];
	memset(line, 'x', sizeof line);
	ck_assert_int_eq(route(line, 255), 0);
	fake_effects_clear(fake);
	ck_assert_int_ne(route(line, 256), 0);
	ck_assert_str_eq(fake_text(fake), "a line of 256 bytes is no id: at most 255");
	ck_assert_int_ne(route("", 0), 0);
	ck_assert_str_eq(fake_text(fake), "an empty line names no counter");
	ck_assert_int_ne(route("\r", 1), 0);
	ck_assert_uint_eq(fake_effect_count(fake), 0);
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
