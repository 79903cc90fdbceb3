/* The ordered map against an array, and read by another thread while it grows. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/ordered.h"

enum { KEYS = 500, STEPS = 20000, GROWN = 20000 };

static struct bytes key_of(uint8_t room[4], uint64_t number) {
	for (int i = 0; i < 4; i++)
		room[i] = (uint8_t)(number >> (24 - 8 * i));
	return bytes_of(room, 4 - number % 2); /* some begin others */
}

static int key_compare(const void *a, const void *b) {
	uint8_t left[4], right[4];
	return bytes_compare(key_of(left, *(const uint64_t *)a), key_of(right, *(const uint64_t *)b));
}

START_TEST(nothing_is_found_in_an_empty_one) {
	struct ordered ordered = {0};
	ck_assert_ptr_null(ordered_get(&ordered, bytes_text("a")));
	ck_assert_ptr_null(ordered_seek(&ordered, bytes_of(NULL, 0)));
	ck_assert_ptr_null(ordered_remove(&ordered, bytes_text("a")));
	ordered_finish(&ordered, NULL);
}
END_TEST

static void is_the_same(const struct ordered *ordered, const uint64_t *numbers, uint64_t *const *model) {
	const struct ordered_node *node = ordered_seek(ordered, bytes_of(NULL, 0));
	size_t count = 0;
	for (size_t i = 0; i < KEYS; i++) {
		uint8_t room[4];
		if (model[i] == NULL)
			continue;
		ck_assert_ptr_nonnull(node);
		ck_assert(bytes_equal(ordered_key(node), key_of(room, numbers[i])));
		ck_assert_ptr_eq(ordered_what(node), model[i]);
		node = ordered_next(node);
		count++;
	}
	ck_assert_ptr_null(node);
	ck_assert_uint_eq(ordered->count, count);
}

START_TEST(it_holds_what_was_put_in_order) {
	static uint64_t numbers[KEYS];
	static uint64_t *model[KEYS];
	struct ordered ordered = {0};
	for (uint64_t i = 0; i < KEYS; i++)
		numbers[i] = i * 7919;
	qsort(numbers, KEYS, sizeof *numbers, key_compare);
	for (uint64_t step = 0; step < STEPS; step++) {
		uint8_t room[4];
		uint64_t at = hash_mix(step, 1) % KEYS;
		struct bytes key = key_of(room, numbers[at]);
		if (hash_mix(step, 2) % 3 == 0) {
			ck_assert_ptr_eq(ordered_remove(&ordered, key), model[at]);
			model[at] = NULL;
		} else {
			void *before;
			uint64_t *what = &numbers[hash_mix(step, 3) % KEYS];
			ordered_put(&ordered, key, what, &before);
			ck_assert_ptr_eq(before, model[at]);
			model[at] = what;
		}
		ck_assert_ptr_eq(ordered_get(&ordered, key), model[at]);
		if (step % 500 == 0)
			is_the_same(&ordered, numbers, model);
	}
	is_the_same(&ordered, numbers, model);
	ck_assert_uint_gt(atomic_load(&ordered.bytes), 0);
	ordered_finish(&ordered, NULL);
	ck_assert_uint_eq(atomic_load(&ordered.bytes), 0);
}
END_TEST

static void *reads(void *arg) {
	const struct ordered *ordered = arg;
	size_t seen = 0;
	while (seen < GROWN) {
		size_t count = 0;
		struct bytes last = {0};
		for (const struct ordered_node *node = ordered_seek(ordered, bytes_of(NULL, 0)); node != NULL;
			 node = ordered_next(node)) {
			ck_assert(count == 0 || bytes_compare(last, ordered_key(node)) < 0);
			ck_assert_ptr_nonnull(ordered_what(node));
			last = ordered_key(node);
			count++;
		}
		ck_assert_uint_ge(count, seen);
		seen = count;
	}
	return NULL;
}

START_TEST(it_may_be_read_while_it_grows) {
	struct ordered ordered = {0};
	pthread_t reader;
	ck_assert_int_eq(pthread_create(&reader, NULL, reads, &ordered), 0);
	for (uint64_t i = 0; i < GROWN; i++) {
		uint8_t key[8];
		uint64_t bits = hash_mix(i, 9);
		void *before;
		memcpy(key, &bits, sizeof key);
		ordered_put(&ordered, bytes_of(key, sizeof key), &ordered, &before);
		ck_assert_ptr_null(before);
	}
	ck_assert_int_eq(pthread_join(reader, NULL), 0);
	ordered_finish(&ordered, NULL);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("base/ordered");
	TCase *tests = tcase_create("ordered");
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, nothing_is_found_in_an_empty_one);
	tcase_add_test(tests, it_holds_what_was_put_in_order);
	tcase_add_test(tests, it_may_be_read_while_it_grows);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
