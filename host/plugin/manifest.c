#include "plugin/manifest.h"

#include <stdlib.h>

#include "base/check.h"
#include "plugin/manifest_words.h"
#include "sofun/plugin.h"

/* The state of one reading. Values and schemas are collected first: they may stand before their function. */
struct reading {
	struct manifest manifest;
	bool format_seen;
	bool abi_seen;
	bool plugin_seen;
	size_t value_count;
	struct reading_value {
		char type[MANIFEST_TYPE_BYTES_MAX + 1];
		uint32_t schema; /* 0: the function's own */
		uint32_t number;
		struct manifest_value value;
	} * values;
	size_t schema_count;
	struct reading_schema {
		char type[MANIFEST_TYPE_BYTES_MAX + 1];
		uint32_t schema;
		uint32_t ways;
	} * schemas;
	struct error *error;
};

/* ---- refusals ---- */

static bool reading_refuse(struct reading *reading, struct bytes found, const char *expected) {
	error_set(reading->error, ERROR_REFUSED, "the manifest is not as ABI.md says");
	error_found(reading->error, "%.*s", (int)(found.size < 160 ? found.size : 160), (const char *)found.data);
	error_expected(reading->error, "%s", expected);
	error_hint(reading->error, "declare the plugin with the macros of sofun/declare.h");
	return false;
}

/* ---- lines ---- */

static bool line_abi(struct reading *reading, struct bytes line, struct bytes rest) {
	uint64_t major;
	uint64_t minor;
	const uint8_t *dot = rest.size == 0 ? NULL : memchr(rest.data, '.', rest.size);
	size_t size = dot == NULL ? 0 : (size_t)(dot - rest.data);
	if (reading->abi_seen || dot == NULL || !word_number(bytes_of(rest.data, size), UINT16_MAX, &major) ||
		!word_number(bytes_of(dot + 1, rest.size - size - 1), UINT16_MAX, &minor))
		return reading_refuse(reading, line, "abi MAJOR.MINOR, once");
	reading->abi_seen = true;
	reading->manifest.abi_major = (uint16_t)major;
	reading->manifest.abi_minor = (uint16_t)minor;
	return true;
}

static bool line_plugin(struct reading *reading, struct bytes line, struct bytes rest) {
	struct manifest *manifest = &reading->manifest;
	struct bytes name = word_take(&rest);
	uint64_t numbers[3];
	if (reading->plugin_seen || !word_name(name, "_-", manifest->name) || !words_version(rest, numbers))
		return reading_refuse(reading, line, "plugin NAME MAJOR.MINOR.PATCH, once");
	reading->plugin_seen = true;
	memcpy(manifest->version, rest.data, rest.size);
	manifest->version[rest.size] = '\0';
	return true;
}

static bool line_function(struct reading *reading, struct bytes line, struct bytes rest) {
	static const char schema_word[] = "schema=";
	struct manifest *manifest = &reading->manifest;
	struct manifest_function function = {0};
	struct bytes type = word_take(&rest);
	uint64_t schema = 0;
	size_t skip = sizeof(schema_word) - 1;
	if (!word_type(type, function.type) || rest.size <= skip || memcmp(rest.data, schema_word, skip) != 0 ||
		!word_number(bytes_of(rest.data + skip, rest.size - skip), UINT32_MAX, &schema) || schema == 0)
		return reading_refuse(reading, line, "function NAMESPACE/NAME schema=N, N from 1");
	if (manifest_function_find(manifest, function.type) != NULL)
		return reading_refuse(reading, line, "each function type once");
	if (manifest->function_count == MANIFEST_FUNCTIONS_MAX)
		return reading_refuse(reading, line, "at most 256 function types");
	function.schema = (uint32_t)schema;
	manifest->functions[manifest->function_count++] = function;
	return true;
}

/* INDEX NAME KIND: the end of a line `value` and of a line `schema-value`. */
static bool value_read(struct reading *reading, struct reading_value *value, struct bytes rest) {
	struct bytes index = word_take(&rest);
	struct bytes name = word_take(&rest);
	uint64_t number = 0;
	if (!word_number(index, MANIFEST_VALUES_MAX - 1, &number) || !word_name(name, "_", value->value.name) ||
		!word_kind(rest, &value->value.kind))
		return false;
	value->number = (uint32_t)number;
	reading->values[reading->value_count++] = *value;
	return true;
}

static bool line_value(struct reading *reading, struct bytes line, struct bytes rest) {
	struct reading_value value = {0};
	struct bytes type = word_take(&rest);
	if (word_type(type, value.type) && value_read(reading, &value, rest))
		return true;
	return reading_refuse(
		reading, line, "value NAMESPACE/NAME INDEX NAME raw|int|float|str|bool|table|list, INDEX below 64");
}

static bool schema_number(struct bytes text, uint32_t *ret_schema) {
	uint64_t schema = 0;
	if (!word_number(text, UINT32_MAX, &schema) || schema == 0)
		return false;
	*ret_schema = (uint32_t)schema;
	return true;
}

static bool line_schema_value(struct reading *reading, struct bytes line, struct bytes rest) {
	struct reading_value value = {0};
	struct bytes type = word_take(&rest);
	struct bytes schema = word_take(&rest);
	if (word_type(type, value.type) && schema_number(schema, &value.schema) && value_read(reading, &value, rest))
		return true;
	return reading_refuse(reading, line, "schema-value NAMESPACE/NAME SCHEMA INDEX NAME KIND, as a line value");
}

static bool line_schema(struct reading *reading, struct bytes line, struct bytes rest) {
	struct reading_schema schema = {0};
	struct bytes type = word_take(&rest);
	struct bytes number = word_take(&rest);
	if (!word_type(type, schema.type) || !schema_number(number, &schema.schema) || !word_ways(rest, &schema.ways))
		return reading_refuse(reading, line, "schema NAMESPACE/NAME N up|down|both, N from 1");
	reading->schemas[reading->schema_count++] = schema;
	return true;
}

static bool line_router(struct reading *reading, struct bytes line, struct bytes rest) {
	struct manifest *manifest = &reading->manifest;
	struct manifest_router router = {0};
	if (!word_name(word_take(&rest), "_.-", router.ingress) ||
		(!word_is(rest, "line") && !word_is(rest, "json") && !word_is(rest, "msgpack")))
		return reading_refuse(reading, line, "router INGRESS line|json|msgpack");
	if (manifest->router_count == MANIFEST_ROUTERS_MAX)
		return reading_refuse(reading, line, "at most 64 routers");
	memcpy(router.format, rest.data, rest.size);
	manifest->routers[manifest->router_count++] = router;
	return true;
}

static bool line_egress(struct reading *reading, struct bytes line, struct bytes rest) {
	struct manifest *manifest = &reading->manifest;
	struct manifest_egress egress = {0};
	if (!word_name(rest, "_.-", egress.name))
		return reading_refuse(reading, line, "egress NAME");
	for (size_t i = 0; i < manifest->egress_count; i++)
		if (strcmp(manifest->egresses[i].name, egress.name) == 0)
			return reading_refuse(reading, line, "each egress once");
	if (manifest->egress_count == MANIFEST_EGRESSES_MAX)
		return reading_refuse(reading, line, "at most 64 egresses");
	manifest->egresses[manifest->egress_count++] = egress;
	return true;
}

static bool line_format(struct reading *reading, struct bytes line, struct bytes rest) {
	if (reading->format_seen || !word_is(rest, "1"))
		return reading_refuse(reading, line, "sofun-manifest 1, once");
	reading->format_seen = true;
	return true;
}

/* early: what decides whether the other lines can be understood at all. */
static const struct line_rule {
	const char *word;
	bool early;
	bool (*read)(struct reading *reading, struct bytes line, struct bytes rest);
} line_rules[] = {
	{"sofun-manifest", true, line_format},
	{"abi", true, line_abi},
	{"plugin", false, line_plugin},
	{"function", false, line_function},
	{"value", false, line_value},
	{"schema", false, line_schema},
	{"schema-value", false, line_schema_value},
	{"router", false, line_router},
	{"egress", false, line_egress},
};

static bool reading_line(struct reading *reading, struct bytes line, bool early) {
	struct bytes rest = line;
	struct bytes word = word_take(&rest);
	for (size_t i = 0; i < sizeof(line_rules) / sizeof(line_rules[0]); i++)
		if (word_is(word, line_rules[i].word))
			return line_rules[i].early != early || line_rules[i].read(reading, line, rest);
	return early || reading_refuse(reading, line, "a line that begins with one of the manifest's words");
}

/* NUL ends a line as LF does; empty lines do not count. */
static bool line_take(struct bytes *rest, struct bytes *ret_line) {
	while (rest->size > 0) {
		size_t size = 0;
		while (size < rest->size && rest->data[size] != '\n' && rest->data[size] != '\0')
			size++;
		*ret_line = bytes_of(rest->data, size);
		size_t skip = size < rest->size ? size + 1 : size;
		*rest = bytes_of(rest->data + skip, rest->size - skip);
		if (size > 0)
			return true;
	}
	return false;
}

static bool reading_lines(struct reading *reading, struct bytes section, bool early) {
	struct bytes line;
	while (line_take(&section, &line))
		if (!reading_line(reading, line, early))
			return false;
	return true;
}

/* ---- judgement at the end ---- */

static bool reading_head(struct reading *reading) {
	const struct manifest *manifest = &reading->manifest;
	if (!reading->format_seen || !reading->abi_seen)
		return reading_refuse(reading, bytes_text("no line `sofun-manifest 1` or no line `abi`"), "both, once");
	if (manifest->abi_major == SOFUN_ABI_MAJOR && manifest->abi_minor <= SOFUN_ABI_MINOR)
		return true;
	error_set(reading->error, ERROR_REFUSED, "the plugin was built for another ABI than this host has");
	error_found(reading->error, "ABI %u.%u", manifest->abi_major, manifest->abi_minor);
	error_expected(reading->error, "ABI %u.0 to %u.%u", SOFUN_ABI_MAJOR, SOFUN_ABI_MAJOR, SOFUN_ABI_MINOR);
	error_hint(reading->error,
		manifest->abi_major > SOFUN_ABI_MAJOR ||
				(manifest->abi_major == SOFUN_ABI_MAJOR && manifest->abi_minor > SOFUN_ABI_MINOR)
			? "use a newer sofund, or build the plugin with this host's headers"
			: "build the plugin again with this host's headers");
	return false;
}

static struct manifest_function *function_of(struct reading *reading, const char *type) {
	struct manifest *manifest = &reading->manifest;
	for (size_t i = 0; i < manifest->function_count; i++)
		if (strcmp(manifest->functions[i].type, type) == 0)
			return &manifest->functions[i];
	return NULL;
}

static bool schema_place(struct reading *reading, const struct reading_schema *schema) {
	struct manifest_function *function = function_of(reading, schema->type);
	if (function == NULL)
		return reading_refuse(reading, bytes_text(schema->type), "a function line for the type of each schema");
	if (schema->schema >= function->schema)
		return reading_refuse(reading, bytes_text(schema->type), "schemas below the function's own");
	if (manifest_schema_find(function, schema->schema) != NULL)
		return reading_refuse(reading, bytes_text(schema->type), "each schema once in its function");
	if (function->schema_count == MANIFEST_SCHEMAS_MAX)
		return reading_refuse(reading, bytes_text(schema->type), "at most 16 earlier schemas in a function");
	if (function->schemas == NULL)
		function->schemas = check_alloc(MANIFEST_SCHEMAS_MAX, sizeof(*function->schemas));
	function->schemas[function->schema_count++] =
		(struct manifest_schema){.schema = schema->schema, .ways = schema->ways};
	return true;
}

static bool value_put(
	struct reading *reading, const struct reading_value *value, struct manifest_value **values, uint32_t *value_count) {
	if (*values == NULL)
		*values = check_alloc(MANIFEST_VALUES_MAX, sizeof(**values));
	for (uint32_t i = 0; i < MANIFEST_VALUES_MAX; i++)
		if (strcmp((*values)[i].name, value->value.name) == 0)
			return reading_refuse(reading, bytes_text(value->value.name), "each value's name once in its function");
	if ((*values)[value->number].name[0] != '\0')
		return reading_refuse(reading, bytes_text(value->value.name), "each value's index once in its function");
	(*values)[value->number] = value->value;
	++*value_count;
	return true;
}

static bool value_place(struct reading *reading, const struct reading_value *value) {
	struct manifest_function *function = function_of(reading, value->type);
	if (function == NULL)
		return reading_refuse(reading, bytes_text(value->type), "a function line for the type of each value");
	if (value->schema == 0)
		return value_put(reading, value, &function->values, &function->value_count);
	struct manifest_schema *schema = (struct manifest_schema *)(uintptr_t)manifest_schema_find(function, value->schema);
	if (schema == NULL)
		return reading_refuse(reading, bytes_text(value->type), "a schema line for the schema of each schema-value");
	return value_put(reading, value, &schema->values, &schema->value_count);
}

static bool values_whole(
	struct reading *reading, const char *type, const struct manifest_value *values, uint32_t value_count) {
	for (uint32_t number = 0; number < value_count; number++)
		if (values[number].name[0] == '\0')
			return reading_refuse(reading, bytes_text(type), "value indexes without holes");
	return true;
}

static bool function_whole(struct reading *reading, const struct manifest_function *function) {
	if (!values_whole(reading, function->type, function->values, function->value_count))
		return false;
	for (uint32_t i = 0; i < function->schema_count; i++)
		if (!values_whole(reading, function->type, function->schemas[i].values, function->schemas[i].value_count))
			return false;
	return true;
}

static bool reading_judge(struct reading *reading) {
	struct manifest *manifest = &reading->manifest;
	if (!reading->plugin_seen)
		return reading_refuse(reading, bytes_text("no line `plugin`"), "plugin NAME MAJOR.MINOR.PATCH, once");
	for (size_t i = 0; i < reading->schema_count; i++)
		if (!schema_place(reading, &reading->schemas[i]))
			return false;
	for (size_t i = 0; i < reading->value_count; i++)
		if (!value_place(reading, &reading->values[i]))
			return false;
	for (size_t i = 0; i < manifest->function_count; i++)
		if (!function_whole(reading, &manifest->functions[i]))
			return false;
	return true;
}

static bool reading_run(struct reading *reading, struct bytes section) {
	return reading_lines(reading, section, true) && reading_head(reading) && reading_lines(reading, section, false) &&
		reading_judge(reading);
}

/* The shortest lines of their kinds, with their ends: "value a/b 0 c raw", "schema a/b 1 up". */
enum { VALUE_LINE_BYTES_MIN = 18, SCHEMA_LINE_BYTES_MIN = 16 };

bool manifest_parse(struct bytes section, struct manifest *ret_manifest, struct error *error) {
	struct reading reading = {.error = error};
	if (section.size > MANIFEST_BYTES_MAX)
		return reading_refuse(&reading, bytes_text("more than 65536 bytes"), "at most 65536 bytes");
	reading.manifest.functions = check_alloc(MANIFEST_FUNCTIONS_MAX, sizeof(struct manifest_function));
	reading.manifest.routers = check_alloc(MANIFEST_ROUTERS_MAX, sizeof(struct manifest_router));
	reading.manifest.egresses = check_alloc(MANIFEST_EGRESSES_MAX, sizeof(struct manifest_egress));
	reading.values = check_alloc(section.size / (VALUE_LINE_BYTES_MIN - 1) + 1, sizeof(*reading.values));
	reading.schemas = check_alloc(section.size / (SCHEMA_LINE_BYTES_MIN - 1) + 1, sizeof(*reading.schemas));
	bool good = reading_run(&reading, section);
	free(reading.values);
	free(reading.schemas);
	if (good)
		*ret_manifest = reading.manifest;
	else
		manifest_finish(&reading.manifest);
	return good;
}

void manifest_finish(struct manifest *manifest) {
	for (size_t i = 0; i < manifest->function_count; i++) {
		struct manifest_function *function = &manifest->functions[i];
		for (uint32_t k = 0; k < function->schema_count; k++)
			free(function->schemas[k].values);
		free(function->schemas);
		free(function->values);
	}
	free(manifest->functions);
	free(manifest->routers);
	free(manifest->egresses);
	*manifest = (struct manifest){0};
}

const struct manifest_function *manifest_function_find(const struct manifest *manifest, const char *type) {
	for (size_t i = 0; i < manifest->function_count; i++)
		if (strcmp(manifest->functions[i].type, type) == 0)
			return &manifest->functions[i];
	return NULL;
}

const struct manifest_schema *manifest_schema_find(const struct manifest_function *function, uint32_t schema) {
	for (uint32_t i = 0; i < function->schema_count; i++)
		if (function->schemas[i].schema == schema)
			return &function->schemas[i];
	return NULL;
}
