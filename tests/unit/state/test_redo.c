/* Golden bytes of redo operations, and refusal of malformed ones. */
#include <check.h>
#include <stdlib.h>

#include "state/redo.h"

static struct buf redo;

static void teardown(void) {
	buf_finish(&redo);
}

static void ck_bytes(struct bytes found, const char *expected) {
	ck_assert(bytes_equal(found, bytes_text(expected)));
}

START_TEST(operations_are_as_written_down) {
	static const uint8_t golden[] = {1, 0, 1, 'k', 3, 'v', 'a', 'l', 1, 0xac, 2, 2, 'a', 'b', 0, 2, 7, 0, 3, 4, 'b',
		'a', 'n', 's', 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 1, 'r'};
	redo_put(&redo, REDO_RUNTIME, bytes_text("k"), bytes_text("val"));
	redo_put(&redo, 300, bytes_text("ab"), bytes_text(""));
	redo_remove(&redo, 7, bytes_text(""));
	size_t place = redo_egress(&redo, bytes_text("bans"), bytes_text("r"));
	redo_egress_offset_set(&redo, place, 0x0102030405060708);
	ck_assert_uint_eq(redo.size, sizeof golden);
	ck_assert_mem_eq(redo.data, golden, sizeof golden);
}
END_TEST

START_TEST(what_was_written_is_read) {
	struct redo_op op;
	redo_put(&redo, 300, bytes_text("key"), bytes_text("value"));
	redo_remove(&redo, UINT32_MAX, bytes_text("gone"));
	size_t place = redo_egress(&redo, bytes_text("bans"), bytes_text("record"));
	redo_egress_offset_set(&redo, place, UINT64_MAX - 1);
	struct redo_reader reader;
	redo_reader_init(&reader, bytes_buf(&redo));
	ck_assert(redo_next(&reader, &op));
	ck_assert_int_eq(op.kind, REDO_PUT);
	ck_assert_uint_eq(op.database, 300);
	ck_bytes(op.key, "key");
	ck_bytes(op.value, "value");
	ck_assert(redo_next(&reader, &op));
	ck_assert_int_eq(op.kind, REDO_REMOVE);
	ck_assert_uint_eq(op.database, UINT32_MAX);
	ck_bytes(op.key, "gone");
	ck_assert(redo_next(&reader, &op));
	ck_assert_int_eq(op.kind, REDO_EGRESS);
	ck_bytes(op.key, "bans");
	ck_bytes(op.value, "record");
	ck_assert_uint_eq(op.offset, UINT64_MAX - 1);
	ck_assert_uint_eq(reader.rest.size, 0);
}
END_TEST

/* Each put says of its key what the one before does not; another database, and what stands between, begin anew. */
START_TEST(a_series_follows_the_key_before) {
	static const uint8_t golden[] = {1, 5, 4, 'I', 'a', 'b', 'c', 1, 'x', 0x83, 1, 'd', 1, 'y', 0x82, 0, 0, 0x82, 2,
		'q', 'r', 1, 'z', 1, 6, 2, 'I', 'a', 0, 0x82, 0, 1, 'w'};
	struct redo_series series = {.begun = false};
	redo_put_next(&redo, &series, 5, bytes_text("Iabc"), bytes_text("x"));
	redo_put_next(&redo, &series, 5, bytes_text("Iabd"), bytes_text("y"));
	redo_put_next(&redo, &series, 5, bytes_text("Ia"), bytes_text(""));
	redo_put_next(&redo, &series, 5, bytes_text("Iaqr"), bytes_text("z"));
	redo_put_next(&redo, &series, 6, bytes_text("Ia"), bytes_text(""));
	redo_put_next(&redo, &series, 6, bytes_text("Ia"), bytes_text("w"));
	ck_assert_uint_eq(redo.size, sizeof golden);
	ck_assert_mem_eq(redo.data, golden, sizeof golden);
	static const char *const keys[] = {"Iabc", "Iabd", "Ia", "Iaqr", "Ia", "Ia"};
	static const char *const values[] = {"x", "y", "", "z", "", "w"};
	struct redo_reader reader;
	redo_reader_init(&reader, bytes_buf(&redo));
	for (size_t i = 0; i < 6; i++) {
		struct redo_op op;
		ck_assert(redo_next(&reader, &op));
		ck_assert_int_eq(op.kind, REDO_PUT);
		ck_assert_uint_eq(op.database, i < 4 ? 5 : 6);
		ck_bytes(op.key, keys[i]);
		ck_bytes(op.value, values[i]);
	}
	ck_assert_uint_eq(reader.rest.size, 0);
}
END_TEST

static void ck_series(const char *const (*rows)[2], size_t count, uint32_t database) {
	struct redo_reader reader;
	redo_reader_init(&reader, bytes_buf(&redo));
	for (size_t i = 0; i < count; i++) {
		struct redo_op op;
		ck_assert(redo_next(&reader, &op));
		ck_assert_int_eq(op.kind, REDO_PUT);
		ck_assert_uint_eq(op.database, database);
		ck_bytes(op.key, rows[i][0]);
		ck_bytes(op.value, rows[i][1]);
	}
	ck_assert_uint_eq(reader.rest.size, 0);
}

/* The third is like the first, the fourth like nobody; the fifth is shorter than the one that it is like, and the last one
 * longer, with another size of key. */
START_TEST(a_series_says_of_a_value_what_no_other_does) {
	static const char *const rows[][2] = {{"Iabc", "stamp-1"}, {"Iabd", "other-2"}, {"Iabe", "stamp-3"}, {"Iabf", "?"},
		{"Iabg", "other"}, {"Ia", "stamp-45"}};
	static const uint8_t golden[] = {1, 5, 4, 'I', 'a', 'b', 'c', 7, 's', 't', 'a', 'm', 'p', '-', '1', 0x83, 1, 'd', 7,
		'o', 't', 'h', 'e', 'r', '-', '2', 0x46, 3, 'e', '3', 0x83, 1, 'f', 1, '?', 0x55, 0x83, 1, 0, 'g', 0x46, 0x82,
		0, 2, '4', '5'};
	struct redo_series series = {.begun = false};
	for (size_t i = 0; i < 6; i++)
		redo_put_next(&redo, &series, 5, bytes_text(rows[i][0]), bytes_text(rows[i][1]));
	ck_assert_uint_eq(redo.size, sizeof golden);
	ck_assert_mem_eq(redo.data, golden, sizeof golden);
	ck_series(rows, 6, 5);
}
END_TEST

/* The places are taken in turn; a put empties them, in the writer as in the reader. */
START_TEST(a_fifth_value_takes_the_place_of_the_first) {
	static const char *const rows[][2] = {{"Ia", "first-1"}, {"Ib", "second-1"}, {"Ic", "third-1"}, {"Id", "fourth-1"},
		{"Ie", "zzzzz-1"}, {"If", "first-2"}, {"Ig", "zzzzz-2"}, {"Ih", "third-2"}};
	struct redo_series series = {.begun = false};
	for (size_t i = 0; i < 8; i++) {
		size_t before = redo.size;
		redo_put_next(&redo, &series, 1, bytes_text(rows[i][0]), bytes_text(rows[i][1]));
		ck_assert_int_eq(redo.size - before == 4, i >= 6); /* "first-2" found its place taken, and took the second's */
	}
	ck_series(rows, 8, 1);
	buf_reset(&redo);
	redo_put_next(&redo, &series, 2, bytes_text("Ia"), bytes_text("other"));
	redo_put_next(&redo, &series, 2, bytes_text("Ib"), bytes_text("third-3"));
	static const char *const anew[][2] = {{"Ia", "other"}, {"Ib", "third-3"}};
	ck_series(anew, 2, 2);
}
END_TEST

/* Whatever the sizes, around every limit. */
START_TEST(every_series_is_read_as_it_was_written) {
	enum { ROWS = 20000, KEY_BYTES = 140, VALUE_BYTES = REDO_PLACE_BYTES_MAX + 3 };
	struct redo_series series = {.begun = false};
	struct redo_reader reader;
	static uint8_t keys[ROWS][KEY_BYTES], values[ROWS][VALUE_BYTES];
	static size_t key_sizes[ROWS], value_sizes[ROWS];
	uint64_t random = 1;
	for (size_t i = 0; i < ROWS; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		const bool large = (random >> 60) == 0;
		key_sizes[i] = (random >> 32) % (large ? KEY_BYTES + 1 : 6);
		value_sizes[i] = (random >> 40) % (large ? VALUE_BYTES + 1 : 20);
		memset(keys[i], 'k', KEY_BYTES);
		memset(values[i], 'a' + (int)((random >> 50) % 6), VALUE_BYTES);
		if (key_sizes[i] > 0)
			keys[i][key_sizes[i] - 1] = (uint8_t)(random >> 24);
		values[i][(random >> 16) % VALUE_BYTES] = 'z';
		redo_put_next(
			&redo, &series, 7 + (i % 100 == 99), bytes_of(keys[i], key_sizes[i]), bytes_of(values[i], value_sizes[i]));
		if (i % 1000 == 500) {
			redo_remove(&redo, 7, bytes_text("gone"));
			series.begun = false;
		}
	}
	redo_reader_init(&reader, bytes_buf(&redo));
	for (size_t i = 0; i < ROWS; i++) {
		struct redo_op op;
		ck_assert(redo_next(&reader, &op));
		ck_assert_uint_eq(op.database, 7 + (i % 100 == 99));
		ck_assert(bytes_equal(op.key, bytes_of(keys[i], key_sizes[i])));
		ck_assert(bytes_equal(op.value, bytes_of(values[i], value_sizes[i])));
		if (i % 1000 == 500)
			ck_assert(redo_next(&reader, &op) && op.kind == REDO_REMOVE);
	}
	ck_assert_uint_eq(reader.rest.size, 0);
}
END_TEST

START_TEST(long_keys_follow_as_far_as_a_byte_tells) {
	struct redo_series series = {.begun = false};
	char key[256];
	memset(key, 'k', sizeof key);
	redo_put_next(&redo, &series, 1, bytes_of(key, 256), bytes_text(""));
	redo_put_next(&redo, &series, 1, bytes_of(key, 255), bytes_text(""));
	redo_put_next(&redo, &series, 1, bytes_of(key, 256), bytes_text(""));
	struct redo_reader reader;
	redo_reader_init(&reader, bytes_buf(&redo));
	for (size_t i = 0; i < 3; i++) {
		struct redo_op op;
		ck_assert(redo_next(&reader, &op));
		ck_assert(bytes_equal(op.key, bytes_of(key, i == 1 ? 255 : 256)));
	}
}
END_TEST

START_TEST(what_cannot_follow_is_refused) {
	static const struct {
		uint8_t bytes[24];
		size_t size;
	} wrong[] = {
		{{1, 5, 1, 'I', 0, 0x82, 0, 0}, 8},                                             /* more than there is */
		{{3, 1, 'e', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 1, 'I', 0}, 16},                  /* behind an egress record */
		{{1, 5, 1, 'I', 0, 3, 1, 'e', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 1, 'I', 0}, 21}, /* the same */
		{{1, 5, 1, 'I', 1, 'v', 0x42, 1, 'w'}, 9},                                      /* like more than there is */
		{{1, 5, 1, 'I', 1, 'v', 0x51, 1}, 8},                                           /* like nothing */
		{{1, 5, 1, 'I', 0, 0x40, 1}, 7},                                                /* the same */
		{{1, 5, 1, 'I', 0, 0x40, 0x81, 0, 1, 'v'}, 10},                                 /* the same */
		{{2, 5, 1, 'I', 0x40, 0x81, 0, 0}, 8},                                          /* the same */
		{{1, 5, 1, 'I', 1, 'v', 0x41, 2}, 8},                /* more of the key than there is */
		{{1, 5, 1, 'I', 1, 'v', 0x41}, 7},                   /* cut off */
		{{1, 5, 1, 'I', 1, 'v', 0x40, 1}, 8},                /* the same */
		{{1, 5, 1, 'I', 1, 'v', 0x40, 0x81, 1, 0, 'a'}, 11}, /* an empty value */
		{{1, 5, 1, 'I', 1, 'v', 0x41, 0x81, 3, 0, 'a'}, 11}, /* cut off */
		{{1, 5, 1, 'I', 1, 'v', 0x41, 0x81, 0, 1}, 10},      /* the same */
		{{1, 5, 1, 'I', 1, 'v', 0x41, 0x81, 0, 64}, 10},     /* longer than a place */
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct redo_reader reader;
		struct redo_op op;
		redo_reader_init(&reader, bytes_of(wrong[i].bytes, wrong[i].size));
		bool good = true;
		while (good && reader.rest.size > 0)
			good = redo_next(&reader, &op);
		ck_assert(!good);
	}
}
END_TEST

START_TEST(every_cut_is_refused) {
	redo_put(&redo, 300, bytes_text("key"), bytes_text("value"));
	size_t put = redo.size;
	redo_egress(&redo, bytes_text("bans"), bytes_text("record"));
	for (size_t size = 1; size < redo.size; size++) {
		struct redo_op op;
		struct redo_reader reader;
		redo_reader_init(&reader, bytes_of(redo.data, size));
		bool good = redo_next(&reader, &op);
		ck_assert_int_eq(good, size >= put);
		if (good && reader.rest.size > 0)
			ck_assert(!redo_next(&reader, &op));
	}
}
END_TEST

START_TEST(what_is_no_operation_is_refused) {
	static const uint8_t wrong[][8] = {
		{0, 0, 0, 0},
		{4, 0, 0, 0},
		{255, 0, 0, 0},
		{0x80, 0, 0, 0},                         /* nothing to follow */
		{1, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0}, /* a database above 32 bits */
		{2, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct redo_op op;
		struct redo_reader reader;
		redo_reader_init(&reader, bytes_of(wrong[i], sizeof wrong[i]));
		ck_assert(!redo_next(&reader, &op));
	}
}
END_TEST

int main(void) {
	TCase *all = tcase_create("redo");
	tcase_add_checked_fixture(all, NULL, teardown);
	tcase_add_test(all, operations_are_as_written_down);
	tcase_add_test(all, what_was_written_is_read);
	tcase_add_test(all, a_series_follows_the_key_before);
	tcase_add_test(all, a_series_says_of_a_value_what_no_other_does);
	tcase_add_test(all, a_fifth_value_takes_the_place_of_the_first);
	tcase_add_test(all, every_series_is_read_as_it_was_written);
	tcase_add_test(all, long_keys_follow_as_far_as_a_byte_tells);
	tcase_add_test(all, what_cannot_follow_is_refused);
	tcase_add_test(all, every_cut_is_refused);
	tcase_add_test(all, what_is_no_operation_is_refused);
	Suite *suite = suite_create("redo");
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
