/* Settings that change while the host runs: what wins over what, all or nothing, and what needs a restart. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/live.h"

static char path[] = "/tmp/sofun-live-XXXXXX";
static struct config config;
static struct config_live *live;
static struct config_changes changes;
static struct error error;
static int told;

static void file_write(const char *text) {
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
	ck_assert_int_eq(fclose(file), 0);
}

static void changed(void *arg) {
	(void)arg;
	told++;
}

static void setup(void) {
	static const char *arguments[] = {"sofund", "--config", path, "--set", "retry.factor=7"};
	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	file_write("retry.attempts: 3\n");
	config_init(&config);
	ck_assert(config_parse(&config, 5, (char *const *)(void *)arguments, &error));
	live = config_live_create(&config, 5, (char *const *)(void *)arguments);
	config_live_watch(live, changed, NULL);
	changes = (struct config_changes){0};
	told = 0;
}

static void teardown(void) {
	config_changes_finish(&changes);
	config_live_destroy(live);
	config_finish(&config);
	unlink(path);
}

static bool set(const char *mapping) {
	config_changes_finish(&changes);
	memset(&error, 0, sizeof error);
	return config_live_set(live, bytes_text(mapping), NULL, 0, &changes, &error);
}

static bool reset(const char *key) {
	config_changes_finish(&changes);
	return config_live_set(live, bytes_text("{}"), &key, 1, &changes, &error);
}

static bool reload(const char *text) {
	config_changes_finish(&changes);
	file_write(text);
	return config_live_reload(live, &changes, &error);
}

START_TEST(a_request_changes_what_may_change) {
	ck_assert(set("{\"retry.attempts\": 9, \"limits\": {\"nesting\": 8}}"));
	ck_assert_uint_eq(config.retry_attempts, 9);
	ck_assert_uint_eq(config.nesting, 8);
	ck_assert_uint_eq(changes.count, 2);
	ck_assert_str_eq(changes.items[0].key, "retry.attempts");
	ck_assert_str_eq(changes.items[0].from, "3");
	ck_assert_str_eq(changes.items[0].to, "9");
	ck_assert(changes.items[0].live);
	ck_assert_int_eq(told, 1);
	ck_assert(set("{\"retry.attempts\": 9}"));
	ck_assert_uint_eq(changes.count, 0);
}
END_TEST

START_TEST(what_is_read_at_the_start_is_refused_and_nothing_changes) {
	static const char *const bodies[] = {"{\"retry.attempts\": 9, \"shards\": 1}", "{\"durability\": \"none\"}",
		"{\"listen.http\": []}", "{\"ingresses\": {\"a\": {\"format\": \"json\"}}}"};
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		ck_assert(!set(bodies[i]));
		ck_assert_int_eq(error.code, ERROR_CONFLICT);
		ck_assert_ptr_nonnull(strstr(error.hint, "start the host again"));
	}
	ck_assert(!set("{\"retry.attempts\": 9, \"limits.nesting\": 0}"));
	ck_assert_int_eq(error.code, ERROR_BAD_REQUEST);
	ck_assert(!set("{\"limits.message_bytes\": 8388608, \"limits.frame\": 1}"));
	ck_assert_str_eq(error.found, "limits.frame");
	ck_assert_uint_eq(config.retry_attempts, 3);
	ck_assert_int_eq(told, 0);
}
END_TEST

START_TEST(settings_must_fit_together) {
	config.frame_bytes = 65536;
	ck_assert(!set("{\"limits.message_bytes\": 65537}"));
	ck_assert_ptr_nonnull(strstr(error.message, "above limits.frame_bytes"));
}
END_TEST

START_TEST(a_change_is_taken_back) {
	ck_assert(set("{\"retry.attempts\": 9, \"retry.factor\": 2}"));
	ck_assert(reset("retry.attempts"));
	ck_assert_uint_eq(config.retry_attempts, 3);
	ck_assert(reset("retry.factor"));
	ck_assert_uint_eq(config.retry_factor, 7);
	ck_assert(!reset("shards"));
	ck_assert_int_eq(error.code, ERROR_CONFLICT);
	ck_assert(!reset("shard"));
	ck_assert_int_eq(error.code, ERROR_BAD_REQUEST);
}
END_TEST

START_TEST(the_file_is_read_again) {
	ck_assert(reload("retry: {attempts: 4, factor: 9}\nshards: 3\n"));
	ck_assert_uint_eq(config.retry_attempts, 4);
	ck_assert_uint_eq(config.retry_factor, 7); /* --set wins */
	ck_assert_uint_eq(changes.count, 2);
	ck_assert_str_eq(changes.items[0].key, "shards");
	ck_assert(!changes.items[0].live);
	ck_assert_str_eq(changes.items[1].key, "retry.attempts");
	ck_assert(reload("ingresses.log.format: line\n"));
	ck_assert_uint_eq(config.retry_attempts, 5); /* the default, as the file is silent */
	ck_assert_str_eq(changes.items[changes.count - 1].key, "ingresses");
}
END_TEST

START_TEST(a_request_wins_over_the_file) {
	ck_assert(set("{\"retry.attempts\": 9}"));
	ck_assert(reload("retry.attempts: 4\n"));
	ck_assert_uint_eq(config.retry_attempts, 9);
	ck_assert_uint_eq(changes.count, 0);
	ck_assert(reset("retry.attempts"));
	ck_assert_uint_eq(config.retry_attempts, 4);
}
END_TEST

START_TEST(a_broken_file_changes_nothing) {
	ck_assert(!reload("retry.attempts: 4\nlimits.nesting: 0\n"));
	ck_assert_ptr_nonnull(strstr(error.message, ":2:17: wrong value for limits.nesting"));
	ck_assert_uint_eq(config.retry_attempts, 3);
	ck_assert_int_eq(told, 0);
}
END_TEST

int main(void) {
	TCase *all = tcase_create("config_live");
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, a_request_changes_what_may_change);
	tcase_add_test(all, what_is_read_at_the_start_is_refused_and_nothing_changes);
	tcase_add_test(all, settings_must_fit_together);
	tcase_add_test(all, a_change_is_taken_back);
	tcase_add_test(all, the_file_is_read_again);
	tcase_add_test(all, a_request_wins_over_the_file);
	tcase_add_test(all, a_broken_file_changes_nothing);
	Suite *suite = suite_create("config_live");
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
