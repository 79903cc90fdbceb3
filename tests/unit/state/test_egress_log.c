/* Egress logs: their bytes, their end after a crash, what is refused, and reading from any offset. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "fault_disk.h"
#include "state/egress_log/egress_log.h"

enum { SEGMENT_BYTES = 4096 };

static struct fault_disk *faults;
static struct egress_log *egress_log;
static struct egress_row row;
static struct error error;

static struct egress_log_options options(void) {
	struct egress_log_options given = {.disk = fault_disk_seam(faults),
		.dir = "egress/bans",
		.name = bytes_text("bans"),
		.segment_bytes = SEGMENT_BYTES};
	for (int i = 0; i < STORE_ID_BYTES; i++)
		given.store_id[i] = (uint8_t)(0x10 + i);
	return given;
}

static bool log_open_as(struct egress_log_options given) {
	egress_log = egress_log_open(&given, &row, &error);
	return egress_log != NULL;
}

static void log_open(void) {
	ck_assert_msg(log_open_as(options()), "%s", error.message);
}

static void log_close(void) {
	egress_log_close(egress_log);
	egress_log = NULL;
}

static void setup(void) {
	faults = fault_disk_create(1);
	struct disk *disk = fault_disk_seam(faults);
	ck_assert_int_eq(disk->mkdir(disk, "egress"), 0);
	ck_assert_int_eq(disk->sync_dir(disk, "."), 0);
	row = (struct egress_row){0};
	log_open();
}

static void teardown(void) {
	egress_log_close(egress_log);
	fault_disk_destroy(faults);
}

/* Of 0 to 300 bytes, told apart by their offset. */
static struct bytes record_of(uint64_t offset, uint8_t *record) {
	size_t size = offset * 37 % 301;
	memset(record, (int)(offset & 0xff), size);
	return bytes_of(record, size);
}

static bool append(uint64_t from, uint64_t to) {
	uint8_t record[512];
	for (uint64_t offset = from; offset < to; offset++)
		if (!egress_log_append(egress_log, offset, record_of(offset, record), &error))
			return false;
	return true;
}

static void append_synced(uint64_t from, uint64_t to) {
	ck_assert_msg(append(from, to), "%s", error.message);
	ck_assert_msg(egress_log_sync(egress_log, &row, &error), "%s", error.message);
}

struct expected {
	uint64_t next;
	uint64_t stop;
};

static bool record_check(void *arg, uint64_t offset, struct bytes record) {
	struct expected *expected = arg;
	uint8_t bytes[512];
	ck_assert_uint_eq(offset, expected->next);
	ck_assert(bytes_equal(record, record_of(offset, bytes)));
	expected->next++;
	return expected->next != expected->stop;
}

/* Reads [from, end) and checks each record. */
static void holds(uint64_t from, uint64_t end) {
	struct expected expected = {.next = from};
	uint64_t next;
	ck_assert_msg(egress_log_read(egress_log, from, record_check, &expected, &next, &error), "%s", error.message);
	ck_assert_uint_eq(expected.next, end);
	ck_assert_uint_eq(next, end);
}

static void name_count(void *arg, const char *name) {
	(void)name;
	++*(unsigned *)arg;
}

static unsigned files(void) {
	unsigned count = 0;
	struct disk *disk = fault_disk_seam(faults);
	ck_assert_int_eq(disk->list(disk, "egress/bans", name_count, &count), 0);
	return count;
}

START_TEST(golden_bytes) {
	egress_log_begin(egress_log, 0x0102, SEGMENT_BYTES);
	ck_assert(egress_log_append(egress_log, 0, bytes_text("first"), &error));
	ck_assert(egress_log_append(egress_log, 1, bytes_of(NULL, 0), &error));
	ck_assert(egress_log_sync(egress_log, &row, &error));
	static const uint8_t golden[] = {'s', 'o', 'f', 'u', 'n', 'e', 'g', 0, 2, 0, 0, 0, 57, 0, 0, 0, 0x10, 0x11, 0x12,
		0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0,
		0, 0, 0, 0, 0, 4, 'b', 'a', 'n', 's', 0xe9, 8, 'g', 0x8a, 5, 0, 0, 0, 0x5e, 0xaf, 0x3a, 0x30, 0, 0, 0, 0, 0, 0,
		0, 0, 'f', 'i', 'r', 's', 't', 0, 0, 0, 0, 'z', 0xc8, 0x5c, 'b', 1, 0, 0, 0, 0, 0, 0, 0};
	struct bytes content = fault_disk_peek(faults, "egress/bans/00000000000000000000.log");
	ck_assert_uint_eq(content.size, sizeof golden);
	ck_assert_mem_eq(content.data, golden, sizeof golden);
	ck_assert_uint_eq(row.end, 2);
	ck_assert_uint_eq(row.segment, 0);
	ck_assert_uint_eq(row.bytes, sizeof golden);
	ck_assert_uint_eq(row.time_ms, 0x0102);
}
END_TEST

/* What hosts wrote before there was retention. */
START_TEST(a_log_of_the_first_format_is_read) {
	static const uint8_t first_format[] = {'s', 'o', 'f', 'u', 'n', 'e', 'g', 0, 1, 0, 0, 0, 49, 0, 0, 0, 0x10, 0x11,
		0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 4,
		'b', 'a', 'n', 's', 0x19, 'q', 0x25, 0xfb, 0, 0, 0, 0, 0x5d, 0xb5, 0x60, 0x2b, 0, 0, 0, 0, 0, 0, 0, 0};
	append_synced(0, 1);
	log_close();
	struct disk *disk = fault_disk_seam(faults);
	struct disk_file *file;
	ck_assert_int_eq(disk->open(disk, "egress/bans/00000000000000000000.log", DISK_READ | DISK_WRITE, &file), 0);
	ck_assert_int_eq(file->ops->truncate(file, 0), 0);
	ck_assert_int_eq(file->ops->write(file, first_format, sizeof first_format, 0), 0);
	file->ops->close(file);
	row = (struct egress_row){.end = 1, .bytes = sizeof first_format};
	log_open();
	holds(0, 1);
	append_synced(1, 100);
	holds(0, 100);
}
END_TEST

/* ---- retention ---- */

static void checkpoint_append(uint64_t time_ms, uint64_t from, uint64_t to) {
	egress_log_begin(egress_log, time_ms, SEGMENT_BYTES);
	ck_assert_msg(append(from, to), "%s", error.message);
}

static bool checkpoint_retain(uint64_t bytes, uint64_t oldest_ms) {
	struct egress_retention retention = {.bytes = bytes, .oldest_ms = oldest_ms};
	egress_log_retain(egress_log, &retention);
	return egress_log_sync(egress_log, &row, &error) && egress_log_drop(egress_log, &error);
}

START_TEST(retention_by_size_takes_whole_segments) {
	checkpoint_append(1000, 0, 400);
	ck_assert(checkpoint_retain(UINT64_MAX, 0));
	unsigned all = files();
	ck_assert_uint_eq(egress_log_start(egress_log), 0);
	checkpoint_append(1001, 400, 401);
	ck_assert(checkpoint_retain(5 * SEGMENT_BYTES, 0));
	ck_assert_uint_lt(files(), all);
	ck_assert_uint_le(files(), 5);
	uint64_t start = egress_log_start(egress_log);
	ck_assert_uint_gt(start, 250);
	ck_assert_uint_eq(row.start, start);
	holds(start, 401);
	struct expected expected = {.next = start};
	uint64_t next;
	ck_assert(egress_log_read(egress_log, 3, record_check, &expected, &next, &error)); /* begins at the start */
	ck_assert_uint_eq(next, 401);
	log_close();
	log_open();
	ck_assert_uint_eq(egress_log_start(egress_log), start);
	holds(start, 401);
	ck_assert(checkpoint_retain(1, 0)); /* the last stays */
	ck_assert_uint_eq(files(), 1);
	append_synced(401, 500);
	holds(egress_log_start(egress_log), 500);
}
END_TEST

START_TEST(retention_by_age_takes_what_is_older_and_in_the_end_all) {
	for (uint64_t i = 0; i < 10; i++) {
		checkpoint_append(1000 + i, i * 40, i * 40 + 40);
		ck_assert(checkpoint_retain(UINT64_MAX, 0));
	}
	ck_assert(checkpoint_retain(UINT64_MAX, 999));
	ck_assert_uint_eq(egress_log_start(egress_log), 0);
	ck_assert(checkpoint_retain(UINT64_MAX, 1004));
	uint64_t start = egress_log_start(egress_log);
	ck_assert_uint_gt(start, 100);
	ck_assert_uint_le(start, 200); /* records 200 and later are younger */
	log_close();
	log_open(); /* the times are known again */
	const struct egress_retention younger = {.bytes = UINT64_MAX, .oldest_ms = 1008};
	ck_assert(egress_log_due(egress_log, &younger));
	ck_assert(checkpoint_retain(UINT64_MAX, 1008));
	ck_assert_uint_gt(egress_log_start(egress_log), start);
	holds(egress_log_start(egress_log), 400);
	ck_assert(checkpoint_retain(UINT64_MAX, 1009));
	ck_assert_uint_eq(files(), 0);
	ck_assert_uint_eq(egress_log_start(egress_log), 400);
	holds(400, 400);
	log_close();
	log_open();
	ck_assert_uint_eq(egress_log_start(egress_log), 400);
	ck_assert_uint_eq(egress_log_end(egress_log), 400);
	checkpoint_append(2000, 400, 410);
	ck_assert(checkpoint_retain(UINT64_MAX, 1009));
	holds(400, 410);
}
END_TEST

/* Checkpoints with retention until a crash; `committed` is the row that a start would find. */
static void retention_life(struct egress_row *committed) {
	for (uint64_t i = 0; i < 12; i++) {
		const struct egress_retention retention = {
			.bytes = 2 * SEGMENT_BYTES, .oldest_ms = i % 4 == 3 ? 1000 + i : 1000 + i / 2};
		egress_log_begin(egress_log, 1000 + i, SEGMENT_BYTES);
		uint64_t end = egress_log_end(egress_log);
		if (!append(end, end + (i % 4 == 3 ? 0 : 40)))
			return;
		egress_log_retain(egress_log, &retention);
		if (!egress_log_sync(egress_log, &row, &error))
			return;
		*committed = row;
		if (!egress_log_drop(egress_log, &error))
			return;
	}
}

static bool crashes_at(uint64_t at, bool cut) {
	teardown();
	faults = fault_disk_create(at);
	struct disk *disk = fault_disk_seam(faults);
	ck_assert_int_eq(disk->mkdir(disk, "egress"), 0);
	ck_assert_int_eq(disk->sync_dir(disk, "."), 0);
	row = (struct egress_row){0};
	log_open();
	struct egress_row committed = {0};
	fault_disk_fail(faults, "", at, FAULT_CRASH);
	retention_life(&committed);
	bool crashed = fault_disk_crashed(faults);
	log_close();
	fault_disk_fail(faults, "", 0, FAULT_NONE);
	if (cut)
		fault_disk_cut(faults);
	else
		fault_disk_kill(faults);
	row = committed;
	log_open();
	ck_assert_uint_eq(egress_log_start(egress_log), committed.start);
	holds(committed.start, committed.end);
	checkpoint_append(3000, committed.end, committed.end + 50);
	ck_assert(checkpoint_retain(3 * SEGMENT_BYTES, 0));
	holds(egress_log_start(egress_log), committed.end + 50);
	return crashed;
}

START_TEST(a_crash_within_retention_leaves_what_the_row_says) {
	uint64_t at = 1;
	while (crashes_at(at, _i == 1))
		at++;
	ck_assert_uint_gt(at, 60);
}
END_TEST

START_TEST(a_first_segment_that_is_missing_is_told) {
	append_synced(0, 200);
	log_close();
	struct disk *disk = fault_disk_seam(faults);
	ck_assert_int_eq(disk->unlink(disk, "egress/bans/00000000000000000000.log"), 0);
	ck_assert(!log_open_as(options()));
	ck_assert_int_eq(error.code, ERROR_STORE_FAILED);
	ck_assert_ptr_nonnull(strstr(error.message, "does not begin"));
}
END_TEST

START_TEST(what_is_not_synced_is_not_read) {
	append_synced(0, 10);
	ck_assert(append(10, 15));
	ck_assert_uint_eq(egress_log_end(egress_log), 10);
	holds(0, 10);
	ck_assert(egress_log_sync(egress_log, &row, &error));
	holds(0, 15);
}
END_TEST

START_TEST(it_is_read_from_every_offset_over_many_segments) {
	append_synced(0, 200);
	append_synced(200, 400);
	ck_assert_uint_gt(files(), 10);
	for (uint64_t from = 0; from <= 400; from++)
		holds(from, 400);
	log_close();
	log_open();
	for (uint64_t from = 400; from >= 7; from -= 7)
		holds(from, 400);
	struct expected expected = {.next = 30, .stop = 35};
	uint64_t next;
	ck_assert(egress_log_read(egress_log, 30, record_check, &expected, &next, &error));
	ck_assert_uint_eq(next, 35);
	ck_assert(egress_log_read(egress_log, 500, record_check, &expected, &next, &error));
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
		ck_assert(egress_log_append(egress_log, offset, bytes_of(record, size - offset), &error));
	ck_assert(egress_log_sync(egress_log, &row, &error));
	uint64_t next;
	ck_assert(egress_log_read(egress_log, 1, large_check, &size, &next, &error));
	ck_assert_uint_eq(next, 5);
	free(record);
}
END_TEST

START_TEST(what_no_checkpoint_covers_is_cut_off) {
	append_synced(0, 60);
	struct egress_row committed = row;
	append_synced(60, 130);
	log_close();
	row = committed;
	log_open();
	ck_assert_uint_eq(egress_log_end(egress_log), 60);
	holds(0, 60);
	append_synced(60, 90);
	holds(0, 90);
}
END_TEST

START_TEST(a_power_cut_keeps_what_a_row_covers) {
	append_synced(0, 60);
	ck_assert(append(60, 100));
	log_close();
	fault_disk_cut(faults);
	log_open();
	holds(0, 60);
	append_synced(60, 61);
	holds(0, 61);
}
END_TEST

START_TEST(a_log_without_a_row_begins_anew) {
	append_synced(0, 60);
	log_close();
	row = (struct egress_row){0};
	log_open();
	ck_assert_uint_eq(files(), 0);
	append_synced(0, 3);
	holds(0, 3);
}
END_TEST

START_TEST(a_log_that_is_too_short_is_refused) {
	append_synced(0, 5);
	log_close();
	row.bytes++;
	ck_assert(!log_open_as(options()));
	ck_assert_int_eq(error.code, ERROR_STORE_FAILED);
	ck_assert_ptr_nonnull(strstr(error.message, "shorter"));
	row.bytes--;
	struct disk *disk = fault_disk_seam(faults);
	ck_assert_int_eq(disk->unlink(disk, "egress/bans/00000000000000000000.log"), 0);
	ck_assert(!log_open_as(options()));
	ck_assert_str_eq(error.found, "no such file");
}
END_TEST

START_TEST(a_log_of_another_store_is_refused) {
	append_synced(0, 5);
	log_close();
	struct egress_log_options other = options();
	other.store_id[3] ^= 1;
	ck_assert(!log_open_as(other));
	ck_assert_int_eq(error.code, ERROR_REFUSED);
	struct egress_log_options renamed = options();
	renamed.name = bytes_text("bens");
	ck_assert(!log_open_as(renamed));
	ck_assert_int_eq(error.code, ERROR_STORE_FAILED);
}
END_TEST

START_TEST(a_newer_format_is_refused) {
	append_synced(0, 5);
	log_close();
	fault_disk_poke(faults, "egress/bans/00000000000000000000.log", 8, bytes_of("\x03", 1));
	ck_assert(!log_open_as(options()));
	ck_assert_int_eq(error.code, ERROR_REFUSED);
	ck_assert_str_eq(error.found, "format 3");
}
END_TEST

/* Every byte of a small log: its damage is told, never read as something else. */
START_TEST(damage_to_any_byte_is_told) {
	append_synced(0, 9);
	log_close();
	const char *path = "egress/bans/00000000000000000000.log";
	struct bytes content = fault_disk_peek(faults, path);
	uint8_t *whole = check_alloc(content.size, 1);
	size_t size = content.size;
	memcpy(whole, content.data, size);
	for (size_t at = 0; at < size; at++) {
		uint8_t bad = whole[at] ^ 0x10;
		fault_disk_poke(faults, path, at, bytes_of(&bad, 1));
		struct expected expected = {0};
		uint64_t next;
		bool good = log_open_as(options()) && egress_log_read(egress_log, 0, record_check, &expected, &next, &error);
		ck_assert_msg(!good, "byte %d", (int)at);
		log_close();
		fault_disk_poke(faults, path, at, bytes_of(&whole[at], 1));
	}
	free(whole);
	log_open();
	holds(0, 9);
}
END_TEST

START_TEST(a_full_disk_is_no_loss) {
	append_synced(0, 20);
	for (uint64_t countdown = 1; countdown < 12; countdown++) {
		uint64_t end = egress_log_end(egress_log);
		fault_disk_fail(faults, "egress", countdown, FAULT_ENOSPC);
		bool good = append(end, end + 30) && egress_log_sync(egress_log, &row, &error);
		fault_disk_fail(faults, "egress", 0, FAULT_NONE);
		if (!good)
			ck_assert_int_eq(error.system, ENOSPC);
		ck_assert_uint_eq(egress_log_end(egress_log), good ? end + 30 : end);
		holds(0, egress_log_end(egress_log));
		if (!good)
			append_synced(end, end + 25);
		holds(0, egress_log_end(egress_log));
	}
	log_close();
	log_open();
	holds(0, row.end);
}
END_TEST

START_TEST(reading_only_changes_nothing) {
	append_synced(0, 60);
	struct egress_row committed = row;
	append_synced(60, 130);
	log_close();
	row = committed;
	struct egress_log_options readonly = options();
	readonly.readonly = true;
	uint64_t events = fault_disk_events(faults);
	ck_assert(log_open_as(readonly));
	holds(0, 60);
	ck_assert_uint_eq(fault_disk_events(faults), events);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("egress_log");
	TCase *cases = tcase_create("egress_log");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, golden_bytes);
	tcase_add_test(cases, a_log_of_the_first_format_is_read);
	tcase_add_test(cases, retention_by_size_takes_whole_segments);
	tcase_add_test(cases, retention_by_age_takes_what_is_older_and_in_the_end_all);
	tcase_add_loop_test(cases, a_crash_within_retention_leaves_what_the_row_says, 0, 2);
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
