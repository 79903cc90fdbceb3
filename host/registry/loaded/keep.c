/* Versions that have no share any more and stay for their way down: after a rollback across schemas the instances that the
 * newer version wrote need its migrate. It is drained, routes nothing and handles no message; the shards find it among the
 * versions of the binding when they meet such an instance, the background (type/migrate.c) looks for the others, and when
 * the counts say that there is none it leaves like any other.
 *
 * Why so, and not all of them migrated before the old version goes live: a rollback is for a version that does harm, and must not
 * wait for a million migrations, of which one may fail. A version that was stopped while it stays is known by its row: draining,
 * in no share. */
#include <string.h>

#include "base/log.h"
#include "registry/inside.h"

struct counting {
	uint16_t number;
	uint32_t schema;
	uint64_t instances;
};

static void instances_add(void *arg, const struct engine_schema *counted) {
	struct counting *counting = arg;
	if (counted->number == counting->number && counted->schema == counting->schema)
		counting->instances += counted->instances;
}

static uint64_t instances_of(const struct registry *registry, const char *type, uint32_t schema) {
	const struct function_type *known = type_find(registry, bytes_text(type));
	struct counting counting = {.number = known == NULL ? 0 : known->number, .schema = schema};
	engine_schemas_each(registry->options.engine, instances_add, &counting);
	return counting.instances;
}

/* The function takes instances down to what a version with a share has. */
static bool function_leads_down(
	const struct registry *registry, const struct manifest_function *function, const struct verdict *to) {
	const struct plugin *plugin = plugin_of_verdict(registry, to);
	const struct manifest_function *other =
		plugin == NULL ? NULL : manifest_function_find(&plugin->image->manifest, function->type);
	const struct manifest_schema *schema = other == NULL ? NULL : manifest_schema_find(function, other->schema);
	return schema != NULL && (schema->ways & SOFUN_SCHEMA_DOWN) != 0;
}

const char *plugin_keeps_for(const struct plugin *plugin, bool counted) {
	const struct registry *registry = plugin->registry;
	const struct lineage *lineage = lineage_find(registry, plugin->verdict->name);
	const struct manifest *manifest = &plugin->image->manifest;
	for (size_t i = 0; lineage != NULL && i < manifest->function_count; i++) {
		const struct manifest_function *function = &manifest->functions[i];
		if ((function_leads_down(registry, function, lineage->now.base) ||
				(lineage->now.percent > 0 && function_leads_down(registry, function, lineage->now.canary))) &&
			(!counted || instances_of(registry, function->type, function->schema) > 0))
			return function->type;
	}
	return NULL;
}

bool plugin_is_kept(const struct plugin *plugin) {
	const struct lineage *lineage = lineage_find(plugin->registry, plugin->verdict->name);
	return plugin->state == PLUGIN_DRAINING && lineage != NULL && !lineage_has(lineage, plugin->verdict) &&
		(lineage->state == LINEAGE_SETTLED || !lineage_was(lineage, plugin->verdict));
}

size_t plugins_kept(const struct registry *registry, const char *name) {
	size_t count = 0;
	for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
		count += strcmp(plugin->verdict->name, name) == 0 && plugin_is_kept(plugin);
	return count;
}

/* Counts are of durable cuts: an epoch that began when nobody called this version any more has been committed. */
static void keep_counted(void *arg, bool good) {
	struct plugin *plugin = arg;
	if (good)
		plugin->keep = KEEP_COUNTED;
	drain_later(plugin->registry);
}

static void keep_end(struct plugin *plugin, struct lineage *lineage) {
	log_event(LOG_INFO, "plugin_not_needed", "name=%s version=%s", plugin->verdict->name, plugin->verdict->version);
	plugin_turn(plugin, PLUGIN_LEAVING);
	plugin->retained = lineage->now.base != NULL && plugin->verdict->state != VERDICT_QUARANTINED;
	plugin->keep = KEEP_ADOPTING;
	plugin_leave(plugin, registry_publish(plugin->registry));
}

/* True while it is worth looking again soon. */
static bool keep_look(struct plugin *plugin) {
	struct registry *registry = plugin->registry;
	struct lineage *lineage = lineage_find(registry, plugin->verdict->name);
	switch (plugin->keep) {
	case KEEP_ADOPTING:
		if (plugin->keep_view == 0)
			plugin->keep_view = registry->view;
		if (engine_adopted(registry->options.engine) < plugin->keep_view)
			return true;
		plugin->keep = KEEP_COUNTING;
		lineage_commit_then(lineage, keep_counted, plugin);
		return false;
	case KEEP_COUNTING:
		return false;
	default:
		if (plugin_keeps_for(plugin, true) == NULL)
			keep_end(plugin, lineage);
		return false;
	}
}

bool plugins_keep_look(struct registry *registry) {
	bool soon = false;
	for (struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
		if (plugin_is_kept(plugin))
			soon |= keep_look(plugin);
	return soon;
}
