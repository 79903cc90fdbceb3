/* What the outside is shown of plugins: views that are valid during one call. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "registry/inside.h"

enum { WAITING_MAX = MANIFEST_FUNCTIONS_MAX + WAITS_SHOWN_MAX + 3 };

/* While its fence is on its way a change has not happened: what is asked for is not live yet, what serves still is. The fence that
 * cuts a drain short changes no version. */
static bool fence_pending(const struct plugin *plugin) {
	const struct lineage *lineage = lineage_find(plugin->registry, plugin->verdict->name);
	bool pending = lineage != NULL && (lineage->state == LINEAGE_ASKED || lineage->state == LINEAGE_FENCING) &&
		lineage->late.base == NULL && lineage->late.percent == 0;
	return pending && plugin->image != NULL &&
		(lineage_was(lineage, plugin->verdict) || lineage_has(lineage, plugin->verdict));
}

/* It is to serve, and does not before its fence has come back. */
static bool plugin_awaits_fence(const struct plugin *plugin) {
	return fence_pending(plugin) &&
		!lineage_was(lineage_find(plugin->registry, plugin->verdict->name), plugin->verdict);
}

/* Nobody can reach it before that: until then it is not shown, nor counted; unless it had stayed for its way down. */
static bool plugin_arrives(const struct plugin *plugin) {
	return plugin_awaits_fence(plugin) && plugin->keep_view == 0;
}

/* Those without an image never ran in this process. */
static const char *plugin_state_name(const struct plugin *plugin) {
	if (fence_pending(plugin))
		return image_state_name(plugin_awaits_fence(plugin) ? IMAGE_DRAINING : IMAGE_LIVE);
	if (plugin->image != NULL)
		return image_state_name(plugin->image->state);
	if (plugin->state == PLUGIN_RETIRING)
		return image_state_name(IMAGE_RETIRED);
	return plugin->verdict->state == VERDICT_QUARANTINED ? "quarantined" : "refused";
}

static const char *format_name(const struct registry *registry, const struct manifest_router *router) {
	const struct config *config = registry->options.config;
	for (size_t i = 0; i < config->ingress_count; i++) {
		if (strcmp(config->ingresses[i].name, router->ingress) != 0 || config->ingresses[i].format == FORMAT_PLUGIN)
			continue;
		if (config->ingresses[i].format == FORMAT_LINE)
			return "line";
		return config->ingresses[i].format == FORMAT_JSON ? "json" : "msgpack";
	}
	return router->format;
}

/* Messages of before that no survey has named yet. */
static size_t types_waiting(const struct plugin *plugin, struct registry_waiting *waiting) {
	const struct registry *registry = plugin->registry;
	const struct manifest *manifest = &plugin->image->manifest;
	const struct lineage *lineage = lineage_find(registry, plugin->verdict->name);
	size_t count = 0;
	bool drains = lineage != NULL && lineage->state == LINEAGE_DRAINING && lineage_was(lineage, plugin->verdict);
	for (size_t i = 0; drains && i < manifest->function_count; i++) {
		const struct function_type *type = type_find(registry, bytes_text(manifest->functions[i].type));
		struct engine_waiting messages;
		engine_waiting(registry->options.engine, type->number, lineage->side, lineage->fence, &messages);
		if (messages.messages > 0)
			waiting[count++] = (struct registry_waiting){"messages", type->name, lineage->since_wall_ms, 0, -1};
	}
	return count;
}

/* The type whose instances only it takes down to what has a share now, from its fence on: messages of before are not all that
 * it will stay for. */
static const char *migration_awaited(const struct plugin *plugin) {
	const struct lineage *lineage = lineage_find(plugin->registry, plugin->verdict->name);
	if (plugin->state != PLUGIN_DRAINING || fence_pending(plugin) || lineage == NULL ||
		lineage_has(lineage, plugin->verdict))
		return NULL;
	return plugin_keeps_for(plugin, true);
}

/* Why it has not gone yet, and whose messages wait for it. */
static size_t plugin_waiting(const struct plugin *plugin, const struct waits *waits, struct registry_waiting *waiting) {
	size_t count = 0;
	const char *migrated = migration_awaited(plugin);
	if (plugin->state == PLUGIN_STUCK)
		waiting[count++] = (struct registry_waiting){plugin->stuck_reason, "", plugin->since_wall_ms, 0, -1};
	if (migrated != NULL)
		waiting[count++] = (struct registry_waiting){"migration", migrated, plugin->since_wall_ms, 0, -1};
	if (plugin->state == PLUGIN_LEAVING && waits->count == 0)
		waiting[count++] = (struct registry_waiting){
			atomic_load(&plugin->image->working) > 0 ? "operation" : "running", "", plugin->since_wall_ms, 0, -1};
	if (waits->count == 0)
		return count + types_waiting(plugin, waiting + count);
	memcpy(waiting + count, waits->rows, waits->count * sizeof *waiting);
	return count + waits->count;
}

static uint32_t share_percent(const struct lineage *lineage, const struct verdict *verdict) {
	if (lineage == NULL)
		return 0;
	if (lineage->now.base == verdict)
		return 100 - lineage->now.percent;
	return lineage->now.percent > 0 && lineage->now.canary == verdict ? lineage->now.percent : 0;
}

static uint64_t probation_left(const struct plugin *plugin) {
	const struct lineage *lineage = lineage_find(plugin->registry, plugin->verdict->name);
	if (lineage == NULL || plugin->verdict != lineage_newcomer(lineage) || !lineage_on_probation(lineage))
		return 0;
	return lineage->probation_until_ms - engine_time_ms(plugin->registry->options.engine);
}

static void verdict_report(const struct registry *registry, const struct verdict *verdict,
	struct registry_plugin *report, void (*each)(void *arg, const struct registry_plugin *plugin), void *arg) {
	const struct lineage *lineage = lineage_find(registry, verdict->name);
	char hash[HASH_TEXT_BYTES];
	image_hash_text(verdict->hash, hash);
	report->name = verdict->name;
	report->version = verdict->version;
	report->file = verdict->file;
	report->hash = hash;
	report->went_back = verdict->refusal;
	report->rollback_target = lineage != NULL && lineage->previous == verdict;
	each(arg, report);
}

static void plugin_report(
	const struct plugin *plugin, void (*each)(void *arg, const struct registry_plugin *plugin), void *arg) {
	static const struct manifest empty;
	const struct manifest *manifest = plugin->image == NULL ? &empty : &plugin->image->manifest;
	const char **functions = check_alloc(manifest->function_count + 1, sizeof(*functions));
	struct registry_router *routers = check_alloc(manifest->router_count + 1, sizeof(*routers));
	const char **egresses = check_alloc(manifest->egress_count + 1, sizeof(*egresses));
	struct registry_waiting *waiting = check_alloc(WAITING_MAX, sizeof(*waiting));
	for (size_t i = 0; i < manifest->function_count; i++)
		functions[i] = manifest->functions[i].type;
	for (size_t i = 0; i < manifest->router_count; i++)
		routers[i] = (struct registry_router){
			manifest->routers[i].ingress, format_name(plugin->registry, &manifest->routers[i])};
	for (size_t i = 0; i < manifest->egress_count; i++)
		egresses[i] = manifest->egresses[i].name;
	struct engine_function_figures *figures = check_alloc(manifest->function_count + 1, sizeof(*figures));
	for (size_t i = 0; plugin->figures_before != NULL && i < manifest->function_count; i++)
		plugin_figures(plugin, i, &figures[i]);
	bool live = plugin->state == PLUGIN_LIVE;
	struct registry_drain drain;
	struct waits waits;
	plugin_waits(plugin, &waits);
	bool drains = plugin_drain(plugin, &drain);
	if (drains && waits.count > 0 && waits.rows[0].since_ms < drain.oldest_ms)
		drain.oldest_ms = waits.rows[0].since_ms;
	struct registry_plugin report = {
		.state = plugin_state_name(plugin),
		.share_percent =
			live ? share_percent(lineage_find(plugin->registry, plugin->verdict->name), plugin->verdict) : 0,
		.function_count = manifest->function_count,
		.functions = functions,
		.router_count = manifest->router_count,
		.routers = routers,
		.egress_count = manifest->egress_count,
		.egresses = egresses,
		.figures = plugin->figures_before == NULL ? NULL : figures,
		.counted_since_ms = plugin->counted_since_wall_ms,
		.probation_ms = live ? probation_left(plugin) : 0,
		.waiting_count = plugin->image == NULL ? 0 : plugin_waiting(plugin, &waits, waiting),
		.waiting = waiting,
		.waiting_total = waits.total,
		.drain = drains ? &drain : NULL,
	};
	verdict_report(plugin->registry, plugin->verdict, &report, each, arg);
	waits_finish(&waits);
	free(figures);
	free(waiting);
	free(egresses);
	free(routers);
	free(functions);
}

struct done_call {
	registry_done *done;
	void *arg;
};

static void done_each(void *arg, const struct registry_plugin *plugin) {
	const struct done_call *call = arg;
	call->done(call->arg, plugin, NULL);
}

void done_report(struct plugin *plugin, registry_done *done, void *arg) {
	struct done_call call = {done, arg};
	plugin_report(plugin, done_each, &call);
}

/* Those with a share first: whoever looks for a plugin by its name wants what serves. */
static int plugin_rank(const struct plugin *plugin) {
	const struct lineage *lineage = lineage_find(plugin->registry, plugin->verdict->name);
	if (plugin->state == PLUGIN_LIVE)
		return lineage != NULL && lineage->now.base == plugin->verdict ? 0 : 1;
	return plugin->state == PLUGIN_READY ? 3 : 2;
}
enum { PLUGIN_RANKS = 4 };

void registry_each(
	struct registry *registry, void (*each)(void *arg, const struct registry_plugin *plugin), void *arg) {
	for (int rank = 0; rank < PLUGIN_RANKS; rank++)
		for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
			if (plugin_rank(plugin) == rank && !plugin_arrives(plugin))
				plugin_report(plugin, each, arg);
}

/* It is among the plugins, and was shown with them. */
static bool verdict_parked(const struct registry *registry, const struct verdict *verdict) {
	for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
		if (plugin->verdict == verdict)
			return true;
	return false;
}

bool registry_versions_each(struct registry *registry, const char *name,
	void (*each)(void *arg, const struct registry_plugin *plugin), void *arg) {
	bool known = lineage_find(registry, name) != NULL;
	for (int rank = 0; rank < PLUGIN_RANKS; rank++)
		for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
			if (plugin_rank(plugin) == rank && strcmp(plugin->verdict->name, name) == 0)
				plugin_report(plugin, each, arg);
	for (size_t i = 0; i < registry->verdict_count; i++) {
		const struct verdict *verdict = registry->verdicts[i];
		bool quarantined = verdict->state == VERDICT_QUARANTINED && !verdict_parked(registry, verdict);
		if (strcmp(verdict->name, name) != 0 ||
			(!quarantined && (verdict->state != VERDICT_RETIRED || verdict->kept == 0)))
			continue;
		struct registry_plugin report = {.state = verdict_state_name(verdict->state)};
		verdict_report(registry, verdict, &report, each, arg);
	}
	return known;
}

void registry_refused_each(
	struct registry *registry, void (*each)(void *arg, const struct registry_refused *refused), void *arg) {
	for (size_t i = 0; i < registry->offer_count; i++)
		if (registry->offers[i]->error != NULL)
			each(arg, &(struct registry_refused){registry->offers[i]->file, registry->offers[i]->error});
	for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next) {
		if (plugin->state != PLUGIN_PARKED)
			continue;
		const struct offer *offer = offer_find(registry, plugin->verdict->file);
		if (offer == NULL || offer->error == NULL)
			each(arg, &(struct registry_refused){plugin->verdict->file, &plugin->parked});
	}
}

void registry_images(const struct registry *registry, struct registry_images *ret_images) {
	*ret_images = (struct registry_images){.unloaded = registry->unloaded};
	for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next) {
		ret_images->loaded += plugin->image != NULL && plugin->state != PLUGIN_READY && !plugin_arrives(plugin);
		ret_images->stuck += plugin->image != NULL && plugin->image->state == IMAGE_STUCK;
	}
}

bool registry_egress_declared(const struct registry *registry, struct bytes name) {
	for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next) {
		const struct manifest *manifest = plugin->state == PLUGIN_LIVE ? &plugin->image->manifest : NULL;
		for (size_t i = 0; manifest != NULL && i < manifest->egress_count; i++)
			if (bytes_equal(bytes_text(manifest->egresses[i].name), name))
				return true;
	}
	return false;
}

/* Who has which ids, for whoever looks at their state. */
/* As the last fence has it, and not what is on its way. */
static struct registry_expiry type_expiry(const struct registry *registry, const struct function_type *type) {
	const struct lineage *lineage = lineage_find(registry, type->plugin);
	return (struct registry_expiry){.ttls = type_ttl_map(type), .seed = lineage == NULL ? 0 : lineage->seed};
}

bool registry_type_find(const struct registry *registry, struct bytes name, struct registry_type *ret_type) {
	const struct function_type *type = type_find(registry, name);
	if (type == NULL)
		return false;
	const struct plugin *plugin = plugin_find(registry, type->plugin);
	bool live = plugin != NULL && plugin->state == PLUGIN_LIVE &&
		manifest_function_find(&plugin->image->manifest, type->name) != NULL;
	*ret_type = (struct registry_type){
		.number = type->number,
		.name = type->name,
		.plugin = type->plugin,
		.version = live ? plugin->image->version : "",
		.schema = type->schema,
		.expiry = type_expiry(registry, type),
	};
	for (size_t i = type->schema_count; i > 0 && ret_type->schema_count < REGISTRY_SCHEMAS_MAX; i--) {
		const struct type_schema *schema = type->schemas[i - 1];
		ret_type->schemas[ret_type->schema_count++] =
			(struct registry_schema){schema->schema, schema->value_count, (const char *const *)schema->values};
	}
	return true;
}

const struct ttl *registry_expiry_of(const struct registry_expiry *expiry, struct bytes id) {
	return expiry->ttls == NULL ? NULL : ttl_map_find(expiry->ttls, split_hash(expiry->seed, id));
}

void registry_expiry_finish(struct registry_expiry *expiry) {
	ttl_map_destroy(expiry->ttls);
	*expiry = (struct registry_expiry){0};
}
