/* The plugin of the first day (tests/abi/frozen-1.0) through today's table. */
#include <check.h>
#include <stdlib.h>

#include <sofun/testing.h>

#define VETERAN "frozen/veteran"

static sofun_test *test;

static void setup(void) {
	test = sofun_test_open(TEST_BUILD_DIR "/tests/abi/frozen-1.0.so");
}

static void teardown(void) {
	sofun_test_close(test);
}

static void assert_state(const char *value, const char *json) {
	ck_assert_msg(
		sofun_bytes_equal(sofun_test_state(test, VETERAN, sofun_text("v"), value), sofun_test_json(test, "%s", json)),
		"%s", value);
}

START_TEST(the_descriptor_is_as_it_was) {
	const sofun_plugin *plugin = sofun_test_plugin(test);
	ck_assert_str_eq(plugin->name, "veteran");
	ck_assert_str_eq(plugin->version, "1.0.0");
	ck_assert_uint_eq(plugin->abi_major, 1);
	ck_assert_uint_eq(plugin->abi_minor, 0);
	ck_assert_uint_eq(plugin->size, 72);
	ck_assert_str_eq(plugin->functions[0]->type, VETERAN);
	ck_assert_uint_eq(plugin->functions[0]->value_count, 5);
	ck_assert_ptr_null(plugin->functions[1]);
	ck_assert_str_eq(plugin->routers[0]->ingress, "frozen");
	ck_assert_str_eq(plugin->egresses[0], "frozen");
	ck_assert_ptr_null(plugin->egresses[1]);
}
END_TEST

START_TEST(it_keeps_emits_and_replies) {
	ck_assert_int_eq(sofun_test_call(test, VETERAN, "v", "7"), 0);
	assert_state("count", "7");
	assert_state("share", "3.5");
	assert_state("note", "\"7 messages\"");
	assert_state("even", "false");
	assert_state("raw", "7");
	ck_assert_uint_eq(sofun_test_effect_count(test), 2);
	ck_assert_int_eq(sofun_test_effect_at(test, 0)->kind, SOFUN_TEST_EMIT);
	ck_assert_int_eq(sofun_test_effect_at(test, 1)->kind, SOFUN_TEST_REPLY);
	ck_assert_int_eq(sofun_test_call(test, VETERAN, "v", "null"), 0);
	ck_assert_uint_eq(sofun_test_state(test, VETERAN, sofun_text("v"), "raw").size, 0);
	ck_assert_uint_eq(sofun_test_log_count(test), 2);
}
END_TEST

START_TEST(it_sends_and_routes) {
	ck_assert_int_eq(sofun_test_call(test, VETERAN, "v", "\"again\""), 0);
	ck_assert_int_eq(sofun_test_route(test, "frozen", sofun_text("v")), 0);
	ck_assert_int_eq(sofun_test_deliver(test), 0);
	assert_state("count", "2");
	assert_state("even", "true");
	ck_assert_int_ne(sofun_test_route(test, "frozen", sofun_text("")), 0);
	ck_assert_str_eq(sofun_test_failure(test), "empty");
	ck_assert_int_ne(sofun_test_call(test, VETERAN, "v", "[]"), 0);
	ck_assert_str_eq(sofun_test_failure(test), "not a number: 7");
}
END_TEST

int main(void) {
	Suite *suite = suite_create("frozen");
	TCase *tests = tcase_create("frozen");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, the_descriptor_is_as_it_was);
	tcase_add_test(tests, it_keeps_emits_and_replies);
	tcase_add_test(tests, it_sends_and_routes);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
