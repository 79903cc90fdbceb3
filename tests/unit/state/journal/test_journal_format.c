/* Golden bytes of the journal: FORMAT.md, section "Journal", holds because these do. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/little.h"
#include "journal_kit.h"
#include "state/journal/format.h"

START_TEST(crc_is_castagnoli) {
	ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
}
END_TEST

START_TEST(segment_header_is_as_written_down) {
	static const uint8_t golden[56] = {0x3b, 0x44, 0xad, 0xaf, 's', 'J', 's', '1', 1, 0, 0, 0, 0, 0x10, 0, 0, 7, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 's', 't', 'o', 'r', 'e', '-', '0', '1', '2', '3', '4', '5', '6', '7',
		'8', '9', 3, 0, 0, 0, 0, 0, 0, 0};
	struct segment_header header = {.format = 1, .sequence = 7, .bytes = 64 << 20, .generation = 3}, read;
	uint8_t block[SEGMENT_HEADER_BYTES];
	memcpy(header.store_id, "store-0123456789", STORE_ID_BYTES);
	segment_header_encode(&header, block);
	ck_assert_mem_eq(block, golden, sizeof golden);
	for (size_t i = sizeof golden; i < sizeof block; i++)
		ck_assert_uint_eq(block[i], 0);
	ck_assert_int_eq(segment_header_decode(block, &read), SEGMENT_HEADER_VALID);
	ck_assert_uint_eq(read.format, 1);
	ck_assert_uint_eq(read.sequence, 7);
	ck_assert_uint_eq(read.bytes, 64 << 20);
	ck_assert_uint_eq(read.generation, 3);
	ck_assert_mem_eq(read.store_id, header.store_id, STORE_ID_BYTES);
}
END_TEST

START_TEST(a_block_of_zeros_is_blank_and_any_flip_is_damage) {
	struct segment_header header = {.format = 1, .sequence = 1, .bytes = 8192};
	uint8_t block[SEGMENT_HEADER_BYTES] = {0};
	ck_assert_int_eq(segment_header_decode(block, &header), SEGMENT_HEADER_BLANK);
	segment_header_encode(&header, block);
	for (size_t bit = 0; bit < 8 * sizeof block; bit++) {
		block[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		ck_assert_int_eq(segment_header_decode(block, &header), SEGMENT_HEADER_DAMAGED);
		block[bit / 8] ^= (uint8_t)(1 << (bit % 8));
	}
}
END_TEST

START_TEST(record_is_as_written_down) {
	static const uint8_t golden[67] = {0xec, 0x0f, 0x3f, 0xa9, 's', 'J', 'r', '1', 's', 't', 'o', 'r', 'e', '-', '0',
		'1', 7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 1,
		0, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 3, 0, 0, 0, 'a', 'b', 'c'};
	struct record_header header = {.sequence = 7,
		.generation = 3,
		.epoch = 42,
		.time_ms = 1700000000000,
		.synced_through = 41,
		.previous = 0x11223344,
		.length = 3};
	uint8_t record[67];
	memcpy(header.store, "store-01", RECORD_STORE_BYTES);
	memcpy(record + RECORD_HEADER_BYTES, "abc", 3);
	record_seal(record, &header);
	ck_assert_mem_eq(record, golden, sizeof golden);
	ck_assert_uint_eq(record_bytes(3), 4096);
	ck_assert_uint_eq(record_bytes(4032), 4096);
	ck_assert_uint_eq(record_bytes(4033), 8192);
}
END_TEST

START_TEST(a_file_is_header_then_records_on_block_boundaries) {
	struct kit kit;
	kit_start(&kit, 1);
	kit.body_bytes = 5000;
	kit_open(&kit, 0);
	kit_fill(&kit, 2);
	struct bytes file = fault_disk_peek(kit.faults, KIT_FIRST_SEGMENT);
	ck_assert_uint_eq(file.size, KIT_SEGMENT_BYTES);
	struct segment_header header;
	struct record_header first, second;
	ck_assert_int_eq(segment_header_decode(file.data, &header), SEGMENT_HEADER_VALID);
	ck_assert_uint_eq(header.sequence, 1);
	ck_assert(record_header_decode(file.data + 4096, &first));
	ck_assert(record_crc_holds(file.data + 4096, &first));
	ck_assert_uint_eq(first.epoch, 1);
	ck_assert_uint_eq(first.previous, 0);
	ck_assert_uint_eq(first.generation, 1);
	ck_assert_uint_eq(first.synced_through, 0);
	ck_assert_uint_eq(first.length, 5000);
	for (size_t i = 4096 + RECORD_HEADER_BYTES + 5000; i < 3 * 4096; i++)
		ck_assert_uint_eq(file.data[i], 0);
	ck_assert(record_header_decode(file.data + 3 * 4096, &second));
	ck_assert_uint_eq(second.epoch, 2);
	ck_assert_uint_eq(second.previous, first.crc);
	ck_assert_uint_eq(second.synced_through, 1);
	kit_stop(&kit);
}
END_TEST

int main(void) {
	TCase *all = tcase_create("format");
	tcase_add_test(all, crc_is_castagnoli);
	tcase_add_test(all, segment_header_is_as_written_down);
	tcase_add_test(all, a_block_of_zeros_is_blank_and_any_flip_is_damage);
	tcase_add_test(all, record_is_as_written_down);
	tcase_add_test(all, a_file_is_header_then_records_on_block_boundaries);
	Suite *suite = suite_create("journal format");
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
