/* LevelDB behind kv.h, on a real disk: rows, snapshots, many databases within one budget, a full disk. */
#include <check.h>
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
#include "leveldb_kit.h"

static struct leveldb_kit kit;

static void setup(void) {
	leveldb_kit_start(&kit);
}

static void teardown(void) {
	leveldb_kit_stop(&kit);
}

START_TEST(rows_are_put_removed_and_read_in_order) {
	leveldb_kit_fill(&kit, 0, 1000, 20);
	char key[16];
	struct kv_op remove_op = {.key = leveldb_kit_key(7, key), .remove = true};
	struct kv_cursor *before = kit.kv->ops->cursor(kit.kv);
	ck_assert(kit.kv->ops->write(kit.kv, &remove_op, 1, true, &kit.error));
	size_t size;
	ck_assert_int_eq(leveldb_kit_get(kit.kv, 7, &size, &kit.error), 0);
	ck_assert_int_eq(leveldb_kit_get(kit.kv, 8, &size, &kit.error), 1);
	ck_assert_uint_eq(size, 20);
	before->ops->seek(before, leveldb_kit_key(7, key)); /* a snapshot */
	ck_assert(before->ops->valid(before) && bytes_equal(before->ops->key(before), leveldb_kit_key(7, key)));
	before->ops->close(before);
	ck_assert_uint_eq(leveldb_kit_count(&kit), 999);
	struct kv_op empty = {.key = leveldb_kit_key(7, key)};
	ck_assert(kit.kv->ops->write(kit.kv, &empty, 1, true, &kit.error));
	ck_assert_int_eq(leveldb_kit_get(kit.kv, 7, &size, &kit.error), 1);
	ck_assert_uint_eq(size, 0);
}
END_TEST

START_TEST(what_is_not_there_is_not_made_unasked) {
	char other[80];
	snprintf(other, sizeof other, "%s/other", kit.dir);
	ck_assert_ptr_null(kit.factory->open(kit.factory, other, false, &kit.error));
	ck_assert_int_eq(kit.error.code, ERROR_STORE_FAILED);
	ck_assert_str_ne(kit.error.hint, "");
}
END_TEST

START_TEST(a_database_in_use_is_refused) {
	struct kv_factory *second = kv_leveldb(LEVELDB_KIT_CACHE_BYTES, LEVELDB_KIT_BUDGET_BYTES);
	ck_assert_ptr_null(second->open(second, kit.path, true, &kit.error));
	ck_assert_int_eq(kit.error.code, ERROR_REFUSED);
	ck_assert_ptr_nonnull(strstr(kit.error.hint, "another process"));
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
	ck_assert_int_eq(nftw(kit.path, entry_fingerprint, 16, FTW_PHYS), 0);
	return fingerprint;
}

START_TEST(a_shadow_shows_all_and_changes_nothing) {
	leveldb_kit_fill(&kit, 0, 500, 100);
	ck_assert(kit.kv->ops->flush(kit.kv, &kit.error));
	leveldb_kit_fill(&kit, 500, 600, 100);
	leveldb_kit_close(&kit);
	uint64_t before = database_fingerprint();
	kit.factory = kv_leveldb_shadow(LEVELDB_KIT_CACHE_BYTES);
	kit.kv = kit.factory->open(kit.factory, kit.path, false, &kit.error);
	ck_assert_msg(kit.kv != NULL, "%s", kit.error.message);
	ck_assert_uint_eq(leveldb_kit_count(&kit), 600);
	leveldb_kit_close(&kit);
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
		snprintf(name, sizeof name, "%s/%u", kit.dir, i);
		many[i] = kit.factory->open(kit.factory, name, true, &kit.error);
		ck_assert_msg(many[i] != NULL, "%s", kit.error.message);
		ck_assert(leveldb_kit_put(many[i], 0, MANY_ROWS, MANY_BYTES, false, &kit.error));
		most = resident_bytes() > most ? resident_bytes() : most;
	}
	for (unsigned i = 0; i < MANY; i++) {
		size_t size;
		ck_assert_int_eq(leveldb_kit_get(many[i * 7 % MANY], i % MANY_ROWS, &size, &kit.error), 1);
		ck_assert_uint_eq(size, MANY_BYTES);
		most = resident_bytes() > most ? resident_bytes() : most;
	}
	for (unsigned i = 0; i < MANY; i++)
		many[i]->ops->close(many[i]);
	/* 80 MB were written; the budget, the cache and what malloc keeps. */
	if (MEMORY_TELLS)
		ck_assert_uint_lt(most - before, LEVELDB_KIT_BUDGET_BYTES + LEVELDB_KIT_CACHE_BYTES + (40u << 20));
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
		struct kv_op op = {.key = leveldb_kit_key(random / 65536 % 100, key), .value = bytes_text("there")};
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
	leveldb_kit_close(&kit);
	kit.factory = kv_leveldb(LEVELDB_KIT_CACHE_BYTES, 3 * 512 * 1024); /* three idle ones */
	for (unsigned i = 0; i < SHARED; i++) {
		char name[80];
		snprintf(name, sizeof name, "%s/%u", kit.dir, i);
		shared[i] = kit.factory->open(kit.factory, name, true, &kit.error);
		ck_assert_msg(shared[i] != NULL, "%s", kit.error.message);
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
	snprintf(full, sizeof full, "%s/full", kit.dir);
	snprintf(filler, sizeof filler, "%s/filler", full);
	ck_assert_int_eq(mkdir(full, 0700), 0);
	if (mount("none", full, "tmpfs", 0, "size=24m") != 0) {
		fprintf(stderr, "not tried: a full disk needs the right to mount one\n");
		return;
	}
	leveldb_kit_close(&kit);
	snprintf(kit.path, sizeof kit.path, "%s/db", full);
	leveldb_kit_open(&kit);
	int file = open(filler, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(posix_fallocate(file, 0, 18 << 20), 0);
	close(file);
	unsigned written = 0;
	while (written < 10000 && leveldb_kit_put(kit.kv, written * 50, written * 50 + 50, 1000, false, &kit.error))
		written++;
	ck_assert_int_eq(kit.error.system, ENOSPC);
	ck_assert_ptr_nonnull(strstr(kit.error.message, "No space left on device"));
	ck_assert(!leveldb_kit_put(kit.kv, written * 50, written * 50 + 50, 1000, true, &kit.error));
	ck_assert_int_eq(kit.error.system, ENOSPC);
	size_t size;
	ck_assert_int_eq(leveldb_kit_get(kit.kv, 1, &size, &kit.error), 1); /* still to be read */
	ck_assert_int_eq(unlink(filler), 0);
	ck_assert_msg(
		leveldb_kit_put(kit.kv, written * 50, written * 50 + 50, 1000, true, &kit.error), "%s", kit.error.message);
	ck_assert_uint_eq(leveldb_kit_count(&kit), written * 50 + 50);
	ck_assert(kit.kv->ops->flush(kit.kv, &kit.error) && leveldb_kit_put(kit.kv, 0, 1, 1000, true, &kit.error));
	leveldb_kit_close(&kit);
	ck_assert_int_eq(umount(full), 0);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("store_leveldb");
	TCase *cases = tcase_create("leveldb");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 280);
	tcase_add_test(cases, rows_are_put_removed_and_read_in_order);
	tcase_add_test(cases, what_is_not_there_is_not_made_unasked);
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
