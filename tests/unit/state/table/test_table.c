/* The applier's table against a model, its order, and readers beside the writer. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "state/table/runs.h"

enum { KEYS = 70000, DATABASES = 3 };

static pthread_rwlock_t readers = PTHREAD_RWLOCK_INITIALIZER;
static struct table *table;
static uint64_t model[DATABASES][KEYS]; /* 0: never; 1: removed; else the value */
static uint64_t state;

static uint64_t random_below(uint64_t limit) {
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (state >> 33) % limit;
}

static struct bytes key_of_number(uint64_t number, char *key) {
	int size =
		snprintf(key, 40, "I%s%llu", number % 2 == 0 ? "same-start-of-more-than-12-" : "", (unsigned long long)number);
	return bytes_of(key, (size_t)size);
}

static bool no_egress(void *arg, const uint8_t *place) {
	(void)arg;
	(void)place;
	return false;
}

static void setup(void) {
	state = 5;
	memset(model, 0, sizeof model);
	table = table_create(&readers);
}

static void teardown(void) {
	table_release(table);
}

static struct store_epoch *epoch_of(uint64_t number, unsigned ops, uint64_t keys) {
	struct store_epoch *epoch = store_epoch_create(2);
	epoch->epoch = number;
	epoch->time_ms = number * 3;
	for (unsigned i = 0; i < ops; i++) {
		char text[40];
		uint32_t database = (uint32_t)random_below(DATABASES);
		uint64_t key = random_below(keys);
		uint64_t value = number * 1000 + i + 2;
		bool remove = random_below(5) == 0;
		struct buf *part = &epoch->parts[i * 2 / ops];
		if (remove)
			redo_remove(part, database, key_of_number(key, text));
		else
			redo_put(part, database, key_of_number(key, text), bytes_of(&value, sizeof value));
		model[database][key] = remove ? 1 : value;
	}
	return epoch;
}

static void fill(unsigned epochs, unsigned ops) {
	for (unsigned i = 1; i <= epochs; i++)
		ck_assert(table_take(table, epoch_of(i, ops, KEYS), no_egress, NULL));
}

static void key_holds(uint32_t database, uint64_t key) {
	char text[40];
	struct bytes value;
	enum table_found found = table_get(table, database, key_of_number(key, text), &value);
	uint64_t expected = model[database][key];
	ck_assert_int_eq(found, expected == 0 ? TABLE_ABSENT : expected == 1 ? TABLE_REMOVED : TABLE_VALUE);
	if (found == TABLE_VALUE)
		ck_assert_mem_eq(value.data, &expected, sizeof expected);
}

START_TEST(the_newest_of_each_key_is_found) {
	uint64_t before = table_bytes(table);
	fill(40, 5000);
	uint64_t known = 0;
	for (uint32_t database = 0; database < DATABASES; database++)
		for (uint64_t key = 0; key < KEYS; key++) {
			key_holds(database, key);
			known += model[database][key] != 0;
		}
	ck_assert_uint_eq(table_entries(table), known);
	ck_assert_uint_eq(table_epoch(table), 40);
	ck_assert_uint_eq(table_time_ms(table), 120);
	ck_assert_uint_gt(table_bytes(table), before + known * 16);
}
END_TEST

START_TEST(a_malformed_operation_is_told) {
	struct store_epoch *epoch = store_epoch_create(1);
	epoch->epoch = 1;
	buf_append(&epoch->parts[0], "\x01\x01\x09I", 4);
	ck_assert(!table_take(table, epoch, no_egress, NULL));
}
END_TEST

/* Each key once, in order; gives how many. */
static uint64_t runs_check(struct table_runs *runs, uint32_t database) {
	struct redo_op op;
	struct redo_op last = {0};
	uint64_t count = 0;
	for (; table_runs_peek(runs, &op); count++) {
		ck_assert_uint_eq(op.database, database);
		ck_assert(count == 0 || bytes_compare(last.key, op.key) < 0);
		last = op;
		table_runs_next(runs);
	}
	return count;
}

static struct table_runs *runs_of(uint32_t database, struct bytes from) {
	struct table_runs *runs = table_runs_create(table, database, from);
	while (table_runs_collect(runs))
		;
	while (table_runs_sort(runs))
		;
	table_runs_start(runs);
	return runs;
}

static uint64_t known_from(uint32_t database, struct bytes from) {
	uint64_t known = 0;
	for (uint64_t key = 0; key < KEYS; key++) {
		char text[40];
		known += model[database][key] != 0 && bytes_compare(key_of_number(key, text), from) >= 0;
	}
	return known;
}

START_TEST(runs_come_in_the_order_of_keys_and_start_over) {
	fill(60, 5000);
	for (uint32_t database = 0; database < DATABASES; database++) {
		struct table_runs *runs = runs_of(database, bytes_of(NULL, 0));
		uint64_t known = known_from(database, bytes_of(NULL, 0));
		ck_assert_uint_eq(runs_check(runs, database), known);
		table_runs_start(runs);
		for (int i = 0; i < 100; i++)
			table_runs_next(runs);
		table_runs_start(runs);
		ck_assert_uint_eq(runs_check(runs, database), known);
		ck_assert_uint_ge(table_runs_bytes(runs), known * 16);
		table_runs_destroy(runs);
	}
}
END_TEST

START_TEST(runs_begin_where_they_are_told) {
	fill(20, 1000);
	const char *from[] = {
		"", "I", "I1", "I1500", "Isame-start-of-more-than-12-2", "Isame-start-of-more-than-12-9999", "J"};
	for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
		struct table_runs *runs = runs_of(1, bytes_text(from[i]));
		ck_assert_uint_eq(runs_check(runs, 1), known_from(1, bytes_text(from[i])));
		table_runs_destroy(runs);
	}
}
END_TEST

START_TEST(runs_hold_one_kind_and_are_sought) {
	struct store_epoch *epoch = store_epoch_create(1);
	epoch->epoch = 1;
	for (uint64_t number = 0; number < KEYS; number++) {
		uint8_t key[] = {(uint8_t)('H' + number % 3), (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
		redo_put(&epoch->parts[0], 1, bytes_of(key, sizeof key), bytes_of(NULL, 0));
	}
	ck_assert(table_take(table, epoch, no_egress, NULL));
	struct table_runs *runs = runs_of(1, bytes_text("I"));
	ck_assert_uint_eq(runs_check(runs, 1), KEYS / 3);
	for (uint64_t number = KEYS; number-- > 0;) {
		const uint8_t key[] = {'I', (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
		const uint64_t expected = number + (4 - number % 3) % 3; /* the next that is an I */
		struct redo_op op;
		table_runs_seek(runs, bytes_of(key, sizeof key));
		ck_assert_int_eq(table_runs_peek(runs, &op), expected < KEYS);
		if (expected < KEYS)
			ck_assert_uint_eq(
				(uint64_t)op.key.data[1] << 16 | (uint64_t)op.key.data[2] << 8 | op.key.data[3], expected);
	}
	table_runs_destroy(runs);
}
END_TEST

START_TEST(databases_are_told_in_order) {
	ck_assert_uint_eq(table_database_next(table, 0), UINT32_MAX);
	fill(2, 100);
	ck_assert_uint_eq(table_database_next(table, 0), 1);
	ck_assert_uint_eq(table_database_next(table, 1), 2);
	ck_assert_uint_eq(table_database_next(table, 2), UINT32_MAX);
}
END_TEST

static void overwrite(uint64_t from, uint64_t to, uint64_t keys) {
	for (uint64_t number = from; number < to; number++) {
		struct store_epoch *epoch = store_epoch_create(1);
		epoch->epoch = number;
		for (uint64_t key = 0; key < keys; key++) {
			char text[40];
			redo_put(&epoch->parts[0], 1, key_of_number(key, text), bytes_of(&number, sizeof number));
		}
		ck_assert(table_take(table, epoch, no_egress, NULL));
	}
}

START_TEST(memory_grows_with_the_keys_and_not_with_their_changes) {
	overwrite(1, 3, 1000);
	uint64_t before = table_bytes(table);
	overwrite(3, 200, 1000);
	ck_assert_uint_le(table_bytes(table), before * 2);
	ck_assert_uint_eq(table_entries(table), 1000);
}
END_TEST

/* As runs of waiting messages are: each epoch puts a row and removes the one before it. */
START_TEST(memory_of_large_rows_that_went_is_used_again) {
	enum { ROWS = 1000, ROW_BYTES_MIN = 20000, ROW_BYTES_MORE = 40000 };
	static uint8_t content[ROW_BYTES_MIN + ROW_BYTES_MORE];
	uint64_t most = 0;
	for (uint64_t number = 1; number <= ROWS; number++) {
		struct store_epoch *epoch = store_epoch_create(1);
		char text[40];
		epoch->epoch = number;
		redo_remove(&epoch->parts[0], 1, key_of_number(number - 1, text));
		redo_put(&epoch->parts[0], 1, key_of_number(number, text),
			bytes_of(content, ROW_BYTES_MIN + number * 7919 % ROW_BYTES_MORE));
		ck_assert(table_take(table, epoch, no_egress, NULL));
		most = table_bytes(table) > most ? table_bytes(table) : most;
	}
	ck_assert_uint_lt(most, 4u << 20); /* all of them together: 40 MB */
}
END_TEST

START_TEST(large_values_stay_as_they_are) {
	enum { LARGE = 50, ROUNDS = 40 };
	static uint8_t content[ROUNDS * 1000];
	for (uint64_t round = 1; round < ROUNDS; round++) {
		struct store_epoch *epoch = store_epoch_create(1);
		epoch->epoch = round;
		for (uint64_t key = 0; key < LARGE; key++) {
			char text[40];
			memset(content, (int)(key + round), sizeof content);
			redo_put(&epoch->parts[0], 1, key_of_number(key, text), bytes_of(content, 500 + (key * round) % 64 * 9));
		}
		ck_assert(table_take(table, epoch, no_egress, NULL));
		for (uint64_t key = 0; key < LARGE; key++) {
			char text[40];
			struct bytes value;
			ck_assert_int_eq(table_get(table, 1, key_of_number(key, text), &value), TABLE_VALUE);
			ck_assert_uint_eq(value.size, 500 + (key * round) % 64 * 9);
			memset(content, (int)(key + round), sizeof content);
			ck_assert_mem_eq(value.data, content, value.size);
		}
	}
}
END_TEST

START_TEST(what_a_reader_holds_is_not_overwritten) {
	enum { HELD = 100 };
	overwrite(1, 4, HELD);
	struct table_runs *runs = runs_of(1, bytes_of(NULL, 0));
	struct redo_op first, op;
	ck_assert(table_runs_peek(runs, &first));
	overwrite(4, 20, HELD);
	uint64_t count = 0;
	for (; table_runs_peek(runs, &op); table_runs_next(runs), count++) {
		uint64_t value;
		memcpy(&value, op.value.data, sizeof value);
		ck_assert_uint_eq(value, 3);
	}
	ck_assert_uint_eq(count, HELD);
	ck_assert_mem_eq(first.value.data, &(uint64_t){3}, sizeof(uint64_t));
	table_runs_destroy(runs);
	overwrite(20, 22, HELD);
}
END_TEST

/* A look-up ends while `readers` is held: a place that was overwritten meanwhile waits. */
START_TEST(what_is_being_looked_up_is_not_overwritten) {
	overwrite(1, 4, 10);
	char text[40];
	struct bytes value;
	pthread_rwlock_rdlock(&readers);
	ck_assert_int_eq(table_get(table, 1, key_of_number(7, text), &value), TABLE_VALUE);
	overwrite(4, 8, 10); /* few keys: the slots do not move */
	ck_assert_mem_eq(value.data, &(uint64_t){3}, sizeof(uint64_t));
	pthread_rwlock_unlock(&readers);
}
END_TEST

START_TEST(an_empty_table_has_no_order) {
	struct table_runs *runs = runs_of(1, bytes_of(NULL, 0));
	struct redo_op op;
	ck_assert(!table_runs_peek(runs, &op));
	table_runs_destroy(runs);
}
END_TEST

/* Values only rise: a reader that sees one go back has seen a torn or stale slot. */
static _Atomic bool stop;

static void *reader(void *arg) {
	uint64_t seen[64] = {0};
	(void)arg;
	while (!atomic_load(&stop))
		for (uint64_t key = 0; key < 64; key++) {
			char text[40];
			struct bytes value;
			uint64_t number = 0;
			pthread_rwlock_rdlock(&readers);
			enum table_found found = table_get(table, 1, key_of_number(key, text), &value);
			if (found == TABLE_VALUE)
				memcpy(&number, value.data, sizeof number);
			pthread_rwlock_unlock(&readers);
			check(found == TABLE_VALUE ? number >= seen[key] : seen[key] == 0);
			seen[key] = number;
		}
	return NULL;
}

START_TEST(readers_see_values_rise_while_the_table_grows) {
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, reader, NULL);
	for (uint64_t number = 1; number <= 200; number++) {
		struct store_epoch *epoch = store_epoch_create(1);
		epoch->epoch = number;
		for (uint64_t i = 0; i < 200; i++) {
			char text[40];
			redo_put(&epoch->parts[0], 1, key_of_number(i < 64 ? i : number * 1000 + i, text),
				bytes_of(&number, sizeof number));
		}
		ck_assert(table_take(table, epoch, no_egress, NULL));
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("table");
	TCase *cases = tcase_create("table");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 120);
	tcase_add_test(cases, the_newest_of_each_key_is_found);
	tcase_add_test(cases, a_malformed_operation_is_told);
	tcase_add_test(cases, memory_grows_with_the_keys_and_not_with_their_changes);
	tcase_add_test(cases, memory_of_large_rows_that_went_is_used_again);
	tcase_add_test(cases, large_values_stay_as_they_are);
	tcase_add_test(cases, what_a_reader_holds_is_not_overwritten);
	tcase_add_test(cases, what_is_being_looked_up_is_not_overwritten);
	tcase_add_test(cases, runs_come_in_the_order_of_keys_and_start_over);
	tcase_add_test(cases, runs_begin_where_they_are_told);
	tcase_add_test(cases, runs_hold_one_kind_and_are_sought);
	tcase_add_test(cases, databases_are_told_in_order);
	tcase_add_test(cases, an_empty_table_has_no_order);
	tcase_add_test(cases, readers_see_values_rise_while_the_table_grows);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
