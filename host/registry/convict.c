/* Versions that killed the host: what the supervisor knows of their deaths becomes a verdict before anything is loaded, and the
 * version before takes their place, if it can read what they wrote (rules 34 and 36). */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "registry/inside.h"
#include "state/key.h"
#include "supervisor/crash.h"
#include "wire/json.h"

/* ---- the verdict ---- */

static void verdict_convict(struct verdict *verdict, const char *when, const char *found, const char *expected) {
	struct error error;
	error_set(&error, ERROR_REFUSED, "%s %s killed the host %s: quarantined", verdict->name, verdict->version, when);
	error_found(&error, "%s", found);
	error_expected(&error, "%s", expected);
	error_hint(&error, "repair the plugin; `sofun load` tries it again");
	log_event(
		LOG_ERROR, "plugin_quarantined", "name=%s version=%s found=\"%s\"", verdict->name, verdict->version, found);
	verdict_refuse(verdict, VERDICT_QUARANTINED, &error);
	verdict->written = false;
}

static void sentence_of_load(struct verdict *verdict, const char *found) {
	verdict_convict(verdict, "when it was loaded", found, "an init that returns");
}

/* A version that dies in two different messages while it is new is convicted before they are (rule 34). */
static void sentence_of_messages(struct verdict *verdict, uint64_t probation_ms) {
	char found[sizeof(((struct error *)0)->found)];
	const struct crash_row *last;
	uint32_t messages =
		crash_of_image(crash_current(), verdict->hash, verdict->time_ms, verdict->time_ms + probation_ms, &last);
	if (probation_ms == 0 || messages < CRASH_MESSAGES_CONVICT)
		return;
	snprintf(found, sizeof(found), "%u deaths in its code, the last one %s%s%s", messages, last->cause,
		last->name[0] == '\0' ? "" : " in ", last->name);
	verdict_convict(verdict, "soon after it went live", found, "at most one message that it dies of");
}

/* What the workers died of, the supervisor knows: while loading, one death is enough. */
static void verdict_sentence(struct verdict *verdict, uint64_t probation_ms) {
	char found[CRASH_CAUSE_BYTES + 32];
	if (verdict->state != VERDICT_ATTEMPTING && !verdict_needs_image(verdict))
		return;
	const struct crash_row *death = crash_of_load(crash_current(), verdict->hash);
	if (death != NULL) {
		snprintf(found, sizeof(found), "%s in its code", death->cause);
		sentence_of_load(verdict, found);
	} else if (verdict->state == VERDICT_ATTEMPTING && verdict->attempts >= ATTEMPTS_MAX) {
		snprintf(found, sizeof(found), "left in the state attempting %u times", (unsigned)ATTEMPTS_MAX);
		sentence_of_load(verdict, found);
	} else if (verdict->state == VERDICT_LIVE) {
		sentence_of_messages(verdict, probation_ms);
	}
}

/* ---- the way back ---- */

struct way_back {
	const struct manifest_function *to;
	const struct manifest_function *from; /* NULL: it does not have the type */
	bool down;                            /* some instance needs the way down */
};

static bool schema_leads_back(void *arg, uint32_t schema) {
	struct way_back *way = arg;
	const struct manifest_schema *earlier = manifest_schema_find(way->to, schema);
	if (schema == way->to->schema || (earlier != NULL && (earlier->ways & SOFUN_SCHEMA_UP) != 0))
		return true;
	const struct manifest_schema *down =
		way->from == NULL || way->from->schema != schema ? NULL : manifest_schema_find(way->from, way->to->schema);
	way->down = true;
	return down != NULL && (down->ways & SOFUN_SCHEMA_DOWN) != 0;
}

static struct image *copy_read(const struct registry *registry, const struct verdict *verdict, const char *name) {
	struct error error;
	char *path = path_join(registry->images, name);
	struct image *image = name[0] == '\0' ? NULL : verdict_image(verdict, path, &error);
	free(path);
	return image;
}

/* Whether `to` reads all that there is, with the way down of `from`; *ret_down: it is needed. */
static bool leads_back(
	const struct registry *registry, const struct image *from, const struct image *to, bool *ret_down) {
	for (size_t i = 0; to != NULL && i < to->manifest.function_count; i++) {
		const struct manifest_function *function = &to->manifest.functions[i];
		const struct function_type *type = type_find(registry, bytes_text(function->type));
		struct way_back way = {
			.to = function, .from = from == NULL ? NULL : manifest_function_find(&from->manifest, function->type)};
		if (type != NULL && engine_schema_unread(registry->options.engine, type->number, schema_leads_back, &way))
			return false;
		*ret_down = *ret_down || way.down;
	}
	return to != NULL;
}

/* The convicted version's copy stays if it alone takes instances down. False: nothing of before could read the state. */
static bool convict_leads_back(
	const struct registry *registry, struct verdict *verdict, const struct verdict *to, const char *copy) {
	bool down = false;
	struct image *from = copy_read(registry, verdict, copy);
	struct image *image = to == NULL ? NULL : copy_read(registry, to, to->image);
	bool good = leads_back(registry, from, image, &down);
	if (good && down)
		verdict_set_text(&verdict->image, copy);
	image_destroy(from);
	image_destroy(image);
	return good;
}

bool sentence_leaves_way_down(struct verdict *verdict) {
	const struct crash_row *last;
	if (!verdict->written) /* just judged: its deaths were not in migrate alone */
		return true;
	if (crash_of_load(crash_current(), verdict->hash) == NULL &&
		crash_of_image(crash_current(), verdict->hash, 0, UINT64_MAX, &last) < CRASH_MESSAGES_CONVICT)
		return true;
	log_event(LOG_ERROR, "plugin_way_down_lost", "name=%s version=%s", verdict->name, verdict->version);
	verdict_forget_copy(verdict);
	verdict->written = false;
	return false;
}

/* ---- who takes its place ---- */

static void rollback_tell(struct registry *registry, const struct verdict *from, const struct verdict *to) {
	log_event(LOG_WARN, "plugin_rollback", "name=%s from=%s to=%s why=\"%s\"", from->name, from->version, to->version,
		from->refusal->found);
	events_emit(registry->options.events, EVENT_ROLLBACK,
		json_pack("{s:s, s:s, s:s, s:o}", "name", from->name, "from", from->version, "to", to->version, "reason",
			json_from_words(bytes_text(from->refusal->message))));
}

/* fresh: it is judged now; else its row was durable, and perhaps that of its plugin's versions was not. */
static void verdict_succeed(struct registry *registry, struct verdict *verdict, const char *copy, bool fresh) {
	struct lineage *lineage = lineage_find(registry, verdict->name);
	if (lineage == NULL)
		return;
	bool base = lineage->now.base == verdict;
	bool had = base || lineage->now.canary == verdict;
	if (had && !convict_leads_back(registry, verdict, base ? lineage->previous : lineage->now.base, copy) && base &&
		lineage->previous != NULL) {
		log_event(LOG_ERROR, "plugin_no_way_back", "name=%s from=%s to=%s", verdict->name, verdict->version,
			lineage->previous->version);
		lineage->previous = NULL; /* it waits, quarantined */
	}
	lineage_convict(lineage, verdict);
	if (fresh && had && lineage->now.base != NULL && lineage->now.base != verdict)
		rollback_tell(registry, verdict, lineage->now.base);
}

/* Those who killed the host lose their share before anything is loaded. */
void verdicts_sentence(struct registry *registry) {
	for (size_t i = 0; i < registry->verdict_count; i++) {
		struct verdict *verdict = registry->verdicts[i];
		char *copy = check_strdup(verdict->image);
		bool judged = verdict->state == VERDICT_QUARANTINED;
		verdict_sentence(verdict, registry->options.config->crash_probation_ms);
		if (verdict->state == VERDICT_QUARANTINED)
			verdict_succeed(registry, verdict, copy, !judged);
		free(copy);
	}
}
