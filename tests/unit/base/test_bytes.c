/* Short copies and comparisons, and UTF-8 (base/bytes.h): every size, at the very ends of what may be touched. */
#include <check.h>
#include <stdlib.h>

#include "base/bytes.h"

enum { SIZES = 40 };

/* On the heap, of just that size: the sanitizer sees a byte beyond it. */
static uint8_t *counted(size_t size) {
	uint8_t *bytes = malloc(size == 0 ? 1 : size);
	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 7 + 1);
	return bytes;
}

START_TEST(each_size_is_copied_whole) {
	for (size_t size = 0; size < SIZES; size++) {
		uint8_t *from = counted(size);
		uint8_t *to = calloc(1, size + 1);
		ck_assert_ptr_nonnull(to);
		bytes_copy(to, from, size);
		ck_assert(size == 0 || memcmp(to, from, size) == 0);
		ck_assert_uint_eq(to[size], 0);
		free(to);
		free(from);
	}
}
END_TEST

START_TEST(each_byte_counts_in_a_comparison) {
	for (size_t size = 0; size < SIZES; size++) {
		uint8_t *a = counted(size);
		uint8_t *b = counted(size);
		ck_assert(bytes_same(a, b, size));
		for (size_t i = 0; i < size; i++) {
			b[i] ^= 0x10;
			ck_assert(!bytes_same(a, b, size));
			b[i] ^= 0x10;
		}
		free(a);
		free(b);
	}
}
END_TEST

/* Text is looked at some bytes at a time: one that is no UTF-8 is seen wherever it stands, and a character that is may
 * stand there, too. */
START_TEST(each_byte_counts_in_utf8) {
	for (size_t size = 1; size < SIZES; size++) {
		uint8_t *text = counted(size);
		memset(text, 'a', size);
		ck_assert(bytes_utf8(bytes_of(text, size)));
		for (size_t i = 0; i < size; i++) {
			text[i] = 0xff;
			ck_assert(!bytes_utf8(bytes_of(text, size)));
			text[i] = 0xc3; /* the first of two */
			ck_assert(!bytes_utf8(bytes_of(text, size)));
			if (i + 1 < size) {
				text[i + 1] = 0xa4;
				ck_assert(bytes_utf8(bytes_of(text, size)));
				text[i + 1] = 'a';
			}
			text[i] = 'a';
		}
		free(text);
	}
}
END_TEST

int main(void) {
	TCase *all = tcase_create("bytes");
	tcase_add_test(all, each_size_is_copied_whole);
	tcase_add_test(all, each_byte_counts_in_a_comparison);
	tcase_add_test(all, each_byte_counts_in_utf8);
	Suite *suite = suite_create("bytes");
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
