/* The crash table, its file, and the inquest: who did it, and who did not. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "sofun/plugin.h"
#include "supervisor/crash_file.h"
#include "supervisor/inquest.h"

static struct crash_table table;
static struct crash_table other;

static void set_up(void) {
	memset(&table, 0, sizeof table);
	memset(&other, 0, sizeof other);
}

static struct crash_row death_of(const char *id, uint64_t payload, bool alone) {
	struct crash_row row = {.count = 1, .alone = alone, .kind = NOTE_FUNCTION, .payload_hash = payload};
	atomic_store(&row.outcome, CRASH_SUSPECT);
	memset(row.hash, 7, sizeof row.hash);
	strcpy(row.plugin, "play");
	strcpy(row.version, "1.0.0");
	strcpy(row.name, "test/play");
	row.id_size = (uint32_t)strlen(id);
	memcpy(row.id, id, row.id_size);
	strcpy(row.cause, "SIGSEGV");
	return row;
}

static struct crash_row *die(const char *id, uint64_t payload, bool alone) {
	struct crash_row death = death_of(id, payload, alone);
	return crash_enter(&table, &death);
}

/* ---- the table ---- */

START_TEST(test_only_dying_alone_twice_convicts) {
	ck_assert(crash_row_is(die("a", 1, false), CRASH_SUSPECT));
	ck_assert(crash_row_is(die("a", 1, false), CRASH_SUSPECT));
	ck_assert(crash_row_is(die("a", 1, false), CRASH_SUSPECT));
	ck_assert(crash_row_is(die("a", 1, true), CRASH_SUSPECT));
	struct crash_row *row = die("a", 1, true);
	ck_assert(crash_row_is(row, CRASH_CONVICTED));
	ck_assert_uint_eq(row->count, 5);
	ck_assert_uint_eq(row->alone, 2);
	ck_assert_uint_eq(table.count, 1);
}
END_TEST

/* Equal messages, each of which died alone once: neither is convicted. */
START_TEST(test_the_two_deaths_are_of_one_message) {
	for (uint64_t place = 1; place < 5; place++) {
		struct crash_row death = death_of("a", 1, true);
		death.place = place;
		ck_assert(crash_row_is(crash_enter(&table, &death), CRASH_SUSPECT));
	}
	struct crash_row death = death_of("a", 1, true);
	death.place = 4;
	struct crash_row *row = crash_enter(&table, &death);
	ck_assert(crash_row_is(row, CRASH_CONVICTED));
	ck_assert_uint_eq(row->place, 4);
	ck_assert_uint_eq(row->count, 5);
}
END_TEST

/* The convict may never come again: its dead letter is durable, and the file did not hear of it. */
START_TEST(test_an_equal_of_a_convict_is_judged_for_itself) {
	struct crash_row death = death_of("a", 1, true);
	death.place = 4;
	crash_enter(&table, &death);
	ck_assert(crash_row_is(crash_enter(&table, &death), CRASH_CONVICTED));
	death.place = 5;
	struct crash_row *row = crash_enter(&table, &death);
	ck_assert(crash_row_is(row, CRASH_SUSPECT));
	ck_assert_uint_eq(row->alone, 1);
	ck_assert(crash_row_is(crash_enter(&table, &death), CRASH_CONVICTED));
	ck_assert_uint_eq(table.rows[0].place, 5);
	ck_assert_uint_eq(table.count, 1);
}
END_TEST

START_TEST(test_other_messages_are_counted_apart) {
	die("a", 1, true);
	die("a", 2, true);
	die("b", 1, true);
	struct crash_row elsewhere = death_of("a", 1, true);
	elsewhere.hash[0]++;
	crash_enter(&table, &elsewhere);
	ck_assert_uint_eq(table.count, 4);
	for (uint32_t i = 0; i < table.count; i++)
		ck_assert(crash_row_is(&table.rows[i], CRASH_SUSPECT));
}
END_TEST

START_TEST(test_what_was_dealt_with_starts_anew) {
	die("a", 1, true);
	crash_turn(die("a", 1, true), CRASH_DEAD);
	struct crash_row *row = die("a", 1, true);
	ck_assert(crash_row_is(row, CRASH_SUSPECT));
	ck_assert_uint_eq(row->alone, 1);
	crash_turn(row, CRASH_CLEARED);
	ck_assert_uint_eq(die("a", 1, true)->alone, 1);
	ck_assert_uint_eq(table.count, 3);
}
END_TEST

START_TEST(test_the_youngest_is_first_and_suspects_are_kept) {
	die("waits", 1, false);
	for (uint64_t i = 0; i < CRASH_ROWS_MAX * 3; i++)
		crash_turn(die("gone", i, false), CRASH_CLEARED);
	ck_assert_uint_eq(table.count, CRASH_ROWS_MAX);
	ck_assert_uint_eq(table.rows[0].payload_hash, CRASH_ROWS_MAX * 3 - 1);
	ck_assert_uint_eq(die("waits", 1, false)->count, 2);
	ck_assert_uint_eq(table.count, CRASH_ROWS_MAX);
}
END_TEST

START_TEST(test_two_messages_in_the_probation_convict_an_image) {
	const struct crash_row *last;
	struct crash_row first = death_of("a", 1, false);
	first.first_ms = first.last_ms = 100;
	crash_enter(&table, &first);
	crash_enter(&table, &first);
	ck_assert_uint_eq(crash_of_image(&table, first.hash, 50, 150, &last), 1);
	struct crash_row second = death_of("b", 1, false);
	second.first_ms = second.last_ms = 120;
	crash_enter(&table, &second);
	ck_assert_uint_eq(crash_of_image(&table, first.hash, 50, 150, &last), 2);
	ck_assert(bytes_equal(crash_row_id(last), bytes_text("b")));
	ck_assert_uint_eq(crash_of_image(&table, first.hash, 50, 110, &last), 1);
	ck_assert_uint_eq(crash_of_image(&table, first.hash, 110, 150, &last), 1);
	uint8_t other_hash[NOTE_HASH_BYTES] = {1};
	ck_assert_uint_eq(crash_of_image(&table, other_hash, 50, 150, &last), 0);
	crash_spare(&table, first.hash);
	ck_assert_uint_eq(crash_of_image(&table, first.hash, 50, 150, &last), 0);
}
END_TEST

START_TEST(test_an_images_own_deaths_count_each) {
	const struct crash_row *last;
	struct crash_row death = {.count = 1, .first_ms = 100, .last_ms = 100};
	atomic_store(&death.outcome, CRASH_IMAGE);
	death.hash[0] = 5;
	crash_enter(&table, &death);
	ck_assert_uint_eq(crash_of_image(&table, death.hash, 50, 150, &last), 1);
	crash_enter(&table, &death);
	ck_assert_uint_eq(crash_of_image(&table, death.hash, 50, 150, &last), 2);
}
END_TEST

/* ---- the file ---- */

static void packed(struct buf *file) {
	struct crash_row outside = {.count = 3};
	atomic_store(&outside.outcome, CRASH_OUTSIDE);
	strcpy(outside.cause, "SIGKILL");
	crash_enter(&table, &outside);
	die("\xff\x00z", 0x1122334455667788, true);
	crash_table_pack(&table, file);
}

START_TEST(test_the_file_is_read_as_it_was_written) {
	struct buf file = {0};
	packed(&file);
	ck_assert(crash_table_unpack(bytes_buf(&file), &other));
	ck_assert_uint_eq(other.count, table.count);
	ck_assert_mem_eq(other.rows, table.rows, table.count * sizeof table.rows[0]);
	buf_finish(&file);
}
END_TEST

START_TEST(test_no_damage_is_taken_for_a_table) {
	struct buf file = {0};
	packed(&file);
	for (size_t size = 0; size < file.size; size++)
		ck_assert(!crash_table_unpack(bytes_of(file.data, size), &other));
	for (size_t i = 0; i < file.size; i++) {
		file.data[i] ^= 0x10;
		ck_assert(!crash_table_unpack(bytes_buf(&file), &other));
		file.data[i] ^= 0x10;
	}
	buf_finish(&file);
}
END_TEST

START_TEST(test_the_files_bytes_are_fixed) {
	static const uint8_t golden[] = "\x93\xad"
									"sofun crashes\x01\x91\x9e\x01\x00\xc4\x20"
									"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
									"\xa0\xa0\xa0\xc4\x00\x00\x00\x03\x00\x05\x06\xa7SIGKILL";
	struct buf file = {0};
	struct crash_row outside = {.count = 3, .first_ms = 5, .last_ms = 6};
	atomic_store(&outside.outcome, CRASH_OUTSIDE);
	strcpy(outside.cause, "SIGKILL");
	crash_enter(&table, &outside);
	crash_table_pack(&table, &file);
	ck_assert_uint_eq(file.size, sizeof golden - 1 + 4);
	ck_assert_mem_eq(file.data, golden, sizeof golden - 1);
	buf_finish(&file);
}
END_TEST

START_TEST(test_a_file_that_is_not_there_or_not_ours_is_empty) {
	char folder[] = "/tmp/sofun-crashes-XXXXXX";
	char path[64];
	ck_assert_ptr_nonnull(mkdtemp(folder));
	crash_file_read(folder, &other);
	ck_assert_uint_eq(other.count, 0);
	die("a", 1, false);
	ck_assert(crash_file_write(folder, &table));
	crash_file_read(folder, &other);
	ck_assert_uint_eq(other.count, 1);
	snprintf(path, sizeof path, "%s/crashes", folder);
	ck_assert_int_eq(truncate(path, 9), 0);
	crash_file_read(folder, &other);
	ck_assert_uint_eq(other.count, 0);
	ck_assert(crash_file_write(folder, &table));
	unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* ---- the inquest ---- */

struct shared {
	struct fault fault;
	struct notes notes;
};

static struct crash_row judged;

/* What a worker that does this is found to have died of. */
static void life(void (*act)(struct note *note, uint32_t image)) {
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	pid_t pid = fork();
	if (pid == 0) {
		uint8_t hash[NOTE_HASH_BYTES] = {9};
		notes_open(&shared->notes);
		fault_watch(&shared->fault);
		fault_thread_begin(3);
		act(note_mine(), note_image_add("guilty", "1.2.3", hash));
		_exit(0);
	}
	int status = 0;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	inquest(status, &shared->fault, &shared->notes, &table, 1, &judged);
	munmap(shared, sizeof *shared);
}

static void call_enter(struct note *note, uint32_t image) {
	static const sofun_message message = {
		.self = {.type = {(const uint8_t *)"a/b", 3}, .id = {(const uint8_t *)"id", 2}},
		.payload = {(const uint8_t *)"payload", 7},
	};
	note_enter(note, NOTE_FUNCTION, image, &message);
}

static void call_aborts(struct note *note, uint32_t image) {
	call_enter(note, image);
	abort();
}

static int depth(volatile int *above) {
	volatile int frame[4096] = {*above};
	return frame[0] > 0 ? depth(frame) + frame[1] : 0;
}

static void call_overflows(struct note *note, uint32_t image) {
	volatile int one = 1;
	call_enter(note, image);
	exit(depth(&one));
}

static void call_exits(struct note *note, uint32_t image) {
	call_enter(note, image);
	exit(3);
}

static void call_leaves(struct note *note, uint32_t image) {
	call_enter(note, image);
	_exit(3);
}

static void call_is_killed(struct note *note, uint32_t image) {
	call_enter(note, image);
	kill(getpid(), SIGKILL);
	pause();
}

static void host_aborts(struct note *note, uint32_t image) {
	call_enter(note, image);
	note_left(note, NOTE_FUNCTION);
	note_end(note);
	abort();
}

static void host_aborts_behind_a_call(struct note *note, uint32_t image) {
	call_enter(note, image);
	note_left(note, NOTE_FUNCTION);
	abort();
}

static void fini_aborts(struct note *note, uint32_t image) {
	note_enter(note, NOTE_FINI, image, NULL);
	abort();
}

static void message_is_named(void) {
	ck_assert(crash_row_is(&judged, CRASH_SUSPECT));
	ck_assert_str_eq(judged.plugin, "guilty");
	ck_assert_str_eq(judged.version, "1.2.3");
	ck_assert_str_eq(judged.name, "a/b");
	ck_assert(bytes_equal(crash_row_id(&judged), bytes_text("id")));
	ck_assert_uint_eq(judged.payload_hash, fault_payload_hash(bytes_text("payload")));
}

START_TEST(test_the_message_is_named) {
	life(call_aborts);
	message_is_named();
	ck_assert_str_eq(judged.cause, "SIGABRT");
	life(call_exits);
	message_is_named();
	ck_assert_str_eq(judged.cause, "exit(1)");
	life(host_aborts_behind_a_call);
	message_is_named();
}
END_TEST

START_TEST(test_a_stack_that_overflows_is_seen) {
	if (UNDER_SANITIZER)
		return; /* it ends the process by an exit code of its own */
	life(call_overflows);
	message_is_named();
	ck_assert_str_eq(judged.cause, "SIGSEGV");
}
END_TEST

START_TEST(test_who_left_without_a_word_is_known_by_his_note) {
	life(call_leaves);
	ck_assert(crash_row_is(&judged, CRASH_IMAGE));
	ck_assert_str_eq(judged.plugin, "guilty");
	ck_assert_str_eq(judged.cause, "exit code 3");
}
END_TEST

START_TEST(test_nobody_is_blamed_for_a_kill_or_for_the_host) {
	life(call_is_killed);
	ck_assert(crash_row_is(&judged, CRASH_OUTSIDE));
	ck_assert_str_eq(judged.plugin, "");
	life(host_aborts);
	ck_assert(crash_row_is(&judged, CRASH_UNATTRIBUTED));
	ck_assert_str_eq(judged.plugin, "");
}
END_TEST

START_TEST(test_a_fini_is_its_images) {
	life(fini_aborts);
	ck_assert(crash_row_is(&judged, CRASH_IMAGE));
	ck_assert_str_eq(judged.plugin, "guilty");
	ck_assert_str_eq(judged.name, "");
}
END_TEST

int main(void) {
	Suite *suite = suite_create("crash");
	TCase *tests = tcase_create("crash");
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, test_only_dying_alone_twice_convicts);
	tcase_add_test(tests, test_the_two_deaths_are_of_one_message);
	tcase_add_test(tests, test_an_equal_of_a_convict_is_judged_for_itself);
	tcase_add_test(tests, test_other_messages_are_counted_apart);
	tcase_add_test(tests, test_what_was_dealt_with_starts_anew);
	tcase_add_test(tests, test_the_youngest_is_first_and_suspects_are_kept);
	tcase_add_test(tests, test_two_messages_in_the_probation_convict_an_image);
	tcase_add_test(tests, test_an_images_own_deaths_count_each);
	tcase_add_test(tests, test_the_file_is_read_as_it_was_written);
	tcase_add_test(tests, test_no_damage_is_taken_for_a_table);
	tcase_add_test(tests, test_the_files_bytes_are_fixed);
	tcase_add_test(tests, test_a_file_that_is_not_there_or_not_ours_is_empty);
	tcase_add_test(tests, test_the_message_is_named);
	tcase_add_test(tests, test_a_stack_that_overflows_is_seen);
	tcase_add_test(tests, test_who_left_without_a_word_is_known_by_his_note);
	tcase_add_test(tests, test_nobody_is_blamed_for_a_kill_or_for_the_host);
	tcase_add_test(tests, test_a_fini_is_its_images);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
