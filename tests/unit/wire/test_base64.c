/* Base64 (wire/base64.h): the vectors of RFC 4648 section 10, and what is refused. */
#include <check.h>
#include <stdlib.h>

#include "wire/base64.h"

START_TEST(test_base64_vectors) {
	static const char *const vectors[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
		{"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xff\xef\xbe", "/+++"}};
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		struct buf text = {0}, bytes = {0};
		base64_write(bytes_text(vectors[i][0]), &text);
		ck_assert(bytes_equal(bytes_buf(&text), bytes_text(vectors[i][1])));
		ck_assert(base64_read(bytes_text(vectors[i][1]), &bytes));
		ck_assert(bytes_equal(bytes_buf(&bytes), bytes_text(vectors[i][0])));
		buf_finish(&text);
		buf_finish(&bytes);
	}
}
END_TEST

START_TEST(test_base64_refusals) {
	static const char *const texts[] = {"Z", "Zg", "Zg=", "Zg===", "====", "=", "Zh==", "Zm9=", "Zm9v=", "Z=9v",
		"Zg==Zg==", "Zm9vZg=a", "Zm 9", "Zm9-", "Zm9_", "\xff\xff\xff\xff"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct buf bytes = {0};
		buf_append_u8(&bytes, 'x');
		ck_assert_msg(!base64_read(bytes_text(texts[i]), &bytes), "%s", texts[i]);
		ck_assert_uint_eq(bytes.size, 1);
		buf_finish(&bytes);
	}
}
END_TEST

int main(void) {
	Suite *suite = suite_create("base64");
	TCase *tests = tcase_create("base64");
	tcase_add_test(tests, test_base64_vectors);
	tcase_add_test(tests, test_base64_refusals);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
