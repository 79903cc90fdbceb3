/* The data directory's lock, and how the memory budget is shared out. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "budget.h"
#include "data_dir.h"
#include "limits.h"

static char directory[] = "/tmp/sofun-dir-XXXXXX";
static char path[128];
static struct error error;

static void setup(void) {
	memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/a/b", directory);
}

static void teardown(void) {
	static const char *const names[] = {"/a/b/LOCK", "/a/b", "/a", ""};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char name[160];
		snprintf(name, sizeof name, "%s%s", directory, names[i]);
		ck_assert(remove(name) == 0 || names[i][0] != '\0');
	}
}

START_TEST(an_absent_directory_is_made_for_the_owner_only) {
	struct data_dir dir;
	struct stat info;
	ck_assert_msg(data_dir_open(path, &dir, &error), "%s", error.message);
	ck_assert_int_eq(stat(path, &info), 0);
	ck_assert_int_eq(info.st_mode & 0777, 0700);
	data_dir_close(&dir);
	ck_assert(data_dir_open(path, &dir, &error));
	data_dir_close(&dir);
}
END_TEST

START_TEST(a_locked_directory_names_its_holder) {
	struct data_dir dir, second;
	char holder[64];
	ck_assert(data_dir_open(path, &dir, &error));
	ck_assert(!data_dir_open(path, &second, &error));
	ck_assert_int_eq(error.code, ERROR_CONFLICT);
	snprintf(holder, sizeof holder, "process %ld has it", (long)getpid());
	ck_assert_str_eq(error.found, holder);
	data_dir_close(&dir);
}
END_TEST

/* A child holds the lock until it is killed; the start that waits meanwhile gets it. */
START_TEST(a_start_waits_for_a_holder_that_goes) {
	struct data_dir dir;
	int ready[2];
	char byte;
	ck_assert_int_eq(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		bool good = data_dir_open(path, &dir, &error);
		if (write(ready[1], good ? "y" : "n", 1) == 1)
			usleep(300000);
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 'y');
	ck_assert_msg(data_dir_open(path, &dir, &error), "%s", error.message);
	data_dir_close(&dir);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	close(ready[0]);
	close(ready[1]);
}
END_TEST

START_TEST(a_file_is_no_directory) {
	struct data_dir dir;
	char name[160];
	snprintf(name, sizeof name, "%s/a", directory);
	int fd = open(name, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert(!data_dir_open(name, &dir, &error));
	ck_assert_int_eq(error.code, ERROR_REFUSED);
	ck_assert(!data_dir_open_readonly(name, &dir, &error));
	ck_assert_int_eq(error.code, ERROR_REFUSED);
}
END_TEST

START_TEST(readonly_makes_nothing) {
	struct data_dir dir;
	struct stat info;
	ck_assert(!data_dir_open_readonly(path, &dir, &error));
	ck_assert_int_eq(error.code, ERROR_REFUSED);
	ck_assert_int_ne(stat(path, &info), 0);
	ck_assert(data_dir_open_readonly(directory, &dir, &error));
	data_dir_close(&dir);
}
END_TEST

START_TEST(the_budget_is_spent_once) {
	static const uint64_t sizes[] = {MIB(16), MIB(100), MIB(512), MIB(4096), MIB(1 << 20)};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct budget budget = budget_split(sizes[i]);
		ck_assert_uint_eq(2 * budget.checkpoint_bytes + budget.kv_cache_bytes + budget.write_buffer_bytes +
				budget.engine_bytes + budget.base_bytes,
			sizes[i]);
		ck_assert_uint_le(budget.checkpoint_bytes, CHECKPOINT_BYTES);
		ck_assert_uint_ge(budget.engine_bytes, (sizes[i] - budget.base_bytes) / 2);
		ck_assert_uint_eq(budget.journal_bytes_max, 2 * budget.checkpoint_bytes);
	}
	ck_assert_uint_eq(budget_split(MIB(512 + 24)).checkpoint_bytes, CHECKPOINT_BYTES);
}
END_TEST

int main(void) {
	TCase *cases = tcase_create("data_dir");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, an_absent_directory_is_made_for_the_owner_only);
	tcase_add_test(cases, a_locked_directory_names_its_holder);
	tcase_add_test(cases, a_start_waits_for_a_holder_that_goes);
	tcase_add_test(cases, a_file_is_no_directory);
	tcase_add_test(cases, readonly_makes_nothing);
	tcase_add_test(cases, the_budget_is_spent_once);
	Suite *suite = suite_create("data_dir");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
