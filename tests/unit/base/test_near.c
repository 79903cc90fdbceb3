/* Which name was meant: the distance, and what is too far to be offered. */
#include <check.h>
#include <stdlib.h>

#include "base/near.h"

START_TEST(the_distance_counts_slips) {
	static const struct {
		const char *a, *b;
		size_t distance;
	} cases[] = {{"", "", 0}, {"load", "load", 0}, {"", "load", 4}, {"lod", "load", 1}, {"loaad", "load", 1},
		{"lpad", "load", 1}, {"laod", "load", 1}, {"statsu", "status", 1}, {"ca", "abc", 3}, {"kitten", "sitting", 3}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_msg(near_distance(cases[i].a, cases[i].b) == cases[i].distance, "%s %s", cases[i].a, cases[i].b);
		ck_assert_msg(near_distance(cases[i].b, cases[i].a) == cases[i].distance, "%s %s", cases[i].b, cases[i].a);
	}
}
END_TEST

/* The best of these. */
static struct near offered(const char *wanted) {
	static const char *const names[] = {"load", "unload", "demo/counter", "demo/count", "top", "ttl"};
	struct near near = near_begin(bytes_text(wanted));
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		near_offer(&near, names[i]);
	return near;
}

START_TEST(the_nearest_is_offered_if_it_is_near) {
	static const struct {
		const char *wanted, *best;
	} cases[] = {{"lod", "load"}, {"unlaod", "unload"}, {"demo/conter", "demo/counter"}, {"demo/cuont", "demo/count"},
		{"tpo", "top"}, {"tt", "ttl"}, {"x", ""}, {"", ""}, {"loooad", "load"}, {"locate", ""}, {"auth/source", ""}};
	char room[NEAR_QUESTION_BYTES];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct near near = offered(cases[i].wanted);
		ck_assert_msg(strcmp(near.best, cases[i].best) == 0, "%s: %s", cases[i].wanted, near.best);
	}
	struct near near = offered("lod"), none = offered("x");
	ck_assert_str_eq(near_question(&near, room), "did you mean load? ");
	ck_assert_str_eq(near_question(&none, room), "");
}
END_TEST

START_TEST(names_that_are_too_long_are_neither_wanted_nor_offered) {
	char name[NEAR_NAME_BYTES + 1];
	memset(name, 'a', sizeof name);
	name[NEAR_NAME_BYTES] = '\0';
	struct near near = near_begin(bytes_text(name));
	near_offer(&near, name + 1);
	ck_assert_str_eq(near.best, "");
	near = near_begin(bytes_text(name + 2));
	near_offer(&near, name);
	ck_assert_str_eq(near.best, "");
	near_offer(&near, name + 1); /* the longest that there may be */
	ck_assert_str_eq(near.best, name + 1);
	near = near_begin(bytes_of((const uint8_t *)"lo\0d", 4));
	near_offer(&near, "load");
	ck_assert_str_eq(near.best, "");
}
END_TEST

START_TEST(nothing_is_near_to_no_name) {
	struct near near = near_begin(bytes_of(NULL, 0)); /* which memchr would not take */
	near_offer(&near, "x");
	ck_assert_str_eq(near.best, "");
}
END_TEST

int main(void) {
	Suite *suite = suite_create("base/near");
	TCase *tests = tcase_create("near");
	tcase_add_test(tests, the_distance_counts_slips);
	tcase_add_test(tests, the_nearest_is_offered_if_it_is_near);
	tcase_add_test(tests, names_that_are_too_long_are_neither_wanted_nor_offered);
	tcase_add_test(tests, nothing_is_near_to_no_name);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
