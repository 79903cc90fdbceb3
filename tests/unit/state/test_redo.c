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
