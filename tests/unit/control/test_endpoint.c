/* Which endpoint a request means, with a table of our own, so that it needs no handler. */
#include <check.h>
#include <stdlib.h>

#include "control/http/endpoint.h"

static const struct endpoint endpoints[] = {
	{"GET", "/healthz", "", NULL, "", false},
	{"GET", "/v1", "", NULL, "", false},
	{"GET", "/v1/plugins", "", NULL, "", false},
	{"POST", "/v1/plugins", "", NULL, "", false},
	{"GET", "/v1/state/{ns}/{name}", "limit,after", NULL, "", false},
	{"GET", "/v1/state/{ns}/{name}/{id}", "", NULL, "", false},
};

static struct target target;
static struct error error;
static struct endpoint_match match;

/* The index of the endpoint, -1 if none. */
static int matched(const char *method, const char *path) {
	ck_assert(target_parse(&target, path, NULL, &error));
	endpoint_match(endpoints, sizeof endpoints / sizeof endpoints[0], method, &target, &match);
	target_finish(&target);
	return match.endpoint == NULL ? -1 : (int)(match.endpoint - endpoints);
}

START_TEST(paths_find_their_endpoint) {
	ck_assert_int_eq(matched("GET", "/healthz"), 0);
	ck_assert_int_eq(matched("GET", "/v1"), 1);
	ck_assert_int_eq(matched("GET", "/v1/plugins"), 2);
	ck_assert_int_eq(matched("POST", "/v1/plugins"), 3);
	ck_assert_int_eq(matched("GET", "/v1/state/a/b"), 4);
	ck_assert_uint_eq(match.param_count, 2);
	ck_assert_int_eq(matched("GET", "/v1/state/a/b/c"), 5);
	ck_assert_uint_eq(match.param_count, 3);
}
END_TEST

START_TEST(parameters_are_decoded) {
	ck_assert(target_parse(&target, "/v1/state/d%65mo/counter/%2F", NULL, &error));
	endpoint_match(endpoints, sizeof endpoints / sizeof endpoints[0], "GET", &target, &match);
	ck_assert(bytes_equal(match.params[0], bytes_text("demo")));
	ck_assert(bytes_equal(match.params[2], bytes_text("/")));
	target_finish(&target);
}
END_TEST

START_TEST(an_empty_parameter_is_still_that_endpoint) {
	ck_assert_int_eq(matched("GET", "/v1/state/a/b/"), 5);
	ck_assert_uint_eq(match.params[2].size, 0);
}
END_TEST

START_TEST(what_is_not_there_matches_nothing) {
	static const char *const paths[] = {"/", "/healthz/", "/Healthz", "/v1/", "/v2", "/v1/state/a", "/v1/state/a/b/c/d",
		"/v1/plugins/x", "/v1/1/2/3/4/5/6/7/8/9"};
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		ck_assert_int_eq(matched("GET", paths[i]), -1);
		ck_assert_str_eq(match.allow, "");
	}
}
END_TEST

START_TEST(another_method_tells_which_are_allowed) {
	ck_assert_int_eq(matched("DELETE", "/v1/plugins"), -1);
	ck_assert_str_eq(match.allow, "GET, HEAD, POST");
	ck_assert_int_eq(matched("POST", "/healthz"), -1);
	ck_assert_str_eq(match.allow, "GET, HEAD");
}
END_TEST

static bool query_good(const char *query) {
	ck_assert(target_parse(&target, "/v1/state/a/b", query, &error));
	bool good = endpoint_query_check(&endpoints[4], &target, &error);
	target_finish(&target);
	return good;
}

START_TEST(unknown_query_parameters_are_refused) {
	ck_assert(query_good("limit=1"));
	ck_assert(query_good("after=x&limit=1"));
	ck_assert(!query_good("limits=1"));
	ck_assert_str_eq(error.found, "limits");
	ck_assert_str_eq(error.expected, "limit,after");
	ck_assert(!query_good("limi=1"));
	ck_assert(!query_good("limit%2Cafter=1"));
	ck_assert(!query_good("=1"));
	ck_assert(!query_good("%00=1"));
	ck_assert_str_eq(error.found, "%00");
}
END_TEST

START_TEST(a_parameter_given_twice_is_refused) {
	ck_assert(!query_good("limit=1&limit=2"));
	ck_assert_str_eq(error.message, "a query parameter is given twice");
}
END_TEST

START_TEST(lists_hold_whole_words) {
	ck_assert(name_listed("to_ms,advance_ms", bytes_text("advance_ms")));
	ck_assert(!name_listed("to_ms,advance_ms", bytes_text("ms")));
	ck_assert(!name_listed("to_ms,advance_ms", bytes_text("to")));
	ck_assert(!name_listed("", bytes_text("")));
}
END_TEST

int main(void) {
	TCase *cases = tcase_create("endpoint");
	tcase_add_test(cases, paths_find_their_endpoint);
	tcase_add_test(cases, parameters_are_decoded);
	tcase_add_test(cases, an_empty_parameter_is_still_that_endpoint);
	tcase_add_test(cases, what_is_not_there_matches_nothing);
	tcase_add_test(cases, another_method_tells_which_are_allowed);
	tcase_add_test(cases, unknown_query_parameters_are_refused);
	tcase_add_test(cases, a_parameter_given_twice_is_refused);
	tcase_add_test(cases, lists_hold_whole_words);
	Suite *suite = suite_create("control/endpoint");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
