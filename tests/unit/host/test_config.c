/* Settings: precedence, every kind of value, and refusals that name place, expectation and the nearest key. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "config/config.h"
#include "limits.h"

static char directory[] = "/tmp/sofun-config-XXXXXX";
static struct config config;
static struct error error;

static void setup(void) {
	memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	config_init(&config);
	memset(&error, 0, sizeof error);
}

static void teardown(void) {
	char path[128];
	config_finish(&config);
	snprintf(path, sizeof path, "%s/sofun.yaml", directory);
	unlink(path);
	snprintf(path, sizeof path, "%s/other.yaml", directory);
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
}

static const char *path_of(const char *name) {
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

static void file_write(const char *name, const char *text) {
	FILE *file = fopen(path_of(name), "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, strlen(text), file), strlen(text));
	ck_assert_int_eq(fclose(file), 0);
}

/* sofund --data <directory> and up to four more arguments. */
static bool parse(const char *a, const char *b, const char *c, const char *d) {
	const char *arguments[] = {"sofund", "--data", directory, a, b, c, d};
	int count = 3;
	while (count < 7 && arguments[count] != NULL)
		count++;
	return config_parse(&config, count, (char *const *)(void *)arguments, &error);
}

static bool parse_file(const char *text) {
	file_write("sofun.yaml", text);
	return parse(NULL, NULL, NULL, NULL);
}

static void refused(bool result, const char *message, const char *found, const char *expected, const char *hint) {
	ck_assert(!result);
	ck_assert_int_eq(error.code, ERROR_BAD_REQUEST);
	ck_assert_msg(strstr(error.message, message) != NULL, "message: %s", error.message);
	ck_assert_msg(strstr(error.found, found) != NULL, "found: %s", error.found);
	ck_assert_msg(strstr(error.expected, expected) != NULL, "expected: %s", error.expected);
	ck_assert_msg(strstr(error.hint, hint) != NULL, "hint: %s", error.hint);
}

START_TEST(defaults_are_those_of_the_interface) {
	ck_assert(parse(NULL, NULL, NULL, NULL));
	ck_assert_str_eq(config.data, directory);
	ck_assert_str_eq(config.plugins, path_of("plugins"));
	ck_assert_uint_eq(config.listen_data.count + config.listen_http.count + config.ingress_count, 0);
	ck_assert_uint_ge(config.shards, 1);
	ck_assert_uint_le(config.shards, SHARDS_MAX);
	ck_assert_int_eq(config.durability, DURABILITY_SYNC);
	ck_assert_uint_eq(config.retry_attempts, 5);
	ck_assert_uint_eq(config.retry_backoff_ms, 10);
	ck_assert_uint_eq(config.retry_factor, 4);
	ck_assert_uint_eq(config.retry_backoff_ms_max, 1000);
	ck_assert_uint_eq(config.stage_patience_ms, 2000);
	ck_assert(!config.plugins_manual);
	ck_assert_uint_eq(config.message_bytes, 1048576);
	ck_assert_uint_eq(config.value_bytes, 1048576);
	ck_assert_uint_eq(config.frame_bytes, 16777216);
	ck_assert_uint_eq(config.nesting, 64);
	ck_assert_uint_eq(config.memory_bytes, 536870912);
	ck_assert_uint_eq(config.invocation_warn_ms, 10);
	ck_assert_uint_eq(config.egress_retention_bytes, 1073741824);
	ck_assert_uint_eq(config.egress_retention_s, 604800);
	ck_assert_uint_eq(config.producer_expiry_s, 604800);
	ck_assert_uint_eq(config.idempotency_expiry_s, 86400);
	ck_assert_uint_eq(config.call_timeout_ms, 30000);
	ck_assert(!config.test_clock);
	ck_assert(!config.keep_images);
}
END_TEST

START_TEST(data_is_here_without_a_flag) {
	char *arguments[] = {(char *)(uintptr_t) "sofund"};
	ck_assert(config_parse(&config, 1, arguments, &error));
	ck_assert_str_eq(config.data, "./sofun-data");
	ck_assert_str_eq(config.plugins, "./sofun-data/plugins");
}
END_TEST

START_TEST(flags_take_values_both_ways) {
	ck_assert(parse("--plugins=/somewhere", "--test-clock", "1700000000000", "--keep-images"));
	ck_assert_str_eq(config.plugins, "/somewhere");
	ck_assert(config.test_clock);
	ck_assert_uint_eq(config.test_clock_ms, 1700000000000);
	ck_assert(config.keep_images);
}
END_TEST

START_TEST(set_wins_over_the_file_and_the_file_over_defaults) {
	file_write("sofun.yaml", "shards: 3\nretry.attempts: 7\n");
	ck_assert(parse("--set", "shards=2", NULL, NULL));
	ck_assert_uint_eq(config.shards, 2);
	ck_assert_uint_eq(config.retry_attempts, 7);
	ck_assert_uint_eq(config.retry_factor, 4);
}
END_TEST

START_TEST(the_last_set_wins) {
	ck_assert(parse("--set", "shards=2", "--set", "shards=5"));
	ck_assert_uint_eq(config.shards, 5);
}
END_TEST

START_TEST(a_named_file_replaces_the_one_in_data) {
	file_write("sofun.yaml", "retry.attempts: 7\n");
	file_write("other.yaml", "retry.factor: 9\n");
	ck_assert(parse("--config", path_of("other.yaml"), NULL, NULL));
	ck_assert_uint_eq(config.retry_attempts, 5);
	ck_assert_uint_eq(config.retry_factor, 9);
}
END_TEST

START_TEST(nested_and_dotted_keys_are_the_same) {
	ck_assert(
		parse_file("limits:\n  memory_bytes: 64MiB\n  nesting: 9\nlimits.frame_bytes: 2MiB\negress: {retention_s: 5}\n"
				   "call.timeout_ms: \"77\"\n"));
	ck_assert_uint_eq(config.memory_bytes, 64 << 20);
	ck_assert_uint_eq(config.nesting, 9);
	ck_assert_uint_eq(config.frame_bytes, 2 << 20);
	ck_assert_uint_eq(config.egress_retention_s, 5);
	ck_assert_uint_eq(config.call_timeout_ms, 77);
}
END_TEST

START_TEST(sizes_have_units) {
	ck_assert(parse_file(
		"limits: {message_bytes: 64KiB, value_bytes: 4096, memory_bytes: 2GiB}\negress.retention_bytes: 1TiB\n"));
	ck_assert_uint_eq(config.message_bytes, 65536);
	ck_assert_uint_eq(config.value_bytes, 4096);
	ck_assert_uint_eq(config.memory_bytes, (uint64_t)2 << 30);
	ck_assert_uint_eq(config.egress_retention_bytes, (uint64_t)1 << 40);
}
END_TEST

START_TEST(durability_has_three_forms) {
	ck_assert(parse("--set", "durability=none", NULL, NULL));
	ck_assert_int_eq(config.durability, DURABILITY_NONE);
	ck_assert(parse("--set", "durability=interval=250", NULL, NULL));
	ck_assert_int_eq(config.durability, DURABILITY_INTERVAL);
	ck_assert_uint_eq(config.durability_interval_ms, 250);
	ck_assert(parse("--set", "durability=sync", NULL, NULL));
	ck_assert_int_eq(config.durability, DURABILITY_SYNC);
	refused(parse("--set", "durability=interval=0", NULL, NULL), "wrong value for durability", "interval=0",
		"interval=MS", "");
	refused(parse("--set", "durability=always", NULL, NULL), "--set: wrong value for durability", "always",
		"sync, none", "");
}
END_TEST

START_TEST(lists_are_flow_or_block) {
	ck_assert(parse("--set", "listen.http=[\"tcp:127.0.0.1:8080\", \"tcp:[::1]:8081\"]", NULL, NULL));
	ck_assert_uint_eq(config.listen_http.count, 2);
	ck_assert_str_eq(config.listen_http.items[1], "tcp:[::1]:8081");
	ck_assert(parse_file("listen:\n  data:\n  - tcp:0.0.0.0:9000\n"));
	ck_assert_uint_eq(config.listen_data.count, 1);
	ck_assert_str_eq(config.listen_data.items[0], "tcp:0.0.0.0:9000");
	ck_assert(parse("--set", "listen.data=[]", NULL, NULL));
	ck_assert_uint_eq(config.listen_data.count, 0);
	refused(
		parse("--set", "listen.http=tcp:127.0.0.1:80", NULL, NULL), "listen.http", "tcp:127.0.0.1:80", "a list", "");
	refused(parse("--set", "listen.http=[\"unix:x\"]", NULL, NULL), "listen.http", "unix:x", "tcp:HOST:PORT", "");
	refused(
		parse("--set", "listen.http=[\"tcp:h:70000\"]", NULL, NULL), "listen.http", "tcp:h:70000", "tcp:HOST:PORT", "");
	refused(parse("--set", "listen.http=[[a]]", NULL, NULL), "listen.http", "a list", "a list of texts", "");
}
END_TEST

START_TEST(ingresses_have_formats) {
	ck_assert(
		parse_file("ingresses:\n  log: {format: line}\n  orders: {format: json}\ningresses.log.v2.format: msgpack\n"));
	ck_assert_uint_eq(config.ingress_count, 3);
	ck_assert_str_eq(config.ingresses[0].name, "log");
	ck_assert_int_eq(config.ingresses[0].format, FORMAT_LINE);
	ck_assert_int_eq(config.ingresses[1].format, FORMAT_JSON);
	ck_assert_str_eq(config.ingresses[2].name, "log.v2");
	ck_assert_int_eq(config.ingresses[2].format, FORMAT_MSGPACK);
	ck_assert(parse("--set", "ingresses.log.format=json", NULL, NULL));
	ck_assert_uint_eq(config.ingress_count, 3);
	ck_assert_int_eq(config.ingresses[0].format, FORMAT_JSON);
	refused(parse("--set", "ingresses.log.format=xml", NULL, NULL), "ingresses.log.format", "xml",
		"line, json or msgpack", "");
	refused(parse("--set", "ingresses.log.fromat=json", NULL, NULL), "ingresses.log.fromat", "", "",
		"ingresses.<name>.format");
}
END_TEST

START_TEST(policy_is_auto_or_manual) {
	ck_assert(parse("--set", "plugins.policy=manual", NULL, NULL));
	ck_assert(config.plugins_manual);
	ck_assert(parse("--set", "plugins.policy=auto", NULL, NULL));
	ck_assert(!config.plugins_manual);
	refused(parse("--set", "plugins.policy=maybe", NULL, NULL), "plugins.policy", "maybe", "auto or manual", "");
}
END_TEST

START_TEST(unknown_keys_are_refused_with_place_and_hint) {
	char place[256];
	snprintf(place, sizeof place, "%s:3:3: unknown setting limits.memory_byte", path_of("sofun.yaml"));
	refused(parse_file("shards: 1\nlimits:\n  memory_byte: 64MiB\n"), place, "limits.memory_byte", "sofund --help",
		"did you mean limits.memory_bytes?");
	refused(parse_file("shard: 1\n"), ":1:1: unknown setting shard", "shard", "", "did you mean shards?");
	refused(parse_file("memory_bytes: 64MiB\n"), "unknown setting memory_bytes", "", "",
		"did you mean limits.memory_bytes?");
	refused(parse_file("colour: blue\n"), "unknown setting colour", "", "", "sofund --help lists the settings");
	file_write("sofun.yaml", "");
	refused(parse("--set", "shards.x=1", NULL, NULL), "--set: unknown setting shards.x", "shards.x", "", "");
	refused(parse("--set", "retry.atempts=1", NULL, NULL), "--set: unknown", "", "", "did you mean retry.attempts?");
}
END_TEST

START_TEST(wrong_values_are_refused_with_place_and_expectation) {
	refused(parse_file("a: 1\n"), "sofun.yaml:1:1", "", "", "");
	refused(parse_file("limits:\n  nesting: deep\n"), "sofun.yaml:2:12: wrong value for limits.nesting", "deep",
		"a whole number from 1 to 1024", "");
	refused(parse_file("limits.memory_bytes: 64MB\n"), "sofun.yaml:1:22", "64MB", "64KiB", "");
	refused(parse_file("shards: 0\n"), "shards", "0", "from 1 to 64", "");
	refused(parse_file("shards: -1\n"), "shards", "-1", "from 1 to 64", "");
	refused(parse_file("shards: 99999999999999999999999\n"), "shards", "9999", "from 1 to 64", "");
	refused(parse_file("limits.memory_bytes: 18446744073709551615TiB\n"), "limits.memory_bytes", "1844", "a size", "");
	refused(parse_file("shards: {a: 1}\n"), "shards", "a mapping", "one value", "");
	refused(parse_file("shards: [1]\n"), "shards", "a list", "one value", "");
	refused(parse_file("shards:\n"), "shards", "", "from 1", "");
	refused(parse_file("limits: 5\n"), "sofun.yaml:1:9: wrong value for limits", "one value", "a mapping", "");
	refused(parse_file("- a\n"), "wrong value for the file", "a list", "a mapping", "");
	refused(parse_file("[a]: 1\n"), "", "a list", "a setting's name", "");
	refused(parse_file("shards: \"1\\0\"\n"), "shards", "one value", "without NUL", "");
}
END_TEST

START_TEST(a_key_twice_is_refused) {
	refused(parse_file("limits: {nesting: 3}\nlimits.nesting: 4\n"), "sofun.yaml:2:17: limits.nesting stands twice", "",
		"", "");
}
END_TEST

START_TEST(broken_yaml_is_refused_with_place) {
	refused(parse_file("limits:\n\tnesting: 3\n"), "sofun.yaml:2:1: not YAML", "", "YAML", "");
	refused(parse_file("a: [1\n"), "not YAML", "", "", "");
	refused(
		parse_file("shards: 1\n---\nshards: 2\n"), "wrong value for the file", "a mapping", "one YAML document", "");
	file_write("sofun.yaml", "");
	refused(parse("--set", "listen.http=[", NULL, NULL), "--set: not YAML", "", "", "");
}
END_TEST

START_TEST(an_alias_that_holds_itself_ends) {
	refused(parse_file("ingresses: &x {a: *x}\n"), "unknown setting ingresses.a.a.a", "", "", "");
}
END_TEST

START_TEST(empty_files_set_nothing) {
	ck_assert(parse_file(""));
	ck_assert(parse_file("# nothing\n"));
	ck_assert(parse_file("---\n"));
}
END_TEST

START_TEST(flags_are_refused_with_the_nearest_one) {
	refused(parse("--plugin", "x", NULL, NULL), "unknown flag --plugin", "", "", "did you mean --plugins?");
	refused(parse("--verbose", NULL, NULL, NULL), "unknown flag --verbose", "", "", "sofund --help");
	refused(parse("stray", NULL, NULL, NULL), "unexpected argument stray", "", "", "");
	refused(parse("--config", NULL, NULL, NULL), "--config needs a value", "", "", "");
	refused(parse("--keep-images=1", NULL, NULL, NULL), "unknown flag --keep-images=1", "", "", "");
	refused(parse("--set", "shards", NULL, NULL), "shards is no assignment", "", "key=value", "");
	refused(parse("--set", "shards=", NULL, NULL), "no value for shards", "", "key=value", "");
	refused(parse("--test-clock", "-5", NULL, NULL), "--test-clock", "-5", "a whole number", "");
	refused(parse("--test-clock", "5s", NULL, NULL), "--test-clock", "5s", "a whole number", "");
}
END_TEST

START_TEST(a_named_file_must_exist) {
	refused(parse("--config", "/nonexistent/x.yaml", NULL, NULL), "cannot read /nonexistent/x.yaml: No such file", "",
		"", "");
	refused(parse("--config", directory, NULL, NULL), "Is a directory", "", "", "");
}
END_TEST

START_TEST(a_message_fits_a_frame) {
	refused(parse("--set", "limits.frame_bytes=64KiB", NULL, NULL), "limits.message_bytes is above", "1048576", "65536",
		"raise");
}
END_TEST

START_TEST(too_large_a_file_is_refused) {
	char *text = check_alloc(1, (1 << 20) + 2);
	memset(text, '#', (1 << 20) + 1);
	refused(parse_file(text), "too large", "1048577", "at most 1048576", "");
	free(text);
}
END_TEST

START_TEST(a_wrong_item_of_a_list_is_named_by_its_place) {
	refused(parse_file("listen:\n  http:\n  - tcp:127.0.0.1:80\n  - udp:1\n"),
		"sofun.yaml:4:5: wrong value for listen.http", "udp:1", "tcp:HOST:PORT", "");
}
END_TEST

/* Takes the comment sign off every setting of the document. */
static void settings_uncomment(struct buf *text, struct buf *ret_text) {
	const char *at = (const char *)text->data;
	while (*at != '\0') {
		size_t size = strcspn(at, "\n");
		bool setting = at[0] == '#' && at[1] != ' ';
		buf_append(ret_text, at + (setting ? 1 : 0), size - (setting ? 1 : 0));
		buf_append_u8(ret_text, '\n');
		at += at[size] == '\n' ? size + 1 : size;
	}
	buf_append_u8(ret_text, '\0');
}

static void shown_is_explained(void *count, const struct config_shown *shown) {
	++*(size_t *)count;
	ck_assert_msg(strlen(shown->meaning) > 5 && strlen(shown->reason) > 20, "%s is not explained", shown->key);
	ck_assert_msg(!shown->number || shown->unit[0] != '\0', "%s has no unit", shown->key);
	ck_assert_msg(bytes_equal(shown->value, shown->preset) || strcmp(shown->source, "default") != 0, "%s", shown->key);
}

START_TEST(the_document_gives_every_default) {
	struct buf text = {0}, bare = {0};
	size_t count = 0;
	ck_assert(config_document("yaml", &text));
	buf_append_u8(&text, '\0');
	settings_uncomment(&text, &bare);
	ck_assert(parse_file((const char *)bare.data));
	config_each(&config, shown_is_explained, &count);
	ck_assert_uint_ge(count, 20);
	ck_assert_uint_eq(config.sources[1], CONFIG_FILE);
	struct config presets;
	config_init(&presets);
	ck_assert_uint_eq(config.memory_bytes, presets.memory_bytes);
	ck_assert_uint_eq(config.retry_block_ms_max, presets.retry_block_ms_max);
	config_finish(&presets);
	buf_finish(&text);
	buf_finish(&bare);
	ck_assert(!config_document("runes", &text));
}
END_TEST

START_TEST(help_lists_every_setting) {
	struct buf text = {0};
	config_usage(&text);
	buf_append_u8(&text, 0);
	const char *const keys[] = {"--data", "--keep-images", "listen.http", "call.timeout_ms", "ingresses.<name>.format"};
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		ck_assert_ptr_nonnull(strstr((const char *)text.data, keys[i]));
	buf_finish(&text);
}
END_TEST

int main(void) {
	TCase *all = tcase_create("config");
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_add_test(all, defaults_are_those_of_the_interface);
	tcase_add_test(all, data_is_here_without_a_flag);
	tcase_add_test(all, flags_take_values_both_ways);
	tcase_add_test(all, set_wins_over_the_file_and_the_file_over_defaults);
	tcase_add_test(all, the_last_set_wins);
	tcase_add_test(all, a_named_file_replaces_the_one_in_data);
	tcase_add_test(all, nested_and_dotted_keys_are_the_same);
	tcase_add_test(all, sizes_have_units);
	tcase_add_test(all, durability_has_three_forms);
	tcase_add_test(all, lists_are_flow_or_block);
	tcase_add_test(all, ingresses_have_formats);
	tcase_add_test(all, policy_is_auto_or_manual);
	tcase_add_test(all, unknown_keys_are_refused_with_place_and_hint);
	tcase_add_test(all, wrong_values_are_refused_with_place_and_expectation);
	tcase_add_test(all, a_key_twice_is_refused);
	tcase_add_test(all, broken_yaml_is_refused_with_place);
	tcase_add_test(all, an_alias_that_holds_itself_ends);
	tcase_add_test(all, empty_files_set_nothing);
	tcase_add_test(all, flags_are_refused_with_the_nearest_one);
	tcase_add_test(all, a_named_file_must_exist);
	tcase_add_test(all, a_message_fits_a_frame);
	tcase_add_test(all, too_large_a_file_is_refused);
	tcase_add_test(all, a_wrong_item_of_a_list_is_named_by_its_place);
	tcase_add_test(all, the_document_gives_every_default);
	tcase_add_test(all, help_lists_every_setting);
	Suite *suite = suite_create("config");
	suite_add_tcase(suite, all);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
