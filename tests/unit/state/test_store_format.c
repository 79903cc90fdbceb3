/* Golden bytes of the rows that the store writes itself, and of the names of its folders. */
#include <check.h>
#include <stdlib.h>

#include "state/store_format.h"

static struct buf made;

static void setup(void) {
	made = (struct buf){0};
}

static void teardown(void) {
	buf_finish(&made);
}

static void made_is(const void *golden, size_t size) {
	ck_assert_uint_eq(made.size, size);
	ck_assert_mem_eq(made.data, golden, size);
}

START_TEST(a_format_row) {
	struct format_row row = {.format = 1, .hash = 1, .database = 0x0102, .name = bytes_text("a/b")};
	for (int i = 0; i < STORE_ID_BYTES; i++)
		row.store_id[i] = (uint8_t)(0xa0 + i);
	static const uint8_t golden[] = {'s', 'o', 'f', 'u', 'n', 'd', 'b', 0, 1, 0, 0, 0, 1, 0, 0, 0, 0xa0, 0xa1, 0xa2,
		0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 2, 1, 0, 0, 3, 'a', '/', 'b'};
	format_row_put(&made, &row);
	made_is(golden, sizeof golden);
	struct format_row taken;
	ck_assert(format_row_take(bytes_buf(&made), &taken));
	ck_assert_uint_eq(taken.database, 0x0102);
	ck_assert(bytes_equal(taken.name, bytes_text("a/b")));
	for (size_t size = 0; size < made.size; size++)
		ck_assert(!format_row_take(bytes_of(made.data, size), &taken));
	buf_append_u8(&made, 0);
	ck_assert(!format_row_take(bytes_buf(&made), &taken));
	made.data[8] = 2; /* a newer one may be longer, and says that it is newer */
	ck_assert(format_row_take(bytes_buf(&made), &taken));
	ck_assert_uint_eq(taken.format, 2);
	made.data[0] = 'x';
	ck_assert(!format_row_take(bytes_buf(&made), &taken));
}
END_TEST

START_TEST(a_checkpoint_row) {
	struct checkpoint_row row = {.epoch = 0x0102030405060708, .time_ms = 0x1112131415161718, .flags = CHECKPOINT_CLEAN};
	static const uint8_t golden[] = {8, 7, 6, 5, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 1};
	checkpoint_row_put(&made, &row);
	made_is(golden, sizeof golden);
	struct checkpoint_row taken;
	ck_assert(checkpoint_row_take(bytes_buf(&made), &taken));
	ck_assert_uint_eq(taken.epoch, row.epoch);
	ck_assert_uint_eq(taken.time_ms, row.time_ms);
	ck_assert_uint_eq(taken.flags, CHECKPOINT_CLEAN);
	ck_assert(!checkpoint_row_take(bytes_of(made.data, made.size - 1), &taken));
}
END_TEST

START_TEST(a_database_row) {
	struct key key = key_database(0x01020304);
	static const uint8_t golden[] = {'B', 1, 2, 3, 4};
	ck_assert_uint_eq(key.size, sizeof golden);
	ck_assert_mem_eq(key.data, golden, sizeof golden);
	struct database_row row = {.epoch = 0x0102, .name = bytes_text("a/b")};
	database_row_put(&made, &row);
	static const uint8_t value[] = {2, 1, 0, 0, 0, 0, 0, 0, 3, 'a', '/', 'b'};
	made_is(value, sizeof value);
	struct database_row taken;
	ck_assert(database_row_take(key_bytes(&key), bytes_buf(&made), &taken));
	ck_assert_uint_eq(taken.number, 0x01020304);
	ck_assert_uint_eq(taken.epoch, 0x0102);
	ck_assert(bytes_equal(taken.name, row.name));
	ck_assert(!database_row_take(bytes_of(key.data, 4), bytes_buf(&made), &taken));
	for (size_t size = 0; size < made.size; size++)
		ck_assert(!database_row_take(key_bytes(&key), bytes_of(made.data, size), &taken));
}
END_TEST

START_TEST(a_row_of_removals) {
	struct key key = key_removals(7);
	static const uint8_t golden[] = {'r', 0, 0, 0, 7};
	ck_assert_uint_eq(key.size, sizeof golden);
	ck_assert_mem_eq(key.data, golden, sizeof golden);
	const struct removals removals = {.rows = 1, .put_rows = 0x0203, .put_bytes = 0x040506};
	removals_row_put(&made, &removals);
	static const uint8_t value[] = {1, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 0, 0, 6, 5, 4, 0, 0, 0, 0, 0};
	made_is(value, sizeof value);
	uint32_t number;
	struct removals taken;
	ck_assert(removals_row_take(key_bytes(&key), bytes_buf(&made), &number, &taken));
	ck_assert_uint_eq(number, 7);
	ck_assert_uint_eq(taken.rows, removals.rows);
	ck_assert_uint_eq(taken.put_rows, removals.put_rows);
	ck_assert_uint_eq(taken.put_bytes, removals.put_bytes);
	ck_assert(!removals_row_take(bytes_of(key.data, 4), bytes_buf(&made), &number, &taken));
	ck_assert(!removals_row_take(key_bytes(&key), bytes_of(made.data, made.size - 1), &number, &taken));
}
END_TEST

START_TEST(an_egress_row) {
	struct egress_row row = {.end = 0x0102, .segment = 0x0304, .bytes = 0x0506, .start = 0x0708, .time_ms = 0x090a};
	egress_row_put(&made, &row);
	static const uint8_t golden[] = {2, 1, 0, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 6, 5, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0,
		0, 0, 0, 0, 10, 9, 0, 0, 0, 0, 0, 0};
	made_is(golden, sizeof golden);
	struct egress_row taken;
	ck_assert(egress_row_take(bytes_buf(&made), &taken));
	ck_assert_uint_eq(taken.end, row.end);
	ck_assert_uint_eq(taken.segment, row.segment);
	ck_assert_uint_eq(taken.bytes, row.bytes);
	ck_assert_uint_eq(taken.start, row.start);
	ck_assert_uint_eq(taken.time_ms, row.time_ms);
	ck_assert(!egress_row_take(bytes_of(made.data, 23), &taken));
	ck_assert(!egress_row_take(bytes_of(made.data, 39), &taken));
	ck_assert(egress_row_take(bytes_of(made.data, 24), &taken)); /* as it was before there was retention */
	ck_assert_uint_eq(taken.bytes, row.bytes);
	ck_assert_uint_eq(taken.start + taken.time_ms, 0);
}
END_TEST

static void path_is(struct bytes name, const char *expected) {
	buf_reset(&made);
	path_name(&made, name);
	made_is(expected, strlen(expected));
}

START_TEST(names_of_folders) {
	path_is(bytes_text("auth/source"), "auth%2Fsource");
	path_is(bytes_text("."), "%2E");
	path_is(bytes_text(".."), "%2E.");
	path_is(bytes_text("a.b-c_D9"), "a.b-c_D9");
	path_is(bytes_text("100%~"), "100%25%7E");
	path_is(bytes_of("\0\xff", 2), "%00%FF");
	char *path = path_of("data", "types", bytes_text("a/b"));
	ck_assert_str_eq(path, "data/types/a%2Fb");
	free(path);
}
END_TEST

START_TEST(long_names_fit_a_file_system_and_stay_apart) {
	char name[256];
	memset(name, '/', sizeof name);
	struct buf other = {0};
	path_name(&made, bytes_of(name, sizeof name));
	name[255] = '.';
	path_name(&other, bytes_of(name, sizeof name));
	ck_assert_uint_le(made.size, 255);
	ck_assert(!bytes_equal(bytes_buf(&made), bytes_buf(&other)));
	ck_assert_ptr_nonnull(memchr(made.data, '~', made.size));
	buf_finish(&other);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("store_format");
	TCase *cases = tcase_create("store_format");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, a_format_row);
	tcase_add_test(cases, a_checkpoint_row);
	tcase_add_test(cases, a_database_row);
	tcase_add_test(cases, a_row_of_removals);
	tcase_add_test(cases, an_egress_row);
	tcase_add_test(cases, names_of_folders);
	tcase_add_test(cases, long_names_fit_a_file_system_and_stay_apart);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
