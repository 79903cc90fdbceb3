/* Reading MessagePack (wire/cursor.h). */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "random_value.h"
#include "wire/cursor.h"
#include "wire/pack.h"

#define BYTES(text) bytes_of(text, sizeof(text) - 1)

/* A copy on the heap of just that size, so that the sanitizer sees a read beyond it. */
static uint8_t *exact(struct bytes bytes) {
	uint8_t *copy = malloc(bytes.size == 0 ? 1 : bytes.size);
	ck_assert_ptr_nonnull(copy);
	if (bytes.size > 0)
		memcpy(copy, bytes.data, bytes.size);
	return copy;
}

static struct cursor_item item_of(struct bytes bytes) {
	struct cursor cursor = cursor_of(bytes);
	struct cursor_item item;
	ck_assert(cursor_next(&cursor, &item));
	ck_assert(cursor_at_end(&cursor));
	return item;
}

static void uint_is(struct bytes bytes, uint64_t value) {
	struct cursor_item item = item_of(bytes);
	ck_assert_int_eq(item.kind, CURSOR_UINT);
	ck_assert_uint_eq(item.uint, value);
	struct cursor cursor = cursor_of(bytes);
	uint64_t read;
	ck_assert(cursor_read_uint(&cursor, &read) && read == value);
}

static void int_is(struct bytes bytes, int64_t value) {
	struct cursor_item item = item_of(bytes);
	ck_assert_int_eq(item.kind, CURSOR_INT);
	ck_assert_int_eq(item.integer, value);
	struct cursor cursor = cursor_of(bytes);
	int64_t read;
	uint64_t positive;
	ck_assert(!cursor_read_uint(&cursor, &positive));
	ck_assert(cursor_read_int(&cursor, &read) && read == value);
}

START_TEST(test_cursor_integers) {
	uint_is(BYTES("\x00"), 0);
	uint_is(BYTES("\x7f"), 127);
	uint_is(BYTES("\xcc\xff"), 255);
	uint_is(BYTES("\xcd\xff\xfe"), 0xfffe);
	uint_is(BYTES("\xce\xff\xff\xff\xfe"), 0xfffffffe);
	uint_is(BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), UINT64_MAX);
	uint_is(BYTES("\xd0\x05"), 5);
	uint_is(BYTES("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff"), INT64_MAX);
	int_is(BYTES("\xff"), -1);
	int_is(BYTES("\xe0"), -32);
	int_is(BYTES("\xd0\x80"), -128);
	int_is(BYTES("\xd1\x80\x00"), -32768);
	int_is(BYTES("\xd2\x80\x00\x00\x00"), INT32_MIN);
	int_is(BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), INT64_MIN);
	struct cursor cursor = cursor_of(BYTES("\xcf\x80\x00\x00\x00\x00\x00\x00\x00"));
	int64_t value;
	ck_assert(!cursor_read_int(&cursor, &value));
	ck_assert_uint_eq(cursor_left(&cursor).size, 9);
}
END_TEST

START_TEST(test_cursor_other_scalars) {
	struct cursor cursor = cursor_of(BYTES("\xc0\xc3\xc2\xca\x3f\xc0\x00\x00\xcb\xc0\x04\x00\x00\x00\x00\x00\x00"));
	bool truth;
	double real;
	ck_assert(cursor_read_nil(&cursor));
	ck_assert(!cursor_read_nil(&cursor));
	ck_assert(cursor_read_bool(&cursor, &truth) && truth);
	ck_assert(cursor_read_bool(&cursor, &truth) && !truth);
	ck_assert(!cursor_read_bool(&cursor, &truth));
	ck_assert(cursor_read_double(&cursor, &real) && real == 1.5);
	ck_assert(cursor_read_double(&cursor, &real) && real == -2.5);
	ck_assert(!cursor_read_double(&cursor, &real));
	ck_assert(cursor_at_end(&cursor));
}
END_TEST

START_TEST(test_cursor_texts_and_bytes) {
	static const struct {
		const char *bytes;
		size_t size;
		enum cursor_kind kind;
	} cases[] = {{"\xa2hi", 3, CURSOR_STR}, {"\xd9\x02hi", 4, CURSOR_STR}, {"\xda\x00\x02hi", 5, CURSOR_STR},
		{"\xdb\x00\x00\x00\x02hi", 7, CURSOR_STR}, {"\xc4\x02hi", 4, CURSOR_BIN}, {"\xc5\x00\x02hi", 5, CURSOR_BIN},
		{"\xc6\x00\x00\x00\x02hi", 7, CURSOR_BIN}, {"\xd5\x09hi", 4, CURSOR_EXT}, {"\xc7\x02\x09hi", 5, CURSOR_EXT},
		{"\xc8\x00\x02\x09hi", 6, CURSOR_EXT}, {"\xc9\x00\x00\x00\x02\x09hi", 8, CURSOR_EXT}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bytes bytes = bytes_of(cases[i].bytes, cases[i].size), read;
		struct cursor_item item = item_of(bytes);
		ck_assert_int_eq(item.kind, cases[i].kind);
		ck_assert(bytes_equal(item.bytes, BYTES("hi")));
		if (item.kind == CURSOR_EXT)
			ck_assert_int_eq(item.ext_type, 9);
		struct cursor cursor = cursor_of(bytes);
		ck_assert_int_eq(cursor_read_str(&cursor, &read), item.kind == CURSOR_STR);
		cursor = cursor_of(bytes);
		ck_assert_int_eq(cursor_read_bin(&cursor, &read), item.kind == CURSOR_BIN);
		cursor = cursor_of(bytes);
		ck_assert_int_eq(cursor_read_text_or_bin(&cursor, &read), item.kind != CURSOR_EXT);
	}
}
END_TEST

/* The first byte tells the size of most; a text that is cut off anywhere is none, and is not stepped over. */
START_TEST(test_cursor_texts_of_each_size_cut_anywhere) {
	for (size_t size = 0; size < 40; size++) {
		const char text[] = "as long as the text of a name or of a key";
		struct buf packed = {0};
		pack_str(&packed, bytes_of(text, size));
		for (size_t left = 0; left <= packed.size; left++) {
			uint8_t *part = exact(bytes_of(packed.data, left));
			struct cursor cursor = cursor_of(bytes_of(part, left));
			struct bytes read;
			ck_assert_int_eq(cursor_read_str(&cursor, &read), left == packed.size);
			ck_assert_ptr_eq(cursor.at, left == packed.size ? cursor.end : part);
			ck_assert(left < packed.size || bytes_equal(read, bytes_of(text, size)));
			free(part);
		}
		buf_finish(&packed);
	}
}
END_TEST

START_TEST(test_cursor_headers_of_containers) {
	static const struct {
		const char *bytes;
		size_t size;
		enum cursor_kind kind;
		uint32_t count;
	} cases[] = {{"\x9f", 1, CURSOR_ARRAY, 15}, {"\xdc\x01\x00", 3, CURSOR_ARRAY, 256},
		{"\xdd\xff\xff\xff\xff", 5, CURSOR_ARRAY, UINT32_MAX}, {"\x8f", 1, CURSOR_MAP, 15},
		{"\xde\x01\x00", 3, CURSOR_MAP, 256}, {"\xdf\xff\xff\xff\xff", 5, CURSOR_MAP, UINT32_MAX}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bytes bytes = bytes_of(cases[i].bytes, cases[i].size);
		struct cursor cursor = cursor_of(bytes);
		enum cursor_kind kind;
		uint32_t count = 0;
		ck_assert(cursor_peek(&cursor, &kind) && kind == cases[i].kind);
		ck_assert_int_eq(cursor_read_map(&cursor, &count), kind == CURSOR_MAP);
		ck_assert_int_eq(cursor_read_array(&cursor, &count), kind == CURSOR_ARRAY);
		ck_assert_uint_eq(count, cases[i].count);
		ck_assert_int_eq(cursor_check(bytes, 64), CURSOR_SHORT);
	}
}
END_TEST

/* How random_value's nesting shows: the least limit under which the value passes. */
static uint32_t depth_of(struct bytes value) {
	uint32_t depth = 0;
	while (cursor_check(value, depth) == CURSOR_DEEP)
		depth++;
	return depth;
}

static void value_is_sound(uint64_t seed) {
	struct random random = {seed};
	struct buf value = {0};
	random_value(&random, 5, &value);
	uint32_t depth = depth_of(bytes_buf(&value));
	ck_assert_uint_le(depth, 5);
	ck_assert_int_eq(cursor_check(bytes_buf(&value), depth), CURSOR_GOOD);
	struct cursor_scan scan = CURSOR_SCAN_START;
	size_t step = value.size / 50 + 1;
	for (size_t size = 0; size < value.size; size += step) {
		uint8_t *part = exact(bytes_of(value.data, size));
		ck_assert_int_eq(cursor_check(bytes_of(part, size), 64), CURSOR_SHORT);
		ck_assert_int_eq(cursor_scan(&scan, bytes_of(part, size)), CURSOR_SHORT);
		ck_assert_uint_le(scan.offset + scan.objects, value.size);
		struct cursor cursor = cursor_of(bytes_of(part, size));
		struct cursor_item item;
		while (cursor_next(&cursor, &item))
			continue;
		free(part);
	}
	ck_assert_int_eq(cursor_scan(&scan, bytes_buf(&value)), CURSOR_GOOD);
	ck_assert_uint_eq(scan.offset, value.size);
	buf_append_u8(&value, 0xc0);
	ck_assert_int_eq(cursor_check(bytes_buf(&value), 64), CURSOR_TRAILING);
	struct cursor cursor = cursor_of(bytes_buf(&value));
	struct bytes object;
	ck_assert_int_eq(cursor_take(&cursor, 64, &object), CURSOR_GOOD);
	ck_assert_uint_eq(object.size, value.size - 1);
	buf_finish(&value);
}

START_TEST(test_cursor_random_values_cut_anywhere) {
	for (uint64_t seed = 0; seed < 4000; seed++)
		value_is_sound(seed);
}
END_TEST

START_TEST(test_cursor_random_bytes) {
	for (uint64_t seed = 0; seed < 100000; seed++) {
		struct random random = {seed};
		uint8_t *bytes = malloc(24);
		ck_assert_ptr_nonnull(bytes);
		for (size_t i = 0; i < 24; i++)
			bytes[i] = (uint8_t)random_next(&random);
		struct bytes all = bytes_of(bytes, 24);
		struct cursor cursor = cursor_of(all);
		struct cursor_scan scan = CURSOR_SCAN_START;
		enum cursor_result skipped = cursor_skip(&cursor, 64), scanned = cursor_scan(&scan, all);
		ck_assert_int_eq(skipped == CURSOR_GOOD, scanned == CURSOR_GOOD);
		if (skipped == CURSOR_GOOD)
			ck_assert_uint_eq(24 - cursor_left(&cursor).size, scan.offset);
		free(bytes);
	}
}
END_TEST

START_TEST(test_cursor_nesting) {
	struct buf deep = {0};
	for (int i = 0; i < 10000; i++)
		buf_append_u8(&deep, i % 2 == 0 ? 0x91 : 0x81);
	ck_assert_int_eq(cursor_check(bytes_buf(&deep), 64), CURSOR_DEEP);
	ck_assert_int_eq(cursor_check(bytes_buf(&deep), CURSOR_NESTING_MAX), CURSOR_DEEP);
	ck_assert_int_eq(cursor_check(BYTES("\x90"), 0), CURSOR_DEEP);
	ck_assert_int_eq(cursor_check(BYTES("\x90"), 1), CURSOR_GOOD);
	ck_assert_int_eq(cursor_check(BYTES("\x81\xc0\x90"), 1), CURSOR_DEEP);
	ck_assert_int_eq(cursor_check(BYTES("\x81\xc0\x90"), 2), CURSOR_GOOD);
	ck_assert_int_eq(cursor_check(BYTES("\xc0"), 0), CURSOR_GOOD);
	struct error error;
	ck_assert(!cursor_check_error(bytes_buf(&deep), 64, "payload", &error));
	ck_assert_int_eq(error.code, ERROR_TOO_DEEP);
	buf_finish(&deep);
}
END_TEST

/* Whatever the first byte and the size: what is called a scalar is good, and short scalars are found. */
START_TEST(test_cursor_short_scalars) {
	enum { SIZES = 40 };
	unsigned found = 0;
	for (unsigned lead = 0; lead < 256; lead++)
		for (size_t size = 0; size < SIZES; size++) {
			uint8_t bytes[SIZES] = {(uint8_t)lead};
			if (!cursor_is_scalar(bytes_of(bytes, size)))
				continue;
			ck_assert_int_eq(cursor_check(bytes_of(bytes, size), 0), CURSOR_GOOD);
			found++;
		}
	/* positive, negative, str of 0 to 31, nil, bools, floats, integers of four widths with and without sign */
	ck_assert_uint_eq(found, 128 + 32 + 32 + 1 + 2 + 2 + 8);
}
END_TEST

/* Arrays of short scalars have a way of their own: it must say what the long way says of every cut and every byte. */
START_TEST(test_cursor_arrays_of_short_scalars) {
	static const uint8_t good[] = {0x95, 0x01, 0xcd, 1, 2, 0xa2, 'a', 'b', 0xc0, 0xe0};
	ck_assert_int_eq(cursor_check(bytes_of(good, sizeof good), 1), CURSOR_GOOD);
	ck_assert_int_eq(cursor_check(bytes_of(good, sizeof good), 0), CURSOR_DEEP);
	ck_assert_int_eq(cursor_check(BYTES("\x90"), 1), CURSOR_GOOD);
	for (size_t size = 1; size < sizeof good; size++)
		ck_assert_int_eq(cursor_check(bytes_of(good, size), 1), CURSOR_SHORT);
	for (size_t at = 0; at < sizeof good; at++)
		for (unsigned byte = 0; byte < 256; byte++) {
			uint8_t changed[sizeof good];
			memcpy(changed, good, sizeof good);
			changed[at] = (uint8_t)byte;
			struct bytes object = bytes_of(changed, sizeof changed);
			struct cursor cursor = cursor_of(object);
			bool whole = cursor_skip(&cursor, 4) == CURSOR_GOOD && cursor_at_end(&cursor);
			ck_assert_int_eq(cursor_check(object, 4) == CURSOR_GOOD, whole);
		}
}
END_TEST

START_TEST(test_cursor_what_is_no_messagepack) {
	struct error error;
	ck_assert_int_eq(cursor_check((struct bytes){0}, 64), CURSOR_SHORT);
	ck_assert_int_eq(cursor_check(BYTES("\xc1"), 64), CURSOR_BAD);
	ck_assert_int_eq(cursor_check(BYTES("\x92\x01\xc1"), 64), CURSOR_BAD);
	static const char *const bad[] = {"\xc1", "\x92\x01", "\x01\x01"};
	for (size_t i = 0; i < 3; i++) {
		ck_assert(!cursor_check_error(bytes_text(bad[i]), 64, "payload", &error));
		ck_assert_int_eq(error.code, ERROR_BAD_REQUEST);
	}
	ck_assert(cursor_check_error(BYTES("\xc0"), 64, "payload", &error));
}
END_TEST

START_TEST(test_cursor_scan_knows_the_least_size_at_the_header) {
	struct cursor_scan scan = CURSOR_SCAN_START;
	ck_assert_int_eq(cursor_scan(&scan, BYTES("\x92\xc6\x01\x00\x00\x00")), CURSOR_SHORT);
	ck_assert_uint_eq(scan.offset + scan.objects, 1 + 5 + 0x1000000 + 1);
	scan = CURSOR_SCAN_START;
	ck_assert_int_eq(cursor_scan(&scan, BYTES("\xdf\xff\xff\xff\xff")), CURSOR_SHORT);
	ck_assert_uint_eq(scan.offset + scan.objects, 5 + 2 * (uint64_t)UINT32_MAX);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("cursor");
	TCase *tests = tcase_create("cursor");
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, test_cursor_integers);
	tcase_add_test(tests, test_cursor_other_scalars);
	tcase_add_test(tests, test_cursor_texts_and_bytes);
	tcase_add_test(tests, test_cursor_texts_of_each_size_cut_anywhere);
	tcase_add_test(tests, test_cursor_headers_of_containers);
	tcase_add_test(tests, test_cursor_random_values_cut_anywhere);
	tcase_add_test(tests, test_cursor_random_bytes);
	tcase_add_test(tests, test_cursor_nesting);
	tcase_add_test(tests, test_cursor_short_scalars);
	tcase_add_test(tests, test_cursor_arrays_of_short_scalars);
	tcase_add_test(tests, test_cursor_what_is_no_messagepack);
	tcase_add_test(tests, test_cursor_scan_knows_the_least_size_at_the_header);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
