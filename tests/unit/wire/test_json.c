/* MessagePack and JSON into each other (wire/json.h). */
#include <check.h>
#include <stdlib.h>

#include "random_value.h"
#include "wire/json.h"
#include "wire/pack.h"

enum { NESTING = 64 };

static void text_is(struct bytes value, const char *expected) {
	struct error error;
	json_t *json = json_from_value(value, NESTING, &error);
	ck_assert_ptr_nonnull(json);
	struct buf text = {0};
	json_to_text(json, &text);
	buf_append_u8(&text, 0);
	ck_assert_str_eq((const char *)text.data, expected);
	buf_finish(&text);
	json_decref(json);
}

static void value_is(const char *text, struct bytes expected) {
	struct error error;
	struct buf value = {0};
	bool good = json_text_to_value(bytes_text(text), NESTING, &value, &error);
	ck_assert_msg(good, "%s: %s", text, good ? "" : error.message);
	ck_assert_msg(bytes_equal(bytes_buf(&value), expected), "%s", text);
	buf_finish(&value);
}

static void refused(struct bytes text, enum error_code code) {
	struct error error;
	struct buf value = {0};
	pack_nil(&value);
	ck_assert(!json_text_to_value(text, NESTING, &value, &error));
	ck_assert_msg(error.code == code, "%.*s: %s", (int)text.size, (const char *)text.data, error.message);
	ck_assert_uint_eq(value.size, 1);
	buf_finish(&value);
}

#define BYTES(text) bytes_of(text, sizeof(text) - 1)
/* A value and its JSON, equal in both directions. */
#define PAIR(bytes, text) \
	do { \
		text_is(BYTES(bytes), text); \
		value_is(text, BYTES(bytes)); \
	} while (0)

START_TEST(test_json_scalars) {
	PAIR("\xc0", "null");
	PAIR("\xc2", "false");
	PAIR("\xc3", "true");
	PAIR("\x00", "0");
	PAIR("\xff", "-1");
	PAIR("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", "9223372036854775807");
	PAIR("\xd3\x80\x00\x00\x00\x00\x00\x00\x00", "-9223372036854775808");
	PAIR("\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a", "0.1");
	PAIR("\xcb\x40\x00\x00\x00\x00\x00\x00\x00", "2.0");
	PAIR("\xcb\x80\x00\x00\x00\x00\x00\x00\x00", "-0.0");
	PAIR("\xcb\x00\x00\x00\x00\x00\x00\x00\x01", "4.94065645841247e-324");
	PAIR("\xa0", "\"\"");
	PAIR("\xa3\xe2\x82\xac", "\"€\"");
	PAIR("\xa3\x61\x00\x62", "\"a\\u0000b\"");
}
END_TEST

START_TEST(test_json_containers) {
	PAIR("\x90", "[]");
	PAIR("\x80", "{}");
	PAIR("\x93\x01\xa1x\xc0", "[1,\"x\",null]");
	PAIR("\x82\xa1z\x01\xa1"
		 "a\x91\x02",
		"{\"z\":1,\"a\":[2]}");
	PAIR("\x81\xa0\x01", "{\"\":1}");
}
END_TEST

START_TEST(test_json_what_it_has_no_word_for) {
	PAIR("\xcf\x80\x00\x00\x00\x00\x00\x00\x00", "{\"msgpack\":\"z4AAAAAAAAAA\"}");
	PAIR("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", "{\"msgpack\":\"y3/4AAAAAAAA\"}");
	PAIR("\xca\xff\x80\x00\x00", "{\"msgpack\":\"yv+AAAA=\"}");
	PAIR("\xd4\x05x", "{\"msgpack\":\"1AV4\"}");
	PAIR("\xa1\xff", "{\"msgpack\":\"of8=\"}");
	PAIR("\xc4\x02\xff\xfe", "{\"base64\":\"//4=\"}");
	PAIR("\x81\x01\x02", "{\"map\":[[1,2]]}");
	PAIR("\x82\xa1"
		 "a\x01\xa1"
		 "a\x02",
		"{\"map\":[[\"a\",1],[\"a\",2]]}");
	PAIR("\x82\xa1"
		 "a\x01\xa1\x00\x02",
		"{\"map\":[[\"a\",1],[\"\\u0000\",2]]}");
	PAIR("\x81\x90\x81\xc0\xc0", "{\"map\":[[[],{\"map\":[[null,null]]}]]}");
	value_is("{\"map\":[]}", BYTES("\x80"));
	value_is("{\"base64\":\"\"}", BYTES("\xc4\x00"));
}
END_TEST

/* JSON text cannot tell these apart: json.h names them. */
START_TEST(test_json_bin_that_is_utf8_is_a_string) {
	text_is(BYTES("\xc4\x02hi"), "\"hi\"");
	text_is(BYTES("\x81\xc4\x01k\x01"), "{\"k\":1}");
	text_is(BYTES("\x81\xc4\x03map\x01"), "{\"map\":[[\"map\",1]]}");
	text_is(BYTES("\xca\x3f\xc0\x00\x00"), "1.5");
}
END_TEST

START_TEST(test_json_map_that_looks_like_an_escape) {
	PAIR("\x81\xa6"
		 "base64\xa4"
		 "aGk=",
		"{\"map\":[[\"base64\",\"aGk=\"]]}");
	PAIR("\x81\xa7msgpack\xc0", "{\"map\":[[\"msgpack\",null]]}");
	PAIR("\x81\xa3map\x90", "{\"map\":[[\"map\",[]]]}");
	PAIR("\x82\xa3map\x90\xa1"
		 "a\x01",
		"{\"map\":[],\"a\":1}");
	PAIR("\x81\xa3MAP\x90", "{\"MAP\":[]}");
}
END_TEST

START_TEST(test_json_bad_escapes_are_refused) {
	static const char *const texts[] = {"{\"base64\":1}", "{\"base64\":\"a\"}", "{\"base64\":\"aGl=\"}",
		"{\"base64\":\"a===\"}", "{\"base64\":\"=\"}", "{\"base64\":\"====\"}", "{\"base64\":\"aG=k\"}",
		"{\"base64\":\"aGk=aGk=\"}", "{\"msgpack\":null}", "{\"msgpack\":\"\"}", "{\"msgpack\":\"wQ==\"}",
		"{\"msgpack\":\"wMA=\"}", "{\"msgpack\":\"kQ==\"}", "{\"map\":{}}", "{\"map\":[1]}", "{\"map\":[[1]]}",
		"{\"map\":[[1,2,3]]}", "{\"map\":[{\"a\":1}]}"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		refused(bytes_text(texts[i]), ERROR_BAD_REQUEST);
}
END_TEST

START_TEST(test_json_bad_text_is_refused) {
	static const char *const texts[] = {"", " ", "{", "[1,]", "nul", "1 2", "{\"a\":1,\"a\":2}", "\"\\ud800\"", "1e999",
		"9223372036854775808", "'a'", "{\"a\\u0000\":1}"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		refused(bytes_text(texts[i]), ERROR_BAD_REQUEST);
	refused((struct bytes){0}, ERROR_BAD_REQUEST);
	refused(BYTES("\"\xff\""), ERROR_BAD_UTF8);
	refused(BYTES("\"\xed\xa0\x80\""), ERROR_BAD_UTF8);
}
END_TEST

static struct buf repeated(const char *open, size_t count, const char *middle, const char *close) {
	struct buf text = {0};
	for (size_t i = 0; i < count; i++)
		buf_append_bytes(&text, bytes_text(open));
	buf_append_bytes(&text, bytes_text(middle));
	for (size_t i = 0; i < count; i++)
		buf_append_bytes(&text, bytes_text(close));
	return text;
}

START_TEST(test_json_nesting) {
	static const char *const forms[][3] = {{"[", "[]", "]"}, {"{\"a\":", "{}", "}"},
		{"{\"map\":[[1,", "{\"map\":[]}", "]]}"}, {"[", "{\"msgpack\":\"kA==\"}", "]"}};
	for (size_t i = 0; i < 4; i++) {
		struct buf good = repeated(forms[i][0], NESTING - 1, forms[i][1], forms[i][2]);
		struct buf deep = repeated(forms[i][0], NESTING, forms[i][1], forms[i][2]);
		struct buf value = {0};
		struct error error;
		ck_assert(json_text_to_value(bytes_buf(&good), NESTING, &value, &error));
		json_t *json = json_from_value(bytes_buf(&value), NESTING, &error);
		ck_assert_ptr_nonnull(json);
		json_decref(json);
		ck_assert_ptr_null(json_from_value(bytes_buf(&value), NESTING - 1, &error));
		ck_assert_int_eq(error.code, ERROR_TOO_DEEP);
		refused(bytes_buf(&deep), ERROR_TOO_DEEP);
		buf_finish(&good);
		buf_finish(&deep);
		buf_finish(&value);
	}
	struct buf abyss = repeated("[", 100000, "", "]");
	refused(bytes_buf(&abyss), ERROR_TOO_DEEP);
	buf_finish(&abyss);
}
END_TEST

START_TEST(test_json_from_what_is_no_value) {
	struct error error;
	ck_assert_ptr_null(json_from_value((struct bytes){0}, NESTING, &error));
	ck_assert_int_eq(error.code, ERROR_BAD_REQUEST);
	ck_assert_ptr_null(json_from_value(BYTES("\xc1"), NESTING, &error));
	ck_assert_int_eq(error.code, ERROR_BAD_REQUEST);
	ck_assert_ptr_null(json_from_value(BYTES("\xc0\xc0"), NESTING, &error));
	ck_assert_int_eq(error.code, ERROR_BAD_REQUEST);
}
END_TEST

START_TEST(test_json_ids) {
	struct buf bytes = {0};
	struct error error;
	json_t *text = json_from_bytes(BYTES("1.2.3.4"));
	json_t *raw = json_from_bytes(BYTES("\xff\x00"));
	ck_assert_str_eq(json_string_value(text), "1.2.3.4");
	ck_assert_str_eq(json_string_value(json_object_get(raw, "base64")), "/wA=");
	ck_assert(json_to_bytes(text, &bytes, &error) && json_to_bytes(raw, &bytes, &error));
	ck_assert(bytes_equal(bytes_buf(&bytes), BYTES("1.2.3.4\xff\x00")));
	ck_assert(!json_to_bytes(json_null(), &bytes, &error));
	ck_assert_int_eq(error.code, ERROR_BAD_ID);
	json_decref(text);
	json_decref(raw);
	buf_finish(&bytes);
}
END_TEST

START_TEST(test_json_error_is_clean) {
	struct error error;
	error_set(&error, ERROR_GAP, "bad \xff byte");
	error_hint(&error, "start at 5");
	json_t *json = json_from_error(&error);
	char *text = json_dumps(json, JSON_COMPACT);
	ck_assert_str_eq(text, "{\"code\":\"gap\",\"message\":\"bad ? byte\",\"hint\":\"start at 5\"}");
	free(text);
	json_decref(json);
}
END_TEST

static void value_survives(uint64_t seed) {
	struct random random = {seed};
	struct buf value = {0}, text = {0}, normal = {0}, back = {0};
	struct error error;
	random_value(&random, 6, &value);
	json_t *json = json_from_value(bytes_buf(&value), NESTING, &error);
	ck_assert_msg(json != NULL, "seed %llu", (unsigned long long)seed);
	json_to_text(json, &text);
	ck_assert_msg(json_text_to_value(bytes_buf(&text), NESTING, &back, &error), "seed %llu: %s",
		(unsigned long long)seed, error.message);
	value_normalise(bytes_buf(&value), &normal);
	ck_assert_msg(bytes_equal(bytes_buf(&back), bytes_buf(&normal)), "seed %llu", (unsigned long long)seed);
	json_decref(json);
	buf_finish(&value);
	buf_finish(&text);
	buf_finish(&normal);
	buf_finish(&back);
}

START_TEST(test_json_every_value_survives_both_ways) {
	for (uint64_t seed = 0; seed < 20000; seed++)
		value_survives(seed);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("json");
	TCase *tests = tcase_create("json");
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, test_json_scalars);
	tcase_add_test(tests, test_json_containers);
	tcase_add_test(tests, test_json_what_it_has_no_word_for);
	tcase_add_test(tests, test_json_bin_that_is_utf8_is_a_string);
	tcase_add_test(tests, test_json_map_that_looks_like_an_escape);
	tcase_add_test(tests, test_json_bad_escapes_are_refused);
	tcase_add_test(tests, test_json_bad_text_is_refused);
	tcase_add_test(tests, test_json_nesting);
	tcase_add_test(tests, test_json_from_what_is_no_value);
	tcase_add_test(tests, test_json_ids);
	tcase_add_test(tests, test_json_error_is_clean);
	tcase_add_test(tests, test_json_every_value_survives_both_ways);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
