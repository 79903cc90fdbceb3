/* What an engine's answer that is no good means to whoever asked. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "flow/request/answer_error.h"

/* The doors say these by themselves, or the host's own parts on the loop thread, with an error of their own. */
static bool never_of_the_engine(enum error_code code) {
	return code == ERROR_UNKNOWN_METHOD || code == ERROR_UNKNOWN_EGRESS || code == ERROR_BAD_ID ||
		code == ERROR_BAD_UTF8 || code == ERROR_TOO_DEEP || code == ERROR_REFUSED || code == ERROR_FORBIDDEN ||
		code == ERROR_INTERNAL;
}

START_TEST(a_functions_text_is_the_message) {
	const struct engine_answer answer = {.code = ERROR_FUNCTION_FAILED, .payload = bytes_text("no credit")};
	struct error error;
	answer_error(&answer, &error);
	ck_assert_int_eq(error.code, ERROR_FUNCTION_FAILED);
	ck_assert_str_eq(error.message, "no credit");
	ck_assert_str_ne(error.hint, "");
}
END_TEST

START_TEST(a_text_that_is_too_long_is_cut) {
	char text[2 * ERROR_MESSAGE_BYTES];
	memset(text, 'x', sizeof text);
	const struct engine_answer answer = {.code = ERROR_FUNCTION_FAILED, .payload = bytes_of(text, sizeof text)};
	struct error error;
	answer_error(&answer, &error);
	ck_assert_uint_eq(strlen(error.message), ERROR_MESSAGE_BYTES - 1);
}
END_TEST

START_TEST(every_answer_without_a_text_gets_one) {
	for (int code = ERROR_NONE + 1; code < ERROR_CODES; code++) {
		const struct engine_answer answer = {.code = (enum error_code)code};
		struct error error;
		answer_error(&answer, &error);
		ck_assert_int_eq(error.code, code);
		ck_assert_str_ne(error.message, "");
		ck_assert_msg(
			error.hint[0] != '\0' || never_of_the_engine(error.code), "%s: hint", error_code_name(error.code));
	}
}
END_TEST

START_TEST(a_gap_says_where_to_go_on) {
	const struct engine_answer answer = {.code = ERROR_GAP, .number = 3, .accepted = 7};
	struct error error;
	answer_error(&answer, &error);
	ck_assert_str_eq(error.found, "a first record behind 8");
	ck_assert_str_eq(error.expected, "first of at most 8");
}
END_TEST

START_TEST(what_was_found_comes_with_the_answer) {
	const struct engine_answer answer = {.code = ERROR_UNKNOWN_TYPE, .type = bytes_text("no/such")};
	struct error error;
	answer_error(&answer, &error);
	ck_assert_str_eq(error.found, "no/such");
	ck_assert_str_ne(error.expected, "");
}
END_TEST

START_TEST(an_error_of_its_own_stays_as_it_is) {
	struct error own, error;
	error_set(&own, ERROR_CONFLICT, "so");
	error_found(&own, "this");
	error_advise(&own, "that", "do");
	answer_error(&(struct engine_answer){.code = ERROR_CONFLICT, .error = &own}, &error);
	ck_assert_mem_eq(&error, &own, sizeof error);
}
END_TEST

int main(void) {
	TCase *cases = tcase_create("answer_error");
	tcase_add_test(cases, a_functions_text_is_the_message);
	tcase_add_test(cases, a_text_that_is_too_long_is_cut);
	tcase_add_test(cases, every_answer_without_a_text_gets_one);
	tcase_add_test(cases, a_gap_says_where_to_go_on);
	tcase_add_test(cases, what_was_found_comes_with_the_answer);
	tcase_add_test(cases, an_error_of_its_own_stays_as_it_is);
	Suite *suite = suite_create("flow/request/answer_error");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
