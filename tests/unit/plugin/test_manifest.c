/* The manifest's grammar (plugin/manifest.h, plugin-api/ABI.md). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin/manifest.h"
#include "sofun/plugin.h"

#define HEAD "sofun-manifest 1\nabi 1.0\n"
#define PLUGIN HEAD "plugin demo 1.2.3\n"

static void refused(const char *text, size_t size, const char *found) {
	struct manifest manifest;
	struct error error;
	ck_assert_msg(!manifest_parse(bytes_of(text, size), &manifest, &error), "taken: %s", text);
	ck_assert_int_eq(error.code, ERROR_REFUSED);
	ck_assert_msg(strstr(error.found, found) != NULL, "found: %s, wanted: %s", error.found, found);
	ck_assert(error.expected[0] != '\0' && error.hint[0] != '\0');
}

#define REFUSED(text, found) refused(text, sizeof(text) - 1, found)

START_TEST(test_the_example_of_the_abi_page) {
	static const char text[] = "sofun-manifest 1\nabi 1.0\nplugin counter 1.0.0\nfunction demo/counter schema=1\n"
							   "value demo/counter 0 count int\nrouter counter line\n";
	struct manifest manifest;
	struct error error;
	ck_assert(manifest_parse(bytes_text(text), &manifest, &error));
	ck_assert_str_eq(manifest.name, "counter");
	ck_assert_str_eq(manifest.version, "1.0.0");
	ck_assert_uint_eq(manifest.abi_major, 1);
	ck_assert_uint_eq(manifest.function_count, 1);
	ck_assert_str_eq(manifest.functions[0].type, "demo/counter");
	ck_assert_uint_eq(manifest.functions[0].schema, 1);
	ck_assert_uint_eq(manifest.functions[0].value_count, 1);
	ck_assert_str_eq(manifest.functions[0].values[0].name, "count");
	ck_assert_uint_eq(manifest.functions[0].values[0].kind, SOFUN_INT);
	ck_assert_uint_eq(manifest.router_count, 1);
	ck_assert_str_eq(manifest.routers[0].ingress, "counter");
	ck_assert_str_eq(manifest.routers[0].format, "line");
	ck_assert_uint_eq(manifest.egress_count, 0);
	ck_assert_ptr_nonnull(manifest_function_find(&manifest, "demo/counter"));
	ck_assert_ptr_null(manifest_function_find(&manifest, "demo/other"));
	manifest_finish(&manifest);
}
END_TEST

START_TEST(test_lines_in_any_order_with_nul_between) {
	static const char text[] =
		"\0\nvalue a/b 1 second str\0\0egress out\nvalue a/b 0 first raw\0router in json\0router in json\0"
		"plugin p-1_x 4294967295.0.7\0function a/b schema=4294967295\0abi 1.0\0\nsofun-manifest 1";
	struct manifest manifest;
	struct error error;
	ck_assert(manifest_parse(bytes_of(text, sizeof text), &manifest, &error));
	ck_assert_str_eq(manifest.name, "p-1_x");
	ck_assert_str_eq(manifest.version, "4294967295.0.7");
	ck_assert_uint_eq(manifest.functions[0].schema, UINT32_MAX);
	ck_assert_str_eq(manifest.functions[0].values[0].name, "first");
	ck_assert_str_eq(manifest.functions[0].values[1].name, "second");
	ck_assert_uint_eq(manifest.router_count, 2);
	ck_assert_str_eq(manifest.egresses[0].name, "out");
	manifest_finish(&manifest);
}
END_TEST

START_TEST(test_another_abi_is_refused_before_unknown_words) {
	REFUSED("sofun-manifest 1\nabi 1.99\nmarvel new/word\n", "ABI 1.99");
	REFUSED("sofun-manifest 1\nmarvel\nabi 2.0\n", "ABI 2.0");
	REFUSED("sofun-manifest 1\nabi 0.9\n", "ABI 0.9");
	REFUSED("sofun-manifest 2\nabi 1.0\n", "sofun-manifest 2");
	REFUSED(HEAD "plugin a 1.0.0\nmarvel new/word\n", "marvel new/word");
}
END_TEST

START_TEST(test_what_is_missing) {
	REFUSED("", "sofun-manifest 1");
	REFUSED("abi 1.0\nplugin a 1.0.0\n", "sofun-manifest");
	REFUSED("sofun-manifest 1\nplugin a 1.0.0\n", "abi");
	REFUSED(HEAD, "plugin");
	REFUSED(PLUGIN "value a/b 0 x int\n", "a/b");
}
END_TEST

START_TEST(test_what_is_doubled) {
	REFUSED("sofun-manifest 1\n" PLUGIN, "sofun-manifest 1");
	REFUSED("abi 1.0\n" PLUGIN, "abi 1.0");
	REFUSED(PLUGIN "plugin b 1.0.0\n", "plugin b");
	REFUSED(PLUGIN "function a/b schema=1\nfunction a/b schema=1\n", "function a/b");
	REFUSED(PLUGIN "egress e\negress e\n", "egress e");
	REFUSED(PLUGIN "function a/b schema=1\nvalue a/b 0 x int\nvalue a/b 1 x int\n", "x");
	REFUSED(PLUGIN "function a/b schema=1\nvalue a/b 0 x int\nvalue a/b 0 y int\n", "y");
}
END_TEST

START_TEST(test_holes_in_the_indexes) {
	REFUSED(PLUGIN "function a/b schema=1\nvalue a/b 1 x int\n", "a/b");
	REFUSED(PLUGIN "function a/b schema=1\nvalue a/b 0 x int\nvalue a/b 63 y int\n", "a/b");
	REFUSED(PLUGIN "function a/b schema=1\nvalue a/b 64 x int\n", "value a/b 64");
}
END_TEST

START_TEST(test_earlier_schemas) {
	static const char text[] =
		"schema-value a/b 2 1 y int\nschema a/b 1 up\nschema-value a/b 1 0 x str\n" PLUGIN
		"schema a/b 2 both\nschema-value a/b 2 0 x raw\nfunction a/b schema=3\nvalue a/b 0 z int\n"
		"function a/c schema=2\nschema a/c 1 down\n";
	struct manifest manifest;
	struct error error;
	ck_assert_msg(manifest_parse(bytes_text(text), &manifest, &error), "%s", error.found);
	const struct manifest_function *function = manifest_function_find(&manifest, "a/b");
	ck_assert_uint_eq(function->schema_count, 2);
	const struct manifest_schema *first = manifest_schema_find(function, 1);
	const struct manifest_schema *second = manifest_schema_find(function, 2);
	ck_assert_uint_eq(first->ways, SOFUN_SCHEMA_UP);
	ck_assert_uint_eq(first->value_count, 1);
	ck_assert_str_eq(second->values[1].name, "y");
	ck_assert_uint_eq(second->ways, SOFUN_SCHEMA_BOTH);
	ck_assert_ptr_null(manifest_schema_find(function, 3));
	ck_assert_str_eq(
		manifest_ways_name(manifest_schema_find(manifest_function_find(&manifest, "a/c"), 1)->ways), "down");
	manifest_finish(&manifest);
	REFUSED(PLUGIN "schema a/b 1 up\n", "a/b");
	REFUSED(PLUGIN "function a/b schema=2\nschema-value a/b 1 0 x int\n", "a/b");
	REFUSED(PLUGIN "function a/b schema=2\nschema a/b 2 up\n", "a/b");
	REFUSED(PLUGIN "function a/b schema=2\nschema a/b 3 up\n", "a/b");
	REFUSED(PLUGIN "function a/b schema=2\nschema a/b 1 up\nschema a/b 1 down\n", "a/b");
	REFUSED(PLUGIN "function a/b schema=2\nschema a/b 1 up\nschema-value a/b 1 1 x int\n", "a/b");
	REFUSED(
		PLUGIN "function a/b schema=2\nschema a/b 1 up\nschema-value a/b 1 0 x int\nschema-value a/b 1 0 y int\n", "y");
	struct buf many = {0};
	buf_printf(&many, PLUGIN "function a/b schema=99\n");
	for (int i = 1; i <= MANIFEST_SCHEMAS_MAX + 1; i++)
		buf_printf(&many, "schema a/b %d up\n", i);
	refused((const char *)many.data, many.size, "a/b");
	buf_finish(&many);
}
END_TEST

START_TEST(test_words_that_are_not_in_the_grammar) {
	static const char *const bad[] = {"abi 1", "abi 1.0.0", "abi 01.0", "abi 65536.0", "abi 1.-1", "plugin  a 1.0.0",
		"plugin A 1.0.0", "plugin 1a 1.0.0", "plugin a 1.0", "plugin a 1.0.0.0", "plugin a 1.0.00", "plugin a 1.0.0 ",
		"plugin a v1.0.0", "plugin a 4294967296.0.0", "plugin  1.0.0", "plugin a"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char text[200];
		snprintf(
			text, sizeof text, "sofun-manifest 1\n%s%s\n", strncmp(bad[i], "abi", 3) == 0 ? "" : "abi 1.0\n", bad[i]);
		refused(text, strlen(text), bad[i]);
	}
	static const char *const lines[] = {"function a schema=1", "function a/b schema=0", "function a/b schema=01",
		"function a/b schema=", "function a/b", "function a/b/c schema=1", "function /b schema=1",
		"function a/ schema=1", "function A/b schema=1", "function a/b schema=4294967296", "router x text", "router x",
		"router X line", "router x line ", "egress", "egress E", "egress a b", "value a/b 0 x", "value a/b 0 x long",
		"value a/b 00 x int", "value a/b 0 X int", "value a/b 0 x-y int", " egress e", "egress\te", "egress e\r",
		"schema a/b 0 up", "schema a/b 1 sideways", "schema a/b 1", "schema a 1 up", "schema-value a/b 1 x int",
		"schema-value a/b 0 0 x int"};
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		char text[200];
		snprintf(text, sizeof text, PLUGIN "function a/b schema=1\n%s\n", lines[i]);
		refused(text, strlen(text), lines[i]);
	}
}
END_TEST

START_TEST(test_names_up_to_their_bounds) {
	char name[80];
	char text[512];
	struct manifest manifest;
	struct error error;
	memset(name, 'a', sizeof name);
	snprintf(text, sizeof text, HEAD "plugin %.63s 1.0.0\nfunction %.63s/%.63s schema=1\n", name, name, name);
	ck_assert(manifest_parse(bytes_text(text), &manifest, &error));
	ck_assert_uint_eq(strlen(manifest.name), 63);
	ck_assert_uint_eq(strlen(manifest.functions[0].type), 127);
	manifest_finish(&manifest);
	snprintf(text, sizeof text, HEAD "plugin %.64s 1.0.0\n", name);
	refused(text, strlen(text), "plugin");
	snprintf(text, sizeof text, PLUGIN "function %.64s/%.63s schema=1\n", name, name);
	refused(text, strlen(text), "function");
}
END_TEST

START_TEST(test_more_than_there_may_be) {
	struct buf text = {0};
	buf_printf(&text, PLUGIN);
	for (int i = 0; i < MANIFEST_FUNCTIONS_MAX; i++)
		buf_printf(&text, "function a/f%d schema=1\n", i);
	struct manifest manifest;
	struct error error;
	ck_assert(manifest_parse(bytes_buf(&text), &manifest, &error));
	ck_assert_uint_eq(manifest.function_count, MANIFEST_FUNCTIONS_MAX);
	manifest_finish(&manifest);
	buf_printf(&text, "function a/more schema=1\n");
	refused((const char *)text.data, text.size, "a/more");
	buf_reset(&text);
	while (text.size <= MANIFEST_BYTES_MAX)
		buf_append(&text, "\n", 1);
	refused((const char *)text.data, text.size, "65536");
	buf_finish(&text);
}
END_TEST

START_TEST(test_versions_in_order) {
	ck_assert_int_eq(manifest_version_compare("1.0.0", "1.0.0"), 0);
	ck_assert_int_lt(manifest_version_compare("1.9.0", "1.10.0"), 0);
	ck_assert_int_gt(manifest_version_compare("2.0.0", "1.4294967295.9"), 0);
	ck_assert_int_lt(manifest_version_compare("1.0.2", "1.0.10"), 0);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("manifest");
	TCase *tests = tcase_create("grammar");
	tcase_add_test(tests, test_the_example_of_the_abi_page);
	tcase_add_test(tests, test_lines_in_any_order_with_nul_between);
	tcase_add_test(tests, test_another_abi_is_refused_before_unknown_words);
	tcase_add_test(tests, test_what_is_missing);
	tcase_add_test(tests, test_what_is_doubled);
	tcase_add_test(tests, test_holes_in_the_indexes);
	tcase_add_test(tests, test_earlier_schemas);
	tcase_add_test(tests, test_words_that_are_not_in_the_grammar);
	tcase_add_test(tests, test_names_up_to_their_bounds);
	tcase_add_test(tests, test_more_than_there_may_be);
	tcase_add_test(tests, test_versions_in_order);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
