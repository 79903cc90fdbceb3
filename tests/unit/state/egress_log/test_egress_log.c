/* Egress logs: their bytes, their end after a crash, what is refused, and reading from any offset. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "egress_kit.h"

static struct egress_kit kit;

static void setup(void) {
	egress_kit_start(&kit, 1);
}

static void teardown(void) {
	egress_kit_stop(&kit);
}

START_TEST(golden_bytes) {
	egress_log_begin(kit.log, 0x0102, EGRESS_KIT_SEGMENT_BYTES);
	ck_assert(egress_log_append(kit.log, 0, bytes_text("first"), &kit.error));
	ck_assert(egress_log_append(kit.log, 1, bytes_of(NULL, 0), &kit.error));
	ck_assert(egress_log_sync(kit.log, &kit.row, &kit.error));
	static const uint8_t golden[] = {'s', 'o', 'f', 'u', 'n', 'e', 'g', 0, 2, 0, 0, 0, 57, 0, 0, 0, 0x10, 0x11, 0x12,
		0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0,
		0, 0, 0, 0, 0, 4, 'b', 'a', 'n', 's', 0xe9, 8, 'g', 0x8a, 5, 0, 0, 0, 0x5e, 0xaf, 0x3a, 0x30, 0, 0, 0, 0, 0, 0,
		0, 0, 'f', 'i', 'r', 's', 't', 0, 0, 0, 0, 'z', 0xc8, 0x5c, 'b', 1, 0, 0, 0, 0, 0, 0, 0};
	struct bytes content = fault_disk_peek(kit.faults, "egress/bans/00000000000000000000.log");
	ck_assert_uint_eq(content.size, sizeof golden);
	ck_assert_mem_eq(content.data, golden, sizeof golden);
	ck_assert_uint_eq(kit.row.end, 2);
	ck_assert_uint_eq(kit.row.segment, 0);
	ck_assert_uint_eq(kit.row.bytes, sizeof golden);
	ck_assert_uint_eq(kit.row.time_ms, 0x0102);
}
END_TEST

/* What hosts wrote before there was retention. */
START_TEST(a_log_of_the_first_format_is_read) {
	static const uint8_t first_format[] = {'s', 'o', 'f', 'u', 'n', 'e', 'g', 0, 1, 0, 0, 0, 49, 0, 0, 0, 0x10, 0x11,
		0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 4,
		'b', 'a', 'n', 's', 0x19, 'q', 0x25, 0xfb, 0, 0, 0, 0, 0x5d, 0xb5, 0x60, 0x2b, 0, 0, 0, 0, 0, 0, 0, 0};
	egress_kit_append_synced(&kit, 0, 1);
	egress_kit_close(&kit);
	struct disk *disk = fault_disk_seam(kit.faults);
	struct disk_file *file;
	ck_assert_int_eq(disk->open(disk, "egress/bans/00000000000000000000.log", DISK_READ | DISK_WRITE, &file), 0);
	ck_assert_int_eq(file->ops->truncate(file, 0), 0);
	ck_assert_int_eq(file->ops->write(file, first_format, sizeof first_format, 0), 0);
	file->ops->close(file);
	kit.row = (struct egress_row){.end = 1, .bytes = sizeof first_format};
	egress_kit_open(&kit);
	egress_kit_holds(&kit, 0, 1);
	egress_kit_append_synced(&kit, 1, 100);
	egress_kit_holds(&kit, 0, 100);
}
END_TEST

START_TEST(a_first_segment_that_is_missing_is_told) {
	egress_kit_append_synced(&kit, 0, 200);
	egress_kit_close(&kit);
	struct disk *disk = fault_disk_seam(kit.faults);
	ck_assert_int_eq(disk->unlink(disk, "egress/bans/00000000000000000000.log"), 0);
	ck_assert(!egress_kit_open_as(&kit, egress_kit_options(&kit)));
	ck_assert_int_eq(kit.error.code, ERROR_STORE_FAILED);
	ck_assert_ptr_nonnull(strstr(kit.error.message, "does not begin"));
}
END_TEST

START_TEST(what_is_not_synced_is_not_read) {
	egress_kit_append_synced(&kit, 0, 10);
	ck_assert(egress_kit_append(&kit, 10, 15));
	ck_assert_uint_eq(egress_log_end(kit.log), 10);
	egress_kit_holds(&kit, 0, 10);
	ck_assert(egress_log_sync(kit.log, &kit.row, &kit.error));
	egress_kit_holds(&kit, 0, 15);
}
END_TEST

START_TEST(it_is_read_from_every_offset_over_many_segments) {
	egress_kit_append_synced(&kit, 0, 200);
	egress_kit_append_synced(&kit, 200, 400);
	ck_assert_uint_gt(egress_kit_files(&kit), 10);
	for (uint64_t from = 0; from <= 400; from++)
		egress_kit_holds(&kit, from, 400);
	egress_kit_close(&kit);
	egress_kit_open(&kit);
	for (uint64_t from = 400; from >= 7; from -= 7)
		egress_kit_holds(&kit, from, 400);
	struct egress_kit_expected expected = {.next = 30, .stop = 35};
	uint64_t next;
	ck_assert(egress_log_read(kit.log, 30, egress_kit_check, &expected, &next, &kit.error));
	ck_assert_uint_eq(next, 35);
	ck_assert(egress_log_read(kit.log, 500, egress_kit_check, &expected, &next, &kit.error));
	ck_assert_uint_eq(next, 500);
}
END_TEST

static bool large_check(void *arg, uint64_t offset, struct bytes record) {
	ck_assert_uint_eq(record.size, *(size_t *)arg - offset);
	for (size_t i = 0; i < record.size; i++)
		ck_assert(record.data[i] == (uint8_t)(i * 7 + i / 1000));
	return true;
}

START_TEST(records_larger_than_a_piece_are_read_whole) {
	size_t size = 700000;
	uint8_t *record = check_alloc(size, 1);
	for (size_t i = 0; i < size; i++)
		record[i] = (uint8_t)(i * 7 + i / 1000);
	for (uint64_t offset = 0; offset < 5; offset++)
		ck_assert(egress_log_append(kit.log, offset, bytes_of(record, size - offset), &kit.error));
	ck_assert(egress_log_sync(kit.log, &kit.row, &kit.error));
	uint64_t next;
	ck_assert(egress_log_read(kit.log, 1, large_check, &size, &next, &kit.error));
	ck_assert_uint_eq(next, 5);
	free(record);
}
END_TEST

START_TEST(what_no_checkpoint_covers_is_cut_off) {
	egress_kit_append_synced(&kit, 0, 60);
	struct egress_row committed = kit.row;
	egress_kit_append_synced(&kit, 60, 130);
	egress_kit_close(&kit);
	kit.row = committed;
	egress_kit_open(&kit);
	ck_assert_uint_eq(egress_log_end(kit.log), 60);
	egress_kit_holds(&kit, 0, 60);
	egress_kit_append_synced(&kit, 60, 90);
	egress_kit_holds(&kit, 0, 90);
}
END_TEST

START_TEST(a_power_cut_keeps_what_a_row_covers) {
	egress_kit_append_synced(&kit, 0, 60);
	ck_assert(egress_kit_append(&kit, 60, 100));
	egress_kit_close(&kit);
	fault_disk_cut(kit.faults);
	egress_kit_open(&kit);
	egress_kit_holds(&kit, 0, 60);
	egress_kit_append_synced(&kit, 60, 61);
	egress_kit_holds(&kit, 0, 61);
}
END_TEST

START_TEST(a_log_without_a_row_begins_anew) {
	egress_kit_append_synced(&kit, 0, 60);
	egress_kit_close(&kit);
	kit.row = (struct egress_row){0};
	egress_kit_open(&kit);
	ck_assert_uint_eq(egress_kit_files(&kit), 0);
	egress_kit_append_synced(&kit, 0, 3);
	egress_kit_holds(&kit, 0, 3);
}
END_TEST

START_TEST(a_log_that_is_too_short_is_refused) {
	egress_kit_append_synced(&kit, 0, 5);
	egress_kit_close(&kit);
	kit.row.bytes++;
	ck_assert(!egress_kit_open_as(&kit, egress_kit_options(&kit)));
	ck_assert_int_eq(kit.error.code, ERROR_STORE_FAILED);
	ck_assert_ptr_nonnull(strstr(kit.error.message, "shorter"));
	kit.row.bytes--;
	struct disk *disk = fault_disk_seam(kit.faults);
	ck_assert_int_eq(disk->unlink(disk, "egress/bans/00000000000000000000.log"), 0);
	ck_assert(!egress_kit_open_as(&kit, egress_kit_options(&kit)));
	ck_assert_str_eq(kit.error.found, "no such file");
}
END_TEST

START_TEST(a_log_of_another_store_is_refused) {
	egress_kit_append_synced(&kit, 0, 5);
	egress_kit_close(&kit);
	struct egress_log_options other = egress_kit_options(&kit);
	other.store_id[3] ^= 1;
	ck_assert(!egress_kit_open_as(&kit, other));
	ck_assert_int_eq(kit.error.code, ERROR_REFUSED);
	struct egress_log_options renamed = egress_kit_options(&kit);
	renamed.name = bytes_text("bens");
	ck_assert(!egress_kit_open_as(&kit, renamed));
	ck_assert_int_eq(kit.error.code, ERROR_STORE_FAILED);
}
END_TEST

START_TEST(a_newer_format_is_refused) {
	egress_kit_append_synced(&kit, 0, 5);
	egress_kit_close(&kit);
	fault_disk_poke(kit.faults, "egress/bans/00000000000000000000.log", 8, bytes_of("\x03", 1));
	ck_assert(!egress_kit_open_as(&kit, egress_kit_options(&kit)));
	ck_assert_int_eq(kit.error.code, ERROR_REFUSED);
	ck_assert_str_eq(kit.error.found, "format 3");
}
END_TEST

/* Every byte of a small log: its damage is told, never read as something else. */
START_TEST(damage_to_any_byte_is_told) {
	egress_kit_append_synced(&kit, 0, 9);
	egress_kit_close(&kit);
	const char *path = "egress/bans/00000000000000000000.log";
	struct bytes content = fault_disk_peek(kit.faults, path);
	uint8_t *whole = check_alloc(content.size, 1);
	size_t size = content.size;
	memcpy(whole, content.data, size);
	for (size_t at = 0; at < size; at++) {
		uint8_t bad = whole[at] ^ 0x10;
		fault_disk_poke(kit.faults, path, at, bytes_of(&bad, 1));
		struct egress_kit_expected expected = {0};
		uint64_t next;
		bool good = egress_kit_open_as(&kit, egress_kit_options(&kit)) &&
			egress_log_read(kit.log, 0, egress_kit_check, &expected, &next, &kit.error);
		ck_assert_msg(!good, "byte %d", (int)at);
		egress_kit_close(&kit);
		fault_disk_poke(kit.faults, path, at, bytes_of(&whole[at], 1));
	}
	free(whole);
	egress_kit_open(&kit);
	egress_kit_holds(&kit, 0, 9);
}
END_TEST

START_TEST(a_full_disk_is_no_loss) {
	egress_kit_append_synced(&kit, 0, 20);
	for (uint64_t countdown = 1; countdown < 12; countdown++) {
		uint64_t end = egress_log_end(kit.log);
		fault_disk_fail(kit.faults, "egress", countdown, FAULT_ENOSPC);
		bool good = egress_kit_append(&kit, end, end + 30) && egress_log_sync(kit.log, &kit.row, &kit.error);
		fault_disk_fail(kit.faults, "egress", 0, FAULT_NONE);
		if (!good)
			ck_assert_int_eq(kit.error.system, ENOSPC);
		ck_assert_uint_eq(egress_log_end(kit.log), good ? end + 30 : end);
		egress_kit_holds(&kit, 0, egress_log_end(kit.log));
		if (!good)
			egress_kit_append_synced(&kit, end, end + 25);
		egress_kit_holds(&kit, 0, egress_log_end(kit.log));
	}
	egress_kit_close(&kit);
	egress_kit_open(&kit);
	egress_kit_holds(&kit, 0, kit.row.end);
}
END_TEST

START_TEST(reading_only_changes_nothing) {
	egress_kit_append_synced(&kit, 0, 60);
	struct egress_row committed = kit.row;
	egress_kit_append_synced(&kit, 60, 130);
	egress_kit_close(&kit);
	kit.row = committed;
	struct egress_log_options readonly = egress_kit_options(&kit);
	readonly.readonly = true;
	uint64_t events = fault_disk_events(kit.faults);
	ck_assert(egress_kit_open_as(&kit, readonly));
	egress_kit_holds(&kit, 0, 60);
	ck_assert_uint_eq(fault_disk_events(kit.faults), events);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("egress_log");
	TCase *cases = tcase_create("egress_log");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, golden_bytes);
	tcase_add_test(cases, a_log_of_the_first_format_is_read);
	tcase_add_test(cases, a_first_segment_that_is_missing_is_told);
	tcase_add_test(cases, what_is_not_synced_is_not_read);
	tcase_add_test(cases, it_is_read_from_every_offset_over_many_segments);
	tcase_add_test(cases, records_larger_than_a_piece_are_read_whole);
	tcase_add_test(cases, what_no_checkpoint_covers_is_cut_off);
	tcase_add_test(cases, a_power_cut_keeps_what_a_row_covers);
	tcase_add_test(cases, a_log_without_a_row_begins_anew);
	tcase_add_test(cases, a_log_that_is_too_short_is_refused);
	tcase_add_test(cases, a_log_of_another_store_is_refused);
	tcase_add_test(cases, a_newer_format_is_refused);
	tcase_add_test(cases, damage_to_any_byte_is_told);
	tcase_add_test(cases, a_full_disk_is_no_loss);
	tcase_add_test(cases, reading_only_changes_nothing);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
