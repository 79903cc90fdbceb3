/* The probe and the examination before it (plugin/probe.h, examine.h): traps 6, 8, 9, 10, 14, and each refusal's words. This
 * program is its own probe's child. */
#include <check.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture_kit.h"
#include "plugin/examine.h"
#include "plugin/probe.h"
#include "plugin/refusal.h"

static char *folder;

static void folder_new(void) {
	folder = folder_make();
}

static void folder_old(void) {
	folder_remove(folder);
}

static enum examine_result examine_path(const char *path, struct examination_result *result) {
	const struct examination_order order = {.path = path, .images = folder, .disk = disk_machine(), .generation = 7};
	return examine(&order, result);
}

static const struct refusal_case {
	const char *fixture;
	enum examine_result result;
	const char *message;
	const char *found;
} refusal_cases[] = {
	{"constructor_aborts", EXAMINE_REFUSED, "while it was loaded", "SIGABRT"},
	{"init_fails", EXAMINE_REFUSED, "no licence was found", "init returned 7"},
	{"init_crashes", EXAMINE_REFUSED, "in its init", "SIGSEGV"},
	{"fini_crashes", EXAMINE_REFUSED, "in its fini", "SIGSEGV"},
	{"thread_left", EXAMINE_REFUSED, "threads behind", "1 more"},
	{"key_destructor", EXAMINE_REFUSED, "thread-specific destructor", "SIGSEGV"},
	{"atexit_crashes", EXAMINE_REFUSED, "atexit", "SIGABRT"},
	{"symbol_missing", EXAMINE_REFUSED, "the loader refuses", "trap_nobody_has_this"},
	{"tls_initial_exec", EXAMINE_REFUSED, "initial-exec", "DF_STATIC_TLS"},
	{"descriptor_none", EXAMINE_REFUSED, "descriptor", "no symbol"},
	{"descriptor_magic", EXAMINE_REFUSED, "magic", "12345678"},
	{"descriptor_major", EXAMINE_REFUSED, "another ABI", "ABI 2.1"},
	{"descriptor_minor", EXAMINE_REFUSED, "another ABI", "ABI 1.99"},
	{"descriptor_small", EXAMINE_REFUSED, "too small", "size 16"},
	{"descriptor_version", EXAMINE_REFUSED, "differ", "version 1.0.1"},
	{"manifest_none", EXAMINE_REFUSED, "no manifest", ".sofun.manifest"},
	{"manifest_minor", EXAMINE_REFUSED, "another ABI", "ABI 1.99"},
	{"manifest_word", EXAMINE_REFUSED, "manifest", "marvel new/word"},
	{"helper_origin", EXAMINE_REFUSED, "relative to itself", "$ORIGIN"},
	{"helper_beside/helper_beside", EXAMINE_REFUSED, "private helper", "libtrap_helper.so"},
};

/* Those whose code goes or stays: not so under a sanitizer, which keeps everything. */
static bool needs_unmapping(const char *fixture) {
	return strcmp(fixture, "key_destructor") == 0 || strcmp(fixture, "atexit_crashes") == 0;
}

START_TEST(test_each_defect_is_refused_with_its_words) {
	const struct refusal_case *expected = &refusal_cases[_i];
	struct examination_result result;
	if (library_kept_always() && needs_unmapping(expected->fixture))
		return;
	enum examine_result verdict = examine_path(fixture_path(expected->fixture), &result);
	ck_assert_int_eq(verdict, expected->result);
	ck_assert_int_eq(result.error.code, ERROR_REFUSED);
	ck_assert_msg(strstr(result.error.message, expected->message) != NULL, "%s", result.error.message);
	ck_assert_msg(
		library_kept_always() || strstr(result.error.found, expected->found) != NULL, "%s", result.error.found);
	ck_assert(result.error.expected[0] != '\0' && result.error.hint[0] != '\0');
	ck_assert_ptr_null(result.image);
	/* No copy is left behind. */
	ck_assert_int_eq(rmdir(folder), 0);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
}
END_TEST

START_TEST(test_a_good_plugin_passes) {
	static const char *const names[] = {"plain", "nodelete", "unique", "descriptor"};
	for (size_t i = 0; i < 4; i++) {
		struct examination_result result;
		ck_assert_int_eq(examine_path(fixture_path(names[i]), &result), EXAMINE_GOOD);
		ck_assert_int_eq(result.unmaps, !library_kept_always() && (i == 0 || i == 3));
		ck_assert_int_eq(access(result.image->path, R_OK), 0);
		ck_assert(!maps_name(result.image->path));
		unlink(result.image->path);
		image_destroy(result.image);
	}
}
END_TEST

START_TEST(test_a_known_hash_is_not_judged_again) {
	struct examination_result first;
	struct examination_result second;
	ck_assert_int_eq(examine_path(fixture_path("init_fails"), &first), EXAMINE_REFUSED);
	ck_assert(first.hashed);
	const struct examination_order order = {.path = fixture_path("init_fails"),
		.images = folder,
		.disk = disk_machine(),
		.generation = 8,
		.known = (const uint8_t(*)[HASH_BYTES])first.hash,
		.known_count = 1};
	ck_assert_int_eq(examine(&order, &second), EXAMINE_KNOWN);
	ck_assert(second.hashed && memcmp(first.hash, second.hash, HASH_BYTES) == 0);
}
END_TEST

/* Trap 6: the size is right, the end is zeros. Nothing but the attempt tells; and the attempt ends no host. */
START_TEST(test_a_zero_tail_at_many_places) {
	struct buf content = {0};
	size_t refused = 0;
	char *path = path_join(folder, "tail.so");
	fixture_read("plain", &content);
	for (size_t cut = 64; cut < content.size; cut += content.size / 40 + 1) {
		struct examination_result result;
		struct buf spoiled = {0};
		buf_append_bytes(&spoiled, bytes_buf(&content));
		memset(spoiled.data + cut, 0, spoiled.size - cut);
		file_put(path, bytes_buf(&spoiled));
		enum examine_result verdict = examine_path(path, &result);
		if (verdict == EXAMINE_GOOD) {
			unlink(result.image->path);
			image_destroy(result.image);
		} else {
			ck_assert_int_ne(result.error.code, ERROR_NONE);
			refused++;
		}
		buf_finish(&spoiled);
	}
	ck_assert_uint_gt(refused, 20);
	free(path);
	buf_finish(&content);
}
END_TEST

START_TEST(test_a_growing_file_is_incomplete) {
	struct buf content = {0};
	char *path = path_join(folder, "growing.so");
	fixture_read("plain", &content);
	for (size_t part = 0; part < 10; part++) {
		struct examination_result result;
		file_put(path, bytes_of(content.data, content.size * part / 10));
		ck_assert_int_eq(examine_path(path, &result), EXAMINE_INCOMPLETE);
	}
	free(path);
	buf_finish(&content);
}
END_TEST

START_TEST(test_a_plugin_that_hangs_is_ended) {
	struct error error;
	bool unmaps;
	struct image *image = fixture_image("init_hangs", folder, 1);
	ck_assert(!probe_run(image->path, 500, &unmaps, &error));
	ck_assert(strstr(error.message, "hung in its init") != NULL);
	ck_assert(strstr(error.found, "500 ms") != NULL);
	image_destroy(image);
}
END_TEST

START_TEST(test_what_is_not_there) {
	struct examination_result result;
	struct error error;
	bool unmaps;
	ck_assert_int_eq(examine_path("/nowhere/x.so", &result), EXAMINE_ABSENT);
	ck_assert(!probe_run("/nowhere/x.so", 5000, &unmaps, &error));
}
END_TEST

START_TEST(test_refusals_pass_through_a_line) {
	struct error error;
	struct error again;
	struct buf line = {0};
	error_set(&error, ERROR_REFUSED, "tab\there, line\nthere, byte \xff");
	error_found(&error, "%s", "good \xc3\xa4");
	error_expected(&error, "%s", "");
	error_hint(&error, "%s", "do it");
	refusal_clean(&error);
	ck_assert_str_eq(error.message, "tab here, line there, byte ?");
	ck_assert_str_eq(error.found, "good \xc3\xa4");
	refusal_write(&line, &error);
	refusal_read((const char *)line.data, &again);
	ck_assert_str_eq(again.message, error.message);
	ck_assert_str_eq(again.found, error.found);
	ck_assert_str_eq(again.expected, "");
	ck_assert_str_eq(again.hint, "do it");
	refusal_read("only a message", &again);
	ck_assert_str_eq(again.message, "only a message");
	ck_assert_str_eq(again.hint, "");
	buf_finish(&line);
}
END_TEST

int main(int argc, char *argv[]) {
	int probe = probe_main(argc, argv);
	if (probe >= 0)
		return probe;
	Suite *suite = suite_create("probe");
	TCase *tests = tcase_create("examine");
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, folder_new, folder_old);
	tcase_add_loop_test(
		tests, test_each_defect_is_refused_with_its_words, 0, (int)(sizeof refusal_cases / sizeof refusal_cases[0]));
	tcase_add_test(tests, test_a_good_plugin_passes);
	tcase_add_test(tests, test_a_known_hash_is_not_judged_again);
	tcase_add_test(tests, test_a_zero_tail_at_many_places);
	tcase_add_test(tests, test_a_growing_file_is_incomplete);
	tcase_add_test(tests, test_a_plugin_that_hangs_is_ended);
	tcase_add_test(tests, test_what_is_not_there);
	tcase_add_test(tests, test_refusals_pass_through_a_line);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
