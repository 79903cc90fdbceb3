/* Golden bytes of what the flow writes, and what its readers refuse. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/dead/letter.h"
#include "flow/entries/header.h"
#include "flow/instance/record.h"
#include "flow/message.h"
#include "flow/operation/rows.h"
#include "flow/queue/wait_row.h"
#include "flow/timer/place.h"
#include "sofun/function.h"
#include "sofun/operation.h"
#include "state/reclaim.h"

static void buf_is(const struct buf *buf, const char *hex) {
	char text[2048];
	ck_assert_uint_lt(buf->size * 2 + 1, sizeof text);
	for (size_t i = 0; i < buf->size; i++)
		snprintf(text + 2 * i, 3, "%02x", buf->data[i]);
	text[2 * buf->size] = '\0';
	ck_assert_str_eq(text, hex);
}

START_TEST(message_golden) {
	struct message_route route = {.incarnation = 0x0102, .token = 0x0304};
	struct message_parts parts = {
		.head = {.hash = 0xaabbccdd, .birth_epoch = 7, .type = 3, .caller_type = 2, .flags = MESSAGE_COUNTED},
		.route = &route,
		.id = bytes_text("ab"),
		.caller_id = bytes_text("c"),
		.type = bytes_text("t"),
		.payload = bytes_of("\x93\x01\x02\x03", 4),
	};
	uint32_t size = message_measure(&parts);
	ck_assert_uint_eq(size, 56);
	struct buf buf = {0};
	message_put(buf_reserve(&buf, size), &parts);
	buf.size = size;
	buf_is(&buf,
		"38000000ddccbbaa0700000000000000030002000201010604000000000000000201000000000000040300000000000061626374"
		"93010203");
	uint64_t count = 0;
	ck_assert(message_run_valid(bytes_buf(&buf), &count));
	ck_assert_uint_eq(count, 1);
	struct message message;
	message_read(buf.data, &message);
	ck_assert(bytes_equal(message.id, parts.id) && bytes_equal(message.caller_id, parts.caller_id));
	ck_assert(bytes_equal(message.type, parts.type) && bytes_equal(message.payload, parts.payload));
	ck_assert_uint_eq(message.route.token, 0x0304);
	buf_finish(&buf);
}
END_TEST

START_TEST(run_cut_anywhere_is_refused) {
	struct buf buf = {0};
	for (int i = 0; i < 3; i++) {
		struct message_parts parts = {.head = {.type = 1}, .id = bytes_text("x"), .payload = bytes_of("\xc0", 1)};
		uint32_t size = message_measure(&parts);
		message_put(buf_reserve(&buf, size), &parts);
		buf.size += size;
	}
	uint64_t count;
	ck_assert(message_run_valid(bytes_buf(&buf), &count));
	ck_assert_uint_eq(count, 3);
	for (size_t cut = 0; cut < buf.size; cut++) {
		bool whole = cut % 40 == 0;
		ck_assert_int_eq(message_run_valid(bytes_of(buf.data, cut), &count), whole);
	}
	for (size_t i = 0; i < 4; i++) { /* a size that lies */
		buf.data[i] ^= 0x55;
		ck_assert(!message_run_valid(bytes_buf(&buf), &count));
		buf.data[i] ^= 0x55;
	}
	buf_finish(&buf);
}
END_TEST

/* The message that asks for an operation, from an address to itself. */
static void asked_put(struct buf *asked, uint8_t operation) {
	struct message_parts parts = {
		.head = {.hash = 0xaabbccdd, .birth_epoch = 7, .type = 3, .caller_type = 3, .flags = MESSAGE_COUNTED},
		.id = bytes_text("ab"),
		.caller_id = bytes_text("ab"),
		.payload = bytes_of("\x92\x01\x02", 3),
	};
	uint32_t size = message_measure(&parts);
	parts.head.side = 2;
	parts.head.operation = operation;
	message_put(buf_reserve(asked, size), &parts);
	asked->size = size;
}

START_TEST(operation_golden) {
	struct buf asked = {0};
	struct buf result = {0};
	struct key key = key_operation(UINT64_C(0x0102030405060708));
	struct buf row = {0};
	buf_append_bytes(&row, key_bytes(&key));
	buf_is(&row, "4f0102030405060708");
	asked_put(&asked, MESSAGE_WAITS);
	buf_is(&asked,
		"28000000ddccbbaa07000000000000000300030002020002030000000202000061626162920102"
		"00");
	ck_assert(operation_row_valid(bytes_buf(&asked)));
	const struct operation_outcome outcome = {
		.id = 300, .status = SOFUN_RESULT_FAILURE, .result = bytes_text("no"), .metadata = bytes_of("\x92\x01\x02", 3)};
	operation_result_write(&result, asked.data, &outcome);
	buf_is(&result,
		"30000000ddccbbaa070000000000000003000300020200020b0000000202000061626162"
		"94cd012c01a26e6f92010200");
	buf_finish(&row);
	buf_finish(&asked);
	buf_finish(&result);
}
END_TEST

START_TEST(an_outcome_comes_back_as_it_went) {
	static const struct bytes metadata = {(const uint8_t *)"\x81\xa1k\xc0", 4};
	const struct operation_outcome outcomes[] = {
		{1, SOFUN_RESULT_SUCCESS, bytes_of("\x93\x01\x02\x03", 4), metadata},
		{UINT64_MAX, SOFUN_RESULT_FAILURE, bytes_text("it rains"), metadata},
		{77, SOFUN_RESULT_UNKNOWN, bytes_of(NULL, 0), metadata},
	};
	for (size_t i = 0; i < 3; i++) {
		struct buf payload = {0};
		struct operation_outcome read;
		operation_outcome_write(&payload, &outcomes[i]);
		ck_assert(operation_outcome_read(bytes_buf(&payload), &read));
		ck_assert(read.id == outcomes[i].id && read.status == outcomes[i].status);
		ck_assert(bytes_equal(read.result, outcomes[i].result) && bytes_equal(read.metadata, metadata));
		for (size_t cut = 0; cut < payload.size; cut++)
			ck_assert(!operation_outcome_read(bytes_of(payload.data, cut), &read));
		buf_append_u8(&payload, 0);
		ck_assert(!operation_outcome_read(bytes_buf(&payload), &read));
		buf_finish(&payload);
	}
}
END_TEST

START_TEST(a_row_of_an_operation_that_is_none_is_refused) {
	struct buf asked = {0};
	asked_put(&asked, MESSAGE_ORDINARY);
	ck_assert(!operation_row_valid(bytes_buf(&asked)));
	asked_put(&asked, 3);
	ck_assert(!operation_row_valid(bytes_buf(&asked)));
	asked_put(&asked, MESSAGE_GOES_ON);
	for (size_t cut = 0; cut < asked.size; cut++)
		ck_assert(!operation_row_valid(bytes_of(asked.data, cut)));
	buf_finish(&asked);
}
END_TEST

START_TEST(shards_share_the_hashes_evenly) {
	uint32_t seen[4] = {0};
	for (uint64_t i = 0; i < 4096; i++)
		seen[message_shard((uint32_t)(i << 20), 4)]++;
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(seen[i], 1024);
	ck_assert_uint_eq(message_shard(UINT32_MAX, 1), 0);
	ck_assert_uint_eq(message_shard(UINT32_MAX, 64), 63);
}
END_TEST

START_TEST(instance_golden) {
	struct buf row = {0};
	struct instance_header header = {.schema = 2, .generation = 0, .last_touch_ms = 300};
	instance_header_put(&row, &header);
	instance_value_put(&row, 0, 0, bytes_of("\x05", 1));
	instance_large_put(&row, 3, 300, 5000);
	instance_value_put(&row, 63, 0, bytes_of("\xc3", 1));
	buf_is(&row,
		"0200ac02"
		"000105"
		"0f8827ac02"
		"fc0101c3");
	struct bytes rest = bytes_buf(&row);
	struct instance_header read;
	struct instance_value value;
	ck_assert(instance_header_take(&rest, &read));
	ck_assert_uint_eq(read.schema, 2);
	ck_assert_uint_eq(read.last_touch_ms, 300);
	ck_assert(instance_value_take(&rest, &value) && value.number == 0 && !value.large && value.size == 1);
	ck_assert(instance_value_take(&rest, &value) && value.number == 3 && value.large && value.size == 5000 &&
		value.written_ms == 300);
	ck_assert(instance_value_take(&rest, &value) && value.number == 63 && value.msgpack.data[0] == 0xc3);
	ck_assert_uint_eq(rest.size, 0);
	buf_finish(&row);
}
END_TEST

START_TEST(instance_malformed) {
	struct instance_value value;
	struct bytes cut = bytes_of("\x00\x05\x01", 3); /* five bytes promised, one there */
	ck_assert(!instance_value_take(&cut, &value));
	struct bytes number = bytes_of("\x80\x02\x00", 3); /* value 64: there are 64, from 0 */
	ck_assert(!instance_value_take(&number, &value));
	struct bytes endless = bytes_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11);
	struct instance_header header;
	ck_assert(!instance_header_take(&endless, &header));
}
END_TEST

START_TEST(timer_keys_golden) {
	const struct timer_place place = {.due_ms = 0x0102030405, .serial = 0x0a0b000000};
	struct key timer = key_timer(TIMER_MESSAGE, place);
	struct key sweep = key_timer(TIMER_SWEEP, place);
	struct key token = key_token(0x0102, bytes_text("id"), bytes_text("t"));
	struct buf buf = {0};
	buf_append_bytes(&buf, key_bytes(&timer));
	buf_is(&buf,
		"5a0000000102030405000000"
		"0a0b000000");
	buf_reset(&buf);
	buf_append_bytes(&buf, key_bytes(&sweep));
	buf_is(&buf,
		"7a0000000102030405000000"
		"0a0b000000");
	buf_reset(&buf);
	buf_append_bytes(&buf, key_bytes(&token));
	buf_is(&buf,
		"590102026964"
		"74");
	buf_finish(&buf);
	uint8_t longest[ID_BYTES_MAX] = {0};
	struct key key = key_token(1, bytes_of(longest, sizeof longest), bytes_of(longest, sizeof longest));
	ck_assert_uint_le(key.size, KEY_BYTES_MAX);
}
END_TEST

static struct key entry_key(struct bytes id, uint64_t generation, struct bytes own) {
	struct key key = key_entries(id, generation);
	key_append(&key, own);
	return key;
}

START_TEST(entries_golden) {
	struct buf buf = {0};
	const struct entries_header table = {.kind = SOFUN_KIND_TABLE, .generation = 257};
	const struct entries_header list = {.kind = SOFUN_KIND_LIST, .generation = 257, .first = 1, .end = 300};
	entries_header_put(&buf, &table);
	buf_is(&buf, "c1058102");
	buf_reset(&buf);
	entries_header_put(&buf, &list);
	buf_is(&buf, "c106810201ac02");
	struct entries_header read;
	ck_assert(entries_header_read(bytes_buf(&buf), &read));
	ck_assert_uint_eq(read.first, 1);
	ck_assert_uint_eq(read.end, 300);
	for (size_t size = 0; size < buf.size; size++)
		ck_assert(!entries_header_read(bytes_of(buf.data, size), &read));
	buf_append_u8(&buf, 0);
	ck_assert(!entries_header_read(bytes_buf(&buf), &read));
	struct key key = entry_key(bytes_text("ab"), 257, bytes_text("k"));
	buf_reset(&buf);
	buf_append_bytes(&buf, key_bytes(&key));
	buf_is(&buf,
		"4d0261620000000000000101"
		"6b");
	uint8_t longest[ID_BYTES_MAX] = {0};
	key = entry_key(bytes_of(longest, sizeof longest), 1, bytes_of(longest, sizeof longest));
	ck_assert_uint_le(key.size, KEY_BYTES_MAX - 2); /* and a type's number, for the shard's place of it */
	buf_finish(&buf);
}
END_TEST

START_TEST(dropped_golden) {
	struct buf buf = {0};
	struct key key = key_dropped(3, 0x0102);
	buf_append_bytes(&buf, key_bytes(&key));
	buf_is(&buf,
		"640000000000000003"
		"0000000000000102");
	const struct dropped_row row = {.database = 300, .from = bytes_text("a"), .to = bytes_text("bc")};
	buf_reset(&buf);
	dropped_row_put(&buf, &row);
	buf_is(&buf,
		"ac02"
		"0161"
		"026263");
	struct dropped_row read;
	ck_assert(dropped_row_take(bytes_buf(&buf), &read));
	ck_assert(read.database == 300 && bytes_equal(read.from, row.from) && bytes_equal(read.to, row.to));
	for (size_t size = 0; size < buf.size; size++)
		ck_assert(!dropped_row_take(bytes_of(buf.data, size), &read));
	const struct dropped_row empty = {.database = 1, .from = bytes_text("b"), .to = bytes_text("b")};
	buf_reset(&buf);
	dropped_row_put(&buf, &empty);
	ck_assert(!dropped_row_take(bytes_buf(&buf), &read));
	buf_finish(&buf);
}
END_TEST

static void wait_row_is(const struct wait_row *row, const char *hex) {
	struct buf buf = {0};
	struct wait_row read;
	bool waits;
	wait_row_write(&buf, row);
	buf_is(&buf, hex);
	ck_assert(wait_row_read(bytes_buf(&buf), &read, &waits) && waits);
	ck_assert(read.ahead == row->ahead && read.head == row->head && read.type == row->type);
	ck_assert(bytes_equal(read.id, row->id) && bytes_equal(read.failure, row->failure));
	ck_assert(read.attempts == row->attempts && read.first_failed_ms == row->first_failed_ms);
	ck_assert(read.due_ms == row->due_ms && read.undecided == row->undecided);
	for (size_t cut = 0; cut < buf.size; cut++)
		ck_assert(!wait_row_read(bytes_of(buf.data, cut), &read, &waits));
	buf_finish(&buf);
}

START_TEST(wait_golden) {
	struct wait_row row = {
		.head = 300, .type = 3, .id = bytes_text("ab"), .attempts = 2, .first_failed_ms = 256, .due_ms = 70000};
	wait_row_is(&row, "9703cd012c03c402616202cd0100ce00011170");
	row.ahead = true;
	wait_row_is(&row, "9704cd012c03c402616202cd0100ce00011170");
	row.ahead = false;
	row.due_ms = 0;
	row.undecided = UINT64_C(0x0102030405060709);
	row.failure = bytes_text("no");
	wait_row_is(&row, "9903cd012c03c402616202cd010000cf0102030405060709c4026e6f");
	row.failure = bytes_of(NULL, 0);
	wait_row_is(&row, "9903cd012c03c402616202cd010000cf0102030405060709c400");
}
END_TEST

START_TEST(wait_malformed) {
	struct wait_row read;
	bool waits = true;
	ck_assert(wait_row_read(bytes_of("\x92\x01\x05", 3), &read, &waits) && !waits && read.head == 5); /* a channel's */
	ck_assert(!wait_row_read(bytes_of("\x97\x03\x05\x00\xc4\x01i\x01\x01\x01", 10), &read, &waits));  /* type 0 */
	ck_assert(!wait_row_read(/* undecided, and by no version */
		bytes_of("\x99\x03\x05\x01\xc4\x01i\x01\x01\x01\x00\xc4\x00", 13), &read, &waits));
}
END_TEST

START_TEST(dead_removed_golden) {
	static const uint8_t golden[] = {0x91, 0xcd, 0x01, 0x00};
	struct buf row = {0};
	uint64_t number = 0;
	dead_removed_write(&row, 256);
	ck_assert_mem_eq(row.data, golden, sizeof golden);
	ck_assert_uint_eq(row.size, sizeof golden);
	ck_assert(dead_removed_read(bytes_buf(&row), &number));
	ck_assert_uint_eq(number, 256);
	ck_assert(!dead_removed_read(bytes_of(golden, 3), &number));
	buf_append_u8(&row, 0);
	ck_assert(!dead_removed_read(bytes_buf(&row), &number));
	buf_finish(&row);
}
END_TEST

START_TEST(dead_letter_golden) {
	struct dead_letter letter = {
		.to = bytes_text("a/b"),
		.id = bytes_text("i"),
		.code = bytes_text("function_failed"),
		.reason = bytes_text("no"),
		.attempts = 5,
		.plugin = bytes_text("p"),
		.version = bytes_text("1.0.0"),
		.time_ms = 200,
		.payload = bytes_of("\x07", 1),
	};
	struct buf row = {0};
	dead_letter_write(&row, &letter);
	buf_is(&row,
		"9c"
		"a3612f62"
		"c40169"
		"c0"
		"c400"
		"af66756e6374696f6e5f6661696c6564"
		"a26e6f"
		"05"
		"a170"
		"a5312e302e30"
		"a0"
		"ccc8"
		"07");
	struct dead_letter read;
	ck_assert(dead_letter_read(bytes_buf(&row), &read));
	ck_assert(bytes_equal(read.reason, letter.reason) && read.from.size == 0 && read.attempts == 5);
	for (size_t cut = 0; cut < row.size; cut++)
		ck_assert(!dead_letter_read(bytes_of(row.data, cut), &read));
	buf_append_u8(&row, 0);
	ck_assert(!dead_letter_read(bytes_buf(&row), &read));
	buf_finish(&row);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("flow rows");
	TCase *tests = tcase_create("rows");
	tcase_add_test(tests, message_golden);
	tcase_add_test(tests, run_cut_anywhere_is_refused);
	tcase_add_test(tests, operation_golden);
	tcase_add_test(tests, an_outcome_comes_back_as_it_went);
	tcase_add_test(tests, a_row_of_an_operation_that_is_none_is_refused);
	tcase_add_test(tests, shards_share_the_hashes_evenly);
	tcase_add_test(tests, instance_golden);
	tcase_add_test(tests, timer_keys_golden);
	tcase_add_test(tests, entries_golden);
	tcase_add_test(tests, dropped_golden);
	tcase_add_test(tests, instance_malformed);
	tcase_add_test(tests, dead_letter_golden);
	tcase_add_test(tests, dead_removed_golden);
	tcase_add_test(tests, wait_golden);
	tcase_add_test(tests, wait_malformed);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
