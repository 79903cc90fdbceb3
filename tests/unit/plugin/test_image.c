/* Images and their files (plugin/image.h, image_file.h, load.h, strays.h): traps 1 to 4, 7, 8, 17, 18. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture_kit.h"
#include "supervisor/inquest.h"

/* Init needs a table; the fixtures call nothing of it. */
static const sofun_host host = {.size = sizeof host, .abi_major = SOFUN_ABI_MAJOR, .abi_minor = SOFUN_ABI_MINOR};

static char *folder;

static void folder_new(void) {
	folder = folder_make();
}

static void folder_old(void) {
	folder_remove(folder);
}

START_TEST(test_file_names_carry_their_generation) {
	uint8_t hash[HASH_BYTES];
	uint64_t generation = 0;
	image_hash(bytes_text("abc"), hash);
	char *name = image_file_name("counter-2", "1.10.0", 77, hash);
	ck_assert_str_eq(name, "counter-2-1.10.0-77-ba7816bf8f01cfea.so");
	ck_assert(image_file_generation(name, &generation));
	ck_assert_uint_eq(generation, 77);
	free(name);
	ck_assert(!image_file_generation("counter.so", &generation));
	ck_assert(!image_file_generation("-1-x.so", &generation));
	ck_assert(!image_file_generation("a--b.so", &generation));
	ck_assert(!image_file_generation("a-99999999999999999999-b.so", &generation));
}
END_TEST

START_TEST(test_copies_are_read_only_and_never_written_over) {
	struct error error;
	struct stat status;
	char *path = path_join(folder, "a-1.0.0-1-x.so");
	ck_assert(image_file_write(disk_machine(), folder, "a-1.0.0-1-x.so", COPY_MODE, bytes_text("abc"), &error));
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0444);
	ck_assert(!image_file_write(disk_machine(), folder, "a-1.0.0-1-x.so", COPY_MODE, bytes_text("def"), &error));
	ck_assert_int_eq(error.code, ERROR_REFUSED);
	ck_assert_int_eq(access(path, F_OK), 0);
	free(path);
}
END_TEST

static bool spare_b(void *arg, const char *name) {
	(void)arg;
	return name[0] == 'b';
}

START_TEST(test_cleaning_spares_what_is_named_and_finds_the_last_generation) {
	static const char *const names[] = {
		"a-1.0.0-3-x.so", "b-1.0.0-2-x.so", "c-1.0.0-41-x.so", "a-1.0.0-3-x.so.died", "junk"};
	uint64_t generation = 0;
	struct error error;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char *path = path_join(folder, names[i]);
		file_put(path, bytes_text("x"));
		free(path);
	}
	ck_assert(image_files_clean(disk_machine(), folder, spare_b, NULL, &generation, &error));
	ck_assert_uint_eq(generation, 41);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char *path = path_join(folder, names[i]);
		ck_assert_int_eq(access(path, F_OK) == 0, names[i][0] == 'b');
		free(path);
	}
}
END_TEST

/* Trap 17, wherever this machine has such a file system (/dev/shm, /proc, /sys mostly are). */
START_TEST(test_a_noexec_folder_is_refused) {
	char line[1024];
	char where[512];
	char options[512];
	struct error error;
	ck_assert(image_directory_prepare(disk_machine(), folder, &error));
	FILE *mounts = fopen("/proc/self/mounts", "r");
	ck_assert_ptr_nonnull(mounts);
	while (fgets(line, sizeof line, mounts) != NULL) {
		if (sscanf(line, "%*s %511s %*s %511s", where, options) != 2 || strstr(options, "noexec") == NULL)
			continue;
		ck_assert(!image_directory_prepare(disk_machine(), where, &error));
		ck_assert_int_eq(error.code, ERROR_REFUSED);
		ck_assert(strstr(error.message, "noexec") != NULL || error.system != 0);
	}
	fclose(mounts);
}
END_TEST

START_TEST(test_reading_what_is_no_file) {
	struct buf content = {0};
	struct file_identity identity;
	struct error error;
	ck_assert_int_eq(file_read("/nowhere/x.so", &content, &identity, &error), FILE_ABSENT);
	ck_assert_int_eq(error.code, ERROR_NOT_FOUND);
	ck_assert_int_eq(file_read(folder, &content, &identity, &error), FILE_UNREADABLE);
	char *pipe_path = path_join(folder, "pipe.so");
	ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
	ck_assert_int_eq(file_read(pipe_path, &content, &identity, &error), FILE_UNREADABLE);
	free(pipe_path);
	buf_finish(&content);
}
END_TEST

static void image_round(const char *fixture, uint64_t generation) {
	struct error error;
	const char *reason = NULL;
	bool stuck;
	struct image *image = fixture_image(fixture, folder, generation);
	ck_assert_msg(image_open(image, &host, &stuck, &error), "%s: %s", error.message, error.found);
	ck_assert_int_eq(image->state, IMAGE_READY);
	ck_assert(maps_name(image->path));
	bool unmapped = image_close(image, false, &reason);
	ck_assert_int_eq(unmapped, !library_kept_always());
	ck_assert_int_eq(maps_name(image->path), library_kept_always());
	image_destroy(image);
}

START_TEST(test_opened_and_closed_again_and_again) {
	struct library_figures figures;
	for (uint64_t generation = 1; generation <= 50; generation++)
		image_round(generation % 2 == 0 ? "plain" : "plain_newer", generation);
	library_figures(&figures);
	ck_assert_uint_eq(figures.mapped, library_kept_always() ? 50 : 0);
	ck_assert_uint_eq(figures.mapped + figures.unmapped, 50);
}
END_TEST

START_TEST(test_two_images_of_one_file_are_two) {
	struct error error;
	const char *reason;
	bool stuck;
	struct image *one = fixture_image("plain", folder, 1);
	struct image *two = fixture_image("plain", folder, 2);
	ck_assert(image_open(one, &host, &stuck, &error) && image_open(two, &host, &stuck, &error));
	ck_assert_ptr_ne(one->descriptor, two->descriptor);
	ck_assert_ptr_ne(one->facts.functions, two->facts.functions);
	image_close(one, false, &reason);
	ck_assert_str_eq(two->facts.functions[0].type, "trap/plain");
	image_close(two, false, &reason);
	image_destroy(one);
	image_destroy(two);
}
END_TEST

START_TEST(test_an_init_that_refuses_leaves_nothing) {
	struct error error;
	bool stuck;
	struct image *image = fixture_image("init_fails", folder, 1);
	ck_assert(!image_open(image, &host, &stuck, &error));
	ck_assert_int_eq(error.code, ERROR_REFUSED);
	ck_assert(strstr(error.message, "no licence was found") != NULL);
	ck_assert_int_eq(stuck, library_kept_always());
	ck_assert_int_eq(maps_name(image->path), library_kept_always());
	image_destroy(image);
}
END_TEST

START_TEST(test_what_the_loader_keeps_is_stuck_and_counted) {
	static const char *const names[] = {"nodelete", "unique"};
	for (size_t i = 0; i < 2; i++) {
		struct error error;
		struct library_figures figures;
		const char *reason = NULL;
		bool stuck;
		struct image *image = fixture_image(names[i], folder, i + 1);
		ck_assert_msg(image_open(image, &host, &stuck, &error), "%s", error.found);
		ck_assert(!image_close(image, false, &reason));
		ck_assert_ptr_nonnull(reason);
		ck_assert(maps_name(image->path));
		library_figures(&figures);
		ck_assert_uint_eq(figures.stuck, i + 1);
		image_destroy(image);
	}
}
END_TEST

START_TEST(test_kept_on_purpose) {
	struct error error;
	const char *reason = NULL;
	bool stuck;
	struct image *image = fixture_image("plain", folder, 1);
	ck_assert(image_open(image, &host, &stuck, &error));
	ck_assert(!image_close(image, true, &reason));
	ck_assert(strstr(reason, "--keep-images") != NULL);
	ck_assert(maps_name(image->path));
	image_destroy(image);
}
END_TEST

/* Trap 8: a thread of the plugin that lives on keeps the image; unloading it would end this process. */
START_TEST(test_a_thread_left_behind_keeps_the_image) {
	struct error error;
	const char *reason = NULL;
	bool stuck;
	struct image *image = fixture_image("thread_left", folder, 1);
	ck_assert(image_open(image, &host, &stuck, &error));
	ck_assert(!image_close(image, false, &reason));
	if (!library_kept_always())
		ck_assert_msg(strstr(reason, "thread") != NULL, "%s", reason);
	ck_assert(maps_name(image->path));
	image_destroy(image);
}
END_TEST

static void *sleeper(void *arg) {
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

START_TEST(test_threads_of_others_do_not_keep_it) {
	struct error error;
	const char *reason = NULL;
	bool stuck;
	pthread_t other;
	struct image *image = fixture_image("plain", folder, 1);
	ck_assert(image_open(image, &host, &stuck, &error));
	ck_assert_int_eq(pthread_create(&other, NULL, sleeper, NULL), 0);
	bool unmapped = image_close(image, false, &reason);
	ck_assert_int_eq(unmapped, !library_kept_always());
	image_destroy(image);
}
END_TEST

/* The loader may place the image right above the stack of a new thread, and the image holds its own addresses. */
START_TEST(test_what_lies_above_a_stack_is_not_its_own) {
	enum { STACK_BYTES = 4 << 20, PAGE_BYTES = 4096 }; /* ThreadSanitizer refuses a stack below 1 MiB */
	struct error error;
	const char *reason = NULL;
	bool stuck;
	pthread_t other;
	pthread_attr_t attributes;
	struct image *image = fixture_image("plain", folder, 1);
	ck_assert(image_open(image, &host, &stuck, &error));
	uint8_t *stack = mmap(NULL, STACK_BYTES + PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(stack, MAP_FAILED);
	memcpy(stack + STACK_BYTES, &image->descriptor, sizeof image->descriptor);
	ck_assert_int_eq(mprotect(stack + STACK_BYTES, PAGE_BYTES, PROT_READ), 0);
	pthread_attr_init(&attributes);
	ck_assert_int_eq(pthread_attr_setstack(&attributes, stack, STACK_BYTES), 0);
	ck_assert_int_eq(pthread_create(&other, &attributes, sleeper, NULL), 0);
	ck_assert_int_eq(image_close(image, false, &reason), !library_kept_always());
	image_destroy(image);
	pthread_attr_destroy(&attributes);
}
END_TEST

/* Rules 32 and 34: the supervisor knows who ended the host. */
START_TEST(test_a_death_in_init_is_told) {
	struct supervised {
		struct fault fault;
		struct notes notes;
	} *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct image *image = fixture_image("init_kills_host", folder, 1);
	struct crash_row death;
	ck_assert_ptr_ne(shared, MAP_FAILED);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct error error;
		bool stuck;
		notes_open(&shared->notes);
		fault_watch(&shared->fault);
		fault_thread_begin(NOTE_PLACE_STAGER);
		image_open(image, &host, &stuck, &error);
		_exit(0);
	}
	int status = 0;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	inquest(status, &shared->fault, &shared->notes, crash_current(), 1, &death);
	ck_assert(crash_row_is(&death, CRASH_LOADING));
	ck_assert_str_eq(death.cause, "SIGABRT");
	ck_assert_str_eq(death.plugin, "init_kills_host");
	ck_assert_mem_eq(death.hash, image->hash, HASH_BYTES);
	munmap(shared, sizeof *shared);
	image_destroy(image);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("image");
	TCase *tests = tcase_create("image");
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, folder_new, folder_old);
	tcase_add_test(tests, test_file_names_carry_their_generation);
	tcase_add_test(tests, test_copies_are_read_only_and_never_written_over);
	tcase_add_test(tests, test_cleaning_spares_what_is_named_and_finds_the_last_generation);
	tcase_add_test(tests, test_a_noexec_folder_is_refused);
	tcase_add_test(tests, test_reading_what_is_no_file);
	tcase_add_test(tests, test_opened_and_closed_again_and_again);
	tcase_add_test(tests, test_two_images_of_one_file_are_two);
	tcase_add_test(tests, test_an_init_that_refuses_leaves_nothing);
	tcase_add_test(tests, test_what_the_loader_keeps_is_stuck_and_counted);
	tcase_add_test(tests, test_kept_on_purpose);
	tcase_add_test(tests, test_a_thread_left_behind_keeps_the_image);
	tcase_add_test(tests, test_threads_of_others_do_not_keep_it);
	tcase_add_test(tests, test_what_lies_above_a_stack_is_not_its_own);
	tcase_add_test(tests, test_a_death_in_init_is_told);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
