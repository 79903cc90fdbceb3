/* What store_open refuses, in words, and what store_verify finds; on the same damages. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "state/store_format.h"
#include "store_kit.h"

static struct store_kit *kit;

/* A store with checkpoints, egress logs and something in the journal that no checkpoint covers. */
static void setup(void) {
	kit = check_alloc(1, sizeof *kit);
	store_kit_start(kit, 3);
	ck_assert(store_kit_open(kit));
	while (kit->epoch < 40) {
		ck_assert(store_kit_epoch(kit, true));
		store_kit_apply(kit);
	}
	store_kit_drop(kit);
	store_kit_power(kit, false);
}

static void teardown(void) {
	store_kit_stop(kit);
	free(kit);
}

static void refused(enum error_code code, const char *words) {
	bool open = store_kit_open(kit);
	ck_assert(!open);
	ck_assert_msg(strstr(kit->error.message, words) != NULL, "%s", kit->error.message);
	ck_assert_int_eq(kit->error.code, code);
	ck_assert_str_ne(kit->error.hint, "");
}

/* ---- verify ---- */

struct lines {
	char text[16384];
	unsigned findings;
};

static void line_take(void *arg, const char *text) {
	struct lines *lines = arg;
	size_t used = strlen(lines->text);
	snprintf(lines->text + used, sizeof lines->text - used, "%s\n", text);
	lines->findings += strncmp(text, "FOUND", 5) == 0 ? 1 : 0;
}

static bool verify(struct lines *lines) {
	memset(lines, 0, sizeof *lines);
	struct store_options options = store_kit_options(kit);
	options.readonly = true;
	return store_verify(&options, line_take, lines, &kit->error);
}

static void verify_finds(const char *words) {
	struct lines lines;
	ck_assert(!verify(&lines));
	ck_assert_msg(strstr(lines.text, words) != NULL || strstr(kit->error.message, words) != NULL, "%s%s", lines.text,
		kit->error.message);
}

/* A row of a database, changed behind the store's back. */
static void row_write(const char *path, const char *key, struct bytes value) {
	struct kv_factory *factory = sim_kv_factory(kit->sim);
	struct error error;
	struct kv *kv = factory->open(factory, path, false, &error);
	ck_assert_ptr_nonnull(kv);
	struct kv_op op = {.key = bytes_text(key), .value = value};
	ck_assert(kv->ops->write(kv, &op, 1, true, &error));
	kv->ops->close(kv);
	factory->close(factory);
	sim_kv_kill(kit->sim);
}

static void format_write_as(
	const char *path, uint32_t format, uint32_t hash, uint8_t id, uint32_t database, const char *name) {
	struct format_row row = {.format = format, .hash = hash, .database = database, .name = bytes_text(name)};
	memcpy(row.store_id, kit->recovered.store_id, STORE_ID_BYTES);
	row.store_id[0] = (uint8_t)(row.store_id[0] + id);
	struct buf value = {0};
	format_row_put(&value, &row);
	row_write(path, "F", bytes_buf(&value));
	buf_finish(&value);
}

START_TEST(a_sound_store_is_sound_and_not_changed) {
	struct lines lines;
	uint64_t events = fault_disk_events(kit->faults);
	ck_assert_msg(verify(&lines), "%s%s", lines.text, kit->error.message);
	ck_assert_uint_eq(fault_disk_events(kit->faults), events);
	ck_assert_uint_eq(lines.findings, 0);
	ck_assert_ptr_nonnull(strstr(lines.text, "runtime: "));
	ck_assert_ptr_nonnull(strstr(lines.text, "type 2 test/two: "));
	ck_assert_ptr_nonnull(strstr(lines.text, "egress bans: "));
	ck_assert_ptr_nonnull(strstr(lines.text, "journal: "));
	ck_assert(store_kit_open(kit));
	ck_assert(store_kit_holds(kit, 40));
}
END_TEST

START_TEST(a_newer_format_is_refused) {
	format_write_as("data/runtime", 2, 1, 0, 0, "runtime");
	refused(ERROR_REFUSED, "newer format");
	ck_assert_str_eq(kit->error.found, "format 2");
	ck_assert_str_eq(kit->error.expected, "at most 1");
	verify_finds("newer format");
}
END_TEST

START_TEST(a_newer_hash_is_refused) {
	format_write_as("data/runtime", 1, 2, 0, 0, "runtime");
	refused(ERROR_REFUSED, "newer address hash");
}
END_TEST

START_TEST(a_damaged_format_row_is_refused) {
	row_write("data/runtime", "F", bytes_text("nonsense"));
	refused(ERROR_STORE_FAILED, "damaged format row");
	verify_finds("damaged format row");
}
END_TEST

START_TEST(a_foreign_database_is_refused) {
	sim_kv_forget(kit->sim, "data/runtime", "F");
	refused(ERROR_REFUSED, "no database of sofun");
	verify_finds("no database of sofun");
}
END_TEST

START_TEST(a_runtime_database_of_another_store_is_refused) {
	format_write_as("data/runtime", 1, 1, 1, 0, "runtime");
	refused(ERROR_REFUSED, "another store");
	verify_finds("another store");
}
END_TEST

START_TEST(a_type_database_of_another_store_is_refused) {
	format_write_as("data/types/test%2Ftwo", 1, 1, 1, 2, "test/two");
	refused(ERROR_REFUSED, "another store");
	verify_finds("another store");
}
END_TEST

START_TEST(a_type_database_of_a_newer_format_is_refused) {
	format_write_as("data/types/test%2Ftwo", 9, 1, 0, 2, "test/two");
	refused(ERROR_REFUSED, "newer format");
	verify_finds("newer format");
}
END_TEST

START_TEST(a_database_in_the_wrong_place_is_refused) {
	format_write_as("data/types/test%2Ftwo", 1, 1, 0, 3, "test/two");
	refused(ERROR_REFUSED, "another database than its place says");
}
END_TEST

START_TEST(an_older_type_database_is_refused) {
	struct checkpoint_row row = {.epoch = 1};
	struct buf value = {0};
	checkpoint_row_put(&value, &row);
	row_write("data/types/test%2Fone", "C", bytes_buf(&value));
	buf_finish(&value);
	verify_finds("is older than the store");
	refused(ERROR_STORE_FAILED, "is older than the store");
	ck_assert_str_ne(kit->error.expected, "");
}
END_TEST

START_TEST(an_emptied_type_database_is_refused) {
	sim_kv_forget(kit->sim, "data/types/test%2Fone", NULL);
	refused(ERROR_STORE_FAILED, "no format row");
}
END_TEST

/* ---- more types than a start opens ---- */

enum { MANY_TYPES = 40 };

static void many_types_name(void) {
	for (uint32_t number = 4; number < 4 + MANY_TYPES; number++) {
		char name[32];
		snprintf(name, sizeof name, "many/t%u", number);
		store_type_name(kit->store, number, name);
	}
}

/* A row in each of many databases, checkpointed. */
static void many_types(void) {
	ck_assert(store_kit_open(kit));
	many_types_name();
	struct store_epoch *epoch = store_epoch_create(1);
	epoch->epoch = kit->epoch + 1;
	epoch->time_ms = 1;
	for (uint32_t number = 4; number < 4 + MANY_TYPES; number++)
		redo_put(&epoch->parts[0], number, bytes_text("Ia"), bytes_text("x"));
	ck_assert(store_append(kit->store, epoch, &kit->error) && store_sync(kit->store, &kit->error));
	store_hand(kit->store, epoch);
	ck_assert(store_kit_close(kit));
	store_kit_power(kit, false);
}

/* The file beside the tables, as a host of that format, or of that store, would have written it. */
static void identity_write_as(const char *path, uint32_t format, uint8_t id, uint32_t database, const char *name) {
	struct format_row row = {.format = format, .hash = 1, .database = database, .name = bytes_text(name)};
	memcpy(row.store_id, kit->recovered.store_id, STORE_ID_BYTES);
	row.store_id[0] = (uint8_t)(row.store_id[0] + id);
	struct buf content = {0};
	format_row_put(&content, &row);
	buf_append_u32(&content, crc32c(0, content.data, content.size));
	ck_assert_int_eq(disk_replace(fault_disk_seam(kit->faults), path, bytes_buf(&content)), 0);
	buf_finish(&content);
}

START_TEST(one_of_many_types_of_another_store_is_refused) {
	many_types();
	identity_write_as("data/types/many%2Ft30/sofun-id", 1, 1, 30, "many/t30");
	refused(ERROR_REFUSED, "another store");
}
END_TEST

START_TEST(one_of_many_types_of_a_newer_format_is_refused) {
	many_types();
	identity_write_as("data/types/many%2Ft43/sofun-id", 2, 0, 43, "many/t43");
	refused(ERROR_REFUSED, "newer format");
}
END_TEST

START_TEST(many_types_are_opened_when_they_are_needed) {
	struct buf value = {0};
	many_types();
	ck_assert_msg(store_kit_open(kit), "%s", kit->error.message);
	many_types_name();
	ck_assert_int_eq(store_get(kit->store, 30, bytes_text("Ia"), &value, &kit->error), 1);
	store_kit_drop(kit);
	/* its row says what its file does not: then, at the latest */
	format_write_as("data/types/many%2Ft30", 1, 1, 1, 30, "many/t30");
	ck_assert(store_kit_open(kit));
	many_types_name();
	ck_assert_int_eq(store_get(kit->store, 30, bytes_text("Ia"), &value, &kit->error), -1);
	ck_assert_ptr_nonnull(strstr(kit->error.message, "another store"));
	buf_finish(&value);
}
END_TEST

START_TEST(a_damaged_identity_is_told_with_the_remedy) {
	struct disk *disk = fault_disk_seam(kit->faults);
	fault_disk_poke(kit->faults, "data/types/test%2Ftwo/sofun-id", 20, bytes_text("x"));
	refused(ERROR_STORE_FAILED, "sofun-id is damaged");
	ck_assert_int_eq(disk->unlink(disk, "data/types/test%2Ftwo/sofun-id"), 0);
	ck_assert_msg(store_kit_open(kit), "%s", kit->error.message);
	struct buf content = {0};
	ck_assert_int_eq(disk_read_all(disk, "data/types/test%2Ftwo/sofun-id", &content), 0); /* made anew */
	buf_finish(&content);
}
END_TEST

static void journal_unlink(void *arg, const char *name) {
	char path[300];
	snprintf(path, sizeof path, "data/journal/%s", name);
	struct disk *disk = arg;
	ck_assert_int_eq(disk->unlink(disk, path), 0);
}

START_TEST(a_lost_journal_is_refused) {
	struct disk *disk = fault_disk_seam(kit->faults);
	ck_assert_int_eq(disk->list(disk, "data/journal", journal_unlink, disk), 0);
	refused(ERROR_STORE_FAILED, "is gone");
	verify_finds("FOUND");
}
END_TEST

START_TEST(a_journal_that_ends_too_early_is_refused) {
	struct checkpoint_row row = {.epoch = kit->epoch + 1000};
	struct buf value = {0};
	checkpoint_row_put(&value, &row);
	row_write("data/runtime", "C", bytes_buf(&value));
	buf_finish(&value);
	ck_assert(!store_kit_open(kit));
	ck_assert_int_eq(kit->error.code, ERROR_STORE_FAILED);
	verify_finds("FOUND");
}
END_TEST

START_TEST(a_short_egress_log_is_refused) {
	struct disk *disk = fault_disk_seam(kit->faults);
	ck_assert_int_eq(disk->unlink(disk, "data/egress/bans/00000000000000000000.log"), 0);
	refused(ERROR_STORE_FAILED, "shorter than its last checkpoint");
	verify_finds("shorter than its last checkpoint");
}
END_TEST

START_TEST(a_damaged_record_of_an_egress_is_found) {
	fault_disk_poke(kit->faults, "data/egress/bans/00000000000000000000.log", 74, bytes_text("x"));
	verify_finds("egress log data/egress/bans/00000000000000000000.log has a damaged record");
}
END_TEST

START_TEST(damaged_rows_of_the_store_are_refused) {
	row_write("data/runtime", "C", bytes_text("short"));
	refused(ERROR_STORE_FAILED, "damaged checkpoint row");
	verify_finds("damaged checkpoint");
}
END_TEST

START_TEST(unknown_rows_are_found) {
	row_write("data/runtime", "?who", bytes_text(""));
	row_write("data/types/test%2Fone", "?who", bytes_text(""));
	struct lines lines;
	ck_assert(!verify(&lines));
	ck_assert_uint_eq(lines.findings, 2);
}
END_TEST

static enum fault_action readonly(void *arg, const struct fault_event *event) {
	(void)arg;
	return strcmp(event->operation, "create") == 0 || strcmp(event->operation, "mkdir") == 0 ? FAULT_EIO : FAULT_NONE;
}

START_TEST(a_directory_that_cannot_be_written_is_refused_in_words) {
	fault_disk_decide(kit->faults, readonly, NULL);
	refused(ERROR_REFUSED, "the data directory data");
}
END_TEST

int main(void) {
	Suite *suite = suite_create("store_refused");
	TCase *cases = tcase_create("store_refused");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_set_timeout(cases, 60);
	tcase_add_test(cases, a_sound_store_is_sound_and_not_changed);
	tcase_add_test(cases, a_newer_format_is_refused);
	tcase_add_test(cases, a_newer_hash_is_refused);
	tcase_add_test(cases, a_damaged_format_row_is_refused);
	tcase_add_test(cases, a_foreign_database_is_refused);
	tcase_add_test(cases, a_runtime_database_of_another_store_is_refused);
	tcase_add_test(cases, a_type_database_of_another_store_is_refused);
	tcase_add_test(cases, a_type_database_of_a_newer_format_is_refused);
	tcase_add_test(cases, a_database_in_the_wrong_place_is_refused);
	tcase_add_test(cases, an_older_type_database_is_refused);
	tcase_add_test(cases, an_emptied_type_database_is_refused);
	tcase_add_test(cases, one_of_many_types_of_another_store_is_refused);
	tcase_add_test(cases, one_of_many_types_of_a_newer_format_is_refused);
	tcase_add_test(cases, many_types_are_opened_when_they_are_needed);
	tcase_add_test(cases, a_damaged_identity_is_told_with_the_remedy);
	tcase_add_test(cases, a_lost_journal_is_refused);
	tcase_add_test(cases, a_journal_that_ends_too_early_is_refused);
	tcase_add_test(cases, a_short_egress_log_is_refused);
	tcase_add_test(cases, a_damaged_record_of_an_egress_is_found);
	tcase_add_test(cases, damaged_rows_of_the_store_are_refused);
	tcase_add_test(cases, unknown_rows_are_found);
	tcase_add_test(cases, a_directory_that_cannot_be_written_is_refused_in_words);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
