/* The machine's disk and the fault disk keep the same contract; the fault disk then loses what it may lose. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults/fault_disk.h"

static char root[64];
static struct fault_disk *faults;
static struct disk *disk; /* under test: _i 0 the machine's, 1 the fault disk */

static void setup(void) {
	strcpy(root, "/tmp/sofun-disk-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	faults = fault_disk_create(1);
	struct disk *seam = fault_disk_seam(faults);
	ck_assert_int_eq(seam->mkdir(seam, "/tmp"), 0);
	ck_assert_int_eq(seam->mkdir(seam, root), 0);
	ck_assert_int_eq(seam->sync_dir(seam, "/tmp"), 0);
	ck_assert_int_eq(seam->sync_dir(seam, ""), 0);
}

static const char *path_of(const char *name) {
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", root, name);
	return path;
}

static void name_remove(void *arg, const char *name) {
	(void)arg;
	if (unlink(path_of(name)) != 0)
		rmdir(path_of(name));
}

static void teardown(void) {
	struct disk *machine = disk_machine();
	machine->list(machine, root, name_remove, NULL);
	ck_assert_int_eq(rmdir(root), 0);
	fault_disk_destroy(faults);
}

static void disk_choose(int which) {
	disk = which == 0 ? disk_machine() : fault_disk_seam(faults);
}

static struct disk_file *file_open(const char *name, unsigned flags) {
	struct disk_file *file = NULL;
	ck_assert_int_eq(disk->open(disk, path_of(name), flags, &file), 0);
	return file;
}

static void file_write(const char *name, const char *text) {
	struct disk_file *file = file_open(name, DISK_WRITE | DISK_CREATE);
	ck_assert_int_eq(file->ops->truncate(file, 0), 0);
	ck_assert_int_eq(file->ops->write(file, text, strlen(text), 0), 0);
	file->ops->close(file);
}

static void ck_content(const char *name, const char *expected) {
	struct buf content = {0};
	ck_assert_int_eq(disk_read_all(disk, path_of(name), &content), 0);
	ck_assert(bytes_equal(bytes_buf(&content), bytes_text(expected)));
	buf_finish(&content);
}

START_TEST(a_file_is_read_as_written) {
	char text[16] = {0};
	disk_choose(_i);
	struct disk_file *file = file_open("a", DISK_READ | DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE);
	ck_assert_int_eq(file->ops->write(file, "world", 5, 6), 0);
	ck_assert_int_eq(file->ops->write(file, "hello ", 6, 0), 0);
	ck_assert_int_eq(file->ops->write(file, NULL, 0, 100), 0);
	ck_assert_int_eq(file->ops->size(file), 11);
	ck_assert_int_eq(file->ops->read(file, text, 4, 3), 4);
	ck_assert_str_eq(text, "lo w");
	ck_assert_int_eq(file->ops->read(file, text, 16, 6), 5); /* short only at the end */
	ck_assert_int_eq(file->ops->read(file, text, 16, 11), 0);
	ck_assert_int_eq(file->ops->read(file, text, 16, 5000), 0);
	ck_assert_int_eq(file->ops->sync(file), 0);
	ck_assert_int_eq(file->ops->truncate(file, 5), 0);
	ck_assert_int_eq(file->ops->size(file), 5);
	ck_assert_int_eq(file->ops->truncate(file, 8), 0);
	ck_assert_int_eq(file->ops->read(file, text, 16, 0), 8);
	ck_assert_mem_eq(text, "hello\0\0\0", 8);
	file->ops->close(file);
}
END_TEST

START_TEST(large_writes_are_whole) {
	enum { SIZE = (5 << 20) + 17 };
	uint8_t *written = malloc(SIZE), *read = malloc(SIZE);
	ck_assert(written != NULL && read != NULL);
	disk_choose(_i);
	for (size_t i = 0; i < SIZE; i++)
		written[i] = (uint8_t)(i * 2654435761u >> 13);
	struct disk_file *file = file_open("big", DISK_READ | DISK_WRITE | DISK_CREATE);
	ck_assert_int_eq(file->ops->write(file, written, SIZE, 3), 0);
	ck_assert_int_eq(file->ops->read(file, read, SIZE, 3), SIZE);
	ck_assert_mem_eq(written, read, SIZE);
	file->ops->close(file);
	free(written);
	free(read);
}
END_TEST

START_TEST(errors_are_negative_errnos) {
	struct disk_file *file;
	struct buf content = {0};
	disk_choose(_i);
	ck_assert_int_eq(disk->open(disk, path_of("none"), DISK_READ, &file), -ENOENT);
	file_write("a", "x");
	ck_assert_int_eq(disk->open(disk, path_of("a"), DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &file), -EEXIST);
	ck_assert_int_eq(disk->unlink(disk, path_of("none")), -ENOENT);
	ck_assert_int_eq(disk->rename(disk, path_of("none"), path_of("b")), -ENOENT);
	ck_assert_int_eq(disk->mkdir(disk, path_of("a")), -ENOTDIR);
	ck_assert_int_eq(disk->list(disk, path_of("none"), NULL, NULL), -ENOENT);
	ck_assert_int_eq(disk_read_all(disk, path_of("none"), &content), -ENOENT);
}
END_TEST

static void names_append(void *arg, const char *name) {
	buf_printf(arg, "%s,", name);
}

START_TEST(names_come_and_go) {
	struct buf names = {0};
	disk_choose(_i);
	ck_assert_int_eq(disk->mkdir(disk, path_of("d")), 0);
	ck_assert_int_eq(disk->mkdir(disk, path_of("d")), 0);
	file_write("d/a", "1");
	file_write("d/b", "2");
	ck_assert_int_eq(disk->rename(disk, path_of("d/a"), path_of("d/b")), 0);
	ck_assert_int_eq(disk->sync_dir(disk, path_of("d")), 0);
	ck_content("d/b", "1");
	ck_assert_int_eq(disk->list(disk, path_of("d"), names_append, &names), 0);
	ck_assert(bytes_equal(bytes_buf(&names), bytes_text("b,")));
	ck_assert_int_eq(disk->unlink(disk, path_of("d/b")), 0);
	buf_finish(&names);
}
END_TEST

START_TEST(replace_is_all_or_nothing_and_leaves_no_temporary) {
	struct buf names = {0};
	disk_choose(_i);
	ck_assert_int_eq(disk_replace(disk, path_of("r"), bytes_text("one")), 0);
	ck_content("r", "one");
	file_write("r.new", "a longer one, left over from a crash");
	ck_assert_int_eq(disk_replace(disk, path_of("r"), bytes_text("two")), 0);
	ck_content("r", "two");
	ck_assert_int_eq(disk_replace(disk, path_of("none/r"), bytes_text("x")), -ENOENT);
	ck_assert_int_eq(disk->list(disk, root, names_append, &names), 0);
	ck_assert(bytes_equal(bytes_buf(&names), bytes_text("r,")));
	buf_finish(&names);
}
END_TEST

START_TEST(files_are_their_owners_alone) {
	struct stat status;
	disk_choose(0);
	file_write("a", "x");
	ck_assert_int_eq(stat(path_of("a"), &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
}
END_TEST

START_TEST(a_full_file_system_says_so) {
	struct disk_file *file;
	struct disk *machine = disk_machine();
	ck_assert_int_eq(machine->open(machine, "/dev/full", DISK_WRITE, &file), 0);
	ck_assert_int_eq(file->ops->write(file, "x", 1, 0), -ENOSPC);
	file->ops->close(file);
}
END_TEST

START_TEST(replace_survives_every_crash_point) {
	for (uint64_t event = 1; event <= 7; event++)
		for (uint64_t seed = 1; seed <= 20; seed++) {
			struct fault_disk *twin = fault_disk_copy(faults, seed);
			disk = fault_disk_seam(twin);
			ck_assert_int_eq(disk_replace(disk, path_of("r"), bytes_text("old")), 0);
			fault_disk_fail(twin, "", event, FAULT_CRASH);
			int result = disk_replace(disk, path_of("r"), bytes_text("new"));
			ck_assert_int_eq(result == 0, event == 7); /* after create, truncate, write, sync, rename, sync_dir */
			fault_disk_cut(twin);
			struct buf content = {0};
			ck_assert_int_eq(disk_read_all(disk, path_of("r"), &content), 0);
			bool old = bytes_equal(bytes_buf(&content), bytes_text("old"));
			bool new = bytes_equal(bytes_buf(&content), bytes_text("new"));
			ck_assert(old || new);
			ck_assert(result != 0 || new);
			buf_finish(&content);
			fault_disk_destroy(twin);
		}
}
END_TEST

START_TEST(a_power_cut_keeps_what_was_synced_and_may_lose_the_rest) {
	unsigned page_lost = 0, page_kept = 0, name_lost = 0;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct fault_disk *twin = fault_disk_copy(faults, seed);
		uint8_t page[FAULT_PAGE_BYTES];
		disk = fault_disk_seam(twin);
		struct disk_file *file = file_open("f", DISK_READ | DISK_WRITE | DISK_CREATE);
		memset(page, 'a', sizeof page);
		for (unsigned i = 0; i < 3; i++)
			ck_assert_int_eq(file->ops->write(file, page, sizeof page, i * sizeof page), 0);
		ck_assert_int_eq(file->ops->sync(file), 0);
		if (seed % 2 == 0)
			ck_assert_int_eq(disk->sync_dir(disk, root), 0);
		memset(page, 'b', sizeof page);
		ck_assert_int_eq(file->ops->write(file, page, sizeof page, sizeof page), 0);
		file->ops->close(file);
		fault_disk_cut(twin);
		struct buf content = {0};
		if (disk_read_all(disk, path_of("f"), &content) == 0) {
			ck_assert_uint_eq(content.size, 3 * sizeof page);
			ck_assert_uint_eq(content.data[0], 'a');
			ck_assert_uint_eq(content.data[2 * sizeof page], 'a');
			page_lost += content.data[sizeof page] == 'a';
			page_kept += content.data[sizeof page] == 'b';
		} else {
			ck_assert_uint_eq(seed % 2, 1);
			name_lost++;
		}
		buf_finish(&content);
		fault_disk_destroy(twin);
	}
	ck_assert(page_lost > 0 && page_kept > 0 && name_lost > 0);
}
END_TEST

START_TEST(after_a_failed_sync_reads_show_what_the_disk_does_not_hold) {
	unsigned lost = 0;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct fault_disk *twin = fault_disk_copy(faults, seed);
		char byte = 0;
		disk = fault_disk_seam(twin);
		struct disk_file *file = file_open("f", DISK_READ | DISK_WRITE | DISK_CREATE);
		ck_assert_int_eq(file->ops->write(file, "a", 1, 0), 0);
		ck_assert_int_eq(file->ops->sync(file), 0);
		ck_assert_int_eq(disk->sync_dir(disk, root), 0);
		ck_assert_int_eq(file->ops->write(file, "b", 1, 0), 0);
		fault_disk_fail(twin, "sync", 1, FAULT_EIO);
		ck_assert_int_eq(file->ops->sync(file), -EIO);
		ck_assert_int_eq(file->ops->sync(file), 0); /* this is why a failed sync is never tried again */
		ck_assert_int_eq(file->ops->read(file, &byte, 1, 0), 1);
		ck_assert_int_eq(byte, 'b');
		fault_disk_cut(twin);
		ck_assert_int_eq(file->ops->read(file, &byte, 1, 0), -EIO); /* a file of the dead process */
		file->ops->close(file);
		file = file_open("f", DISK_READ);
		ck_assert_int_eq(file->ops->read(file, &byte, 1, 0), 1);
		lost += byte == 'a';
		file->ops->close(file);
		fault_disk_destroy(twin);
	}
	ck_assert_uint_gt(lost, 0);
}
END_TEST

START_TEST(the_same_seed_loses_the_same) {
	struct buf first = {0}, second = {0};
	for (unsigned run = 0; run < 2; run++) {
		struct fault_disk *twin = fault_disk_create(77);
		uint8_t pages[8 * FAULT_PAGE_BYTES];
		disk = fault_disk_seam(twin);
		ck_assert_int_eq(disk->mkdir(disk, "/tmp"), 0);
		ck_assert_int_eq(disk->mkdir(disk, root), 0);
		ck_assert_int_eq(disk->sync_dir(disk, "/tmp"), 0);
		ck_assert_int_eq(disk->sync_dir(disk, ""), 0);
		memset(pages, 'x', sizeof pages);
		struct disk_file *file = file_open("f", DISK_READ | DISK_WRITE | DISK_CREATE);
		ck_assert_int_eq(disk->sync_dir(disk, root), 0);
		ck_assert_int_eq(file->ops->write(file, pages, sizeof pages, 0), 0);
		file->ops->close(file);
		fault_disk_cut(twin);
		int result = disk_read_all(disk, path_of("f"), run == 0 ? &first : &second);
		ck_assert(result == 0 || result == -ENOENT);
		fault_disk_destroy(twin);
	}
	ck_assert(bytes_equal(bytes_buf(&first), bytes_buf(&second)));
	buf_finish(&first);
	buf_finish(&second);
}
END_TEST

int main(void) {
	TCase *all = tcase_create("disk");
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_loop_test(all, a_file_is_read_as_written, 0, 2);
	tcase_add_loop_test(all, large_writes_are_whole, 0, 2);
	tcase_add_loop_test(all, errors_are_negative_errnos, 0, 2);
	tcase_add_loop_test(all, names_come_and_go, 0, 2);
	tcase_add_loop_test(all, replace_is_all_or_nothing_and_leaves_no_temporary, 0, 2);
	tcase_add_test(all, files_are_their_owners_alone);
	tcase_add_test(all, a_full_file_system_says_so);
	tcase_add_test(all, replace_survives_every_crash_point);
	tcase_add_test(all, a_power_cut_keeps_what_was_synced_and_may_lose_the_rest);
	tcase_add_test(all, after_a_failed_sync_reads_show_what_the_disk_does_not_hold);
	tcase_add_test(all, the_same_seed_loses_the_same);
	Suite *suite = suite_create("disk");
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
