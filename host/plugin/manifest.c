#include "plugin/manifest.h"

#include <stdlib.h>

#include "base/check.h"
#include "sofun/plugin.h"

/* The state of one reading. Values are collected first: they may stand before their function. */
struct reading {
	struct manifest manifest;
	bool format_seen;
	bool abi_seen;
	bool plugin_seen;
	size_t value_count;
	struct reading_value {
		char type[MANIFEST_TYPE_BYTES_MAX + 1];
		uint32_t number;
		struct manifest_value value;
	} * values;
	struct error *error;
};

static const char *const kind_names[] = {
	[SOFUN_RAW] = "raw", [SOFUN_INT] = "int", [SOFUN_FLOAT] = "float", [SOFUN_STR] = "str", [SOFUN_BOOL] = "bool"};
enum { KINDS = sizeof(kind_names) / sizeof(kind_names[0]) };

const char *manifest_kind_name(uint32_t kind) {
	return kind < KINDS ? kind_names[kind] : "unknown";
}

/* ---- words ---- */

static bool text_is(struct bytes text, const char *word) {
	return bytes_equal(text, bytes_text(word));
}

/* Cuts the next word off; words are separated by exactly one space. An empty one is no word. */
static struct bytes word_take(struct bytes *rest) {
	const uint8_t *space = rest->size == 0 ? NULL : memchr(rest->data, ' ', rest->size);
	struct bytes word = *rest;
	if (space == NULL) {
		*rest = bytes_of(NULL, 0);
		return word;
	}
	word.size = (size_t)(space - rest->data);
	*rest = bytes_of(space + 1, rest->size - word.size - 1);
	if (rest->size == 0)
		word.size = 0; /* a trailing space is not in the grammar */
	return word;
}

static bool number_read(struct bytes text, uint64_t max, uint64_t *ret_number) {
	uint64_t number = 0;
	if (text.size == 0 || text.size > 10 || (text.size > 1 && text.data[0] == '0'))
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text.data[i] - '0');
	}
	*ret_number = number;
	return number <= max;
}

static bool letter(uint8_t byte) {
	return byte >= 'a' && byte <= 'z';
}

static bool part_of(uint8_t byte, const char *others) {
	return letter(byte) || (byte >= '0' && byte <= '9') || (byte != '\0' && strchr(others, byte) != NULL);
}

/* [a-z] and then letters, digits and `others`; copied to ret_name. */
static bool name_read(struct bytes text, const char *others, char ret_name[MANIFEST_NAME_BYTES_MAX + 1]) {
	if (text.size == 0 || text.size > MANIFEST_NAME_BYTES_MAX || !letter(text.data[0]))
		return false;
	for (size_t i = 0; i < text.size; i++)
		if (!part_of(text.data[i], others))
			return false;
	memcpy(ret_name, text.data, text.size);
	ret_name[text.size] = '\0';
	return true;
}

static bool type_read(struct bytes text, char ret_type[MANIFEST_TYPE_BYTES_MAX + 1]) {
	size_t slash = 0;
	size_t slashes = 0;
	if (text.size > MANIFEST_TYPE_BYTES_MAX)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '/') {
			slash = i;
			slashes++;
		} else if (!part_of(text.data[i], "_.-")) {
			return false;
		}
	}
	if (slashes != 1 || slash == 0 || slash == text.size - 1)
		return false;
	memcpy(ret_type, text.data, text.size);
	ret_type[text.size] = '\0';
	return true;
}

/* Three numbers with dots between. */
static bool version_numbers(struct bytes text, uint64_t ret_numbers[3]) {
	for (int i = 0; i < 3; i++) {
		const uint8_t *dot = i == 2 || text.size == 0 ? NULL : memchr(text.data, '.', text.size);
		size_t size = dot == NULL ? text.size : (size_t)(dot - text.data);
		if ((i < 2 && dot == NULL) || !number_read(bytes_of(text.data, size), UINT32_MAX, &ret_numbers[i]))
			return false;
		if (i < 2)
			text = bytes_of(dot + 1, text.size - size - 1);
	}
	return true;
}

int manifest_version_compare(const char *a, const char *b) {
	uint64_t left[3];
	uint64_t right[3];
	bool good = version_numbers(bytes_text(a), left) && version_numbers(bytes_text(b), right);
	check(good);
	for (int i = 0; i < 3; i++)
		if (left[i] != right[i])
			return left[i] < right[i] ? -1 : 1;
	return 0;
}

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
	if (reading->abi_seen || dot == NULL || !number_read(bytes_of(rest.data, size), UINT16_MAX, &major) ||
		!number_read(bytes_of(dot + 1, rest.size - size - 1), UINT16_MAX, &minor))
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
	if (reading->plugin_seen || !name_read(name, "_-", manifest->name) || !version_numbers(rest, numbers))
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
	if (!type_read(type, function.type) || rest.size <= skip || memcmp(rest.data, schema_word, skip) != 0 ||
		!number_read(bytes_of(rest.data + skip, rest.size - skip), UINT32_MAX, &schema) || schema == 0)
		return reading_refuse(reading, line, "function NAMESPACE/NAME schema=N, N from 1");
	if (manifest_function_find(manifest, function.type) != NULL)
		return reading_refuse(reading, line, "each function type once");
	if (manifest->function_count == MANIFEST_FUNCTIONS_MAX)
		return reading_refuse(reading, line, "at most 256 function types");
	function.schema = (uint32_t)schema;
	manifest->functions[manifest->function_count++] = function;
	return true;
}

static bool kind_read(struct bytes text, uint32_t *ret_kind) {
	for (uint32_t kind = 0; kind < KINDS; kind++)
		if (text_is(text, kind_names[kind])) {
			*ret_kind = kind;
			return true;
		}
	return false;
}

static bool line_value(struct reading *reading, struct bytes line, struct bytes rest) {
	struct reading_value value = {0};
	struct bytes type = word_take(&rest);
	struct bytes index = word_take(&rest);
	struct bytes name = word_take(&rest);
	uint64_t number = 0;
	if (!type_read(type, value.type) || !number_read(index, MANIFEST_VALUES_MAX - 1, &number) ||
		!name_read(name, "_", value.value.name) || !kind_read(rest, &value.value.kind))
		return reading_refuse(reading, line, "value NAMESPACE/NAME INDEX NAME raw|int|float|str|bool, INDEX below 64");
	value.number = (uint32_t)number;
	reading->values[reading->value_count++] = value;
	return true;
}

static bool line_router(struct reading *reading, struct bytes line, struct bytes rest) {
	struct manifest *manifest = &reading->manifest;
	struct manifest_router router = {0};
	if (!name_read(word_take(&rest), "_.-", router.ingress) ||
		(!text_is(rest, "line") && !text_is(rest, "json") && !text_is(rest, "msgpack")))
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
	if (!name_read(rest, "_.-", egress.name))
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
	if (reading->format_seen || !text_is(rest, "1"))
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
	{"router", false, line_router},
	{"egress", false, line_egress},
};

static bool reading_line(struct reading *reading, struct bytes line, bool early) {
	struct bytes rest = line;
	struct bytes word = word_take(&rest);
	for (size_t i = 0; i < sizeof(line_rules) / sizeof(line_rules[0]); i++)
		if (text_is(word, line_rules[i].word))
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

static bool value_place(struct reading *reading, const struct reading_value *value) {
	struct manifest *manifest = &reading->manifest;
	struct manifest_function *function = NULL;
	for (size_t i = 0; i < manifest->function_count; i++)
		if (strcmp(manifest->functions[i].type, value->type) == 0)
			function = &manifest->functions[i];
	if (function == NULL)
		return reading_refuse(reading, bytes_text(value->type), "a function line for the type of each value");
	if (function->values == NULL)
		function->values = check_alloc(MANIFEST_VALUES_MAX, sizeof(*function->values));
	for (uint32_t i = 0; i < MANIFEST_VALUES_MAX; i++)
		if (strcmp(function->values[i].name, value->value.name) == 0)
			return reading_refuse(reading, bytes_text(value->value.name), "each value's name once in its function");
	if (function->values[value->number].name[0] != '\0')
		return reading_refuse(reading, bytes_text(value->value.name), "each value's index once in its function");
	function->values[value->number] = value->value;
	function->value_count++;
	return true;
}

static bool reading_judge(struct reading *reading) {
	struct manifest *manifest = &reading->manifest;
	if (!reading->plugin_seen)
		return reading_refuse(reading, bytes_text("no line `plugin`"), "plugin NAME MAJOR.MINOR.PATCH, once");
	for (size_t i = 0; i < reading->value_count; i++)
		if (!value_place(reading, &reading->values[i]))
			return false;
	for (size_t i = 0; i < manifest->function_count; i++)
		for (uint32_t number = 0; number < manifest->functions[i].value_count; number++)
			if (manifest->functions[i].values[number].name[0] == '\0')
				return reading_refuse(reading, bytes_text(manifest->functions[i].type), "value indexes without holes");
	return true;
}

static bool reading_run(struct reading *reading, struct bytes section) {
	return reading_lines(reading, section, true) && reading_head(reading) && reading_lines(reading, section, false) &&
		reading_judge(reading);
}

/* A `value` line has at least this many bytes with its end: "value a/b 0 c raw". */
enum { VALUE_LINE_BYTES_MIN = 18 };

bool manifest_parse(struct bytes section, struct manifest *ret_manifest, struct error *error) {
	struct reading reading = {.error = error};
	if (section.size > MANIFEST_BYTES_MAX)
		return reading_refuse(&reading, bytes_text("more than 65536 bytes"), "at most 65536 bytes");
	reading.manifest.functions = check_alloc(MANIFEST_FUNCTIONS_MAX, sizeof(struct manifest_function));
	reading.manifest.routers = check_alloc(MANIFEST_ROUTERS_MAX, sizeof(struct manifest_router));
	reading.manifest.egresses = check_alloc(MANIFEST_EGRESSES_MAX, sizeof(struct manifest_egress));
	reading.values = check_alloc(section.size / (VALUE_LINE_BYTES_MIN - 1) + 1, sizeof(*reading.values));
	bool good = reading_run(&reading, section);
	free(reading.values);
	if (good)
		*ret_manifest = reading.manifest;
	else
		manifest_finish(&reading.manifest);
	return good;
}

void manifest_finish(struct manifest *manifest) {
	for (size_t i = 0; i < manifest->function_count; i++)
		free(manifest->functions[i].values);
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
