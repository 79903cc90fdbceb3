/* Targets of HTTP requests: segments, percent escapes, queries. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/http/target.h"

static struct target target;
static struct error error;

static void parse(const char *path, const char *query) {
	ck_assert_msg(target_parse(&target, path, query, &error), "%s", error.message);
}

static void assert_bytes(struct bytes got, const char *wanted, size_t size) {
	ck_assert_uint_eq(got.size, size);
	ck_assert_mem_eq(got.data, wanted, size);
}

static void refuses(const char *path, const char *query, const char *found) {
	ck_assert(!target_parse(&target, path, query, &error));
	ck_assert_int_eq(error.code, ERROR_BAD_REQUEST);
	ck_assert_str_eq(error.found, found);
}

START_TEST(path_is_cut_at_slashes) {
	parse("/v1/state/demo/counter", NULL);
	ck_assert_uint_eq(target.segment_count, 4);
	assert_bytes(target.segments[0], "v1", 2);
	assert_bytes(target.segments[3], "counter", 7);
	ck_assert_uint_eq(target.pair_count, 0);
	target_finish(&target);
}
END_TEST

START_TEST(empty_segments_count) {
	parse("/", NULL);
	ck_assert_uint_eq(target.segment_count, 1);
	ck_assert_uint_eq(target.segments[0].size, 0);
	target_finish(&target);
	parse("/a//", NULL);
	ck_assert_uint_eq(target.segment_count, 3);
	target_finish(&target);
}
END_TEST

START_TEST(an_id_may_hold_any_byte) {
	parse("/%00%2F%ff%C3%a4+x", NULL);
	ck_assert_uint_eq(target.segment_count, 1);
	assert_bytes(target.segments[0], "\0/\xff\xc3\xa4+x", 7);
	target_finish(&target);
}
END_TEST

START_TEST(more_segments_than_any_endpoint_has_are_only_counted) {
	parse("/1/2/3/4/5/6/7/8/9/10", NULL);
	ck_assert_uint_eq(target.segment_count, 10);
	assert_bytes(target.segments[TARGET_SEGMENTS_MAX - 1], "8", 1);
	target_finish(&target);
}
END_TEST

START_TEST(broken_escapes_are_refused) {
	refuses("/a%", NULL, "%");
	refuses("/a%4", NULL, "%4");
	refuses("/a%4/b", NULL, "%4");
	refuses("/a%zz", NULL, "%zz");
	refuses("/a%4gbc", NULL, "%4g");
	refuses("/a", "after=%f", "%f");
	refuses("/a", "%-1=x", "%-1");
	refuses("*", NULL, "*");
}
END_TEST

START_TEST(query_is_taken_apart) {
	struct bytes value;
	parse("/a", "limit=10&after=x%20y+z%2B&&flag&empty=");
	ck_assert_uint_eq(target.pair_count, 4);
	ck_assert(target_query(&target, "limit", &value));
	assert_bytes(value, "10", 2);
	ck_assert(target_query(&target, "after", &value));
	assert_bytes(value, "x y z+", 6);
	ck_assert(target_query(&target, "flag", &value));
	ck_assert_uint_eq(value.size, 0);
	ck_assert(target_query(&target, "empty", &value));
	ck_assert_uint_eq(value.size, 0);
	ck_assert(!target_query(&target, "lim", &value));
	target_finish(&target);
}
END_TEST

START_TEST(a_value_may_hold_an_equals_sign) {
	struct bytes value;
	parse("/a", "after=a=b=");
	ck_assert(target_query(&target, "after", &value));
	assert_bytes(value, "a=b=", 4);
	target_finish(&target);
}
END_TEST

START_TEST(too_many_pairs_are_refused) {
	ck_assert(!target_parse(&target, "/a", "1&2&3&4&5&6&7&8&9&10&11&12&13", &error));
	ck_assert_str_eq(error.expected, "at most 12");
}
END_TEST

START_TEST(decimal_numbers_are_exact) {
	uint64_t number = 7;
	ck_assert(decimal_parse(bytes_text("0"), &number));
	ck_assert_uint_eq(number, 0);
	ck_assert(decimal_parse(bytes_text("18446744073709551615"), &number));
	ck_assert_uint_eq(number, UINT64_MAX);
	ck_assert(!decimal_parse(bytes_text("18446744073709551616"), &number));
	ck_assert(!decimal_parse(bytes_text("99999999999999999999"), &number));
	ck_assert(!decimal_parse(bytes_text(""), &number));
	ck_assert(!decimal_parse(bytes_text("-1"), &number));
	ck_assert(!decimal_parse(bytes_text("1 "), &number));
	ck_assert(!decimal_parse(bytes_text("0x1"), &number));
}
END_TEST

START_TEST(query_numbers_have_a_bound) {
	uint64_t number = 5;
	parse("/a", "limit=10&from=abc");
	ck_assert(target_query_number(&target, "after", 3, &number, &error));
	ck_assert_uint_eq(number, 5);
	ck_assert(target_query_number(&target, "limit", 10, &number, &error));
	ck_assert_uint_eq(number, 10);
	ck_assert(!target_query_number(&target, "limit", 9, &number, &error));
	ck_assert_str_eq(error.found, "10");
	ck_assert_str_eq(error.expected, "a decimal number up to 9");
	ck_assert(!target_query_number(&target, "from", 9, &number, &error));
	target_finish(&target);
}
END_TEST

START_TEST(encoding_is_the_inverse_of_decoding) {
	struct buf path = {0};
	uint8_t id[256];
	for (int i = 0; i < 256; i++)
		id[i] = (uint8_t)i;
	buf_append_u8(&path, '/');
	percent_encode(&path, bytes_of(id, sizeof id));
	buf_append_u8(&path, '\0');
	parse((const char *)path.data, NULL);
	ck_assert_uint_eq(target.segment_count, 1);
	assert_bytes(target.segments[0], (const char *)id, sizeof id);
	target_finish(&target);
	buf_finish(&path);
}
END_TEST

int main(void) {
	TCase *cases = tcase_create("target");
	tcase_add_test(cases, path_is_cut_at_slashes);
	tcase_add_test(cases, empty_segments_count);
	tcase_add_test(cases, an_id_may_hold_any_byte);
	tcase_add_test(cases, more_segments_than_any_endpoint_has_are_only_counted);
	tcase_add_test(cases, broken_escapes_are_refused);
	tcase_add_test(cases, query_is_taken_apart);
	tcase_add_test(cases, a_value_may_hold_an_equals_sign);
	tcase_add_test(cases, too_many_pairs_are_refused);
	tcase_add_test(cases, decimal_numbers_are_exact);
	tcase_add_test(cases, query_numbers_have_a_bound);
	tcase_add_test(cases, encoding_is_the_inverse_of_decoding);
	Suite *suite = suite_create("control/target");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
