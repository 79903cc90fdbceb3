/* Lines of the log: one an event, whatever the values hold, for people and as JSON. */
#include <check.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"

static struct log_line line;

static void make(enum log_format format, const char *pairs, ...) __attribute__((format(printf, 2, 3)));
static void make(enum log_format format, const char *pairs, ...) {
	va_list args;
	log_line_begin(&line, format, "NOW", LOG_WARN, "ev");
	va_start(args, pairs);
	log_line_pairs(&line, pairs, args);
	va_end(args);
	log_line_end(&line);
	ck_assert_uint_lt(line.size, sizeof line.data);
	line.data[line.size] = '\0';
	ck_assert_ptr_eq(strchr(line.data, '\n'), line.data + line.size - 1);
}

static json_t *parsed(void) {
	json_error_t error;
	json_t *json = json_loads(line.data, JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(json != NULL, "%s: %s", error.text, line.data);
	return json;
}

START_TEST(text_is_as_it_was_given) {
	make(LOG_TEXT, "name=%s count=%llu reason=\"%s\" hash=%.4s", "play", 7ull, "no space", "0123456789");
	ck_assert_str_eq(line.data, "NOW warn ev name=play count=7 reason=\"no space\" hash=0123\n");
	make(LOG_TEXT, "bare=%d fixed=soft x=%016" PRIx64, -5, UINT64_C(255));
	ck_assert_str_eq(line.data, "NOW warn ev bare=-5 fixed=soft x=00000000000000ff\n");
	make(LOG_TEXT, "%s=%s id=\"%.*s\"", "function", "a/b", 3, "xyzw");
	ck_assert_str_eq(line.data, "NOW warn ev function=a/b id=\"xyz\"\n");
}
END_TEST

START_TEST(nothing_in_a_value_breaks_the_line) {
	make(LOG_TEXT, "a=%s b=\"%s\" c=%s", "x y=1\nfake", "say \"no\"\\", "");
	ck_assert_str_eq(line.data, "NOW warn ev a=\"x y=1\\nfake\" b=\"say \\\"no\\\"\\\\\" c=\"\"\n");
	make(LOG_TEXT, "a=\"%.*s\" z=%s", 4, "\x01\xff\xc3\xa9", "zoë");
	ck_assert_str_eq(line.data, "NOW warn ev a=\"\\x01\\xffé\" z=\"zoë\"\n");
}
END_TEST

START_TEST(json_is_json) {
	make(LOG_JSON, "name=%s count=%zu at=%d share=\"%d\" a=\"%.*s\"", "pl\"ay", (size_t)7, -3, 5, 5,
		"\n\x01\xff\xc3\xa9");
	json_t *json = parsed();
	ck_assert_str_eq(json_string_value(json_object_get(json, "level")), "warn");
	ck_assert_str_eq(json_string_value(json_object_get(json, "event")), "ev");
	ck_assert_str_eq(json_string_value(json_object_get(json, "name")), "pl\"ay");
	ck_assert_int_eq(json_integer_value(json_object_get(json, "count")), 7);
	ck_assert_int_eq(json_integer_value(json_object_get(json, "at")), -3);
	ck_assert_str_eq(json_string_value(json_object_get(json, "share")), "5");
	ck_assert_str_eq(json_string_value(json_object_get(json, "a")), "\n\x01\xef\xbf\xbd\xc3\xa9");
	json_decref(json);
}
END_TEST

START_TEST(pairs_made_elsewhere_stay_pairs) {
	make(LOG_JSON, "socket=data %s", "uid=7 cause=\"it died\" signal=SIGSEGV");
	json_t *json = parsed();
	ck_assert_str_eq(json_string_value(json_object_get(json, "uid")), "7");
	ck_assert_str_eq(json_string_value(json_object_get(json, "cause")), "it died");
	ck_assert_str_eq(json_string_value(json_object_get(json, "signal")), "SIGSEGV");
	json_decref(json);
	make(LOG_TEXT, "socket=data %s", "uid 65534");
	ck_assert_str_eq(line.data, "NOW warn ev socket=data detail=\"uid 65534\"\n");
}
END_TEST

START_TEST(long_values_are_cut_and_the_line_ends) {
	static char value[8192];
	memset(value, 'x', sizeof value - 1);
	for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
		make((enum log_format)format, "a=%s b=%s c=\"%s\" n=%d", value, value, value, 12345);
		ck_assert_uint_gt(line.size, 2048);
		if (format == LOG_JSON)
			json_decref(parsed());
	}
	memset(value, '\x01', sizeof value - 1);
	for (size_t size = 0; size < 1200; size++) {
		make(LOG_JSON, "a=\"%.*s\" b=\"%.*s\" plugin=%s n=%d", (int)size, value, (int)size, value, "p", 7);
		json_decref(parsed());
	}
	ck_assert_str_eq(line.plugin, "p");
}
END_TEST

int main(void) {
	TCase *all = tcase_create("log_line");
	tcase_add_test(all, text_is_as_it_was_given);
	tcase_add_test(all, nothing_in_a_value_breaks_the_line);
	tcase_add_test(all, json_is_json);
	tcase_add_test(all, pairs_made_elsewhere_stay_pairs);
	tcase_add_test(all, long_values_are_cut_and_the_line_ends);
	Suite *suite = suite_create("base/log_line");
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
