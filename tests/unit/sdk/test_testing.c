/* The testing library itself: JSON to MessagePack and back, expectations that fail, and what a callback that failed leaves. */
#include <check.h>
#include <msgpack.h>
#include <setjmp.h>
#include <sofun/testing.h>
#include <stdlib.h>

static sofun_test *test;
static jmp_buf failed;
static char failure[512];

/* What an expectation that must fail says. */
static void failure_keep(const char *text) {
	(void)snprintf(failure, sizeof failure, "%s", text);
	longjmp(failed, 1);
}

static void setup(void) {
	test = sofun_test_open(TEST_BUILD_DIR "/lib/sofun/plugins/play.so");
	sofun_test_on_failure(test, failure_keep);
}

static void teardown(void) {
	sofun_test_close(test);
}

#define ASSERT_FAILS(expectation, text) \
	do { \
		if (setjmp(failed) == 0) { \
			expectation; \
			ck_abort_msg("it held: %s", #expectation); \
		} \
		ck_assert_msg(strstr(failure, text) != NULL, "%s", failure); \
		ck_assert_msg(strstr(failure, "test_testing.c:") != NULL, "%s", failure); \
	} while (0)

/* Judged by msgpack-c, which did not write it. */
static void assert_good(sofun_bytes msgpack) {
	msgpack_unpacked object;
	size_t at = 0;
	msgpack_unpacked_init(&object);
	ck_assert_int_eq(
		msgpack_unpack_next(&object, (const char *)msgpack.data, msgpack.size, &at), MSGPACK_UNPACK_SUCCESS);
	ck_assert_uint_eq(at, msgpack.size);
	msgpack_unpacked_destroy(&object);
}

START_TEST(json_comes_back_as_it_went) {
	static const char *const texts[] = {"null", "true", "false", "0", "-1", "-9223372036854775808",
		"18446744073709551615", "1.0", "1.5", "0.10000000000000001", "\"\"", "\"\\\"\\\\\\u0001\"", "\"\xc3\xa9\"",
		"[]", "{}", "[1,[2,[3]],{\"a\":[]}]", "{\"a\":1,\"b\":{\"c\":null}}", "{\"base64\":\"AP8=\"}",
		"{\"base64\":\"\"}"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		const sofun_bytes msgpack = sofun_test_json(test, "%s", texts[i]);
		assert_good(msgpack);
		ck_assert_str_eq(sofun_test_text(test, msgpack), texts[i]);
	}
	ck_assert_str_eq(
		sofun_test_text(test, sofun_test_json(test, " { \"b\" : 2 , \"a\" : 1e2 } ")), "{\"a\":100.0,\"b\":2}");
	ck_assert_str_eq(sofun_test_text(test, sofun_test_json(test, "\"\\u00e9\\ud83d\\ude00\\n\"")),
		"\"\xc3\xa9\xf0\x9f\x98\x80\\u000a\"");
}
END_TEST

START_TEST(large_containers_get_their_heads) {
	for (int count = 14; count <= 70000; count = count * 3 + 1) {
		char *json = malloc((size_t)count * 2 + 2), *at = json;
		*at++ = '[';
		for (int i = 0; i < count; i++) {
			*at++ = '7';
			*at++ = i + 1 < count ? ',' : ']';
		}
		*at = '\0';
		const sofun_bytes msgpack = sofun_test_json(test, "%s", json);
		assert_good(msgpack);
		ck_assert_uint_eq(msgpack.size, (size_t)count + (count < 16 ? 1 : count < 65536 ? 3 : 5));
		free(json);
	}
}
END_TEST

START_TEST(what_json_has_no_word_for_is_told_apart) {
	static const uint8_t ext[] = {0xd4, 5, 9}, keys[] = {0x82, 2, 1, 1, 0xc0}, cut[] = {0x92, 1};
	ck_assert_str_eq(sofun_test_text(test, sofun_bytes_of(ext, sizeof ext)), "{\"ext\":[5,{\"base64\":\"CQ==\"}]}");
	ck_assert_str_eq(sofun_test_text(test, sofun_bytes_of(keys, sizeof keys)), "{\"map\":[[1,null],[2,1]]}");
	ck_assert_str_eq(sofun_test_text(test, sofun_bytes_of(cut, sizeof cut)), "bytes that are no MessagePack object");
}
END_TEST

START_TEST(expectations_can_fail) {
	SOFUN_EXPECT_OK(test, sofun_test_call(test, "test/play", "a", "{\"add\":2,\"reply\":true}"));
	ASSERT_FAILS(SOFUN_EXPECT_NOTHING(test), "expected nothing more; found reply: 2");
	ASSERT_FAILS(SOFUN_EXPECT_REPLY(test, "3"), "expected reply: 3; found reply: 2");
	ASSERT_FAILS(SOFUN_EXPECT_REPLY(test, "2.0"), "expected reply: 2.0; found reply: 2");
	ASSERT_FAILS(SOFUN_EXPECT_EMIT(test, "play", "2"), "expected emit to play: 2; found reply: 2");
	ASSERT_FAILS(SOFUN_EXPECT_SEND(test, "test/play", "b", "2"), "expected send to test/play b: 2; found reply: 2");
	SOFUN_EXPECT_REPLY(test, "2");
	ASSERT_FAILS(SOFUN_EXPECT_REPLY(test, "2"), "expected reply: 2; found nothing");
	ASSERT_FAILS(
		SOFUN_EXPECT_STATE(test, "test/play", "a", "count", "1"), "expected count of test/play a to be 1; found 2");
	ASSERT_FAILS(SOFUN_EXPECT_STATE(test, "test/play", "a", "count", NULL), "to be unset; found 2");
	ASSERT_FAILS(SOFUN_EXPECT_STATE(test, "test/play", "b", "count", "1"), "found unset");
	ASSERT_FAILS(SOFUN_EXPECT_FAILURE(test, 0, "x"), "it succeeded");
	const int result = sofun_test_call(test, "test/play", "a", "{\"fail\":\"as told\"}");
	ASSERT_FAILS(SOFUN_EXPECT_OK(test, result), "as told");
	ASSERT_FAILS(SOFUN_EXPECT_FAILURE(test, result, "x"), "expected the failure \"x\"; found \"as told\"");
	SOFUN_EXPECT_FAILURE(test, result, "as told");
}
END_TEST

START_TEST(timers_stand_beside_what_is_expected) {
	SOFUN_EXPECT_OK(test,
		sofun_test_call(test, "test/play", "a",
			"{\"send\":[{\"id\":\"b\",\"msg\":{\"add\":1},\"after_ms\":20}],\"add\":2,\"reply\":true}"));
	SOFUN_EXPECT_REPLY(test, "2");
	SOFUN_EXPECT_NOTHING(test);
	sofun_test_effects_clear(test);
	SOFUN_EXPECT_TIMER(test, "test/play", "a", 0, NULL);
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 5));
	SOFUN_EXPECT_TIMER(test, "test/play", "b", 15, "{\"add\":1}");
	ASSERT_FAILS(SOFUN_EXPECT_TIMER(test, "test/play", "b", 20, "{\"add\":1}"),
		"expected timer to test/play b: {\"add\":1} in 20 ms; found timer to test/play b: {\"add\":1} in 15 ms");
	ASSERT_FAILS(SOFUN_EXPECT_TIMER(test, "test/play", "b", 15, "2"), "expected timer to test/play b: 2 in 15 ms");
	ASSERT_FAILS(SOFUN_EXPECT_TIMER(test, "test/play", "b", 0, NULL), "expected no timer; found timer to test/play b");
	ASSERT_FAILS(SOFUN_EXPECT_TIMER(test, "test/play", "a", 15, "{\"add\":1}"), "found no timer");
	SOFUN_EXPECT_OK(test, sofun_test_advance(test, 15));
	SOFUN_EXPECT_STATE(test, "test/play", "b", "count", "1");
	SOFUN_EXPECT_TIMER(test, "test/play", "b", 0, NULL);
}
END_TEST

START_TEST(a_callback_that_fails_leaves_nothing) {
	SOFUN_EXPECT_OK(test, sofun_test_call(test, "test/play", "a", "{\"add\":1}"));
	const char *all =
		"{\"add\":5,\"send\":[{\"id\":\"b\",\"msg\":{}}],\"emit\":{\"egress\":\"Bad Name\",\"payload\":1}}";
	ck_assert_int_ne(sofun_test_call(test, "test/play", "a", all), 0);
	SOFUN_EXPECT_NOTHING(test);
	SOFUN_EXPECT_STATE(test, "test/play", "a", "count", "1");
}
END_TEST

START_TEST(a_payload_nested_beyond_the_limit_is_refused) {
	char json[512], *at = json + sprintf(json, "{\"emit\":{\"egress\":\"play\",\"payload\":");
	for (int depth = 65; depth >= 64; depth--) {
		memset(at, '[', (size_t)depth);
		memset(at + depth, ']', (size_t)depth);
		(void)strcpy(at + depth * 2, "}}");
		const int result = sofun_test_call(test, "test/play", "a", json);
		ck_assert_int_eq(result == 0, depth == 64);
		if (depth == 65)
			ck_assert_msg(strstr(sofun_test_failure(test), "nested too deep") != NULL, "%s", sofun_test_failure(test));
	}
}
END_TEST

int main(void) {
	Suite *suite = suite_create("testing");
	TCase *tests = tcase_create("testing");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, json_comes_back_as_it_went);
	tcase_add_test(tests, large_containers_get_their_heads);
	tcase_add_test(tests, what_json_has_no_word_for_is_told_apart);
	tcase_add_test(tests, expectations_can_fail);
	tcase_add_test(tests, timers_stand_beside_what_is_expected);
	tcase_add_test(tests, a_callback_that_fails_leaves_nothing);
	tcase_add_test(tests, a_payload_nested_beyond_the_limit_is_refused);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	const int count = srunner_ntests_failed(runner);
	srunner_free(runner);
	return count == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
