/* LevelDB behind kv.h, on a real disk: damage is told, lost logs are survived, many databases fit one budget. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "state/kv.h"

enum { CACHE_BYTES = 8 << 20, BUDGET_BYTES = 64 << 20 };

static char dir[] = "/tmp/sofun-test-XXXXXX";
static char path[100];
static struct kv_factory *factory;
static struct kv *kv;
static struct error error;

static void database_open(void) {
	factory = kv_leveldb(CACHE_BYTES, BUDGET_BYTES);
	kv = factory->open(factory, path, true, &error);
	ck_assert_msg(kv != NULL, "%s", error.message);
}

static void database_close(void) {
	if (kv != NULL)
		kv->ops->close(kv);
	if (factory != NULL)
		factory->close(factory);
	kv = NULL;
	factory = NULL;
}

static void setup(void) {
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/db", dir);
	log_level_set(LOG_ERROR);
	database_open();
}

static int entry_remove(const char *name, const struct stat *status, int type, struct FTW *place) {
	(void)status;
	(void)type;
	(void)place;
	return remove(name);
}

static void teardown(void) {
	database_close();
	nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static struct bytes key_of_number(unsigned number, char *key) {
	int size = snprintf(key, 16, "I%06u", number);
	return bytes_of(key, (size_t)size);
}

/* Values of that size for the keys [from, to), in one batch. */
static bool rows_put(struct kv *to_kv, unsigned from, unsigned to, size_t size, bool sync) {
	struct kv_op *ops = check_alloc(to - from, sizeof *ops);
	char(*keys)[16] = check_alloc(to - from, sizeof *keys);
	uint8_t *value = check_alloc(size, 1);
	for (size_t i = 0; i < size; i++)
		value[i] = (uint8_t)(i * 131 + i / 7);
	for (unsigned i = from; i < to; i++)
		ops[i - from] = (struct kv_op){.key = key_of_number(i, keys[i - from]), .value = bytes_of(value, size)};
	bool good = to_kv->ops->write(to_kv, ops, to - from, sync, &error);
	free(value);
	free(keys);
	free(ops);
	return good;
}

static void rows_must(unsigned from, unsigned to, size_t size) {
	ck_assert_msg(rows_put(kv, from, to, size, false), "%s", error.message);
}

static int row_get(struct kv *from, unsigned number, size_t *ret_size) {
	struct buf value = {0};
	char key[16];
	int found = from->ops->get(from, key_of_number(number, key), &value, &error);
	*ret_size = value.size;
	buf_finish(&value);
	return found;
}

static unsigned rows_count(void) {
	struct kv_cursor *cursor = kv->ops->cursor(kv);
	unsigned count = 0;
	for (cursor->ops->seek(cursor, bytes_of(NULL, 0)); cursor->ops->valid(cursor); cursor->ops->next(cursor))
		count++;
	ck_assert_msg(cursor->ops->status(cursor, &error), "%s", error.message);
	cursor->ops->close(cursor);
	return count;
}

/* Calls each(path) for the database's files that end so; gives how many. */
static unsigned files_each(const char *end, void (*each)(const char *name)) {
	DIR *folder = opendir(path);
	struct dirent *entry;
	unsigned count = 0;
	ck_assert_ptr_nonnull(folder);
	while ((entry = readdir(folder)) != NULL) {
		char name[400];
		if (strlen(entry->d_name) < strlen(end) ||
			strcmp(entry->d_name + strlen(entry->d_name) - strlen(end), end) != 0)
			continue;
		snprintf(name, sizeof name, "%s/%.256s", path, entry->d_name);
		if (each != NULL)
			each(name);
		count++;
	}
	closedir(folder);
	return count;
}

static void file_damage(const char *name) {
	int file = open(name, O_RDWR);
	uint8_t bytes[64];
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(pread(file, bytes, sizeof bytes, 200), sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] ^= 0x55;
	ck_assert_int_eq(pwrite(file, bytes, sizeof bytes, 200), sizeof bytes);
	close(file);
}

static void file_remove(const char *name) {
	ck_assert_int_eq(unlink(name), 0);
}

START_TEST(rows_are_put_removed_and_read_in_order) {
	rows_must(0, 1000, 20);
	char key[16];
	struct kv_op remove_op = {.key = key_of_number(7, key), .remove = true};
	struct kv_cursor *before = kv->ops->cursor(kv);
	ck_assert(kv->ops->write(kv, &remove_op, 1, true, &error));
	size_t size;
	ck_assert_int_eq(row_get(kv, 7, &size), 0);
	ck_assert_int_eq(row_get(kv, 8, &size), 1);
	ck_assert_uint_eq(size, 20);
	before->ops->seek(before, key_of_number(7, key)); /* a snapshot */
	ck_assert(before->ops->valid(before) && bytes_equal(before->ops->key(before), key_of_number(7, key)));
	before->ops->close(before);
	ck_assert_uint_eq(rows_count(), 999);
	struct kv_op empty = {.key = key_of_number(7, key)};
	ck_assert(kv->ops->write(kv, &empty, 1, true, &error));
	ck_assert_int_eq(row_get(kv, 7, &size), 1);
	ck_assert_uint_eq(size, 0);
}
END_TEST

START_TEST(what_is_not_there_is_not_made_unasked) {
	char other[80];
	snprintf(other, sizeof other, "%s/other", dir);
	ck_assert_ptr_null(factory->open(factory, other, false, &error));
	ck_assert_int_eq(error.code, ERROR_STORE_FAILED);
	ck_assert_str_ne(error.hint, "");
}
END_TEST

START_TEST(a_flush_survives_the_loss_of_all_logs) {
	rows_must(0, 500, 100);
	ck_assert(kv->ops->flush(kv, &error));
	rows_must(500, 900, 100);
	database_close();
	files_each(".log", file_remove);
	database_open();
	ck_assert_uint_eq(rows_count(), 500);
}
END_TEST

START_TEST(a_damaged_log_is_set_aside) {
	rows_must(0, 500, 100);
	ck_assert(kv->ops->flush(kv, &error));
	for (unsigned i = 500; i < 900; i++)
		rows_must(i, i + 1, 100);
	database_close();
	files_each(".log", file_damage);
	database_open();
	ck_assert_uint_eq(rows_count(), 500);
	char aside[120];
	snprintf(aside, sizeof aside, "%s/set-aside", path);
	ck_assert_int_eq(access(aside, F_OK), 0);
	rows_must(500, 900, 100);
	ck_assert_uint_eq(rows_count(), 900);
}
END_TEST

START_TEST(a_damaged_table_is_told_at_the_read) {
	rows_must(0, 500, 100);
	ck_assert(kv->ops->flush(kv, &error));
	database_close();
	files_each(".ldb", file_damage);
	database_open();
	size_t size;
	ck_assert_int_eq(row_get(kv, 1, &size), -1);
	ck_assert_int_eq(error.code, ERROR_STORE_FAILED);
	ck_assert_ptr_nonnull(strstr(error.message, "Corruption"));
	ck_assert_ptr_nonnull(strstr(error.hint, "--verify"));
	struct kv_cursor *cursor = kv->ops->cursor(kv);
	cursor->ops->seek(cursor, bytes_of(NULL, 0));
	while (cursor->ops->valid(cursor))
		cursor->ops->next(cursor);
	ck_assert(!cursor->ops->status(cursor, &error));
	cursor->ops->close(cursor);
}
END_TEST

/* ---- the end of the MANIFEST ---- */

static char oldest[400], newest[400];

static void name_order(const char *name) {
	if (oldest[0] == '\0' || strcmp(name, oldest) < 0)
		strcpy(oldest, name);
	if (strcmp(name, newest) > 0)
		strcpy(newest, name);
}

/* What stands there apart from LevelDB's LOG: names, and bytes. */
static uint64_t content;

static int entry_content(const char *name, const struct stat *status, int type, struct FTW *place) {
	(void)status;
	const char *base = name + place->base;
	if (type != FTW_F || strncmp(base, "LO", 2) == 0) /* LOG, LOG.old, LOCK */
		return 0;
	for (const char *at = base; *at != '\0'; at++)
		content = content * 31 + (uint8_t)*at;
	FILE *file = fopen(name, "rb");
	ck_assert_ptr_nonnull(file);
	for (int byte = getc(file); byte != EOF; byte = getc(file))
		content = content * 31 + (uint64_t)byte;
	fclose(file);
	return 0;
}

static uint64_t database_content(void) {
	content = 0;
	ck_assert_int_eq(nftw(path, entry_content, 16, FTW_PHYS), 0);
	return content;
}

static void manifest_flip(const char *name, long offset) {
	FILE *file = fopen(name, "r+b");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
	int byte = getc(file);
	fseek(file, -1, SEEK_CUR);
	putc(byte ^ 1, file);
	fclose(file);
}

/* Flips a bit of the only MANIFEST, whose name stays in `manifest`. */
static char manifest[400];

static void manifest_damage(long offset) {
	DIR *folder = opendir(path);
	ck_assert_ptr_nonnull(folder);
	for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
		if (strncmp(entry->d_name, "MANIFEST-", 9) == 0)
			snprintf(manifest, sizeof manifest, "%s/%.256s", path, entry->d_name);
	}
	closedir(folder);
	manifest_flip(manifest, offset);
}

/* Rows 0 to 500 in a table, 500 to 700 in another, the rest in the log; closed. */
static void two_tables(void) {
	rows_must(0, 500, 100);
	ck_assert(kv->ops->flush(kv, &error));
	rows_must(500, 700, 100);
	ck_assert(kv->ops->flush(kv, &error));
	rows_must(700, 701, 100);
	database_close();
	oldest[0] = newest[0] = '\0';
	ck_assert_uint_eq(files_each(".ldb", name_order), 2);
}

static void must_be_refused_untouched(const char *word) {
	uint64_t before = database_content();
	factory = kv_leveldb(CACHE_BYTES, BUDGET_BYTES);
	ck_assert_ptr_null(factory->open(factory, path, true, &error));
	ck_assert_int_eq(error.code, ERROR_STORE_FAILED);
	ck_assert_msg(strstr(error.message, word) != NULL, "%s", error.message);
	ck_assert_uint_eq(database_content(), before);
}

static bool is_aside(const char *name) {
	char aside[800];
	snprintf(aside, sizeof aside, "%s/set-aside%s", path, strrchr(name, '/'));
	return access(aside, F_OK) == 0;
}

START_TEST(a_lost_table_is_refused_and_all_stays_as_it_is) {
	two_tables();
	file_remove(oldest);
	must_be_refused_untouched("missing");
}
END_TEST

/* The cut fell between LevelDB's write of the record and its sync of the folder. */
START_TEST(a_record_that_came_before_the_name_of_its_table_is_cut_off) {
	two_tables();
	file_remove(newest);
	database_open();
	ck_assert_uint_eq(rows_count(), 500);
	rows_must(500, 900, 100);
	ck_assert(kv->ops->flush(kv, &error));
	database_close();
	database_open();
	ck_assert_uint_eq(rows_count(), 900);
}
END_TEST

START_TEST(a_torn_last_record_is_cut_off_and_its_table_kept) {
	two_tables();
	manifest_damage(-5);
	database_open();
	ck_assert_uint_eq(rows_count(), 500);
	ck_assert(is_aside(manifest));
	ck_assert(is_aside(newest)); /* LevelDB took it for refuse */
	ck_assert(!is_aside(oldest));
}
END_TEST

START_TEST(a_damage_in_the_midst_of_a_manifest_is_refused) {
	two_tables();
	manifest_damage(9);
	must_be_refused_untouched("Corruption");
}
END_TEST

START_TEST(a_database_in_use_is_refused) {
	struct kv_factory *second = kv_leveldb(CACHE_BYTES, BUDGET_BYTES);
	ck_assert_ptr_null(second->open(second, path, true, &error));
	ck_assert_int_eq(error.code, ERROR_REFUSED);
	ck_assert_ptr_nonnull(strstr(error.hint, "another process"));
	second->close(second);
}
END_TEST

/* ---- shadows ---- */

static uint64_t fingerprint;

static int entry_fingerprint(const char *name, const struct stat *status, int type, struct FTW *place) {
	(void)place;
	for (const char *at = name; *at != '\0'; at++)
		fingerprint = fingerprint * 31 + (uint8_t)*at;
	fingerprint = fingerprint * 31 + (uint64_t)status->st_size * 7 + (uint64_t)status->st_mtim.tv_nsec + (uint64_t)type;
	return 0;
}

static uint64_t database_fingerprint(void) {
	fingerprint = 0;
	ck_assert_int_eq(nftw(path, entry_fingerprint, 16, FTW_PHYS), 0);
	return fingerprint;
}

START_TEST(a_shadow_shows_all_and_changes_nothing) {
	rows_must(0, 500, 100);
	ck_assert(kv->ops->flush(kv, &error));
	rows_must(500, 600, 100);
	database_close();
	uint64_t before = database_fingerprint();
	factory = kv_leveldb_shadow(CACHE_BYTES);
	kv = factory->open(factory, path, false, &error);
	ck_assert_msg(kv != NULL, "%s", error.message);
	ck_assert_uint_eq(rows_count(), 600);
	database_close();
	ck_assert_uint_eq(database_fingerprint(), before);
}
END_TEST

/* ---- many databases ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_TELLS false /* a sanitizer keeps what was freed */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEMORY_TELLS false
#endif
#endif
#ifndef MEMORY_TELLS
#define MEMORY_TELLS true
#endif

enum { MANY = 1000, MANY_ROWS = 40, MANY_BYTES = 2000 };

static uint64_t resident_bytes(void) {
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long all = 0;
	unsigned long resident = 0;
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%lu %lu", &all, &resident), 2);
	fclose(file);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

START_TEST(a_thousand_databases_stay_within_one_budget) {
	static struct kv *many[MANY];
	uint64_t before = resident_bytes();
	uint64_t most = before;
	for (unsigned i = 0; i < MANY; i++) {
		char name[80];
		snprintf(name, sizeof name, "%s/%u", dir, i);
		many[i] = factory->open(factory, name, true, &error);
		ck_assert_msg(many[i] != NULL, "%s", error.message);
		ck_assert(rows_put(many[i], 0, MANY_ROWS, MANY_BYTES, false));
		most = resident_bytes() > most ? resident_bytes() : most;
	}
	for (unsigned i = 0; i < MANY; i++) {
		size_t size;
		ck_assert_int_eq(row_get(many[i * 7 % MANY], i % MANY_ROWS, &size), 1);
		ck_assert_uint_eq(size, MANY_BYTES);
		most = resident_bytes() > most ? resident_bytes() : most;
	}
	for (unsigned i = 0; i < MANY; i++)
		many[i]->ops->close(many[i]);
	/* 80 MB were written; the budget, the cache and what malloc keeps. */
	if (MEMORY_TELLS)
		ck_assert_uint_lt(most - before, BUDGET_BYTES + CACHE_BYTES + (40u << 20));
}
END_TEST

enum { SHARED = 12, USERS = 3, ROUNDS = 60 };

static struct kv *shared[SHARED];

static void *use_shared(void *arg) {
	unsigned random = (unsigned)(uintptr_t)arg;
	for (unsigned round = 0; round < ROUNDS; round++) {
		random = random * 1103515245 + 12345;
		struct kv *chosen = shared[random / 65536 % SHARED];
		struct error problem;
		struct buf value = {0};
		char key[16];
		struct kv_op op = {.key = key_of_number(random / 65536 % 100, key), .value = bytes_text("there")};
		check(chosen->ops->write(chosen, &op, 1, round % 16 == 0, &problem));
		check(chosen->ops->get(chosen, op.key, &value, &problem) == 1 && bytes_equal(bytes_buf(&value), op.value));
		struct kv_cursor *cursor = chosen->ops->cursor(chosen);
		cursor->ops->seek(cursor, op.key);
		check(cursor->ops->valid(cursor) && bytes_equal(cursor->ops->key(cursor), op.key));
		if (round % 8 == 0)
			check(chosen->ops->flush(chosen, &problem));
		cursor->ops->close(cursor);
		buf_finish(&value);
	}
	return NULL;
}

START_TEST(threads_share_more_databases_than_may_be_open) {
	pthread_t users[USERS];
	database_close();
	factory = kv_leveldb(CACHE_BYTES, 3 * 512 * 1024); /* three idle ones */
	for (unsigned i = 0; i < SHARED; i++) {
		char name[80];
		snprintf(name, sizeof name, "%s/%u", dir, i);
		shared[i] = factory->open(factory, name, true, &error);
		ck_assert_msg(shared[i] != NULL, "%s", error.message);
	}
	for (uintptr_t i = 0; i < USERS; i++)
		pthread_create(&users[i], NULL, use_shared, (void *)(i + 1));
	for (unsigned i = 0; i < USERS; i++)
		pthread_join(users[i], NULL);
	for (unsigned i = 0; i < SHARED; i++)
		shared[i]->ops->close(shared[i]);
}
END_TEST

/* ---- a full disk ---- */

START_TEST(a_database_goes_on_when_the_disk_has_space_again) {
	char full[80];
	char filler[100];
	snprintf(full, sizeof full, "%s/full", dir);
	snprintf(filler, sizeof filler, "%s/filler", full);
	ck_assert_int_eq(mkdir(full, 0700), 0);
	if (mount("none", full, "tmpfs", 0, "size=24m") != 0) {
		fprintf(stderr, "not tried: a full disk needs the right to mount one\n");
		return;
	}
	database_close();
	snprintf(path, sizeof path, "%s/db", full);
	database_open();
	int file = open(filler, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(posix_fallocate(file, 0, 18 << 20), 0);
	close(file);
	unsigned written = 0;
	while (written < 10000 && rows_put(kv, written * 50, written * 50 + 50, 1000, false))
		written++;
	ck_assert_int_eq(error.system, ENOSPC);
	ck_assert_ptr_nonnull(strstr(error.message, "No space left on device"));
	ck_assert(!rows_put(kv, written * 50, written * 50 + 50, 1000, true));
	ck_assert_int_eq(error.system, ENOSPC);
	size_t size;
	ck_assert_int_eq(row_get(kv, 1, &size), 1); /* still to be read */
	ck_assert_int_eq(unlink(filler), 0);
	ck_assert_msg(rows_put(kv, written * 50, written * 50 + 50, 1000, true), "%s", error.message);
	ck_assert_uint_eq(rows_count(), written * 50 + 50);
	ck_assert(kv->ops->flush(kv, &error) && rows_put(kv, 0, 1, 1000, true));
	database_close();
	ck_assert_int_eq(umount(full), 0);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("store_leveldb");
	TCase *cases = tcase_create("leveldb");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 200);
	tcase_add_test(cases, rows_are_put_removed_and_read_in_order);
	tcase_add_test(cases, what_is_not_there_is_not_made_unasked);
	tcase_add_test(cases, a_flush_survives_the_loss_of_all_logs);
	tcase_add_test(cases, a_damaged_log_is_set_aside);
	tcase_add_test(cases, a_damaged_table_is_told_at_the_read);
	tcase_add_test(cases, a_lost_table_is_refused_and_all_stays_as_it_is);
	tcase_add_test(cases, a_record_that_came_before_the_name_of_its_table_is_cut_off);
	tcase_add_test(cases, a_torn_last_record_is_cut_off_and_its_table_kept);
	tcase_add_test(cases, a_damage_in_the_midst_of_a_manifest_is_refused);
	tcase_add_test(cases, a_database_in_use_is_refused);
	tcase_add_test(cases, a_shadow_shows_all_and_changes_nothing);
	tcase_add_test(cases, a_thousand_databases_stay_within_one_budget);
	tcase_add_test(cases, threads_share_more_databases_than_may_be_open);
	tcase_add_test(cases, a_database_goes_on_when_the_disk_has_space_again);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
