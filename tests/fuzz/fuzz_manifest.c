/* libFuzzer target: any bytes as a plugin file, and as a manifest's section. What is taken must keep the grammar's bounds
 * (plugin-api/ABI.md), and read the same when it is written anew. Kept inputs: corpus/manifest. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "plugin/elf_file.h"
#include "plugin/manifest.h"
#include "plugin/refusal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void name_check(const char *name, size_t bytes_max) {
	size_t size = strlen(name);
	check(size >= 1 && size <= bytes_max);
	for (size_t i = 0; i < size; i++)
		check((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
			strchr("_.-/", name[i]) != NULL);
}

static void manifest_check(const struct manifest *manifest) {
	name_check(manifest->name, MANIFEST_NAME_BYTES_MAX);
	check(manifest_version_compare(manifest->version, manifest->version) == 0);
	check(manifest->function_count <= MANIFEST_FUNCTIONS_MAX && manifest->router_count <= MANIFEST_ROUTERS_MAX &&
		manifest->egress_count <= MANIFEST_EGRESSES_MAX);
	for (size_t i = 0; i < manifest->function_count; i++) {
		const struct manifest_function *function = &manifest->functions[i];
		name_check(function->type, MANIFEST_TYPE_BYTES_MAX);
		check(function->schema >= 1 && function->value_count <= MANIFEST_VALUES_MAX);
		check(manifest_function_find(manifest, function->type) == function);
		for (uint32_t number = 0; number < function->value_count; number++)
			name_check(function->values[number].name, MANIFEST_NAME_BYTES_MAX);
		check(function->schema_count <= MANIFEST_SCHEMAS_MAX);
		for (uint32_t k = 0; k < function->schema_count; k++) {
			const struct manifest_schema *schema = &function->schemas[k];
			check(
				schema->schema >= 1 && schema->schema < function->schema && schema->value_count <= MANIFEST_VALUES_MAX);
			check(manifest_schema_find(function, schema->schema) == schema);
			for (uint32_t number = 0; number < schema->value_count; number++)
				name_check(schema->values[number].name, MANIFEST_NAME_BYTES_MAX);
		}
	}
}

static void schemas_write(const struct manifest_function *function, struct buf *text) {
	for (uint32_t i = function->schema_count; i > 0; i--) {
		const struct manifest_schema *schema = &function->schemas[i - 1];
		for (uint32_t number = 0; number < schema->value_count; number++)
			buf_printf(text, "schema-value %s %u %u %s %s\n", function->type, schema->schema, number,
				schema->values[number].name, manifest_kind_name(schema->values[number].kind));
		buf_printf(text, "schema %s %u %s\n", function->type, schema->schema, manifest_ways_name(schema->ways));
	}
}

/* The same facts, last line first. */
static void manifest_write(const struct manifest *manifest, struct buf *text) {
	for (size_t i = manifest->egress_count; i > 0; i--)
		buf_printf(text, "egress %s\n", manifest->egresses[i - 1].name);
	for (size_t i = manifest->router_count; i > 0; i--)
		buf_printf(text, "router %s %s\n", manifest->routers[i - 1].ingress, manifest->routers[i - 1].format);
	for (size_t i = manifest->function_count; i > 0; i--) {
		const struct manifest_function *function = &manifest->functions[i - 1];
		for (uint32_t number = 0; number < function->value_count; number++)
			buf_printf(text, "value %s %u %s %s\n", function->type, number, function->values[number].name,
				manifest_kind_name(function->values[number].kind));
		schemas_write(function, text);
		buf_printf(text, "function %s schema=%u\n", function->type, function->schema);
	}
	buf_printf(text, "plugin %s %s\nabi %u.%u\nsofun-manifest 1", manifest->name, manifest->version,
		manifest->abi_major, manifest->abi_minor);
}

static void error_check(struct error *error) {
	check(error->code == ERROR_REFUSED && error->message[0] != '\0' && error->hint[0] != '\0');
	refusal_clean(error);
	check(bytes_utf8(bytes_text(error->found)) && strchr(error->found, '\n') == NULL);
}

static void manifest_run(struct bytes section) {
	struct manifest manifest;
	struct manifest again;
	struct error error = {0};
	struct buf text = {0};
	if (!manifest_parse(section, &manifest, &error)) {
		error_check(&error);
		return;
	}
	manifest_check(&manifest);
	manifest_write(&manifest, &text);
	check(manifest_parse(bytes_buf(&text), &again, &error));
	check(again.function_count == manifest.function_count && again.router_count == manifest.router_count &&
		again.egress_count == manifest.egress_count && strcmp(again.version, manifest.version) == 0);
	manifest_finish(&again);
	manifest_finish(&manifest);
	buf_finish(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct elf_facts facts;
	struct error error = {0};
	struct bytes file = bytes_of(data, size);
	manifest_run(file);
	if (elf_examine(file, "/nowhere", &facts, &error) != ELF_SOUND) {
		error_check(&error);
		return 0;
	}
	check(facts.manifest.data >= data && facts.manifest.data + facts.manifest.size <= data + size);
	manifest_run(facts.manifest);
	return 0;
}
