/* The map under the simulated databases: what it holds, in order, and that copies of it stay as they were. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "sim_rows.h"

enum { KEYS = 200, CHANGES = 4000, COPIES = 8 };

/* The same, as an array by key: 0: no row. */
struct model {
	uint32_t values[KEYS];
};

static struct bytes key_text(char text[8], uint32_t key) {
	snprintf(text, 8, "k%03u", key);
	return bytes_text(text);
}

static void ck_row(const struct sim_row *row, uint32_t key, uint32_t value) {
	char text[8];
	ck_assert(bytes_equal(sim_row_key(row), key_text(text, key)));
	ck_assert(bytes_equal(sim_row_value(row), bytes_of(&value, sizeof value)));
}

static void ck_rows(const struct sim_rows *rows, const struct model *model) {
	size_t place = 0;
	char text[8];
	for (uint32_t key = 0; key < KEYS; key++) {
		ck_assert_uint_eq(sim_rows_place(rows, key_text(text, key)), place);
		const struct sim_row *row = sim_rows_get(rows, key_text(text, key));
		ck_assert((row != NULL) == (model->values[key] != 0));
		if (row == NULL)
			continue;
		ck_row(row, key, model->values[key]);
		ck_assert_ptr_eq(sim_rows_at(rows, place++), row);
	}
	ck_assert_uint_eq(sim_rows_count(rows), place);
}

static void change(struct sim_rows *rows, struct model *model, uint64_t chance, uint32_t value) {
	char text[8];
	uint32_t key = (uint32_t)(chance % KEYS);
	bool remove = chance / KEYS % 3 == 0;
	model->values[key] = remove ? 0 : value;
	if (remove) {
		sim_rows_remove(rows, key_text(text, key));
		return;
	}
	struct sim_row *row = sim_row_create(key_text(text, key), bytes_of(&value, sizeof value));
	sim_rows_put(rows, row);
	sim_row_release(row);
}

START_TEST(copies_stay_as_they_were) {
	struct sim_rows rows = {NULL}, copies[COPIES] = {{NULL}};
	struct model model = {{0}}, models[COPIES] = {{{0}}};
	for (uint32_t i = 1; i <= CHANGES; i++) {
		const uint64_t chance = hash_mix(i, 7);
		const size_t at = chance >> 40 & (COPIES - 1);
		change(&rows, &model, chance, i);
		if ((chance >> 50) % 16 == 0) {
			ck_rows(&copies[at], &models[at]);
			sim_rows_clear(&copies[at]);
			copies[at] = sim_rows_copy(&rows);
			models[at] = model;
		}
	}
	ck_rows(&rows, &model);
	sim_rows_clear(&rows);
	for (int i = 0; i < COPIES; i++) {
		ck_rows(&copies[i], &models[i]);
		sim_rows_clear(&copies[i]);
	}
}
END_TEST

START_TEST(a_place_behind_the_last_is_the_count) {
	struct sim_rows rows = {NULL};
	struct model model = {{0}};
	ck_rows(&rows, &model);
	change(&rows, &model, KEYS, 1);
	ck_assert_uint_eq(sim_rows_place(&rows, bytes_text("z")), 1);
	ck_assert_uint_eq(sim_rows_place(&rows, bytes_text("")), 0);
	sim_rows_remove(&rows, bytes_text("z"));
	ck_assert_uint_eq(sim_rows_count(&rows), 1);
	sim_rows_clear(&rows);
	ck_assert_uint_eq(sim_rows_count(&rows), 0);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("sim_rows");
	TCase *tests = tcase_create("rows");
	tcase_add_test(tests, copies_stay_as_they_were);
	tcase_add_test(tests, a_place_behind_the_last_is_the_count);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
