/* Declares a plugin: one set of words makes both the structs that the host calls through and the manifest, the text
 * that it reads without running anything (ABI.md, section 1). C11 and C++17, no extensions. At file scope, each ends
 * with a semicolon.
 *
 *   SOFUN_FUNCTION(counter, "demo/counter", 1,
 *       SOFUN_VALUE(count, INT));
 *   SOFUN_ROUTER(lines, "counter", "line");
 *   SOFUN_PLUGIN("counter", "1.0.0",
 *       SOFUN_WITH_FUNCTION(counter),
 *       SOFUN_WITH_ROUTER(lines));
 *
 *   static int counter_invoke(sofun_context *context, void *plugin_data, const sofun_message *message) { ... }
 *   static int lines_route(sofun_context *context, void *plugin_data, const sofun_record *record) { ... }
 *
 * The words may stand in several files; one file has SOFUN_PLUGIN. Names in "..." must be string literals (or macros
 * that are).
 */
#ifndef SOFUN_DECLARE_H
#define SOFUN_DECLARE_H

#include "each.h"
#include "plugin.h"

#define SOFUN_MANIFEST_SECTION ".sofun.manifest"
#define SOFUN_MANIFEST_FORMAT 1

/* A function type. Makes the constants NAME_VALUE (the numbers for state_get), and expects `static int NAME_invoke(...)` in the
 * same file, as every callback below in the form of function.h. schema counts from 1. Then up to 64 values:
 *   SOFUN_VALUE(name, KIND)   KIND is RAW, INT, FLOAT, STR or BOOL
 *   SOFUN_EXPIRING_VALUE(name, KIND, after_write_ms, after_invoke_ms)
 *   SOFUN_TABLE(name)         many entries under keys
 *   SOFUN_LIST(name)          many items in a row
 * and behind them what else there is to say, all of it since 1.1:
 *   SOFUN_IDLE_TTL(ms)        an instance ends with all its state when no message came for so long
 *   SOFUN_ON_EXPIRE           `static int NAME_on_expire(...)` is called for one that ends
 *   SOFUN_WORK                `static int NAME_work(...)` is called for operations that it starts
 *   SOFUN_ON_RESULT           `static int NAME_on_result(...)` is told what came of them
 *   SOFUN_EARLIER(schema)     its state had this schema before (SOFUN_SCHEMA); `static int NAME_migrate(...)` knows it
 *
 *   SOFUN_FUNCTION(person, "demo/person", 1,
 *       SOFUN_VALUE(name, STR),
 *       SOFUN_TABLE(letters),
 *       SOFUN_IDLE_TTL(1800000), SOFUN_ON_EXPIRE); */
#define SOFUN_FUNCTION(name, type, schema, ...) \
	enum { SOFUN_EACH(SOFUN_PART_NUMBER, name, __VA_ARGS__) name##_value_count }; \
	SOFUN_EACH(SOFUN_PART_PLACE, name, __VA_ARGS__) \
	static const sofun_value name##_values[] = { \
		SOFUN_EACH(SOFUN_PART_ENTRY, , __VA_ARGS__) {NULL, 0, 0, 0, 0}}; \
	SOFUN_MANIFEST(name##_value_lines) = "" SOFUN_EACH(SOFUN_PART_VALUE_LINE, type, __VA_ARGS__); \
	SOFUN_EACH(SOFUN_PART_CALLBACK, name, __VA_ARGS__) \
	static const sofun_schema *const name##_schemas[] = {SOFUN_EACH(SOFUN_PART_SCHEMA, , __VA_ARGS__) NULL}; \
	SOFUN_FUNCTION_STRUCT(name, type, schema, name##_values, name##_value_count, \
		sizeof name##_schemas > sizeof(sofun_schema *) ? name##_schemas : NULL, \
		SOFUN_FIRST_OF(SOFUN_EACH(SOFUN_PART_MIGRATE, name, __VA_ARGS__) NULL, ), \
		SOFUN_FIRST_OF(SOFUN_EACH(SOFUN_PART_IDLE_TTL, , __VA_ARGS__) 0, ), \
		SOFUN_FIRST_OF(SOFUN_EACH(SOFUN_PART_ON_EXPIRE, name, __VA_ARGS__) NULL, ), \
		SOFUN_FIRST_OF(SOFUN_EACH(SOFUN_PART_WORK, name, __VA_ARGS__) NULL, ), \
		SOFUN_FIRST_OF(SOFUN_EACH(SOFUN_PART_ON_RESULT, name, __VA_ARGS__) NULL, ))

/* A function type that keeps nothing. */
#define SOFUN_STATELESS_FUNCTION(name, type) \
	SOFUN_FUNCTION_STRUCT(name, type, 1, NULL, 0, NULL, NULL, 0, NULL, NULL, NULL)

#define SOFUN_VALUE(name, KIND) (SOFUN_IS_VALUE, (name, #name, SOFUN_##KIND, SOFUN_KIND_WORD_##KIND, 0, 0))

/* A value that is unset by itself, so many milliseconds after it was set, or after the instance was last invoked; 0: not
 * for that reason. Since 1.1. */
#define SOFUN_EXPIRING_VALUE(name, KIND, after_write_ms, after_invoke_ms) \
	(SOFUN_IS_VALUE, (name, #name, SOFUN_##KIND, SOFUN_KIND_WORD_##KIND, after_write_ms, after_invoke_ms))

/* Values of many entries: a table (table.h), a list (list.h). They stand among the others, and count as one value each. Since
 * 1.1. */
#define SOFUN_TABLE(name) (SOFUN_IS_VALUE, (name, #name, SOFUN_KIND_TABLE, "table", 0, 0))
#define SOFUN_LIST(name) (SOFUN_IS_VALUE, (name, #name, SOFUN_KIND_LIST, "list", 0, 0))

#define SOFUN_IDLE_TTL(ms) (SOFUN_IS_IDLE_TTL, ms)
#define SOFUN_ON_EXPIRE (SOFUN_IS_ON_EXPIRE, )
#define SOFUN_WORK (SOFUN_IS_WORK, )
#define SOFUN_ON_RESULT (SOFUN_IS_ON_RESULT, )
#define SOFUN_EARLIER(schema) (SOFUN_IS_EARLIER, schema)

/* A schema that a function's state had before, as its version declared it, in front of the function; makes constants NAME_VALUE,
 * too. ways: UP (NAME_migrate makes the function's own of it), DOWN (it of the function's own), BOTH. Since 1.1.
 *
 *   SOFUN_SCHEMA(person_1, "demo/person", 1, BOTH,
 *       SOFUN_VALUE(name, STR));
 *   SOFUN_FUNCTION(person, "demo/person", 2,
 *       SOFUN_VALUE(given, STR),
 *       SOFUN_VALUE(family, STR),
 *       SOFUN_EARLIER(person_1)); */
#define SOFUN_SCHEMA(name, type, schema, ways, ...) \
	enum { SOFUN_EACH(SOFUN_PART_NUMBER, name, __VA_ARGS__) name##_value_count }; \
	static const sofun_value name##_values[] = {SOFUN_EACH(SOFUN_PART_ENTRY, , __VA_ARGS__)}; \
	SOFUN_MANIFEST(name##_schema_lines) = "schema " type " " SOFUN_TEXT(schema) " " SOFUN_WAYS_WORD_##ways "\n" \
		SOFUN_EACH(SOFUN_PART_SCHEMA_LINE, type " " SOFUN_TEXT(schema), __VA_ARGS__); \
	static const sofun_schema name##_schema = {sizeof(sofun_schema), schema, SOFUN_SCHEMA_##ways, name##_value_count, \
		name##_values}

/* A router. Expects `static int NAME_route(...)` in the same file. format is "line", "json" or "msgpack". */
#define SOFUN_ROUTER(name, ingress, format) \
	SOFUN_MANIFEST(name##_router_lines) = "router " ingress " " format "\n"; \
	static int name##_route(sofun_context *context, void *plugin_data, const sofun_record *record); \
	SOFUN_HIDDEN extern const sofun_router name##_router; \
	const sofun_router name##_router = {sizeof(sofun_router), 0, ingress, format, name##_route}

/* The plugin: name, version "MAJOR.MINOR.PATCH", then 1 to 64 of
 *   SOFUN_WITH_FUNCTION(name)   SOFUN_WITH_ROUTER(name)   SOFUN_WITH_EGRESS("name")
 * An egress is declared if the plugin's functions may emit to it. */
#define SOFUN_PLUGIN(name, version, ...) SOFUN_PLUGIN_WITH(name, version, NULL, NULL, __VA_ARGS__)

/* The same, with init and fini (plugin.h says what they may do); either may be NULL. */
#define SOFUN_PLUGIN_WITH(name, version, init, fini, ...) \
	SOFUN_EACH(SOFUN_PART_EXTERN, , __VA_ARGS__) \
	static const sofun_function *const sofun_plugin_functions[] = { \
		SOFUN_EACH(SOFUN_PART_FUNCTION, , __VA_ARGS__) NULL}; \
	static const sofun_router *const sofun_plugin_routers[] = { \
		SOFUN_EACH(SOFUN_PART_ROUTER, , __VA_ARGS__) NULL}; \
	static const char *const sofun_plugin_egresses[] = {SOFUN_EACH(SOFUN_PART_EGRESS, , __VA_ARGS__) NULL}; \
	SOFUN_MANIFEST(sofun_plugin_lines) = "sofun-manifest " SOFUN_TEXT(SOFUN_MANIFEST_FORMAT) "\n" \
		"abi " SOFUN_TEXT(SOFUN_ABI_MAJOR) "." SOFUN_TEXT(SOFUN_ABI_MINOR) "\n" \
		"plugin " name " " version "\n" SOFUN_EACH(SOFUN_PART_LINE, , __VA_ARGS__); \
	const sofun_plugin sofun_plugin_descriptor = {SOFUN_MAGIC, SOFUN_ABI_MAJOR, SOFUN_ABI_MINOR, \
		sizeof(sofun_plugin), 0, name, version, sofun_plugin_functions, sofun_plugin_routers, \
		sofun_plugin_egresses, init, fini}

#define SOFUN_WITH_FUNCTION(name) (FUNCTION, name##_function)
#define SOFUN_WITH_ROUTER(name) (ROUTER, name##_router)
#define SOFUN_WITH_EGRESS(name) (EGRESS, name)

/* ---- From here on: how it is done. Nothing below is for use elsewhere. ---- */

#define SOFUN_HIDDEN __attribute__((visibility("hidden")))

/* Text that nobody refers to must survive the optimizer (used) and, where the tools can say so, --gc-sections
 * (retain). */
#define SOFUN_KEEP __attribute__((used))
#ifdef __has_attribute
#if __has_attribute(retain)
#undef SOFUN_KEEP
#define SOFUN_KEEP __attribute__((used, retain))
#endif
#endif

#define SOFUN_MANIFEST(name) \
	SOFUN_KEEP __attribute__((section(SOFUN_MANIFEST_SECTION), aligned(1))) static const char name[]

#define SOFUN_KIND_WORD_RAW "raw"
#define SOFUN_KIND_WORD_INT "int"
#define SOFUN_KIND_WORD_FLOAT "float"
#define SOFUN_KIND_WORD_STR "str"
#define SOFUN_KIND_WORD_BOOL "bool"

#define SOFUN_WAYS_WORD_UP "up"
#define SOFUN_WAYS_WORD_DOWN "down"
#define SOFUN_WAYS_WORD_BOTH "both"

#define SOFUN_FUNCTION_STRUCT(name, type, schema, values, value_count, schemas, migrate, idle_ttl_ms, on_expire, work, \
	on_result) \
	SOFUN_MANIFEST(name##_function_lines) = "function " type " schema=" SOFUN_TEXT(schema) "\n"; \
	static int name##_invoke(sofun_context *context, void *plugin_data, const sofun_message *message); \
	SOFUN_HIDDEN extern const sofun_function name##_function; \
	const sofun_function name##_function = {sizeof(sofun_function), schema, type, values, value_count, 0, \
		name##_invoke, schemas, migrate, idle_ttl_ms, on_expire, work, on_result}

/* x is (SOFUN_IS_VALUE, or IDLE_TTL, ON_EXPIRE, WORK, ON_RESULT, EARLIER, what): each walk takes its own sort and leaves
 * nothing of the others. */
#define SOFUN_PART_NUMBER(name, I, x) SOFUN_PART_IF(VALUE, SOFUN_VALUE_NUMBER, name, I, x)
#define SOFUN_PART_PLACE(name, I, x) SOFUN_PART_IF(VALUE, SOFUN_VALUE_PLACE, name, I, x)
#define SOFUN_PART_ENTRY(C, I, x) SOFUN_PART_IF(VALUE, SOFUN_VALUE_ENTRY, C, I, x)
#define SOFUN_PART_VALUE_LINE(type, I, x) SOFUN_PART_IF(VALUE, SOFUN_VALUE_LINE, type, I, x)
#define SOFUN_PART_SCHEMA_LINE(schema, I, x) SOFUN_PART_IF(VALUE, SOFUN_SCHEMA_LINE, schema, I, x)
#define SOFUN_PART_SCHEMA(C, I, x) SOFUN_PART_IF(EARLIER, SOFUN_SCHEMA_ENTRY, C, I, x)
#define SOFUN_PART_MIGRATE(name, I, x) SOFUN_PART_IF(EARLIER, SOFUN_NAME_MIGRATE, name, I, x)
#define SOFUN_PART_IDLE_TTL(C, I, x) SOFUN_PART_IF(IDLE_TTL, SOFUN_NUMBER_ITSELF, C, I, x)
#define SOFUN_PART_ON_EXPIRE(name, I, x) SOFUN_PART_IF(ON_EXPIRE, SOFUN_NAME_ON_EXPIRE, name, I, x)
#define SOFUN_PART_WORK(name, I, x) SOFUN_PART_IF(WORK, SOFUN_NAME_WORK, name, I, x)
#define SOFUN_PART_ON_RESULT(name, I, x) SOFUN_PART_IF(ON_RESULT, SOFUN_NAME_ON_RESULT, name, I, x)
#define SOFUN_PART_CALLBACK(name, I, x) SOFUN_CAT(SOFUN_DECLARE_, SOFUN_PART_SORT x)(name)

/* M(C, I, what) if x is of the wanted sort: the second argument is SOFUN_APPLY then, since the match brings a comma. */
#define SOFUN_PART_IF(wanted, M, C, I, x) \
	SOFUN_SECOND_OF(SOFUN_CAT(SOFUN_MATCH_##wanted##_, SOFUN_PART_SORT x), SOFUN_SKIP, )(M, C, I, SOFUN_PART_WHAT x)
#define SOFUN_MATCH_VALUE_SOFUN_IS_VALUE , SOFUN_APPLY
#define SOFUN_MATCH_IDLE_TTL_SOFUN_IS_IDLE_TTL , SOFUN_APPLY
#define SOFUN_MATCH_ON_EXPIRE_SOFUN_IS_ON_EXPIRE , SOFUN_APPLY
#define SOFUN_MATCH_WORK_SOFUN_IS_WORK , SOFUN_APPLY
#define SOFUN_MATCH_ON_RESULT_SOFUN_IS_ON_RESULT , SOFUN_APPLY
#define SOFUN_MATCH_EARLIER_SOFUN_IS_EARLIER , SOFUN_APPLY
#define SOFUN_APPLY(M, C, I, what) M(C, I, what)
#define SOFUN_SKIP(M, C, I, what)
#define SOFUN_FIRST_OF(...) SOFUN_FIRST_OF_(__VA_ARGS__)
#define SOFUN_FIRST_OF_(a, ...) a
#define SOFUN_SECOND_OF(...) SOFUN_SECOND_OF_(__VA_ARGS__)
#define SOFUN_SECOND_OF_(a, b, ...) b

/* value is (name, "name", kind, "kind", after write, after invoke). */
#define SOFUN_VALUE_NUMBER(function, I, value) SOFUN_CAT_2(function, SOFUN_FIRST value),
#define SOFUN_VALUE_PLACE(function, I, value) \
	SOFUN_ASSERT(SOFUN_CAT_2(function, SOFUN_FIRST value) == I, "values stand before what else a function has");
#define SOFUN_VALUE_ENTRY(C, I, value) {SOFUN_SECOND value, SOFUN_THIRD value, 0, SOFUN_FIFTH value, SOFUN_SIXTH value},
#define SOFUN_VALUE_LINE(type, I, value) "value " type " " #I " " SOFUN_SECOND value " " SOFUN_FOURTH value "\n"
#define SOFUN_SCHEMA_LINE(schema, I, value) \
	"schema-value " schema " " #I " " SOFUN_SECOND value " " SOFUN_FOURTH value "\n"
#define SOFUN_CAT_2(function, value) SOFUN_CAT_2_(function, value)
#define SOFUN_CAT_2_(function, value) function##_##value
#ifdef __cplusplus
#define SOFUN_ASSERT static_assert
#else
#define SOFUN_ASSERT _Static_assert
#endif

#define SOFUN_SCHEMA_ENTRY(C, I, schema) &schema##_schema,
#define SOFUN_NAME_MIGRATE(name, I, schema) name##_migrate,
#define SOFUN_NUMBER_ITSELF(C, I, number) number,
#define SOFUN_NAME_ON_EXPIRE(name, I, none) name##_on_expire,
#define SOFUN_NAME_WORK(name, I, none) name##_work,
#define SOFUN_NAME_ON_RESULT(name, I, none) name##_on_result,

#define SOFUN_DECLARE_SOFUN_IS_VALUE(name)
#define SOFUN_DECLARE_SOFUN_IS_IDLE_TTL(name)
#define SOFUN_DECLARE_SOFUN_IS_EARLIER(name) \
	static int name##_migrate(sofun_context *context, void *plugin_data, const sofun_migration *migration);
#define SOFUN_DECLARE_SOFUN_IS_ON_EXPIRE(name) \
	static int name##_on_expire(sofun_context *context, void *plugin_data, const sofun_expiry *expiry);
#define SOFUN_DECLARE_SOFUN_IS_WORK(name) static int name##_work(sofun_work *work, void *plugin_data);
#define SOFUN_DECLARE_SOFUN_IS_ON_RESULT(name) \
	static int name##_on_result(sofun_context *context, void *plugin_data, const sofun_result *result);

#define SOFUN_FIRST(a, b, c, d, e, f) a
#define SOFUN_SECOND(a, b, c, d, e, f) b
#define SOFUN_THIRD(a, b, c, d, e, f) c
#define SOFUN_FOURTH(a, b, c, d, e, f) d
#define SOFUN_FIFTH(a, b, c, d, e, f) e
#define SOFUN_SIXTH(a, b, c, d, e, f) f

/* x is (FUNCTION | ROUTER | EGRESS, what): each walk takes its own sort and leaves nothing of the others. */
#define SOFUN_PART_EXTERN(C, I, x) SOFUN_PART_DO(EXTERN, x)
#define SOFUN_PART_FUNCTION(C, I, x) SOFUN_PART_DO(FUNCTION, x)
#define SOFUN_PART_ROUTER(C, I, x) SOFUN_PART_DO(ROUTER, x)
#define SOFUN_PART_EGRESS(C, I, x) SOFUN_PART_DO(EGRESS, x)
#define SOFUN_PART_LINE(C, I, x) SOFUN_PART_DO(LINE, x)
#define SOFUN_PART_DO(walk, x) SOFUN_CAT(SOFUN_DO_##walk##_, SOFUN_PART_SORT x)(SOFUN_PART_WHAT x)
#define SOFUN_PART_SORT(sort, what) sort
#define SOFUN_PART_WHAT(sort, what) what

#define SOFUN_DO_EXTERN_FUNCTION(what) SOFUN_HIDDEN extern const sofun_function what;
#define SOFUN_DO_EXTERN_ROUTER(what) SOFUN_HIDDEN extern const sofun_router what;
#define SOFUN_DO_EXTERN_EGRESS(what)
#define SOFUN_DO_FUNCTION_FUNCTION(what) &what,
#define SOFUN_DO_FUNCTION_ROUTER(what)
#define SOFUN_DO_FUNCTION_EGRESS(what)
#define SOFUN_DO_ROUTER_FUNCTION(what)
#define SOFUN_DO_ROUTER_ROUTER(what) &what,
#define SOFUN_DO_ROUTER_EGRESS(what)
#define SOFUN_DO_EGRESS_FUNCTION(what)
#define SOFUN_DO_EGRESS_ROUTER(what)
#define SOFUN_DO_EGRESS_EGRESS(what) what,
#define SOFUN_DO_LINE_FUNCTION(what)
#define SOFUN_DO_LINE_ROUTER(what)
#define SOFUN_DO_LINE_EGRESS(what) "egress " what "\n"

#ifdef __cplusplus
extern "C" {
#endif

/* The one symbol that leaves the plugin. */
__attribute__((visibility("default"))) extern const sofun_plugin sofun_plugin_descriptor;

#ifdef __cplusplus
}
#endif

#endif
