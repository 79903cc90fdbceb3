/* Schemas of function types: what the values of each are called, and whether a version can read what is in the store. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "registry/inside.h"

/* ---- what is known ---- */

struct type_schema *type_schema_find(const struct function_type *type, uint32_t schema) {
	for (size_t i = 0; i < type->schema_count; i++)
		if (type->schemas[i]->schema == schema)
			return type->schemas[i];
	return NULL;
}

struct type_schema *type_schema_create(uint32_t schema, uint32_t value_count) {
	struct type_schema *made = check_alloc(1, sizeof(*made));
	made->schema = schema;
	made->value_count = value_count;
	made->values = check_alloc(value_count + 1, sizeof(*made->values));
	made->kinds = check_alloc(value_count + 1, sizeof(*made->kinds));
	return made;
}

static void schema_destroy(struct type_schema *schema) {
	while (schema != NULL) {
		struct type_schema *older = schema->older;
		for (uint32_t i = 0; i < schema->value_count; i++)
			free(schema->values[i]);
		free(schema->values);
		free(schema->kinds);
		free(schema);
		schema = older;
	}
}

void type_schema_put(struct function_type *type, struct type_schema *schema) {
	for (size_t i = 0; i < type->schema_count; i++) {
		if (type->schemas[i]->schema != schema->schema)
			continue;
		schema->older = type->schemas[i];
		type->schemas[i] = schema;
		return;
	}
	type->schemas = realloc(type->schemas, (type->schema_count + 1) * sizeof(struct type_schema *));
	check_memory(type->schemas);
	type->schemas[type->schema_count++] = schema;
}

bool type_schema_take(
	struct function_type *type, uint32_t schema, const struct manifest_value *values, uint32_t value_count) {
	const struct type_schema *known = type_schema_find(type, schema);
	if (known != NULL && known->value_count >= value_count)
		return false;
	struct type_schema *made = type_schema_create(schema, value_count);
	for (uint32_t i = 0; i < value_count; i++) {
		made->values[i] = check_strdup(values[i].name);
		made->kinds[i] = values[i].kind;
	}
	type_schema_put(type, made);
	return true;
}

void type_schemas_destroy(struct function_type *type) {
	for (size_t i = 0; i < type->schema_count; i++)
		schema_destroy(type->schemas[i]);
	free(type->schemas);
}

/* ---- admission ---- */

struct admission {
	const struct registry *registry;
	const struct function_type *type;
	const struct manifest_function *function;
	struct error *error;
	bool good;
};

/* Some loaded version of that schema brings the way down to `to`. */
static bool way_down_exists(
	const struct registry *registry, const struct function_type *type, uint32_t from, uint32_t to) {
	for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next) {
		if (plugin->state != PLUGIN_LIVE && plugin->state != PLUGIN_DRAINING)
			continue;
		const struct manifest_function *function = manifest_function_find(&plugin->image->manifest, type->name);
		const struct manifest_schema *schema =
			function == NULL || function->schema != from ? NULL : manifest_schema_find(function, to);
		if (schema != NULL && (schema->ways & SOFUN_SCHEMA_DOWN) != 0)
			return true;
	}
	return false;
}

static bool schema_readable(const struct admission *admission, uint32_t schema) {
	const struct manifest_function *function = admission->function;
	const struct manifest_schema *earlier = manifest_schema_find(function, schema);
	return schema == function->schema || (earlier != NULL && (earlier->ways & SOFUN_SCHEMA_UP) != 0) ||
		way_down_exists(admission->registry, admission->type, schema, function->schema);
}

static void schema_refuse(struct admission *admission, uint32_t schema, uint64_t instances) {
	struct error *error = admission->error;
	const struct manifest_function *function = admission->function;
	admission->good = false;
	error_set(error, ERROR_REFUSED, "the plugin cannot read the state of %s", function->type);
	if (instances > 0)
		error_found(error, "schema %u in the plugin; %llu instances of schema %u in the store", function->schema,
			(unsigned long long)instances, schema);
	else
		error_found(error, "schema %u in the plugin; schema %u in the live version", function->schema, schema);
	error_expected(error, "a migration between schema %u and %u", schema, function->schema);
	if (schema < function->schema)
		error_hint(error, "declare schema %u with SOFUN_SCHEMA(..., UP, ...), and migrate it", schema);
	else
		error_hint(
			error, "load the version of schema %u, which must bring the way DOWN to %u", schema, function->schema);
}

static void counted_check(void *arg, const struct engine_schema *schema) {
	struct admission *admission = arg;
	if (admission->good && schema->number == admission->type->number && !schema_readable(admission, schema->schema))
		schema_refuse(admission, schema->schema, schema->instances);
}

/* A version that is loaded may still make instances of its schema. */
static void loaded_check(struct admission *admission) {
	for (const struct plugin *plugin = admission->registry->plugins; plugin != NULL; plugin = plugin->next) {
		if (plugin->state != PLUGIN_LIVE && plugin->state != PLUGIN_DRAINING)
			continue;
		const struct manifest_function *function =
			manifest_function_find(&plugin->image->manifest, admission->type->name);
		if (admission->good && function != NULL && !schema_readable(admission, function->schema))
			schema_refuse(admission, function->schema, 0);
	}
}

/* Values are stored by number: what both know must be the same, and new ones may follow. `whole`: the plugin must know all of
 * them, or migrate would lose some. */
static bool values_match(const struct function_type *type, const struct manifest_value *values, uint32_t value_count,
	uint32_t schema, bool whole, struct error *error) {
	const struct type_schema *known = type_schema_find(type, schema);
	uint32_t both = known == NULL ? 0 : known->value_count;
	if (!whole && value_count < both)
		both = value_count;
	for (uint32_t i = 0; i < both; i++) {
		bool there = i < value_count;
		if (there && strcmp(values[i].name, known->values[i]) == 0 && values[i].kind == known->kinds[i])
			continue;
		error_set(error, ERROR_REFUSED, "the values of %s are not those of the store, but its schema %u is", type->name,
			schema);
		error_found(error, "value %u: %s %s", i, there ? values[i].name : "none",
			there ? manifest_kind_name(values[i].kind) : "in the plugin");
		error_expected(error, "value %u: %s %s", i, known->values[i], manifest_kind_name(known->kinds[i]));
		error_hint(
			error, "add new values behind the old ones, and leave those as they are; a new schema is for the rest");
		return false;
	}
	return true;
}

bool type_schemas_admit(const struct registry *registry, const struct function_type *type,
	const struct manifest_function *function, struct error *error) {
	struct admission admission = {registry, type, function, error, true};
	if (!values_match(type, function->values, function->value_count, function->schema, false, error))
		return false;
	for (uint32_t i = 0; i < function->schema_count; i++) {
		const struct manifest_schema *earlier = &function->schemas[i];
		if (!values_match(type, earlier->values, earlier->value_count, earlier->schema, true, error))
			return false;
	}
	engine_schemas_each(registry->options.engine, counted_check, &admission);
	loaded_check(&admission);
	return admission.good;
}

/* ---- the way back ---- */

bool types_read_all(const struct registry *registry, const struct plugin *plugin, struct error *error) {
	const struct manifest *manifest = &plugin->image->manifest;
	for (size_t i = 0; i < manifest->function_count; i++) {
		const struct function_type *type = type_find(registry, bytes_text(manifest->functions[i].type));
		struct admission admission = {registry, type, &manifest->functions[i], error, true};
		engine_schemas_each(registry->options.engine, counted_check, &admission);
		if (!admission.good)
			return false;
	}
	return true;
}

bool types_lead_back(const struct registry *registry, const struct manifest *manifest, struct error *error) {
	const struct lineage *lineage = lineage_find(registry, manifest->name);
	const struct plugin *live = lineage == NULL ? NULL : plugin_of_verdict(registry, lineage->now.base);
	for (size_t i = 0; live != NULL && i < manifest->function_count; i++) {
		const struct manifest_function *function = &manifest->functions[i];
		const struct manifest_function *before = manifest_function_find(&live->image->manifest, function->type);
		if (before == NULL || before->schema >= function->schema)
			continue;
		const struct manifest_schema *earlier = manifest_schema_find(function, before->schema);
		if (earlier != NULL && (earlier->ways & SOFUN_SCHEMA_DOWN) != 0)
			continue;
		error_set(error, ERROR_REFUSED, "%s %s has no way back to %s", manifest->name, manifest->version,
			live->image->version);
		error_found(error, "schema %u of %s, and no way down from it", function->schema, function->type);
		error_expected(error, "a migration down to schema %u, so that a rollback can read the state", before->schema);
		error_hint(error, "declare schema %u as BOTH, or `sofun swap %s %s --no-way-back`", before->schema,
			manifest->name, manifest->version);
		return false;
	}
	return true;
}
