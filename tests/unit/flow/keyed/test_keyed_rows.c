/* Golden bytes of the rows of idempotency keys, and of a message that carries one. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/keyed/keyed_rows.h"

static void buf_is(struct buf *buf, const char *hex) {
	char text[1024] = "";
	ck_assert_uint_lt(buf->size * 2 + 1, sizeof text);
	for (size_t i = 0; i < buf->size; i++)
		snprintf(text + 2 * i, 3, "%02x", buf->data[i]);
	ck_assert_str_eq(text, hex);
	buf_reset(buf);
}

static void key_is(const struct key *key, const char *hex) {
	struct buf buf = {0};
	buf_append_bytes(&buf, key_bytes(key));
	buf_is(&buf, hex);
	buf_finish(&buf);
}

static const uint8_t print[KEYED_HASH_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

START_TEST(keys_golden) {
	struct key birth = key_keyed_birth(print);
	key_is(&birth, "4a0102030405060708090a0b0c0d0e0f10");
	struct key answer = key_keyed_answer(print);
	key_is(&answer, "520102030405060708090a0b0c0d0e0f10");
	struct key wake = key_wake(0x0a0b, bytes_text("Pxy"));
	key_is(&wake, "550000000000000a0b507879");
}
END_TEST

START_TEST(birth_golden) {
	struct buf row = {0};
	const struct keyed_birth birth = {.type = 3,
		.id = bytes_text("ab"),
		.key = bytes_text("k"),
		.print = bytes_of(print, sizeof print),
		.expires_ms = 1000};
	keyed_birth_write(&row, &birth);
	struct keyed_birth read;
	ck_assert(keyed_birth_read(bytes_buf(&row), &read));
	ck_assert(read.type == 3 && read.expires_ms == 1000 && bytes_equal(read.key, birth.key));
	for (size_t cut = 0; cut < row.size; cut++)
		ck_assert(!keyed_birth_read(bytes_of(row.data, cut), &read));
	buf_is(&row, "9503c4026162c4016bc4100102030405060708090a0b0c0d0e0f10cd03e8");
	buf_finish(&row);
}
END_TEST

START_TEST(answer_golden) {
	struct buf row = {0};
	struct keyed_answer answer = {.expires_ms = 1000, .type = bytes_text("t"), .payload = bytes_of("\x07", 1)};
	struct keyed_answer read;
	keyed_answer_write(&row, &answer);
	ck_assert(keyed_answer_read(bytes_buf(&row), &read));
	ck_assert_int_eq(read.code, ERROR_NONE);
	for (size_t cut = 0; cut < row.size; cut++)
		ck_assert(!keyed_answer_read(bytes_of(row.data, cut), &read));
	buf_is(&row, "95cd03e8a000c40174c40107");
	answer.code = ERROR_FUNCTION_FAILED;
	keyed_answer_write(&row, &answer);
	ck_assert(keyed_answer_read(bytes_buf(&row), &read));
	ck_assert_int_eq(read.code, ERROR_FUNCTION_FAILED);
	buf_is(&row, "95cd03e8af66756e6374696f6e5f6661696c656400c40174c40107");
	buf_finish(&row);
}
END_TEST

START_TEST(hashes_tell_parts_apart) {
	const struct bytes one[] = {bytes_text("ab"), bytes_text("c")};
	const struct bytes other[] = {bytes_text("a"), bytes_text("bc")};
	uint8_t a[KEYED_HASH_BYTES], b[KEYED_HASH_BYTES];
	struct buf golden = {0};
	keyed_hash(5, one, 2, a);
	keyed_hash(5, other, 2, b);
	ck_assert_int_ne(memcmp(a, b, sizeof a), 0);
	keyed_hash(6, one, 2, b);
	ck_assert_int_ne(memcmp(a, b, sizeof a), 0);
	buf_append(&golden, a, sizeof a);
	buf_is(&golden, "56f8fe4296a64b1d30b1f2730766e592");
	buf_finish(&golden);
}
END_TEST

START_TEST(message_with_a_key_golden) {
	struct message_route route = {
		.incarnation = 1, .token = 2, .has_key = true, .keyed = {.expires_ms = 3, .owner = 4}};
	memcpy(route.keyed.hash, print, sizeof print);
	struct message_parts parts = {
		.head = {.hash = 4, .type = 3}, .route = &route, .id = bytes_text("a"), .payload = bytes_of("\xc0", 1)};
	uint32_t size = message_measure(&parts);
	struct buf buf = {0};
	message_put(buf_reserve(&buf, size), &parts);
	buf.size = size;
	uint64_t count = 0;
	ck_assert(message_run_valid(bytes_buf(&buf), &count) && count == 1);
	struct message message;
	message_read(buf.data, &message);
	ck_assert(message.route.has_key && message.route.keyed.owner == 4 && message.route.keyed.expires_ms == 3);
	ck_assert(bytes_equal(message.id, parts.id) && bytes_equal(message.payload, parts.payload));
	buf_is(&buf,
		"5800000004000000000000000000000003000000" /* head */
		"010000440100000000000000"
		"01000000000000000200000000000000"                                 /* route */
		"0102030405060708090a0b0c0d0e0f1003000000000000000400000000000000" /* keyed */
		"61c0000000000000");
	buf_finish(&buf);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("keyed rows");
	TCase *tests = tcase_create("keyed rows");
	tcase_add_test(tests, keys_golden);
	tcase_add_test(tests, birth_golden);
	tcase_add_test(tests, answer_golden);
	tcase_add_test(tests, hashes_tell_parts_apart);
	tcase_add_test(tests, message_with_a_key_golden);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
