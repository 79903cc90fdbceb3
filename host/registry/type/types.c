/* Function types: each belongs to one plugin for good; and the views that the shards are given. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "registry/inside.h"

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
	type_ttl_finish(type);
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

/* What a view needs of a plugin: the images that have a share, by index, and who is who. */
struct lineage_images {
	const struct plugin *plugins[VERSIONS_MAX];
	size_t count;
};

/* VERSION_NONE if it is not loaded. */
static int8_t image_index(
	struct lineage_images *images, const struct registry *registry, const struct verdict *verdict) {
	const struct plugin *plugin = plugin_of_verdict(registry, verdict);
	if (plugin == NULL)
		return VERSION_NONE;
	size_t index = 0;
	while (index < images->count && images->plugins[index] != plugin)
		index++;
	check(index < VERSIONS_MAX); /* a change begins when the one before is settled */
	if (index == images->count)
		images->plugins[images->count++] = plugin;
	return (int8_t)index;
}

static struct split split_of(
	struct lineage_images *images, const struct registry *registry, const struct share *share) {
	struct split split = {.base = image_index(images, registry, share->base), .canary = VERSION_NONE};
	if (share->percent == 0)
		return split;
	split.canary = image_index(images, registry, share->canary);
	if (split.canary != VERSION_NONE)
		split.limit = SPLIT_WHOLE * share->percent / 100;
	return split;
}

static void plugin_bind(
	const struct lineage *lineage, struct binding *bindings, const struct plugin *plugin, size_t index) {
	const struct registry *registry = lineage->registry;
	const struct image *image = plugin->image;
	for (size_t i = 0; i < image->manifest.function_count; i++) {
		const struct function_type *type = type_find(registry, bytes_text(image->manifest.functions[i].type));
		const sofun_function *function = &image->facts.functions[i];
		check(type != NULL);
		struct binding *binding = &bindings[type->number];
		binding->versions[index] = (struct version){
			.function = function,
			.plugin_data = image->plugin_data,
			.host = registry->options.host,
			.image = (struct image *)(uintptr_t)image,
			.schema = function->schema,
			.value_count = function->value_count,
			.tally = plugin->tally,
			.probation_until_ms = probation_until(lineage, plugin->verdict),
		};
		if (binding->value_count < function->value_count)
			binding->value_count = function->value_count;
	}
}

static void lineage_bind(const struct lineage *lineage, struct binding *bindings) {
	const struct registry *registry = lineage->registry;
	struct lineage_images images = {.count = 0};
	const struct share nobody = {0};
	struct split now = split_of(&images, registry, lineage_serves(lineage));
	struct split before = split_of(&images, registry, lineage->state == LINEAGE_ASKED ? &nobody : &lineage->before);
	bool drains = !lineage->running && (before.base != VERSION_NONE || before.canary != VERSION_NONE);
	for (size_t i = 1; i < registry->type_count; i++) {
		if (registry->types[i] == NULL || strcmp(registry->types[i]->plugin, lineage->name) != 0)
			continue;
		bindings[i].now = now;
		bindings[i].before = before;
		bindings[i].fence = drains ? lineage->fence : 0;
		bindings[i].side = lineage->side;
		bindings[i].seed = lineage->seed;
	}
	for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
		if (strcmp(plugin->verdict->name, lineage->name) == 0 && plugin_is_kept(plugin) &&
			plugin_keeps_for(plugin, false) != NULL && images.count < VERSIONS_MAX)
			images.plugins[images.count++] = plugin;
	for (size_t i = 0; i < images.count; i++)
		plugin_bind(lineage, bindings, images.plugins[i], i);
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

/* The routers of an image, for the producers whose hash is from `from` on and below `until`. */
static size_t image_route(
	const struct lineage *lineage, struct route *routes, const struct verdict *verdict, uint64_t from, uint64_t until) {
	const struct registry *registry = lineage->registry;
	const struct plugin *plugin = plugin_of_verdict(registry, verdict);
	if (plugin == NULL)
		return 0;
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
			.from = from,
			.until = until,
			.seed = lineage->seed,
		};
	return image->manifest.router_count;
}

static size_t lineage_route(const struct lineage *lineage, struct route *routes) {
	const struct share *share = lineage_serves(lineage);
	bool canary = share->percent > 0 && plugin_of_verdict(lineage->registry, share->canary) != NULL;
	uint64_t limit = canary ? SPLIT_WHOLE * share->percent / 100 : 0;
	size_t count = image_route(lineage, routes, share->base, limit, SPLIT_WHOLE);
	if (canary)
		count += image_route(lineage, routes + count, share->canary, 0, limit);
	return count;
}

struct view *registry_view(struct registry *registry) {
	size_t binding_count = registry->type_count == 0 ? 1 : registry->type_count;
	size_t route_max = 1;
	size_t route_count = 0;
	struct binding *bindings = check_alloc(binding_count, sizeof(*bindings));
	for (size_t i = 1; i < registry->type_count; i++)
		if (registry->types[i] != NULL)
			bindings[i] = (struct binding){
				.number = (uint16_t)i,
				.name = registry->types[i]->name,
				.now.base = VERSION_NONE,
				.value_count = type_schema_find(registry->types[i], registry->types[i]->schema)->value_count,
				.ttls = type_ttl_map(registry->types[i]),
			};
	for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
		if (plugin->image != NULL)
			route_max += plugin->image->manifest.router_count;
	struct route *routes = check_alloc(route_max, sizeof(*routes));
	for (const struct lineage *lineage = registry->lineages; lineage != NULL; lineage = lineage->next) {
		lineage_bind(lineage, bindings);
		route_count += lineage_route(lineage, routes + route_count);
	}
	struct view *view = view_create(++registry->view, bindings, binding_count, routes, route_count);
	free(routes);
	free(bindings);
	return view;
}

uint64_t registry_publish(struct registry *registry) {
	if (registry->fencing) {
		registry->publish_due = true;
		return registry->view + 1;
	}
	registry->publish_due = false;
	types_ttl_update(registry, engine_time_ms(registry->options.engine));
	types_ttl_commit(registry);
	engine_publish(registry->options.engine, registry_view(registry));
	registry_migrate_wake(registry);
	return registry->view;
}
