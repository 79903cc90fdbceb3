/* Descriptors against the frozen prefix and the manifest (plugin/abi.h). */
#include <check.h>
#include <stddef.h>
#include <stdlib.h>

#include "plugin/abi.h"

static const char manifest_text[] =
	"sofun-manifest 1\nabi 1.1\nplugin demo 1.0.0\nfunction a/b schema=3\n"
	"value a/b 0 count int\nvalue a/b 1 name str\nschema a/b 1 up\nschema a/b 2 both\nschema-value a/b 2 0 old raw\n"
	"schema-value a/b 1 0 older int\nschema-value a/b 1 1 more int\nrouter in line\nrouter in line\negress out\n";

static int invoke(sofun_context *context, void *plugin_data, const sofun_message *message) {
	(void)context;
	(void)plugin_data;
	(void)message;
	return 0;
}

static int migrate(sofun_context *context, void *plugin_data, const sofun_migration *migration) {
	(void)context;
	(void)plugin_data;
	(void)migration;
	return 0;
}

static int route(sofun_context *context, void *plugin_data, const sofun_record *record) {
	(void)context;
	(void)plugin_data;
	(void)record;
	return 0;
}

/* A descriptor that fits the manifest; each test spoils a copy. */
static sofun_value values[2];
static sofun_value values_of_1[2];
static sofun_value values_of_2[1];
static sofun_schema schemas[2];
static const sofun_schema *schema_list[4];
static sofun_function function;
static sofun_router routers[2];
static const sofun_function *functions[3];
static const sofun_router *router_list[4];
static const char *egresses[3];
static sofun_plugin plugin;
static struct manifest manifest;
static struct abi_facts facts;
static struct error error;

static void good(void) {
	manifest_finish(&manifest);
	values[0] = (sofun_value){.name = "count", .kind = SOFUN_INT};
	values[1] = (sofun_value){.name = "name", .kind = SOFUN_STR};
	values_of_1[0] = (sofun_value){.name = "older", .kind = SOFUN_INT};
	values_of_1[1] = (sofun_value){.name = "more", .kind = SOFUN_INT};
	values_of_2[0] = (sofun_value){.name = "old", .kind = SOFUN_RAW};
	schemas[0] = (sofun_schema){sizeof schemas[0], 1, SOFUN_SCHEMA_UP, 2, values_of_1};
	schemas[1] = (sofun_schema){sizeof schemas[1], 2, SOFUN_SCHEMA_BOTH, 1, values_of_2};
	schema_list[0] = &schemas[0];
	schema_list[1] = &schemas[1];
	schema_list[2] = NULL;
	function =
		(sofun_function){sizeof function, 3, "a/b", values, 2, 0, invoke, schema_list, migrate, 0, NULL, NULL, NULL};
	for (int i = 0; i < 2; i++) {
		routers[i] = (sofun_router){sizeof routers[i], 0, "in", "line", route};
		router_list[i] = &routers[i];
	}
	router_list[2] = NULL;
	functions[0] = &function;
	functions[1] = NULL;
	egresses[0] = "out";
	egresses[1] = NULL;
	plugin = (sofun_plugin){SOFUN_MAGIC, SOFUN_ABI_MAJOR, SOFUN_ABI_MINOR, sizeof plugin, 0, "demo", "1.0.0", functions,
		router_list, egresses, NULL, NULL};
	ck_assert(manifest_parse(bytes_text(manifest_text), &manifest, &error));
}

static void finish(void) {
	manifest_finish(&manifest);
}

static void refused(const char *found) {
	ck_assert(!abi_read(&plugin, &manifest, &facts, &error));
	ck_assert_int_eq(error.code, ERROR_REFUSED);
	ck_assert(error.hint[0] != '\0');
	ck_assert_msg(strstr(error.found, found) != NULL, "%s: %s", error.message, error.found);
}

START_TEST(test_what_fits) {
	ck_assert_msg(abi_read(&plugin, &manifest, &facts, &error), "%s: %s", error.message, error.found);
	ck_assert(facts.functions[0].invoke == invoke);
	ck_assert(facts.routers[1].route == route);
	/* No string of the plugin's is kept. */
	ck_assert_ptr_eq(facts.functions[0].type, manifest.functions[0].type);
	ck_assert_ptr_eq(facts.functions[0].values[1].name, manifest.functions[0].values[1].name);
	ck_assert_ptr_eq(facts.routers[0].ingress, manifest.routers[0].ingress);
	const sofun_schema *const *earlier = facts.functions[0].schemas;
	ck_assert(facts.functions[0].migrate == migrate);
	ck_assert_uint_eq(earlier[0]->schema, 1);
	ck_assert_uint_eq(earlier[0]->ways, SOFUN_SCHEMA_UP);
	ck_assert_uint_eq(earlier[1]->schema, 2);
	ck_assert_uint_eq(earlier[1]->value_count, 1);
	ck_assert_ptr_eq(earlier[1]->values[0].name, manifest.functions[0].schemas[1].values[0].name);
	ck_assert_ptr_eq(earlier[0]->values[1].name, manifest.functions[0].schemas[0].values[1].name);
	ck_assert_ptr_null(earlier[2]);
	abi_finish(&facts);
}
END_TEST

START_TEST(test_the_frozen_prefix) {
	plugin.magic = 1;
	refused("magic 00000001");
	good();
	plugin.abi_major = SOFUN_ABI_MAJOR + 1;
	refused("ABI 2.1");
	good();
	plugin.abi_minor = SOFUN_ABI_MINOR + 1;
	refused("ABI 1.2");
	good();
	plugin.size = offsetof(sofun_plugin, flags);
	refused("size 12");
	ck_assert(!abi_read(NULL, &manifest, &facts, &error));
	ck_assert(strstr(error.found, "sofun_plugin_descriptor") != NULL);
}
END_TEST

/* min(size, ours): of a descriptor that ends early the rest is NULL, and a longer one is read as far as we know it. */
START_TEST(test_sizes) {
	static const char bare[] = "sofun-manifest 1\nabi 1.1\nplugin demo 1.0.0\n";
	struct manifest nothing;
	ck_assert(manifest_parse(bytes_text(bare), &nothing, &error));
	plugin.size = offsetof(sofun_plugin, functions);
	plugin.init = (int (*)(const sofun_host *, void **, char *, size_t))(uintptr_t)1;
	ck_assert(abi_read(&plugin, &nothing, &facts, &error));
	ck_assert(facts.init == NULL);
	abi_finish(&facts);
	manifest_finish(&nothing);
	plugin.size = sizeof plugin + 4096;
	plugin.init = NULL;
	function.size = sizeof function + 64;
	ck_assert(abi_read(&plugin, &manifest, &facts, &error));
	abi_finish(&facts);
	function.size = offsetof(sofun_function, invoke);
	ck_assert(!abi_read(&plugin, &manifest, &facts, &error));
	function.size = sizeof function;
	routers[0].size = offsetof(sofun_router, route);
	ck_assert(!abi_read(&plugin, &manifest, &facts, &error));
}
END_TEST

START_TEST(test_name_and_version_differ) {
	plugin.name = "other";
	refused("name other");
	plugin.name = NULL;
	refused("name (none)");
	plugin.name = "demo";
	plugin.version = "1.0.1";
	refused("version 1.0.1");
	plugin.version = "1.0.0";
	manifest.abi_minor = 7;
	refused("abi 1.1");
}
END_TEST

START_TEST(test_functions_differ) {
	function.type = "a/c";
	refused("function a/c");
	function.type = "a/b";
	function.schema = 4;
	refused("schema 4");
	function.schema = 3;
	functions[0] = NULL;
	refused("function (none)");
	functions[0] = &function;
	functions[1] = &function;
	functions[2] = NULL;
	refused("a second function a/b");
	functions[1] = NULL;
	function.invoke = NULL;
	ck_assert(!abi_read(&plugin, &manifest, &facts, &error));
	plugin.functions = NULL;
	refused("function (none)");
}
END_TEST

START_TEST(test_values_differ) {
	values[1].name = "other";
	refused("value other");
	values[1].name = "name";
	values[1].kind = SOFUN_RAW;
	refused("name raw");
	values[1].kind = 99;
	refused("name unknown");
	function.value_count = 1;
	refused("1 values of a/b");
	function.value_count = 2;
	function.values = NULL;
	refused("2 values of a/b");
}
END_TEST

START_TEST(test_earlier_schemas_differ) {
	schema_list[1] = NULL;
	refused("earlier schemas of a/b");
	schema_list[1] = &schemas[0];
	refused("a second earlier schema of a/b");
	schema_list[1] = &schemas[1];
	schema_list[2] = &schemas[0];
	refused("earlier schemas of a/b");
	schema_list[2] = NULL;
	schemas[1].ways = SOFUN_SCHEMA_UP;
	refused("earlier schema 2 (up)");
	schemas[1].ways = SOFUN_SCHEMA_BOTH;
	schemas[1].schema = 7;
	refused("earlier schema 7");
	schemas[1].schema = 2;
	values_of_2[0].kind = SOFUN_INT;
	refused("old int");
	values_of_2[0].kind = SOFUN_RAW;
	schemas[0].value_count = 1;
	refused("1 values of a/b");
	schemas[0].value_count = 2;
	function.migrate = NULL;
	ck_assert(!abi_read(&plugin, &manifest, &facts, &error));
	function.migrate = migrate;
	function.schemas = NULL;
	refused("earlier schemas of a/b");
	good();
	schemas[0].size = 8;
	ck_assert(!abi_read(&plugin, &manifest, &facts, &error));
}
END_TEST

/* Who was built for 1.0 has a function that ends before `schemas`: the rest counts as NULL, whatever stands behind it. */
START_TEST(test_a_function_of_1_0) {
	static const char text[] =
		"sofun-manifest 1\nabi 1.0\nplugin demo 1.0.0\nfunction a/b schema=3\n"
		"value a/b 0 count int\nvalue a/b 1 name str\nrouter in line\nrouter in line\negress out\n";
	manifest_finish(&manifest);
	ck_assert(manifest_parse(bytes_text(text), &manifest, &error));
	plugin.abi_minor = 0;
	function.size = offsetof(sofun_function, schemas);
	ck_assert_msg(abi_read(&plugin, &manifest, &facts, &error), "%s: %s", error.message, error.found);
	ck_assert_ptr_null(facts.functions[0].schemas);
	ck_assert(facts.functions[0].migrate == NULL);
	abi_finish(&facts);
}
END_TEST

START_TEST(test_routers_and_egresses_differ) {
	routers[1].format = "json";
	refused("router in");
	good();
	router_list[1] = NULL;
	refused("router (none)");
	good();
	routers[0].route = NULL;
	ck_assert(!abi_read(&plugin, &manifest, &facts, &error));
	good();
	egresses[0] = "other";
	refused("egress other");
	egresses[0] = NULL;
	refused("0 egresses");
}
END_TEST

int main(void) {
	Suite *suite = suite_create("abi");
	TCase *tests = tcase_create("descriptor");
	tcase_add_checked_fixture(tests, good, finish);
	tcase_add_test(tests, test_what_fits);
	tcase_add_test(tests, test_the_frozen_prefix);
	tcase_add_test(tests, test_sizes);
	tcase_add_test(tests, test_name_and_version_differ);
	tcase_add_test(tests, test_functions_differ);
	tcase_add_test(tests, test_values_differ);
	tcase_add_test(tests, test_earlier_schemas_differ);
	tcase_add_test(tests, test_a_function_of_1_0);
	tcase_add_test(tests, test_routers_and_egresses_differ);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
