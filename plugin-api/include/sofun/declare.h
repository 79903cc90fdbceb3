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

/* A function type. Makes the constants NAME_VALUE (the numbers for state_get), and expects `static int
 * NAME_invoke(...)` in the same file. schema counts from 1. Up to 64 values:
 *   SOFUN_VALUE(name, KIND)   KIND is RAW, INT, FLOAT, STR or BOOL
 *   SOFUN_TABLE(name)         many entries under keys
 *   SOFUN_LIST(name)          many items in a row */
#define SOFUN_FUNCTION(name, type, schema, ...) \
	enum { SOFUN_EACH(SOFUN_VALUE_NUMBER, name, __VA_ARGS__) name##_value_count }; \
	static const sofun_value name##_values[] = {SOFUN_EACH(SOFUN_VALUE_ENTRY, name, __VA_ARGS__)}; \
	SOFUN_MANIFEST(name##_value_lines) = SOFUN_EACH(SOFUN_VALUE_LINE, type, __VA_ARGS__); \
	SOFUN_FUNCTION_STRUCT(name, type, schema, name##_values, name##_value_count, NULL, NULL, 0, NULL, \
		NULL, NULL)

/* A function type that keeps nothing. */
#define SOFUN_STATELESS_FUNCTION(name, type) \
	SOFUN_FUNCTION_STRUCT(name, type, 1, NULL, 0, NULL, NULL, 0, NULL, NULL, NULL)

/* A function type whose instances end with all their state when no message came for idle_ttl_ms. on_expire: NULL, or a
 * function of that type (function.h) declared before. Since 1.1. */
#define SOFUN_EXPIRING_FUNCTION(name, type, schema, idle_ttl_ms, on_expire, ...) \
	enum { SOFUN_EACH(SOFUN_VALUE_NUMBER, name, __VA_ARGS__) name##_value_count }; \
	static const sofun_value name##_values[] = {SOFUN_EACH(SOFUN_VALUE_ENTRY, name, __VA_ARGS__)}; \
	SOFUN_MANIFEST(name##_value_lines) = SOFUN_EACH(SOFUN_VALUE_LINE, type, __VA_ARGS__); \
	SOFUN_FUNCTION_STRUCT(name, type, schema, name##_values, name##_value_count, NULL, NULL, idle_ttl_ms, on_expire, \
		NULL, NULL)

/* A function type that starts operations (operation.h). work: NULL, or a function of that type declared before; on_result: a
 * function of that type declared before. Since 1.1. */
#define SOFUN_OPERATING_FUNCTION(name, type, schema, work, on_result, ...) \
	enum { SOFUN_EACH(SOFUN_VALUE_NUMBER, name, __VA_ARGS__) name##_value_count }; \
	static const sofun_value name##_values[] = {SOFUN_EACH(SOFUN_VALUE_ENTRY, name, __VA_ARGS__)}; \
	SOFUN_MANIFEST(name##_value_lines) = SOFUN_EACH(SOFUN_VALUE_LINE, type, __VA_ARGS__); \
	SOFUN_FUNCTION_STRUCT(name, type, schema, name##_values, name##_value_count, NULL, NULL, 0, NULL, work, on_result)

/* A function type whose state had other schemas before. The earlier ones stand before it, each as its version declared
 * it; they make constants NAME_VALUE too. Expects also `static int NAME_migrate(...)`. ways: UP (from it), DOWN (back
 * to it), BOTH. Since 1.1.
 *
 *   SOFUN_SCHEMA(person_1, "demo/person", 1, BOTH,
 *       SOFUN_VALUE(name, STR));
 *   SOFUN_MIGRATING_FUNCTION(person, "demo/person", 2, SOFUN_SCHEMAS(person_1),
 *       SOFUN_VALUE(given, STR),
 *       SOFUN_VALUE(family, STR)); */
#define SOFUN_MIGRATING_FUNCTION(name, type, schema, earlier, ...) \
	SOFUN_MIGRATING_EXPIRING_FUNCTION(name, type, schema, earlier, 0, NULL, __VA_ARGS__)

/* Both: its state had other schemas, and its instances end when idle. Since 1.1. */
#define SOFUN_MIGRATING_EXPIRING_FUNCTION(name, type, schema, earlier, idle_ttl_ms, on_expire, ...) \
	enum { SOFUN_EACH(SOFUN_VALUE_NUMBER, name, __VA_ARGS__) name##_value_count }; \
	static const sofun_value name##_values[] = {SOFUN_EACH(SOFUN_VALUE_ENTRY, name, __VA_ARGS__)}; \
	SOFUN_MANIFEST(name##_value_lines) = SOFUN_EACH(SOFUN_VALUE_LINE, type, __VA_ARGS__); \
	static const sofun_schema *const name##_schemas[] = {SOFUN_EACH(SOFUN_SCHEMA_ENTRY, , SOFUN_STRIP earlier) NULL}; \
	static int name##_migrate(sofun_context *context, void *plugin_data, const sofun_migration *migration); \
	SOFUN_FUNCTION_STRUCT(name, type, schema, name##_values, name##_value_count, name##_schemas, \
		name##_migrate, idle_ttl_ms, on_expire, NULL, NULL)

#define SOFUN_SCHEMA(name, type, schema, ways, ...) \
	enum { SOFUN_EACH(SOFUN_VALUE_NUMBER, name, __VA_ARGS__) name##_value_count }; \
	static const sofun_value name##_values[] = {SOFUN_EACH(SOFUN_VALUE_ENTRY, name, __VA_ARGS__)}; \
	SOFUN_MANIFEST(name##_schema_lines) = "schema " type " " SOFUN_TEXT(schema) " " SOFUN_WAYS_WORD_##ways "\n" \
		SOFUN_EACH(SOFUN_SCHEMA_LINE, type " " SOFUN_TEXT(schema), __VA_ARGS__); \
	static const sofun_schema name##_schema = {sizeof(sofun_schema), schema, SOFUN_SCHEMA_##ways, name##_value_count, \
		name##_values}

#define SOFUN_SCHEMAS(...) (__VA_ARGS__)

#define SOFUN_VALUE(name, KIND) (name, #name, SOFUN_##KIND, SOFUN_KIND_WORD_##KIND, 0, 0)

/* A value that is unset by itself, so many milliseconds after it was set, or after the instance was last invoked; 0: not
 * for that reason. Since 1.1. */
#define SOFUN_EXPIRING_VALUE(name, KIND, after_write_ms, after_invoke_ms) \
	(name, #name, SOFUN_##KIND, SOFUN_KIND_WORD_##KIND, after_write_ms, after_invoke_ms)

/* Values of many entries: a table (table.h), a list (list.h). They stand among the others, and count as one value each. Since
 * 1.1. */
#define SOFUN_TABLE(name) (name, #name, SOFUN_KIND_TABLE, "table", 0, 0)
#define SOFUN_LIST(name) (name, #name, SOFUN_KIND_LIST, "list", 0, 0)

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

/* x is the tuple that SOFUN_VALUE made. */
#define SOFUN_VALUE_NUMBER(function, I, x) SOFUN_VALUE_NUMBER_(function, SOFUN_FIRST x),
#define SOFUN_VALUE_NUMBER_(function, value) SOFUN_CAT(function##_, value)
#define SOFUN_VALUE_ENTRY(function, I, x) {SOFUN_SECOND x, SOFUN_THIRD x, 0, SOFUN_FIFTH x, SOFUN_SIXTH x},
#define SOFUN_VALUE_LINE(type, I, x) "value " type " " #I " " SOFUN_SECOND x " " SOFUN_FOURTH x "\n"

#define SOFUN_SCHEMA_LINE(schema, I, x) "schema-value " schema " " #I " " SOFUN_SECOND x " " SOFUN_FOURTH x "\n"
#define SOFUN_SCHEMA_ENTRY(C, I, x) &x##_schema,
#define SOFUN_STRIP(...) __VA_ARGS__

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
