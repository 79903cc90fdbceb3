#include "plugin/inspect.h"

#include "plugin/elf_file.h"
#include "plugin/refusal.h"

static bool inspect_content(struct bytes content, struct inspection *ret_inspection, struct error *error) {
	struct elf_facts facts;
	uint8_t hash[HASH_BYTES];
	if (elf_examine(content, NULL, &facts, error) != ELF_SOUND ||
		!manifest_parse(facts.manifest, &ret_inspection->manifest, error))
		return false;
	image_hash(content, hash);
	image_hash_text(hash, ret_inspection->content_hash);
	ret_inspection->nodelete = facts.nodelete;
	return true;
}

bool inspect_file(const char *path, struct inspection *ret_inspection, struct error *error) {
	struct buf content = {0};
	struct file_identity identity;
	bool good = file_read(path, &content, &identity, error) == FILE_READ &&
		inspect_content(bytes_buf(&content), ret_inspection, error);
	if (!good)
		refusal_clean(error);
	buf_finish(&content);
	return good;
}

void inspection_finish(struct inspection *inspection) {
	manifest_finish(&inspection->manifest);
}

static json_t *values_json(const struct manifest_value *values, uint32_t count) {
	json_t *array = json_array();
	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(
			array, json_pack("{s:s, s:s}", "name", values[i].name, "kind", manifest_kind_name(values[i].kind)));
	return array;
}

/* Of the earlier schemas: "up" is read, "down" is written (a rollback), "both". */
static json_t *state_json(const struct manifest_function *function) {
	json_t *earlier = json_array();
	for (uint32_t i = 0; i < function->schema_count; i++) {
		const struct manifest_schema *schema = &function->schemas[i];
		json_array_append_new(earlier,
			json_pack("{s:I, s:s, s:o}", "schema", (json_int_t)schema->schema, "migrates",
				manifest_ways_name(schema->ways), "values", values_json(schema->values, schema->value_count)));
	}
	return json_pack("{s:I, s:o, s:o}", "schema", (json_int_t)function->schema, "values",
		values_json(function->values, function->value_count), "earlier", earlier);
}

json_t *inspection_json(const struct inspection *inspection) {
	const struct manifest *manifest = &inspection->manifest;
	json_t *functions = json_array();
	json_t *states = json_object();
	json_t *routers = json_array();
	json_t *egresses = json_array();
	for (size_t i = 0; i < manifest->function_count; i++) {
		json_array_append_new(functions, json_string(manifest->functions[i].type));
		json_object_set_new(states, manifest->functions[i].type, state_json(&manifest->functions[i]));
	}
	for (size_t i = 0; i < manifest->router_count; i++)
		json_array_append_new(routers,
			json_pack("{s:s, s:s}", "ingress", manifest->routers[i].ingress, "format", manifest->routers[i].format));
	for (size_t i = 0; i < manifest->egress_count; i++)
		json_array_append_new(egresses, json_string(manifest->egresses[i].name));
	json_t *abi = json_sprintf("%u.%u", manifest->abi_major, manifest->abi_minor);
	return json_pack("{s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "name", manifest->name, "version", manifest->version,
		"abi", abi, "content_hash", inspection->content_hash, "functions", functions, "routers", routers, "egresses",
		egresses, "states", states);
}
