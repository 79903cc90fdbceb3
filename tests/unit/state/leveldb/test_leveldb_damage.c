/* LevelDB behind kv.h, on a real disk: lost logs are survived, what a power cut leaves is mended, other damage is told. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "leveldb_kit.h"

static struct leveldb_kit kit;

static void setup(void) {
	leveldb_kit_start(&kit);
}

static void teardown(void) {
	leveldb_kit_stop(&kit);
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

START_TEST(a_flush_survives_the_loss_of_all_logs) {
	leveldb_kit_fill(&kit, 0, 500, 100);
	ck_assert(kit.kv->ops->flush(kit.kv, &kit.error));
	leveldb_kit_fill(&kit, 500, 900, 100);
	leveldb_kit_close(&kit);
	leveldb_kit_files(&kit, ".log", file_remove);
	leveldb_kit_open(&kit);
	ck_assert_uint_eq(leveldb_kit_count(&kit), 500);
}
END_TEST

START_TEST(a_damaged_log_is_set_aside) {
	leveldb_kit_fill(&kit, 0, 500, 100);
	ck_assert(kit.kv->ops->flush(kit.kv, &kit.error));
	for (unsigned i = 500; i < 900; i++)
		leveldb_kit_fill(&kit, i, i + 1, 100);
	leveldb_kit_close(&kit);
	leveldb_kit_files(&kit, ".log", file_damage);
	leveldb_kit_open(&kit);
	ck_assert_uint_eq(leveldb_kit_count(&kit), 500);
	char aside[120];
	snprintf(aside, sizeof aside, "%s/set-aside", kit.path);
	ck_assert_int_eq(access(aside, F_OK), 0);
	leveldb_kit_fill(&kit, 500, 900, 100);
	ck_assert_uint_eq(leveldb_kit_count(&kit), 900);
}
END_TEST

START_TEST(a_damaged_table_is_told_at_the_read) {
	leveldb_kit_fill(&kit, 0, 500, 100);
	ck_assert(kit.kv->ops->flush(kit.kv, &kit.error));
	leveldb_kit_close(&kit);
	leveldb_kit_files(&kit, ".ldb", file_damage);
	leveldb_kit_open(&kit);
	size_t size;
	ck_assert_int_eq(leveldb_kit_get(kit.kv, 1, &size, &kit.error), -1);
	ck_assert_int_eq(kit.error.code, ERROR_STORE_FAILED);
	ck_assert_ptr_nonnull(strstr(kit.error.message, "Corruption"));
	ck_assert_ptr_nonnull(strstr(kit.error.hint, "--verify"));
	struct kv_cursor *cursor = kit.kv->ops->cursor(kit.kv);
	cursor->ops->seek(cursor, bytes_of(NULL, 0));
	while (cursor->ops->valid(cursor))
		cursor->ops->next(cursor);
	ck_assert(!cursor->ops->status(cursor, &kit.error));
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
	ck_assert_int_eq(nftw(kit.path, entry_content, 16, FTW_PHYS), 0);
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
	DIR *folder = opendir(kit.path);
	ck_assert_ptr_nonnull(folder);
	for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
		if (strncmp(entry->d_name, "MANIFEST-", 9) == 0)
			snprintf(manifest, sizeof manifest, "%s/%.256s", kit.path, entry->d_name);
	}
	closedir(folder);
	manifest_flip(manifest, offset);
}

/* Rows 0 to 500 in a table, 500 to 700 in another, the rest in the log; closed. */
static void two_tables(void) {
	leveldb_kit_fill(&kit, 0, 500, 100);
	ck_assert(kit.kv->ops->flush(kit.kv, &kit.error));
	leveldb_kit_fill(&kit, 500, 700, 100);
	ck_assert(kit.kv->ops->flush(kit.kv, &kit.error));
	leveldb_kit_fill(&kit, 700, 701, 100);
	leveldb_kit_close(&kit);
	oldest[0] = newest[0] = '\0';
	ck_assert_uint_eq(leveldb_kit_files(&kit, ".ldb", name_order), 2);
}

static void must_be_refused_untouched(const char *word) {
	uint64_t before = database_content();
	kit.factory = kv_leveldb(LEVELDB_KIT_CACHE_BYTES, LEVELDB_KIT_BUDGET_BYTES);
	ck_assert_ptr_null(kit.factory->open(kit.factory, kit.path, true, &kit.error));
	ck_assert_int_eq(kit.error.code, ERROR_STORE_FAILED);
	ck_assert_msg(strstr(kit.error.message, word) != NULL, "%s", kit.error.message);
	ck_assert_uint_eq(database_content(), before);
}

static bool is_aside(const char *name) {
	char aside[800];
	snprintf(aside, sizeof aside, "%s/set-aside%s", kit.path, strrchr(name, '/'));
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
	leveldb_kit_open(&kit);
	ck_assert_uint_eq(leveldb_kit_count(&kit), 500);
	leveldb_kit_fill(&kit, 500, 900, 100);
	ck_assert(kit.kv->ops->flush(kit.kv, &kit.error));
	leveldb_kit_close(&kit);
	leveldb_kit_open(&kit);
	ck_assert_uint_eq(leveldb_kit_count(&kit), 900);
}
END_TEST

START_TEST(a_torn_last_record_is_cut_off_and_its_table_kept) {
	two_tables();
	manifest_damage(-5);
	leveldb_kit_open(&kit);
	ck_assert_uint_eq(leveldb_kit_count(&kit), 500);
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

int main(void) {
	Suite *suite = suite_create("leveldb_damage");
	TCase *cases = tcase_create("damage");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 280);
	tcase_add_test(cases, a_flush_survives_the_loss_of_all_logs);
	tcase_add_test(cases, a_damaged_log_is_set_aside);
	tcase_add_test(cases, a_damaged_table_is_told_at_the_read);
	tcase_add_test(cases, a_lost_table_is_refused_and_all_stays_as_it_is);
	tcase_add_test(cases, a_record_that_came_before_the_name_of_its_table_is_cut_off);
	tcase_add_test(cases, a_torn_last_record_is_cut_off_and_its_table_kept);
	tcase_add_test(cases, a_damage_in_the_midst_of_a_manifest_is_refused);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
