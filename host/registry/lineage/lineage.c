/* The versions of a plugin and how they change. Every change is a fence: one epoch, the same on all shards, durable with
 * the rows that say it (rule 29). What was born before it is finished by the versions of before, while it drains; then
 * the view is settled, and what is in no share any more leaves (loaded/retire.c). */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "registry/inside.h"
#include "state/key.h"

enum { KEPT_MAX = VERSIONS_MAX - 1 }; /* a change needs room for its own two versions */

/* ---- the list ---- */

struct lineage *lineage_find(const struct registry *registry, const char *name) {
	struct lineage *lineage = registry->lineages;
	while (lineage != NULL && strcmp(lineage->name, name) != 0)
		lineage = lineage->next;
	return lineage;
}

struct lineage *lineage_add(struct registry *registry, const char *name) {
	struct lineage *lineage = lineage_find(registry, name);
	if (lineage != NULL)
		return lineage;
	lineage = check_alloc(1, sizeof(*lineage));
	check(strlen(name) < sizeof(lineage->name));
	memcpy(lineage->name, name, strlen(name) + 1);
	lineage->registry = registry;
	lineage->next = registry->lineages;
	registry->lineages = lineage;
	return lineage;
}

void lineages_destroy(struct registry *registry) {
	while (registry->lineages != NULL) {
		struct lineage *lineage = registry->lineages;
		registry->lineages = lineage->next;
		free(lineage->types);
		free(lineage);
	}
}

struct plugin *plugin_of_verdict(const struct registry *registry, const struct verdict *verdict) {
	for (struct plugin *plugin = registry->plugins; verdict != NULL && plugin != NULL; plugin = plugin->next)
		if (plugin->verdict == verdict && (plugin->state == PLUGIN_LIVE || plugin->state == PLUGIN_DRAINING))
			return plugin;
	return NULL;
}

bool share_has(const struct share *share, const struct verdict *verdict) {
	return verdict != NULL && (share->base == verdict || (share->percent > 0 && share->canary == verdict));
}

bool lineage_has(const struct lineage *lineage, const struct verdict *verdict) {
	return share_has(&lineage->now, verdict);
}

const struct share *lineage_serves(const struct lineage *lineage) {
	return lineage->state == LINEAGE_ASKED ? &lineage->before : &lineage->now;
}

bool lineage_was(const struct lineage *lineage, const struct verdict *verdict) {
	return share_has(&lineage->before, verdict);
}

/* ---- what is awaited ---- */

static const struct plugin *leaving_of(const struct lineage *lineage) {
	for (const struct plugin *plugin = lineage->registry->plugins; plugin != NULL; plugin = plugin->next)
		if ((plugin->state == PLUGIN_LEAVING || plugin->state == PLUGIN_RETIRING) && plugin->image != NULL &&
			plugin->image->state != IMAGE_STUCK && strcmp(plugin->verdict->name, lineage->name) == 0)
			return plugin;
	return NULL;
}

bool lineage_leaves_any(const struct lineage *lineage) {
	return leaving_of(lineage) != NULL;
}

bool lineage_busy(const struct lineage *lineage, struct error *ret_error) {
	if (lineage == NULL)
		return false;
	const struct plugin *leaving = leaving_of(lineage);
	if (lineage->state == LINEAGE_SETTLED && leaving == NULL) {
		if (plugins_kept(lineage->registry, lineage->name) < KEPT_MAX)
			return false;
		error_set(
			ret_error, ERROR_CONFLICT, "%d versions of %s are still needed to migrate state", KEPT_MAX, lineage->name);
		error_found(ret_error, "instances that only they can read");
		error_expected(ret_error, "at most one such version");
		error_hint(ret_error, "`sofun status` shows what is left and what keeps it");
		return true;
	}
	const struct verdict *old = leaving != NULL ? leaving->verdict : lineage->before.base;
	if (leaving == NULL && (old == NULL || share_has(&lineage->now, old)) && lineage->before.percent > 0)
		old = lineage->before.canary;
	error_set(ret_error, ERROR_CONFLICT, "%s is changing already", lineage->name);
	if (leaving != NULL || (old != NULL && !share_has(&lineage->now, old))) {
		error_found(ret_error, "%s %s is on its way out", lineage->name, old != NULL ? old->version : "");
		error_expected(ret_error, "that it has gone");
	} else { /* all stay, with other shares */
		error_found(ret_error, "messages from before its last change of shares");
		error_expected(ret_error, "that the versions that had their ids then have finished them");
	}
	error_hint(ret_error, "`sofun status` shows what is waited for; then do it again");
	lineage_awaited(lineage, ret_error);
	return true;
}

static bool swap_staged(const struct lineage *lineage) {
	const struct registry *registry = lineage->registry;
	const struct candidate *current = registry->current;
	if (current != NULL && current->swap != NULL && current->swap->lineage == lineage)
		return true;
	for (const struct candidate *waiting = registry->waiting; waiting != NULL; waiting = waiting->next)
		if (waiting->swap != NULL && waiting->swap->lineage == lineage)
			return true;
	return false;
}

bool lineage_taken(const struct lineage *lineage, struct error *ret_error) {
	if (lineage_busy(lineage, ret_error))
		return true;
	if (lineage == NULL || !swap_staged(lineage))
		return false;
	error_set(ret_error, ERROR_CONFLICT, "%s is changing already", lineage->name);
	error_found(ret_error, "a version of it is on its way in");
	error_expected(ret_error, "that it is live, or was refused");
	error_hint(ret_error, "`sofun versions %s` shows what is live; then do it again", lineage->name);
	return true;
}

/* ---- the fence ---- */

static void fence_ask(struct lineage *lineage);

void fence_next(struct registry *registry) {
	for (struct lineage *lineage = registry->lineages; !registry->fencing && lineage != NULL; lineage = lineage->next) {
		if (lineage->state == LINEAGE_ASKED)
			fence_ask(lineage);
	}
	ttl_fence_ask(registry);
}

void fence_over(struct registry *registry) {
	registry->fencing = false;
	rows_release(registry);
	if (registry->publish_due)
		registry_publish(registry);
	fence_next(registry);
}

static void lineage_tell(const struct lineage *lineage) {
	const struct verdict *base = lineage->now.base;
	const struct verdict *old = lineage->before.base;
	log_event(LOG_INFO, "plugin_fence", "name=%s version=%s canary=%s percent=%u before=%s fence=%llu drain=%s",
		lineage->name, base != NULL ? base->version : "none",
		lineage->now.percent > 0 ? lineage->now.canary->version : "none", lineage->now.percent,
		old != NULL ? old->version : "none", (unsigned long long)lineage->fence,
		lineage->running ? "running" : "accepted");
	if (old != NULL)
		events_emit(lineage->registry->options.events, EVENT_DRAIN,
			json_pack("{s:s, s:s, s:I, s:s}", "name", lineage->name, "version", old->version, "fence",
				(json_int_t)lineage->fence, "drain", lineage->running ? "running" : "accepted"));
	if (base != NULL)
		events_emit(lineage->registry->options.events, EVENT_LIVE,
			json_pack("{s:s, s:s, s:I}", "name", lineage->name, "version", base->version, "share_percent",
				(json_int_t)(100 - lineage->now.percent)));
	if (lineage->now.percent > 0)
		events_emit(lineage->registry->options.events, EVENT_LIVE,
			json_pack("{s:s, s:s, s:I}", "name", lineage->name, "version", lineage->now.canary->version,
				"share_percent", (json_int_t)lineage->now.percent));
}

bool share_loaded(const struct registry *registry, const struct share *share) {
	return plugin_of_verdict(registry, share->base) != NULL ||
		(share->percent > 0 && plugin_of_verdict(registry, share->canary) != NULL);
}

void lineage_rest(struct lineage *lineage) {
	lineage->state = LINEAGE_SETTLED;
	lineage->fence = 0;
	lineage->before = (struct share){0};
	lineage->leaves_undecided = false;
}

/* The row of a fence is durable: engine_answer's number is its epoch. */
static void fence_answered(void *arg, uint64_t epoch, bool good) {
	struct lineage *lineage = arg;
	struct registry *registry = lineage->registry;
	commit_then *then = lineage->then;
	lineage->then = NULL;
	free(lineage->types);
	lineage->types = NULL;
	lineage->type_count = 0;
	if (good) {
		lineage->fence = epoch;
		lineage->state = LINEAGE_DRAINING;
		lineage_tell(lineage);
		probation_watch(lineage);
		if (share_loaded(registry, &lineage->before))
			drain_later(registry);
		else
			lineage_rest(lineage);
	}
	if (good) {
		fence_over(registry);
		registry_migrate_wake(registry); /* it may have other times: entries of the sweep */
	}
	if (then != NULL)
		then(lineage->then_arg, good);
}

/* If there is none, what earlier drains have left is told apart from the new no more: this drain then ends without it. */
static uint8_t side_next(const struct lineage *lineage) {
	const struct registry *registry = lineage->registry;
	uint16_t *types = check_alloc(registry->type_count + 1, sizeof(*types));
	size_t count = 0;
	for (size_t i = 1; i < registry->type_count; i++)
		if (registry->types[i] != NULL && strcmp(registry->types[i]->plugin, lineage->name) == 0)
			types[count++] = registry->types[i]->number;
	uint8_t side = engine_side_next(registry->options.engine, lineage->side, types, count);
	free(types);
	return side;
}

static void fence_ask(struct lineage *lineage) {
	struct registry *registry = lineage->registry;
	if (registry->fencing || registry->commits != NULL) {
		lineage->state = LINEAGE_ASKED;
		return;
	}
	registry->fencing = true;
	registry->publish_due = false; /* this view shows it */
	lineage->state = LINEAGE_FENCING;
	lineage->fence = FENCE_NEXT;
	lineage->side = side_next(lineage);
	types_ttl_update(registry, engine_fence_time_ms(registry->options.engine));
	struct rows *rows = rows_create(registry, lineage);
	struct view *view = registry_view(registry);
	lineage->view = registry->view;
	const struct engine_fence order = {
		.view = view,
		.rows = rows_all(rows),
		.row_count = rows_count(rows),
		.fence_offset = LINEAGE_FENCE_OFFSET,
	};
	fence_commit(registry, &order, fence_answered, lineage);
	rows_destroy(rows);
}

/* What a version is from now on, by the shares. */
static void verdict_place(const struct lineage *lineage, struct verdict *verdict) {
	if (verdict == NULL)
		return;
	bool live = share_has(&lineage->now, verdict);
	struct plugin *plugin = plugin_of_verdict(lineage->registry, verdict);
	verdict->state = live ? VERDICT_LIVE : VERDICT_DRAINING;
	if (live) {
		verdict_forgive(verdict);
		verdict_release_file(verdict);
	} else { /* durable with the fence: a crash within the drain does not bring it back, either */
		verdict_hold_file(lineage->registry, verdict);
	}
	if (plugin == NULL)
		return;
	plugin_turn(plugin, live ? PLUGIN_LIVE : PLUGIN_DRAINING);
	plugin->image->state = live ? IMAGE_LIVE : IMAGE_DRAINING;
}

static void versions_place(struct lineage *lineage) {
	verdict_place(lineage, lineage->now.base);
	verdict_place(lineage, lineage->now.percent > 0 ? lineage->now.canary : NULL);
	verdict_place(lineage, lineage->before.base);
	verdict_place(lineage, lineage->before.percent > 0 ? lineage->before.canary : NULL);
}

void lineage_seed(struct lineage *lineage, const struct verdict *canary) {
	if (!types_ttl_differ(lineage->registry, lineage->name))
		lineage->seed = hash_mix(registry_wall_ms(), hash_bytes(0, canary->hash, HASH_BYTES));
}

void lineage_change(struct lineage *lineage, const struct change *change) {
	check(lineage->state == LINEAGE_SETTLED);
	probation_change(lineage, change);
	lineage->before = lineage->now;
	lineage->now = change->next;
	lineage->previous = change->previous;
	lineage->running = change->running;
	lineage->since_wall_ms = registry_wall_ms();
	lineage->deadline_wall_ms = lineage->since_wall_ms + change->deadline_ms;
	lineage->types = change->types;
	lineage->type_count = change->type_count;
	lineage->then = change->then;
	lineage->then_arg = change->arg;
	versions_place(lineage);
	fence_ask(lineage);
}

/* ---- no version at all ---- */

static void copies_forget(struct registry *registry, const char *name) {
	for (struct plugin *plugin = registry->plugins, *next; plugin != NULL; plugin = next) {
		next = plugin->next;
		if (plugin->state == PLUGIN_READY && strcmp(plugin->verdict->name, name) == 0)
			plugin_discard(plugin);
	}
	for (size_t i = 0; i < registry->verdict_count; i++) {
		struct verdict *verdict = registry->verdicts[i];
		if (verdict->state != VERDICT_RETIRED || verdict->image[0] == '\0' || strcmp(verdict->name, name) != 0)
			continue;
		char *path = path_join(registry->images, verdict->image);
		registry->options.disk->unlink(registry->options.disk, path);
		free(path);
		verdict_forget_copy(verdict);
		verdict_commit(registry, verdict, NULL, 0, NULL, NULL);
	}
}

void lineage_unload(struct lineage *lineage) {
	const struct change change = {.deadline_ms = DRAIN_MS_MAX};
	lineage->unload_due = false;
	copies_forget(lineage->registry, lineage->name);
	lineage_change(lineage, &change);
}

void lineage_convict(struct lineage *lineage, const struct verdict *verdict) {
	if (share_has(&lineage->now, verdict))
		lineage->probation_until_ms = 0;
	if (share_has(&lineage->before, verdict) || share_has(&lineage->now, verdict)) {
		lineage->before = (struct share){0};
		lineage->fence = 0;
		lineage->state = LINEAGE_SETTLED;
		lineage->dirty = true;
	}
	if (lineage->now.canary == verdict) {
		lineage->now.canary = NULL;
		lineage->now.percent = 0;
	}
	if (lineage->now.base == verdict && lineage->previous != NULL) {
		lineage->now = (struct share){.base = lineage->previous};
		lineage->previous = NULL;
	}
	if (lineage->previous == verdict)
		lineage->previous = NULL;
}

void lineages_resume(struct registry *registry) {
	for (struct lineage *lineage = registry->lineages; lineage != NULL; lineage = lineage->next) {
		if (lineage->state != LINEAGE_DRAINING)
			continue;
		lineage->view = registry->view;
		drain_later(registry);
	}
	for (struct lineage *lineage = registry->lineages; lineage != NULL; lineage = lineage->next)
		probation_resume(lineage);
}
