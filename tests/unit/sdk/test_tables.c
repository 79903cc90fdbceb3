/* Tables and lists of the fake host, by a fixture that does with them what it is told. */
#include <check.h>
#include <setjmp.h>
#include <sofun/testing.h>
#include <stdlib.h>

#define BOOK "ledger/book"

static sofun_test *test;
static jmp_buf failed;

static void failure_leave(const char *text) {
	(void)text;
	longjmp(failed, 1);
}

static void open_version(const char *file) {
	test = sofun_test_open(file);
	sofun_test_on_failure(test, failure_leave);
}

static void setup(void) {
	open_version(TEST_BUILD_DIR "/tests/fixtures/ledger.so");
}

static void teardown(void) {
	sofun_test_close(test);
}

#define ASSERT_FAILS(expectation) \
	do { \
		if (setjmp(failed) == 0) { \
			expectation; \
			ck_abort_msg("it held: %s", #expectation); \
		} \
	} while (0)

START_TEST(entries_are_kept_in_order) {
	SOFUN_EXPECT_OK(test,
		sofun_test_call(test, BOOK, "a",
			"[[\"set\",\"b\",2],[\"set\",\"a\",1],[\"set\",\"ba\",3],[\"set\",\"c\",4],[\"remove\",\"c\"],[\"scan\",\"\",\"\",9]]"));
	SOFUN_EXPECT_REPLY(test, "[[\"a\",1],[\"b\",2],[\"ba\",3],null]");
	SOFUN_EXPECT_OK(test,
		sofun_test_call(
			test, BOOK, "a", "[[\"scan\",\"b\",\"\",9],[\"scan\",\"\",\"ab\",1],[\"get\",\"b\"],[\"get\",\"none\"]]"));
	SOFUN_EXPECT_REPLY(test, "[[\"b\",2],[\"ba\",3],null,[\"b\",2],null,2,null]");
	SOFUN_EXPECT_ENTRY(test, BOOK, "a", "entries", "ba", "3");
	SOFUN_EXPECT_ENTRY(test, BOOK, "a", "entries", "c", NULL);
	SOFUN_EXPECT_COUNT(test, BOOK, "a", "entries", 3);
	ASSERT_FAILS(SOFUN_EXPECT_ENTRY(test, BOOK, "a", "entries", "ba", "4"));
	ASSERT_FAILS(SOFUN_EXPECT_COUNT(test, BOOK, "a", "entries", 2));
	SOFUN_EXPECT_OK(test, sofun_test_call(test, BOOK, "a", "[[\"clear\"]]"));
	SOFUN_EXPECT_COUNT(test, BOOK, "a", "entries", 0);
}
END_TEST

START_TEST(items_are_numbered_from_the_front) {
	SOFUN_EXPECT_OK(test,
		sofun_test_call(test, BOOK, "a",
			"[[\"append\",1],[\"append\",2],[\"append\",3],[\"drop\",1],[\"length\"],[\"at\",0],[\"at\",2],[\"items\",1,9]]"));
	SOFUN_EXPECT_REPLY(test, "[2,2,null,3]");
	SOFUN_EXPECT_ITEM(test, BOOK, "a", "lines", 1, "3");
	SOFUN_EXPECT_ITEM(test, BOOK, "a", "lines", 2, NULL);
	ASSERT_FAILS(SOFUN_EXPECT_ITEM(test, BOOK, "a", "lines", 1, "2"));
	SOFUN_EXPECT_OK(test, sofun_test_call(test, BOOK, "a", "[[\"forget\"],[\"length\"]]"));
	SOFUN_EXPECT_REPLY(test, "[0]");
}
END_TEST

START_TEST(a_message_that_fails_changes_none) {
	SOFUN_EXPECT_OK(test, sofun_test_call(test, BOOK, "a", "[[\"set\",\"k\",1],[\"append\",1]]"));
	sofun_test_effects_clear(test);
	ck_assert_int_ne(
		sofun_test_call(test, BOOK, "a", "[[\"clear\"],[\"set\",\"n\",1],[\"drop\",1],[\"append\",2],[\"fail\"]]"), 0);
	SOFUN_EXPECT_COUNT(test, BOOK, "a", "entries", 1);
	SOFUN_EXPECT_ENTRY(test, BOOK, "a", "entries", "k", "1");
	SOFUN_EXPECT_ITEM(test, BOOK, "a", "lines", 0, "1");
	ck_assert_int_ne(sofun_test_call(test, BOOK, "a", "[[\"fill\",0,65537,1]]"), 0);
	SOFUN_EXPECT_COUNT(test, BOOK, "a", "entries", 1);
}
END_TEST

START_TEST(a_message_steps_over_so_many) {
	SOFUN_EXPECT_OK(test, sofun_test_call(test, BOOK, "a", "[[\"fill\",0,65536,1],[\"count\"]]"));
	SOFUN_EXPECT_REPLY(test, "[65536]");
	SOFUN_EXPECT_OK(test, sofun_test_call(test, BOOK, "a", "[[\"set\",\"k\",1]]"));
	ck_assert_int_ne(sofun_test_call(test, BOOK, "a", "[[\"count\"]]"), 0);
}
END_TEST

START_TEST(a_table_goes_to_another_schema_and_back) {
	teardown();
	open_version(TEST_BUILD_DIR "/tests/fixtures/ledger_2.so");
	SOFUN_EXPECT_OK(test, sofun_test_call(test, BOOK, "a", "[[\"set\",\"k\",1],[\"append\",1]]"));
	SOFUN_EXPECT_OK(test, sofun_test_migrate(test, BOOK, "a", 1));
	SOFUN_EXPECT_ENTRY(test, BOOK, "a", "entries", "k", "1");
	SOFUN_EXPECT_COUNT(test, BOOK, "a", "lines", 0);
	SOFUN_EXPECT_OK(test, sofun_test_migrate(test, BOOK, "a", 2));
	SOFUN_EXPECT_ENTRY(test, BOOK, "a", "accounts", "k", "1");
	SOFUN_EXPECT_STATE(test, BOOK, "a", "times", "1");
}
END_TEST

int main(void) {
	Suite *suite = suite_create("sdk/tables");
	TCase *tests = tcase_create("tables");
	tcase_set_timeout(tests, 60); /* it fills a table with more than one invocation may: seconds, under a sanitizer */
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, entries_are_kept_in_order);
	tcase_add_test(tests, items_are_numbered_from_the_front);
	tcase_add_test(tests, a_message_that_fails_changes_none);
	tcase_add_test(tests, a_message_steps_over_so_many);
	tcase_add_test(tests, a_table_goes_to_another_schema_and_back);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failures = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
