#include "plugin/abi.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* magic, abi_major, abi_minor, size: frozen for all time. */
enum { PREFIX_BYTES = offsetof(sofun_plugin, flags) };

/* What the first ABI that had the struct had of it: one may be longer than ours or shorter, but never shorter than this. */
enum {
	SCHEMA_BYTES_MIN = sizeof(sofun_schema),
	FUNCTION_BYTES_MIN = offsetof(sofun_function, invoke) + sizeof(void (*)(void)),
	ROUTER_BYTES_MIN = offsetof(sofun_router, route) + sizeof(void (*)(void)),
};

static bool abi_refuse(struct error *error, const char *message, const char *found, const char *expected) {
	error_set(error, ERROR_REFUSED, "%s", message);
	error_found(error, "%s", found);
	return error_advise(error, expected, "build the plugin again with the macros and headers of this host's ABI");
}

/* ---- the frozen prefix ---- */

static bool abi_prefix(const sofun_plugin *descriptor, struct error *error) {
	if (descriptor->magic != SOFUN_MAGIC) {
		abi_refuse(error, "the descriptor's magic is not sofun's", "", "");
		error_found(error, "magic %08x", descriptor->magic);
		error_expected(error, "magic %08x", SOFUN_MAGIC);
		return false;
	}
	if (descriptor->abi_major != SOFUN_ABI_MAJOR || descriptor->abi_minor > SOFUN_ABI_MINOR) {
		abi_refuse(error, "the descriptor has another ABI than this host", "", "");
		error_found(error, "ABI %u.%u", descriptor->abi_major, descriptor->abi_minor);
		error_expected(error, "ABI %u.0 to %u.%u", SOFUN_ABI_MAJOR, SOFUN_ABI_MAJOR, SOFUN_ABI_MINOR);
		error_hint(error, "use a newer sofund, or build the plugin with this host's headers");
		return false;
	}
	if (descriptor->size < offsetof(sofun_plugin, functions)) {
		abi_refuse(error, "the descriptor is too small to have a name and a version", "", "");
		error_found(error, "size %u", descriptor->size);
		error_expected(error, "size %zu or more", offsetof(sofun_plugin, functions));
		return false;
	}
	return true;
}

/* min(size, ours) bytes; the rest stays zero. */
static void abi_copy(void *to, size_t to_size, const void *from, size_t from_size) {
	memcpy(to, from, from_size < to_size ? from_size : to_size);
}

/* ---- descriptor against manifest ---- */

static bool abi_differs(struct error *error, const char *what, const char *found, const char *expected) {
	abi_refuse(error, "the descriptor and the manifest differ", "", "");
	error_found(error, "%s %s in the descriptor", what, found == NULL ? "(none)" : found);
	error_expected(error, "%s %s, as in the manifest", what, expected == NULL ? "(none)" : expected);
	error_hint(error, "declare the plugin with the macros of sofun/declare.h only");
	return false;
}

static bool abi_text(struct error *error, const char *what, const char *found, const char *expected) {
	return (found != NULL && strcmp(found, expected) == 0) || abi_differs(error, what, found, expected);
}

static bool abi_version(const sofun_plugin *plugin, const struct manifest *manifest, struct error *error) {
	if (plugin->abi_major == manifest->abi_major && plugin->abi_minor == manifest->abi_minor)
		return true;
	abi_differs(error, "abi", "", "");
	error_found(error, "abi %u.%u in the descriptor", plugin->abi_major, plugin->abi_minor);
	error_expected(error, "abi %u.%u, as in the manifest", manifest->abi_major, manifest->abi_minor);
	return false;
}

/* The values of one schema, as the descriptor and as the manifest has them. */
struct abi_values {
	const char *type;
	const sofun_value *found;
	uint32_t found_count;
	const struct manifest_value *declared;
	uint32_t declared_count;
};

/* Takes as many of the facts' values from *place as there are. */
static bool abi_values(const struct abi_values *both, sofun_value **place, struct error *error) {
	if (both->found_count != both->declared_count || (both->found_count > 0 && both->found == NULL)) {
		abi_differs(error, "values of", both->type, both->type);
		error_found(error, "%u values of %s in the descriptor", both->found_count, both->type);
		error_expected(error, "%u, as in the manifest", both->declared_count);
		return false;
	}
	for (uint32_t i = 0; i < both->declared_count; i++) {
		const struct manifest_value *value = &both->declared[i];
		if (!abi_text(error, "value", both->found[i].name, value->name))
			return false;
		if (both->found[i].kind != value->kind)
			return abi_differs(
				error, value->name, manifest_kind_name(both->found[i].kind), manifest_kind_name(value->kind));
		(*place)[i] = both->found[i];
		(*place)[i].name = value->name;
	}
	*place += both->declared_count;
	return true;
}

/* Where the facts' parts of function `index` begin: values (its own, then those of its schemas), schemas, and the list
 * of those, which a NULL ends. */
struct abi_places {
	sofun_value *values;
	sofun_schema *schemas;
	const sofun_schema **list;
};

static size_t abi_value_count(const struct manifest_function *function) {
	size_t count = function->value_count;
	for (uint32_t i = 0; i < function->schema_count; i++)
		count += function->schemas[i].value_count;
	return count;
}

static struct abi_places abi_places_of(const struct abi_facts *facts, const struct manifest *manifest, size_t index) {
	struct abi_places places = {facts->values, facts->schemas, facts->schema_lists};
	for (size_t i = 0; i < index; i++) {
		const struct manifest_function *function = &manifest->functions[i];
		places.values += abi_value_count(function);
		places.schemas += function->schema_count;
		places.list += function->schema_count + 1;
	}
	return places;
}

static bool abi_schema_differs(struct error *error, const char *type, const sofun_schema *found, uint32_t expected) {
	abi_differs(error, "schema", type, "");
	error_found(
		error, "earlier schema %u (%s) of %s in the descriptor", found->schema, manifest_ways_name(found->ways), type);
	error_expected(error, "earlier schema %u, as in the manifest", expected);
	return false;
}

/* taken: the function's list so far, up to places->list. */
static bool abi_schema(const sofun_schema *schema, const struct manifest_function *declared,
	const sofun_schema *const *taken, struct abi_places *places, struct error *error) {
	sofun_schema copy = {0};
	if (schema->size < SCHEMA_BYTES_MIN)
		return abi_refuse(error, "an earlier schema's struct is smaller than that of ABI 1.1", "a smaller size",
			"the size of sofun_schema");
	abi_copy(&copy, sizeof(copy), schema, schema->size);
	const struct manifest_schema *manifest = manifest_schema_find(declared, copy.schema);
	for (; taken != places->list; taken++)
		if ((*taken)->schema == copy.schema)
			return abi_differs(error, "a second earlier schema of", declared->type, NULL);
	if (manifest == NULL || manifest->ways != copy.ways)
		return abi_schema_differs(error, declared->type, &copy, manifest == NULL ? 0 : manifest->schema);
	const struct abi_values both = {
		declared->type, copy.values, copy.value_count, manifest->values, manifest->value_count};
	copy.values = places->values;
	if (!abi_values(&both, &places->values, error))
		return false;
	*places->schemas = copy;
	*places->list++ = places->schemas++;
	return true;
}

/* migrate is there iff it has something to do. */
static bool abi_schemas(sofun_function *function, const struct manifest_function *declared, struct abi_places *places,
	struct error *error) {
	const sofun_schema *const *schemas = function->schemas;
	uint32_t count = 0;
	const sofun_schema *const *taken = places->list;
	function->schemas = declared->schema_count == 0 ? NULL : taken;
	while (schemas != NULL && schemas[count] != NULL && count < declared->schema_count)
		if (!abi_schema(schemas[count++], declared, taken, places, error))
			return false;
	*places->list++ = NULL;
	if (count < declared->schema_count || (schemas != NULL && schemas[count] != NULL)) {
		abi_differs(error, "earlier schemas of", declared->type, declared->type);
		error_expected(error, "%u earlier schemas, as in the manifest", declared->schema_count);
		return false;
	}
	if ((function->migrate != NULL) == (declared->schema_count > 0))
		return true;
	return abi_refuse(error, "a function has earlier schemas and no migrate, or migrate without an earlier schema",
		"one without the other", "both, or neither");
}

static bool abi_function(
	const sofun_function *function, const struct manifest *manifest, struct abi_facts *facts, struct error *error) {
	sofun_function copy = {0};
	if (function->size < FUNCTION_BYTES_MIN)
		return abi_refuse(error, "a function's struct is smaller than that of ABI 1.0", "a smaller size",
			"the size of sofun_function");
	abi_copy(&copy, sizeof(copy), function, function->size);
	if (copy.type == NULL || copy.invoke == NULL)
		return abi_refuse(error, "a function has no type or no invoke", "NULL", "both");
	const struct manifest_function *declared = manifest_function_find(manifest, copy.type);
	if (declared == NULL)
		return abi_differs(error, "function", copy.type, NULL);
	size_t index = (size_t)(declared - manifest->functions);
	if (facts->functions[index].invoke != NULL)
		return abi_differs(error, "a second function", copy.type, NULL);
	if (copy.schema != declared->schema) {
		abi_differs(error, "schema", copy.type, "");
		error_found(error, "schema %u of %s in the descriptor", copy.schema, declared->type);
		error_expected(error, "schema %u, as in the manifest", declared->schema);
		return false;
	}
	struct abi_places places = abi_places_of(facts, manifest, index);
	const struct abi_values both = {
		declared->type, copy.values, copy.value_count, declared->values, declared->value_count};
	copy.values = places.values;
	if (!abi_values(&both, &places.values, error) || !abi_schemas(&copy, declared, &places, error))
		return false;
	copy.type = declared->type;
	facts->functions[index] = copy;
	return true;
}

static bool abi_functions(
	const sofun_plugin *plugin, const struct manifest *manifest, struct abi_facts *facts, struct error *error) {
	size_t count = 0;
	while (plugin->functions != NULL && plugin->functions[count] != NULL)
		if (!abi_function(plugin->functions[count++], manifest, facts, error))
			return false;
	for (size_t i = 0; i < manifest->function_count; i++)
		if (facts->functions[i].invoke == NULL)
			return abi_differs(error, "function", NULL, manifest->functions[i].type);
	return true;
}

/* The same pair may come twice, so each router of the descriptor takes the first equal one that is still free. */
static bool abi_router(
	const sofun_router *router, const struct manifest *manifest, struct abi_facts *facts, struct error *error) {
	sofun_router copy = {0};
	if (router->size < ROUTER_BYTES_MIN)
		return abi_refuse(
			error, "a router's struct is smaller than that of ABI 1.0", "a smaller size", "the size of sofun_router");
	abi_copy(&copy, sizeof(copy), router, router->size);
	if (copy.ingress == NULL || copy.format == NULL || copy.route == NULL)
		return abi_refuse(error, "a router has no ingress, no format or no route", "NULL", "all three");
	for (size_t i = 0; i < manifest->router_count; i++) {
		const struct manifest_router *declared = &manifest->routers[i];
		if (facts->routers[i].route != NULL || strcmp(declared->ingress, copy.ingress) != 0 ||
			strcmp(declared->format, copy.format) != 0)
			continue;
		copy.ingress = declared->ingress;
		copy.format = declared->format;
		facts->routers[i] = copy;
		return true;
	}
	return abi_differs(error, "router", copy.ingress, NULL);
}

static bool abi_routers(
	const sofun_plugin *plugin, const struct manifest *manifest, struct abi_facts *facts, struct error *error) {
	size_t count = 0;
	while (plugin->routers != NULL && plugin->routers[count] != NULL)
		if (!abi_router(plugin->routers[count++], manifest, facts, error))
			return false;
	for (size_t i = 0; i < manifest->router_count; i++)
		if (facts->routers[i].route == NULL)
			return abi_differs(error, "router", NULL, manifest->routers[i].ingress);
	return true;
}

static bool abi_egress_declared(const struct manifest *manifest, const char *name) {
	for (size_t i = 0; i < manifest->egress_count; i++)
		if (strcmp(manifest->egresses[i].name, name) == 0)
			return true;
	return false;
}

static bool abi_egresses(const sofun_plugin *plugin, const struct manifest *manifest, struct error *error) {
	size_t count = 0;
	for (; plugin->egresses != NULL && plugin->egresses[count] != NULL; count++)
		if (!abi_egress_declared(manifest, plugin->egresses[count]))
			return abi_differs(error, "egress", plugin->egresses[count], NULL);
	if (count == manifest->egress_count)
		return true;
	abi_differs(error, "egresses", "", "");
	error_found(error, "%zu egresses in the descriptor", count);
	error_expected(error, "%zu, as in the manifest", manifest->egress_count);
	return false;
}

bool abi_read(
	const void *descriptor, const struct manifest *manifest, struct abi_facts *ret_facts, struct error *error) {
	if (descriptor == NULL) {
		abi_refuse(error, "the plugin does not export its descriptor", "", "");
		error_found(error, "no symbol " SOFUN_DESCRIPTOR_SYMBOL);
		error_expected(error, "the symbol " SOFUN_DESCRIPTOR_SYMBOL);
		return false;
	}
	sofun_plugin prefix = {0};
	memcpy(&prefix, descriptor, PREFIX_BYTES);
	if (!abi_prefix(&prefix, error))
		return false;
	sofun_plugin plugin = {0};
	abi_copy(&plugin, sizeof(plugin), descriptor, prefix.size);
	size_t value_count = 0;
	size_t schema_count = 0;
	for (size_t i = 0; i < manifest->function_count; i++) {
		value_count += abi_value_count(&manifest->functions[i]);
		schema_count += manifest->functions[i].schema_count;
	}
	struct abi_facts facts = {.init = plugin.init, .fini = plugin.fini};
	facts.functions = check_alloc(manifest->function_count + 1, sizeof(*facts.functions));
	facts.routers = check_alloc(manifest->router_count + 1, sizeof(*facts.routers));
	facts.values = check_alloc(value_count + 1, sizeof(*facts.values));
	facts.schemas = check_alloc(schema_count + 1, sizeof(*facts.schemas));
	facts.schema_lists = check_alloc(schema_count + manifest->function_count + 1, sizeof(*facts.schema_lists));
	bool good = abi_version(&plugin, manifest, error) && abi_text(error, "name", plugin.name, manifest->name) &&
		abi_text(error, "version", plugin.version, manifest->version) &&
		abi_functions(&plugin, manifest, &facts, error) && abi_routers(&plugin, manifest, &facts, error) &&
		abi_egresses(&plugin, manifest, error);
	if (good)
		*ret_facts = facts;
	else
		abi_finish(&facts);
	return good;
}

void abi_finish(struct abi_facts *facts) {
	free(facts->functions);
	free(facts->routers);
	free(facts->values);
	free(facts->schemas);
	free(facts->schema_lists);
	*facts = (struct abi_facts){0};
}
