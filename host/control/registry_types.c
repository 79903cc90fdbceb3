/* Function types: each belongs to one plugin for good; and the views that the shards are given. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control/registry_inside.h"

struct function_type *type_find(const struct registry *registry, struct bytes name) {
	for (size_t i = 1; i < registry->type_count; i++)
		if (registry->types[i] != NULL && bytes_equal(bytes_text(registry->types[i]->name), name))
			return registry->types[i];
	return NULL;
}

struct function_type *type_add(struct registry *registry, uint16_t number, const char *name) {
	if (number >= registry->type_count) {
		size_t count = (size_t)number + 1;
		registry->types = realloc(registry->types, count * sizeof(struct function_type *));
		check_memory(registry->types);
		while (registry->type_count < count)
			registry->types[registry->type_count++] = NULL;
	}
	check(registry->types[number] == NULL);
	struct function_type *type = check_alloc(1, sizeof(*type));
	type->number = number;
	type->name = check_strdup(name);
	registry->types[number] = type;
	return type;
}

void type_destroy(struct function_type *type) {
	if (type == NULL)
		return;
	type_schemas_destroy(type);
	free(type->plugin);
	free((char *)(uintptr_t)type->name);
	free(type);
}

/* ---- admission ---- */

static bool type_belongs(const struct function_type *type, const struct manifest *manifest, struct error *error) {
	if (strcmp(type->plugin, manifest->name) == 0)
		return true;
	error_set(error, ERROR_REFUSED, "the function type %s belongs to another plugin", type->name);
	error_found(error, "%s declared by %s", type->name, manifest->name);
	error_expected(error, "%s declared by %s, which owns its state", type->name, type->plugin);
	error_hint(error, "give the function a type of its own, or name the plugin %s", type->plugin);
	return false;
}

static size_t types_known(const struct registry *registry) {
	size_t known = 0;
	for (size_t i = 0; i < registry->type_count; i++)
		known += registry->types[i] != NULL;
	return known;
}

bool types_admit(const struct registry *registry, const struct manifest *manifest, struct error *error) {
	size_t fresh = 0;
	for (size_t i = 0; i < manifest->function_count; i++) {
		const struct manifest_function *function = &manifest->functions[i];
		const struct function_type *type = type_find(registry, bytes_text(function->type));
		fresh += type == NULL;
		if (type != NULL &&
			(!type_belongs(type, manifest, error) || !type_schemas_admit(registry, type, function, error)))
			return false;
	}
	/* Numbers are used in order; number 0 is none. */
	if (registry->type_count + fresh < TYPES_MAX)
		return true;
	error_set(error, ERROR_REFUSED, "the host would know too many function types");
	error_found(error, "%zu known and %zu new", types_known(registry), fresh);
	error_expected(error, "at most %d in all", TYPES_MAX - 1);
	error_hint(error, "put fewer function types into this data directory");
	return false;
}

/* True if the row changes. */
static bool type_take(struct function_type *type, const struct manifest_function *function) {
	bool changed = type->schema != function->schema;
	type->schema = function->schema;
	changed |= type_schema_take(type, function->schema, function->values, function->value_count);
	for (uint32_t i = 0; i < function->schema_count; i++) {
		const struct manifest_schema *earlier = &function->schemas[i];
		changed |= type_schema_take(type, earlier->schema, earlier->values, earlier->value_count);
	}
	return changed;
}

struct function_type **types_adopt(struct registry *registry, const struct manifest *manifest, size_t *ret_count) {
	struct function_type **changed = check_alloc(manifest->function_count + 1, sizeof(*changed));
	size_t count = 0;
	for (size_t i = 0; i < manifest->function_count; i++) {
		const struct manifest_function *function = &manifest->functions[i];
		struct function_type *type = type_find(registry, bytes_text(function->type));
		if (type == NULL) {
			type = type_add(registry, engine_next_type(registry->options.engine), function->type);
			type->plugin = check_strdup(manifest->name);
			store_type_name(registry->options.store, type->number, type->name);
		}
		if (type_take(type, function))
			changed[count++] = type;
	}
	*ret_count = count;
	return changed;
}

/* ---- views ---- */

static bool plugin_serves(const struct plugin *plugin) {
	return plugin->state == PLUGIN_LIVE || plugin->state == PLUGIN_DRAINING;
}

static void view_bind(struct registry *registry, struct binding *bindings, const struct plugin *plugin) {
	const struct image *image = plugin->image;
	for (size_t i = 0; i < image->manifest.function_count; i++) {
		const struct function_type *type = type_find(registry, bytes_text(image->facts.functions[i].type));
		check(type != NULL);
		struct binding *binding = &bindings[type->number];
		const sofun_function *function = &image->facts.functions[i];
		binding->versions[0] = (struct version){
			.function = function,
			.plugin_data = image->plugin_data,
			.host = registry->options.host,
			.image = plugin->image,
			.schema = function->schema,
			.value_count = function->value_count,
		};
		binding->now = binding->before = (struct split){0};
		if (plugin->state != PLUGIN_LIVE) {
			binding->now.base = VERSION_NONE;
			binding->fence = plugin->fence;
		}
	}
}

static enum record_format route_wanted(const sofun_router *router) {
	if (strcmp(router->format, "line") == 0)
		return FORMAT_LINE;
	return strcmp(router->format, "json") == 0 ? FORMAT_JSON : FORMAT_MSGPACK;
}

static enum record_format route_format(const struct config *config, const sofun_router *router) {
	for (size_t i = 0; i < config->ingress_count; i++)
		if (strcmp(config->ingresses[i].name, router->ingress) == 0 && config->ingresses[i].format != FORMAT_PLUGIN)
			return config->ingresses[i].format;
	return route_wanted(router);
}

static size_t view_route(const struct registry *registry, struct route *routes, const struct plugin *plugin) {
	const struct image *image = plugin->image;
	for (size_t i = 0; i < image->manifest.router_count; i++)
		routes[i] = (struct route){
			.ingress = image->facts.routers[i].ingress,
			.format = route_format(registry->options.config, &image->facts.routers[i]),
			.wanted = route_wanted(&image->facts.routers[i]),
			.router = &image->facts.routers[i],
			.plugin_data = image->plugin_data,
			.host = registry->options.host,
			.image = plugin->image,
		};
	return image->manifest.router_count;
}

struct view *registry_view(struct registry *registry) {
	size_t binding_count = registry->type_count == 0 ? 1 : registry->type_count;
	size_t route_max = 0;
	size_t route_count = 0;
	struct binding *bindings = check_alloc(binding_count, sizeof(*bindings));
	for (size_t i = 1; i < registry->type_count; i++)
		if (registry->types[i] != NULL)
			bindings[i] = (struct binding){
				.number = (uint16_t)i,
				.name = registry->types[i]->name,
				.now.base = VERSION_NONE,
				.value_count = type_schema_find(registry->types[i], registry->types[i]->schema)->value_count,
			};
	for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
		if (plugin_serves(plugin))
			route_max += plugin->image->manifest.router_count;
	struct route *routes = check_alloc(route_max + 1, sizeof(*routes));
	for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next) {
		if (plugin_serves(plugin))
			view_bind(registry, bindings, plugin);
		if (plugin->state == PLUGIN_LIVE)
			route_count += view_route(registry, routes + route_count, plugin);
	}
	struct view *view = view_create(++registry->view, bindings, binding_count, routes, route_count);
	free(routes);
	free(bindings);
	return view;
}

void registry_publish(struct registry *registry) {
	engine_publish(registry->options.engine, registry_view(registry));
}
