/* Errors as HTTP tells them: the table of the interface's fine print. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "control/http/http_error.h"

START_TEST(every_code_has_the_status_of_the_fine_print) {
	static const struct {
		const char *code;
		int status;
	} wanted[] = {
		{"bad_request", 400},
		{"bad_id", 400},
		{"bad_utf8", 400},
		{"too_deep", 400},
		{"gap", 400},
		{"forbidden", 403},
		{"not_found", 404},
		{"unknown_method", 404},
		{"unknown_ingress", 404},
		{"unknown_egress", 404},
		{"unknown_type", 404},
		{"timeout", 408},
		{"producer_busy", 409},
		{"too_large", 413},
		{"refused", 422},
		{"function_failed", 422},
		{"internal", 500},
		{"stopping", 503},
		{"store_failed", 503},
		{"keys_full", 429},
	};
	size_t count = sizeof wanted / sizeof wanted[0];
	ck_assert_uint_eq(count, ERROR_CODES - 3);
	ck_assert_str_eq(error_code_name(ERROR_CONFLICT), "conflict");
	ck_assert_int_eq(http_status(ERROR_CONFLICT), 409);
	ck_assert_str_eq(error_code_name(ERROR_KEY_REUSED), "conflict"); /* the one code with two statuses */
	ck_assert_int_eq(http_status(ERROR_KEY_REUSED), 422);
	for (size_t i = 0; i < count; i++) {
		int found = 0;
		for (int code = ERROR_NONE + 1; code < ERROR_CODES; code++)
			if (strcmp(error_code_name((enum error_code)code), wanted[i].code) == 0)
				found = http_status((enum error_code)code);
		ck_assert_msg(found == wanted[i].status, "%s is %d", wanted[i].code, found);
	}
}
END_TEST

int main(void) {
	TCase *cases = tcase_create("http_error");
	tcase_add_test(cases, every_code_has_the_status_of_the_fine_print);
	Suite *suite = suite_create("control/http_error");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
