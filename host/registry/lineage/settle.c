/* The way of a change from its fence to its end: when what was before has nothing left to do, and what becomes of it past
 * its deadline. */
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "registry/inside.h"
#include "state/key.h"

static bool type_drained(const struct lineage *lineage, const struct function_type *type) {
	struct engine_waiting waiting;
	engine_waiting(lineage->registry->options.engine, type->number, lineage->side, lineage->fence, &waiting);
	return waiting.messages == 0;
}

static bool lineage_drained(const struct lineage *lineage) {
	const struct registry *registry = lineage->registry;
	if (engine_adopted(registry->options.engine) < lineage->view)
		return false;
	if (lineage->running || !share_loaded(registry, &lineage->before))
		return true;
	for (size_t i = 1; i < registry->type_count; i++) {
		const struct function_type *type = registry->types[i];
		if (type != NULL && strcmp(type->plugin, lineage->name) == 0 && !type_drained(lineage, type))
			return false;
	}
	return true;
}

bool lineage_closes(const struct lineage *lineage) {
	if (lineage->state == LINEAGE_SETTLED)
		return lineage_leaves_any(lineage);
	return lineage->state == LINEAGE_DRAINING && (lineage->running || lineage_left(lineage) == 0);
}

void lineage_commit_then(struct lineage *lineage, commit_then *then, void *arg) {
	struct key key = lineage_key(lineage);
	struct buf value = {0};
	lineage_write(&value, lineage);
	const struct engine_row row = {.key = key_bytes(&key), .value = bytes_buf(&value)};
	lineage->dirty = false;
	rows_commit(lineage->registry, &row, 1, then, arg);
	buf_finish(&value);
}

void lineage_commit(struct lineage *lineage) {
	lineage_commit_then(lineage, NULL, NULL);
}

/* What is in no share leaves, in the view of that generation. */
static void before_leave(struct lineage *lineage, const struct share *before, uint64_t view) {
	struct registry *registry = lineage->registry;
	struct verdict *const gone[] = {before->base, before->percent > 0 ? before->canary : NULL};
	for (int i = 0; i < 2; i++) {
		struct plugin *plugin = plugin_of_verdict(registry, gone[i]);
		if (plugin == NULL || share_has(&lineage->now, gone[i]))
			continue;
		if (plugin_keeps_for(plugin, false) != NULL) { /* its state stays draining, and so does its row */
			plugin->keep = KEEP_ADOPTING;
			plugin->keep_view = view;
			drain_later(registry);
			continue;
		}
		plugin->retained = lineage->now.base != NULL;
		plugin_leave(plugin, view);
	}
	if (lineage->unload_due && lineage->now.base != NULL)
		lineage_unload(lineage);
}

/* Nothing of before is on its way any more. */
static void lineage_settle(struct lineage *lineage) {
	struct share before = lineage->before;
	lineage_rest(lineage);
	uint64_t view = registry_publish(lineage->registry);
	lineage_commit(lineage);
	before_leave(lineage, &before, view);
}

static void late_answered(void *arg, uint64_t epoch, bool good) {
	struct lineage *lineage = arg;
	(void)epoch;
	if (!good)
		return;
	struct share before = lineage->late;
	lineage->late = (struct share){0};
	lineage_rest(lineage);
	before_leave(lineage, &before, lineage->view);
	fence_over(lineage->registry);
}

/* A fence that stands behind a shard's long call is not late: the call is. */
static bool lineage_late(const struct lineage *lineage) {
	return registry_wall_ms() >= lineage->deadline_wall_ms;
}

/* A version that leaves while on probation: all that it still owes are messages that it failed for good, and what stands behind
 * them. It will not finish them: the next version does. If others wait for a verdict, too, this says so early; then it is
 * as if the deadline were earlier. */
static bool lineage_owes_undecided(const struct lineage *lineage) {
	const struct registry *registry = lineage->registry;
	struct engine *engine = registry->options.engine;
	uint64_t owed = 0;
	if (!lineage->leaves_undecided || engine_adopted(engine) < lineage->view)
		return false;
	for (size_t i = 1; i < registry->type_count; i++) {
		struct engine_waiting waiting = {0};
		if (registry->types[i] != NULL && strcmp(registry->types[i]->plugin, lineage->name) == 0)
			engine_waiting(engine, registry->types[i]->number, lineage->side, lineage->fence, &waiting);
		owed += waiting.messages;
	}
	return owed > 0 && owed <= engine_undecided_messages(engine);
}

/* Past the deadline: what still waits goes to the versions of now. That is a change of its own, and durable before any of
 * it is handled: a crash must not give an address back to the old version. */
static void lineage_cut_short(struct lineage *lineage) {
	struct registry *registry = lineage->registry;
	if (registry->fencing || registry->commits != NULL)
		return; /* at the next look */
	log_event(LOG_WARN, lineage_late(lineage) ? "plugin_drain_late" : "plugin_drain_undecided", "name=%s fence=%llu",
		lineage->name, (unsigned long long)lineage->fence);
	registry->fencing = true;
	registry->publish_due = false;
	lineage->state = LINEAGE_FENCING;
	lineage->late = lineage->before;
	lineage->before = (struct share){0};
	lineage->fence = 0;
	types_ttl_update(registry, engine_fence_time_ms(registry->options.engine));
	struct rows *rows = rows_create(registry, lineage);
	const struct engine_fence order = {
		.view = registry_view(registry),
		.rows = rows_all(rows),
		.row_count = rows_count(rows),
		.fence_offset = FENCE_NOWHERE,
	};
	lineage->view = registry->view;
	fence_commit(registry, &order, late_answered, lineage);
	rows_destroy(rows);
}

void lineages_look(struct registry *registry, bool *ret_waiting) {
	for (struct lineage *lineage = registry->lineages; lineage != NULL; lineage = lineage->next) {
		if (lineage->state != LINEAGE_DRAINING)
			continue;
		if (lineage_drained(lineage))
			lineage_settle(lineage);
		else if (lineage_late(lineage) || lineage_owes_undecided(lineage))
			lineage_cut_short(lineage);
		*ret_waiting = *ret_waiting || lineage->state != LINEAGE_SETTLED;
	}
}
