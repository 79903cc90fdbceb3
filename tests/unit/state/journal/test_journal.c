/* The journal's contract: append, sync, recover, trim, recycle, running out of space, misuse. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal_kit.h"
#include "state/journal/format.h"

static struct kit kit;

static void setup(void) {
	kit_start(&kit, 1);
}

static void teardown(void) {
	kit_stop(&kit);
}

static void files_count(void *arg, const char *name) {
	(void)name;
	++*(unsigned *)arg;
}

static unsigned files(void) {
	unsigned count = 0;
	struct disk *disk = fault_disk_seam(kit.faults);
	ck_assert_int_eq(disk->list(disk, KIT_DIR, files_count, &count), 0);
	return count;
}

START_TEST(a_new_journal_is_empty) {
	kit_open(&kit, 0);
	ck_assert_uint_eq(kit.end.epoch, 0);
	ck_assert_uint_eq(kit.end.first_epoch, 0);
	ck_assert_uint_eq(kit.end.bytes, 0);
	ck_assert(!kit.end.torn);
	ck_assert_uint_eq(journal_synced(kit.journal), 0);
	ck_assert_uint_eq(journal_untrimmed_bytes(kit.journal), 0);
	ck_assert_uint_eq(journal_body_max(kit.journal), KIT_SEGMENT_BYTES - 4096 - 64);
	kit_reopen(&kit, 0);
	ck_assert_uint_eq(kit.end.epoch, 0);
}
END_TEST

START_TEST(what_was_appended_is_recovered_in_order) {
	kit_open(&kit, 0);
	kit_fill(&kit, 40);
	ck_assert_uint_eq(journal_synced(kit.journal), 40);
	kit_reopen(&kit, 0);
	ck_assert_uint_eq(kit.end.epoch, 40);
	ck_assert_uint_eq(kit.end.first_epoch, 1);
	ck_assert_uint_eq(kit.end.time_ms, 400);
	ck_assert_uint_eq(kit.end.synced_through, 39);
	ck_assert(!kit.end.torn);
	uint64_t bytes = 0;
	for (uint64_t epoch = 1; epoch <= 40; epoch++) {
		ck_assert_uint_eq(kit.found[epoch], 1);
		bytes += kit_record_bytes(&kit, epoch);
	}
	ck_assert_uint_eq(kit.end.bytes, bytes);
	ck_assert_uint_eq(journal_synced(kit.journal), 40);
	ck_assert_uint_eq(journal_untrimmed_bytes(kit.journal), bytes);
}
END_TEST

START_TEST(each_start_is_a_generation) {
	kit.body_bytes = 100;
	for (unsigned start = 1; start <= 3; start++) {
		kit_reopen(&kit, 0);
		kit_fill(&kit, 2);
	}
	struct bytes file = fault_disk_peek(kit.faults, KIT_FIRST_SEGMENT);
	for (unsigned record = 0; record < 6; record++) {
		struct record_header header;
		ck_assert(record_header_decode(file.data + 4096 * (record + 1), &header));
		ck_assert_uint_eq(header.generation, record / 2 + 1);
	}
}
END_TEST

START_TEST(the_largest_body_fits_a_segment_and_fills_it) {
	kit.body_bytes = KIT_SEGMENT_BYTES - 4096 - 64;
	kit_open(&kit, 0);
	kit_fill(&kit, 3);
	ck_assert_uint_eq(files(), 3);
	kit_reopen(&kit, 0);
	ck_assert_uint_eq(kit.end.epoch, 3);
}
END_TEST

START_TEST(an_empty_body_is_a_record) {
	kit_open(&kit, 0);
	ck_assert(journal_append(kit.journal, 1, 10, NULL, 0, &kit.error));
	ck_assert(kit_sync(&kit));
	ck_assert_uint_eq(journal_untrimmed_bytes(kit.journal), 4096);
}
END_TEST

START_TEST(trimmed_segments_are_recycled) {
	kit_open(&kit, 0);
	for (unsigned round = 0; round < 40; round++) {
		kit_fill(&kit, 10);
		ck_assert(journal_trim(kit.journal, kit.next - 3, &kit.error));
		ck_assert(journal_prepare(kit.journal, &kit.error));
	}
	ck_assert_uint_le(files(), 5);
	uint64_t untrimmed = kit_record_bytes(&kit, kit.next - 1) + kit_record_bytes(&kit, kit.next - 2);
	ck_assert_uint_eq(journal_untrimmed_bytes(kit.journal), untrimmed);
	kit_reopen(&kit, 398);
	ck_assert_uint_eq(kit.end.epoch, 400);
	ck_assert_uint_eq(kit.found[400], 1);
	ck_assert_uint_eq(journal_untrimmed_bytes(kit.journal), untrimmed);
	kit_fill(&kit, 30);
	kit_reopen(&kit, 398);
	ck_assert_uint_eq(kit.end.epoch, 430);
}
END_TEST

START_TEST(stale_records_of_a_recycled_segment_are_no_records) {
	kit.body_bytes = 3000; /* all records alike: the stale ones stand exactly where the next ones would */
	kit_open(&kit, 0);
	kit_fill(&kit, 15 * 4);
	ck_assert(journal_trim(kit.journal, 50, &kit.error));
	kit_fill(&kit, 4); /* into the first file again, which holds eleven old ones behind them */
	kit_reopen(&kit, 50);
	ck_assert_uint_eq(kit.end.epoch, 64);
	ck_assert(!kit.end.torn);
}
END_TEST

START_TEST(the_last_segment_with_a_record_is_kept_though_all_is_trimmed) {
	kit.body_bytes = 3000;
	kit_open(&kit, 0);
	kit_fill(&kit, 15); /* one segment, to its end */
	ck_assert(journal_trim(kit.journal, 15, &kit.error));
	ck_assert(journal_prepare(kit.journal, &kit.error));
	ck_assert_uint_eq(journal_untrimmed_bytes(kit.journal), 0);
	kit_reopen(&kit, 15);
	ck_assert_uint_eq(kit.end.epoch, 15);
	kit_fill(&kit, 1);
	kit_reopen(&kit, 15);
	ck_assert_uint_eq(kit.end.epoch, 16);
}
END_TEST

START_TEST(readonly_changes_nothing) {
	kit_open(&kit, 0);
	kit_fill(&kit, 20);
	ck_assert(kit_append(&kit));
	kit_close(&kit);
	uint64_t events = fault_disk_events(kit.faults);
	ck_assert(kit_recover(&kit, 0, true));
	ck_assert_uint_eq(kit.end.epoch, 21);
	ck_assert_uint_eq(fault_disk_events(kit.faults), events);
}
END_TEST

START_TEST(readonly_takes_an_absent_directory_for_an_empty_journal) {
	ck_assert(kit_recover(&kit, 0, true));
	ck_assert_uint_eq(kit.end.epoch, 0);
	ck_assert_uint_eq(fault_disk_events(kit.faults), 2); /* those of the kit */
}
END_TEST

START_TEST(another_segment_size_is_taken_up_at_the_next_start) {
	kit_open(&kit, 0);
	kit_fill(&kit, 30);
	ck_assert(journal_prepare(kit.journal, &kit.error));
	kit.segment_bytes = 2 * KIT_SEGMENT_BYTES;
	kit_reopen(&kit, 0);
	ck_assert_uint_eq(kit.end.epoch, 30);
	kit_fill(&kit, 60);
	ck_assert(journal_trim(kit.journal, 90, &kit.error));
	kit_reopen(&kit, 90);
	ck_assert_uint_eq(kit.end.epoch, 90);
	kit_fill(&kit, 60);
	kit.segment_bytes = KIT_SEGMENT_BYTES;
	kit_reopen(&kit, 90);
	ck_assert_uint_eq(kit.end.epoch, 150);
	kit_fill(&kit, 60);
	kit_reopen(&kit, 90);
	ck_assert_uint_eq(kit.end.epoch, 210);
}
END_TEST

START_TEST(out_of_space_while_prewriting_loses_nothing) {
	kit_open(&kit, 0);
	fault_disk_capacity(kit.faults, KIT_SEGMENT_BYTES + KIT_SEGMENT_BYTES / 2);
	while (kit_append(&kit))
		ck_assert(kit_sync(&kit));
	ck_assert_int_eq(kit.error.code, ERROR_STORE_FAILED);
	ck_assert_int_eq(kit.error.system, ENOSPC);
	ck_assert_uint_eq(files(), 1); /* what could not be finished is gone, and its space free */
	uint64_t stopped = kit.next;
	ck_assert(!kit_append(&kit));
	ck_assert(journal_prepare(kit.journal, &kit.error)); /* not an error there */
	fault_disk_capacity(kit.faults, UINT64_MAX);
	kit_fill(&kit, 20);
	kit_reopen(&kit, 0);
	ck_assert_uint_eq(kit.end.epoch, stopped + 19);
	ck_assert_uint_eq(kit.found[stopped], 3);
}
END_TEST

START_TEST(out_of_space_within_a_segment_may_be_tried_again) {
	kit_open(&kit, 0);
	kit_fill(&kit, 3);
	fault_disk_fail(kit.faults, "write segment record", 1, FAULT_ENOSPC);
	ck_assert(!kit_append(&kit));
	ck_assert_int_eq(kit.error.system, ENOSPC);
	kit_fill(&kit, 5);
	kit_reopen(&kit, 0);
	ck_assert_uint_eq(kit.end.epoch, 8);
	ck_assert_uint_eq(kit.found[4], 2);
}
END_TEST

START_TEST(out_of_space_while_recycling_gives_up_the_file) {
	kit_open(&kit, 0);
	kit_fill(&kit, 60);
	ck_assert(journal_trim(kit.journal, 60, &kit.error));
	while (true) { /* recycle what is free until one header cannot be written */
		fault_disk_fail(kit.faults, "write segment header", 1, FAULT_ENOSPC);
		if (!kit_append(&kit))
			break;
		ck_assert(kit_sync(&kit));
	}
	ck_assert_int_eq(kit.error.system, ENOSPC);
	uint64_t stopped = kit.next;
	kit_fill(&kit, 20);
	kit_reopen(&kit, 60);
	ck_assert_uint_eq(kit.end.epoch, stopped + 19);
}
END_TEST

START_TEST(a_failed_append_is_final) {
	kit_open(&kit, 0);
	kit_fill(&kit, 3);
	fault_disk_fail(kit.faults, "write segment record", 1, FAULT_EIO);
	ck_assert(!kit_append(&kit));
	ck_assert_int_eq(kit.error.system, EIO);
	ck_assert_ptr_nonnull(strstr(kit.error.message, "cannot append to data/journal/000001.segment"));
	memset(&kit.error, 0, sizeof kit.error);
	ck_assert(!kit_append(&kit));
	ck_assert_int_eq(kit.error.system, EIO);
	ck_assert(!kit_sync(&kit));
	ck_assert_uint_eq(journal_synced(kit.journal), 3);
}
END_TEST

START_TEST(a_failed_sync_is_final_and_the_next_start_writes_anew_what_it_shows) {
	kit_open(&kit, 0);
	kit_fill(&kit, 3);
	fault_disk_fail(kit.faults, "sync segment", 1, FAULT_EIO);
	ck_assert(kit_append(&kit));
	ck_assert(!kit_sync(&kit));
	ck_assert_int_eq(kit.error.system, EIO);
	ck_assert(!kit_sync(&kit));
	ck_assert(!kit_append(&kit));
	ck_assert_uint_eq(journal_synced(kit.journal), 3);
	kit_reopen(&kit, 0); /* the page cache still shows epoch 4, and the host acts on it */
	ck_assert_uint_eq(kit.end.epoch, 4);
	kit_close(&kit);
	fault_disk_cut(kit.faults);
	kit_open(&kit, 0);
	ck_assert_uint_eq(kit.end.epoch, 4);
}
END_TEST

START_TEST(segments_that_are_not_synced_yet_are_synced_together) {
	kit.body_bytes = 30000;
	kit_open(&kit, 0);
	for (unsigned i = 0; i < 7; i++) /* one a segment and a half */
		ck_assert(kit_append(&kit));
	ck_assert_uint_eq(journal_synced(kit.journal), 0);
	ck_assert(kit_sync(&kit));
	ck_assert_uint_eq(journal_synced(kit.journal), 7);
	kit_close(&kit);
	fault_disk_cut(kit.faults);
	kit_open(&kit, 0);
	ck_assert_uint_eq(kit.end.epoch, 7);
}
END_TEST

START_TEST(another_stores_journal_is_refused) {
	kit_open(&kit, 0);
	kit_fill(&kit, 3);
	kit.store_id[0] ^= 1;
	ck_assert(!kit_recover(&kit, 0, false));
	ck_assert_int_eq(kit.error.code, ERROR_REFUSED);
	ck_assert_ptr_nonnull(strstr(kit.error.message, "000001.segment belongs to another store"));
	ck_assert_ptr_nonnull(strstr(kit.error.hint, "restore"));
}
END_TEST

START_TEST(a_newer_format_is_refused) {
	struct segment_header header = {.format = 3, .sequence = 1, .bytes = KIT_SEGMENT_BYTES};
	uint8_t block[SEGMENT_HEADER_BYTES];
	kit_open(&kit, 0);
	kit_fill(&kit, 3);
	memcpy(header.store_id, kit.store_id, STORE_ID_BYTES);
	segment_header_encode(&header, block);
	fault_disk_poke(kit.faults, KIT_FIRST_SEGMENT, 0, bytes_of(block, sizeof block));
	ck_assert(!kit_recover(&kit, 0, false));
	ck_assert_int_eq(kit.error.code, ERROR_REFUSED);
	ck_assert_str_eq(kit.error.found, "format 3");
	ck_assert_str_eq(kit.error.expected, "at most 2");
}
END_TEST

/* What an older sofund wrote is read, and no more written to without saying so. */
START_TEST(an_older_format_becomes_this_one) {
	struct segment_header header = {.format = 1, .sequence = 1, .bytes = KIT_SEGMENT_BYTES, .generation = 1};
	uint8_t block[SEGMENT_HEADER_BYTES];
	kit_open(&kit, 0);
	kit_fill(&kit, 3);
	memcpy(header.store_id, kit.store_id, STORE_ID_BYTES);
	segment_header_encode(&header, block);
	fault_disk_poke(kit.faults, KIT_FIRST_SEGMENT, 0, bytes_of(block, sizeof block));
	kit_reopen(&kit, 0);
	ck_assert_uint_eq(kit.end.epoch, 3);
	ck_assert_int_eq(
		segment_header_decode(fault_disk_peek(kit.faults, KIT_FIRST_SEGMENT).data, &header), SEGMENT_HEADER_VALID);
	ck_assert_uint_eq(header.format, 2);
	ck_assert_uint_eq(header.sequence, 1);
	kit_fill(&kit, 3);
	kit_reopen(&kit, 0);
	ck_assert_uint_eq(kit.end.epoch, 6);
}
END_TEST

START_TEST(other_names_in_the_directory_are_left_alone) {
	struct disk_file *file;
	struct disk *disk = fault_disk_seam(kit.faults);
	kit_open(&kit, 0);
	kit_fill(&kit, 3);
	ck_assert_int_eq(disk->open(disk, KIT_DIR "/000001.segment.bak", DISK_WRITE | DISK_CREATE, &file), 0);
	file->ops->close(file);
	kit_reopen(&kit, 0);
	ck_assert_uint_eq(kit.end.epoch, 3);
	ck_assert_uint_eq(fault_disk_peek(kit.faults, KIT_DIR "/000001.segment.bak").size, 0);
}
END_TEST

static bool body_refuse(void *arg, uint64_t epoch, uint64_t time_ms, struct bytes body, struct error *error) {
	(void)arg, (void)time_ms, (void)body;
	return epoch < 3 || error_set(error, ERROR_STORE_FAILED, "no");
}

START_TEST(a_body_that_is_refused_stops_recovery) {
	kit_open(&kit, 0);
	kit_fill(&kit, 5);
	kit_close(&kit);
	struct journal_options options = {
		.disk = fault_disk_seam(kit.faults), .dir = KIT_DIR, .segment_bytes = KIT_SEGMENT_BYTES};
	memcpy(options.store_id, kit.store_id, STORE_ID_BYTES);
	kit.journal = journal_open(&options, &kit.error);
	ck_assert(!journal_recover(kit.journal, 0, false, body_refuse, NULL, &kit.end, &kit.error));
	ck_assert_str_eq(kit.error.message, "no");
}
END_TEST

START_TEST(a_gap_in_epochs_is_a_mistake) {
	kit_open(&kit, 0);
	kit_fill(&kit, 2);
	kit.next++;
	kit_append(&kit);
}
END_TEST

START_TEST(appending_before_recovery_is_a_mistake) {
	struct journal_options options = {
		.disk = fault_disk_seam(kit.faults), .dir = KIT_DIR, .segment_bytes = KIT_SEGMENT_BYTES};
	kit.journal = journal_open(&options, &kit.error);
	journal_append(kit.journal, 1, 1, NULL, 0, &kit.error);
}
END_TEST

START_TEST(appending_after_readonly_is_a_mistake) {
	kit_recover(&kit, 0, true);
	kit_append(&kit);
}
END_TEST

START_TEST(trimming_beyond_the_synced_end_is_a_mistake) {
	kit_open(&kit, 0);
	kit_fill(&kit, 2);
	kit_append(&kit);
	journal_trim(kit.journal, 3, &kit.error);
}
END_TEST

static void *second_writer(void *arg) {
	(void)arg;
	journal_sync(kit.journal, &kit.error);
	return NULL;
}

/* In the middle of one thread's write, another thread comes. */
static enum fault_action writer_meets_writer(void *arg, const struct fault_event *event) {
	(void)arg, (void)event;
	pthread_t thread;
	pthread_create(&thread, NULL, second_writer, NULL);
	pthread_join(thread, NULL);
	return FAULT_NONE;
}

START_TEST(two_writers_are_a_mistake) {
	kit_open(&kit, 0);
	kit_fill(&kit, 2);
	fault_disk_decide(kit.faults, writer_meets_writer, NULL);
	kit_append(&kit);
}
END_TEST

static void *applier_run(void *arg) {
	(void)arg;
	struct error error;
	uint64_t synced;
	do {
		synced = journal_synced(kit.journal);
		if (!journal_prepare(kit.journal, &error) || !journal_trim(kit.journal, synced, &error))
			return &kit;
	} while (synced < 3000);
	return NULL;
}

START_TEST(committer_and_applier_work_side_by_side) {
	pthread_t applier;
	void *failed;
	kit.body_bytes = 5000;
	kit_open(&kit, 0);
	ck_assert_int_eq(pthread_create(&applier, NULL, applier_run, NULL), 0);
	kit_fill(&kit, 3000);
	pthread_join(applier, &failed);
	ck_assert_ptr_null(failed);
	ck_assert_uint_le(files(), 5);
	kit_reopen(&kit, 3000);
	ck_assert_uint_eq(kit.end.epoch, 3000);
}
END_TEST

static void contract_tests(TCase *all) {
	tcase_add_test(all, a_new_journal_is_empty);
	tcase_add_test(all, what_was_appended_is_recovered_in_order);
	tcase_add_test(all, each_start_is_a_generation);
	tcase_add_test(all, the_largest_body_fits_a_segment_and_fills_it);
	tcase_add_test(all, an_empty_body_is_a_record);
	tcase_add_test(all, trimmed_segments_are_recycled);
	tcase_add_test(all, stale_records_of_a_recycled_segment_are_no_records);
	tcase_add_test(all, the_last_segment_with_a_record_is_kept_though_all_is_trimmed);
	tcase_add_test(all, readonly_changes_nothing);
	tcase_add_test(all, readonly_takes_an_absent_directory_for_an_empty_journal);
	tcase_add_test(all, another_segment_size_is_taken_up_at_the_next_start);
	tcase_add_test(all, segments_that_are_not_synced_yet_are_synced_together);
	tcase_add_test(all, another_stores_journal_is_refused);
	tcase_add_test(all, a_newer_format_is_refused);
	tcase_add_test(all, an_older_format_becomes_this_one);
	tcase_add_test(all, other_names_in_the_directory_are_left_alone);
	tcase_add_test(all, a_body_that_is_refused_stops_recovery);
	tcase_add_test(all, committer_and_applier_work_side_by_side);
}

static void failure_tests(TCase *all) {
	tcase_add_test(all, out_of_space_while_prewriting_loses_nothing);
	tcase_add_test(all, out_of_space_within_a_segment_may_be_tried_again);
	tcase_add_test(all, out_of_space_while_recycling_gives_up_the_file);
	tcase_add_test(all, a_failed_append_is_final);
	tcase_add_test(all, a_failed_sync_is_final_and_the_next_start_writes_anew_what_it_shows);
	tcase_add_test_raise_signal(all, a_gap_in_epochs_is_a_mistake, SIGABRT);
	tcase_add_test_raise_signal(all, appending_before_recovery_is_a_mistake, SIGABRT);
	tcase_add_test_raise_signal(all, appending_after_readonly_is_a_mistake, SIGABRT);
	tcase_add_test_raise_signal(all, trimming_beyond_the_synced_end_is_a_mistake, SIGABRT);
	tcase_add_test_raise_signal(all, two_writers_are_a_mistake, SIGABRT);
}

int main(void) {
	TCase *all = tcase_create("journal");
	tcase_add_checked_fixture(all, setup, teardown);
	contract_tests(all);
	failure_tests(all);
	Suite *suite = suite_create("journal");
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
