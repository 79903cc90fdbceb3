/* What is asked for by name: swap to a version, promote a canary, roll back. A version that is not loaded is staged from
 * its copy like any other file, so whatever may fail fails before the fence. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "flow/request/answer_error.h"
#include "registry/inside.h"

/* Who is answered once the fence is durable. */
struct asker {
	struct registry *registry;
	struct verdict *verdict;
	registry_done *done;
	void *arg;
};

static void asker_answer(void *arg, bool good) {
	struct asker *asker = arg;
	struct plugin *plugin = plugin_of_verdict(asker->registry, asker->verdict);
	struct error error;
	error_set(&error, ERROR_STORE_FAILED, "the row of the swap could not be made durable");
	if (good && plugin != NULL)
		done_report(plugin, asker->done, asker->arg);
	else
		asker->done(asker->arg, NULL, &error);
	free(asker);
}

static struct asker *asker_create(struct registry *registry, struct verdict *verdict, registry_done *done, void *arg) {
	struct asker *asker = check_alloc(1, sizeof(*asker));
	*asker = (struct asker){.registry = registry, .verdict = verdict, .done = done, .arg = arg};
	return asker;
}

/* ---- what is refused ---- */

static bool lineage_admits(const struct registry *registry, const char *name, struct error *error) {
	const struct lineage *lineage = lineage_find(registry, name);
	if (registry->stopped) {
		answer_error(&(struct engine_answer){.code = ERROR_STOPPING}, error);
		return false;
	}
	if (lineage_taken(lineage, error))
		return false;
	if (lineage != NULL)
		return true;
	error_set(error, ERROR_NOT_FOUND, "there is no plugin of that name");
	error_found(error, "%s", name);
	error_expected(error, "the name of a plugin that was live");
	error_hint(error, "`sofun status` lists them");
	return false;
}

static struct verdict *version_find(const struct registry *registry, const char *name, const char *version) {
	for (size_t i = 0; i < registry->verdict_count; i++) {
		struct verdict *verdict = registry->verdicts[i];
		if (strcmp(verdict->name, name) == 0 && strcmp(verdict->version, version) == 0 && verdict->image[0] != '\0' &&
			(verdict->state == VERDICT_READY || (verdict->state == VERDICT_RETIRED && verdict->kept != 0)))
			return verdict;
	}
	return NULL;
}

static bool version_missing(const struct lineage *lineage, const char *version, struct error *error) {
	const char *name = lineage->name;
	if (lineage_leaves(lineage, version)) {
		error_set(error, ERROR_CONFLICT, "%s %s is on its way out", name, version);
		error_expected(error, "that it has gone");
		error_hint(error, "`sofun status` shows what it waits for; then do it again");
		lineage_awaited(lineage, error);
		return false;
	}
	error_set(error, ERROR_NOT_FOUND, "the host does not have that version of %s", name);
	error_found(error, "%s %s", name, version);
	error_expected(error, "a version that is ready, or was live");
	error_hint(error, "`sofun versions %s` lists them; `sofun load FILE` brings another", name);
	return false;
}

/* ---- changes among what is loaded ---- */

static void lineage_reshare(struct lineage *lineage, const struct share *next, const struct registry_swap *order,
	struct verdict *previous, struct asker *asker) {
	const struct change change = {
		.next = *next,
		.previous = previous,
		.running = order->running,
		.deadline_ms = order->deadline_ms,
		.then = asker_answer,
		.arg = asker,
	};
	lineage_change(lineage, &change);
}

static void stage_version(struct lineage *lineage, struct verdict *verdict, const struct registry_swap *order,
	bool rollback, registry_done *done, void *arg) {
	struct registry *registry = lineage->registry;
	const char *file = verdict->file[0] != '\0' ? verdict->file : verdict->image;
	struct candidate *candidate =
		candidate_add(registry, path_join(registry->images, verdict->image), check_strdup(file));
	candidate->force = true;
	candidate->swap = check_alloc(1, sizeof(*candidate->swap));
	*candidate->swap = (struct swap){
		.lineage = lineage,
		.running = order->running,
		.deadline_ms = order->deadline_ms,
		.percent = order->percent == 100 ? 0 : order->percent,
		.rollback = rollback,
		.no_way_back = order->no_way_back,
	};
	candidate->done = done;
	candidate->done_arg = arg;
	candidates_next(registry);
}

void lineage_previous_back(struct lineage *lineage, const struct registry_swap *order, registry_done *done, void *arg) {
	stage_version(lineage, lineage->previous, order, true, done, arg);
}

/* ---- the requests ---- */

static void promote(struct lineage *lineage, const struct registry_swap *order, registry_done *done, void *arg) {
	const struct share next = {.base = lineage->now.canary};
	lineage_reshare(lineage, &next, order, lineage->now.base, asker_create(lineage->registry, next.base, done, arg));
}

void lineage_canary_back(struct lineage *lineage, const struct registry_swap *order, registry_done *done, void *arg) {
	const struct share next = {.base = lineage->now.base};
	lineage_reshare(lineage, &next, order, lineage->previous, asker_create(lineage->registry, next.base, done, arg));
}

static void canary_reshare(struct lineage *lineage, const struct registry_swap *order, registry_done *done, void *arg) {
	struct share next = lineage->now;
	next.percent = order->percent;
	lineage_reshare(lineage, &next, order, lineage->previous, asker_create(lineage->registry, next.canary, done, arg));
}

static bool canary_other(const struct lineage *lineage, const char *version, struct error *error) {
	error_set(error, ERROR_CONFLICT, "a canary of %s is running", lineage->name);
	error_found(error, "%s while %s has %u %% of the ids", version, lineage->now.canary->version, lineage->now.percent);
	error_expected(error, "that it is promoted or rolled back first");
	error_hint(error, "`sofun promote %s` or `sofun rollback %s`", lineage->name, lineage->name);
	return false;
}

/* A version that is loaded for its way down, to be live again; not while a canary runs. */
static const struct plugin *kept_find(const struct lineage *lineage, const char *version) {
	for (const struct plugin *plugin = lineage->registry->plugins; plugin != NULL; plugin = plugin->next)
		if (lineage->now.percent == 0 && strcmp(plugin->verdict->name, lineage->name) == 0 &&
			strcmp(plugin->verdict->version, version) == 0 && plugin_is_kept(plugin))
			return plugin;
	return NULL;
}

static void kept_back(
	struct lineage *lineage, struct verdict *kept, const struct registry_swap *order, registry_done *done, void *arg) {
	const struct share next = {.base = kept};
	lineage_reshare(lineage, &next, order, lineage->now.base, asker_create(lineage->registry, kept, done, arg));
}

static void kept_canary(
	struct lineage *lineage, struct verdict *kept, const struct registry_swap *order, registry_done *done, void *arg) {
	const struct share next = {.base = lineage->now.base, .canary = kept, .percent = order->percent};
	lineage_seed(lineage, kept);
	lineage_reshare(lineage, &next, order, lineage->previous, asker_create(lineage->registry, kept, done, arg));
}

/* The version is one that is loaded; true if that settles the request. */
static bool swap_loaded(struct lineage *lineage, const struct registry_swap *order, registry_done *done, void *arg) {
	const struct verdict *base = lineage->now.base;
	bool canary = lineage->now.percent > 0;
	bool whole = order->percent == 0 || order->percent == 100;
	if (canary && strcmp(lineage->now.canary->version, order->version) == 0) {
		(whole ? promote : canary_reshare)(lineage, order, done, arg);
		return true;
	}
	const struct plugin *kept = kept_find(lineage, order->version);
	if (kept != NULL) {
		(whole || base == NULL ? kept_back : kept_canary)(lineage, kept->verdict, order, done, arg);
		return true;
	}
	if (base == NULL || strcmp(base->version, order->version) != 0 ||
		plugin_of_verdict(lineage->registry, base) == NULL)
		return false;
	if (canary)
		lineage_canary_back(lineage, order, done, arg);
	else /* nothing changes: the row again, so that the answer says what is durable */
		lineage_commit_then(lineage, asker_answer, asker_create(lineage->registry, lineage->now.base, done, arg));
	return true;
}

static void swap_now(
	struct registry *registry, const char *name, const struct registry_swap *order, registry_done *done, void *arg) {
	struct error error;
	struct lineage *lineage = lineage_find(registry, name);
	if (!lineage_admits(registry, name, &error)) {
		late_error(registry, done, arg, &error);
		return;
	}
	if (swap_loaded(lineage, order, done, arg))
		return;
	struct verdict *verdict = version_find(registry, name, order->version);
	if (lineage->now.percent > 0 && !canary_other(lineage, order->version, &error))
		late_error(registry, done, arg, &error);
	else if (verdict == NULL && !version_missing(lineage, order->version, &error))
		late_error(registry, done, arg, &error);
	else
		stage_version(lineage, verdict, order, false, done, arg);
}

/* Whoever names a version wants that one, and no other that happens to be next. */
static bool version_expected(const struct verdict *next, const struct registry_swap *order, struct error *error) {
	if (order->version == NULL || strcmp(order->version, next->version) == 0)
		return true;
	error_set(error, ERROR_CONFLICT, "another version of %s is next", next->name);
	error_found(error, "%s", next->version);
	error_expected(error, "%s, as was asked for", order->version);
	error_hint(error, "`sofun versions %s` lists what there is; `sofun swap %s VERSION` makes one of it live",
		next->name, next->name);
	return false;
}

static void promote_now(
	struct registry *registry, const char *name, const struct registry_swap *order, registry_done *done, void *arg) {
	struct error error;
	struct lineage *lineage = lineage_find(registry, name);
	bool good = lineage_admits(registry, name, &error);
	bool canary = good && lineage->now.percent > 0;
	if (good && !canary && !lineage_on_probation(lineage)) {
		good =
			error_set(&error, ERROR_CONFLICT, "no canary of %s is running, and no version of it is on probation", name);
		error_found(&error, "%s", lineage->now.base != NULL ? "one version that has all ids" : "no live version");
		error_expected(&error, "a version whose promotion would change something");
		error_hint(&error, "`sofun swap %s VERSION --canary P` starts a canary", name);
	}
	good = good && version_expected(canary ? lineage->now.canary : lineage->now.base, order, &error);
	if (good && canary)
		promote(lineage, order, done, arg);
	else if (good) /* it has all ids already: what it failed for good is decided now */
		probation_end(lineage, asker_answer, asker_create(registry, lineage->now.base, done, arg));
	else
		late_error(registry, done, arg, &error);
}

static void rollback_now(
	struct registry *registry, const char *name, const struct registry_swap *order, registry_done *done, void *arg) {
	struct error error;
	struct lineage *lineage = lineage_find(registry, name);
	bool good = lineage_admits(registry, name, &error);
	bool canary = good && lineage->now.percent > 0;
	struct verdict *previous = good ? lineage->previous : NULL;
	if (good && !canary && (previous == NULL || previous->image[0] == '\0')) {
		good = error_set(&error, ERROR_CONFLICT, "there is nothing to roll %s back to", name);
		error_found(&error, "no version of it that was live before and is kept");
		error_expected(&error, "a version that was live before this one");
		error_hint(&error, "`sofun versions %s` lists what there is; `sofun swap %s VERSION` makes one of it live",
			name, name);
	}
	good = good && version_expected(canary ? lineage->now.base : previous, order, &error);
	if (!good) {
		late_error(registry, done, arg, &error);
		return;
	}
	const struct verdict *from = canary ? lineage->now.canary : lineage->now.base;
	const struct verdict *to = canary ? lineage->now.base : previous;
	log_event(LOG_WARN, "plugin_rollback", "name=%s from=%s to=%s why=\"asked for\"", name,
		from != NULL ? from->version : "none", to->version);
	events_emit(registry->options.events, EVENT_ROLLBACK,
		json_pack("{s:s, s:s, s:s, s:s}", "name", name, "from", from != NULL ? from->version : "", "to", to->version,
			"reason", "asked for"));
	if (canary)
		lineage_canary_back(lineage, order, done, arg);
	else
		lineage_previous_back(lineage, order, done, arg);
}

/* ---- or once an image is closed ---- */

void registry_swap(
	struct registry *registry, const char *name, const struct registry_swap *order, registry_done *done, void *arg) {
	if (!order_postpone(registry, name, order, swap_now, done, arg))
		swap_now(registry, name, order, done, arg);
}

void registry_promote(
	struct registry *registry, const char *name, const struct registry_swap *order, registry_done *done, void *arg) {
	if (!order_postpone(registry, name, order, promote_now, done, arg))
		promote_now(registry, name, order, done, arg);
}

void registry_rollback(
	struct registry *registry, const char *name, const struct registry_swap *order, registry_done *done, void *arg) {
	if (!order_postpone(registry, name, order, rollback_now, done, arg))
		rollback_now(registry, name, order, done, arg);
}
