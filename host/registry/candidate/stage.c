/* A candidate on its way from a file to live. One at a time, each step by the thread that stage.h names:
 *
 *   candidate_start → examine → candidate_examined → row `attempting` → candidate_attempt → open
 *     → candidate_opened → fence (lineage/lineage.c) → candidate_live
 *
 * From `attempting` on it is in open.c; one that is to be kept ready ends there with the row `ready`. Whatever
 * refuses ends in candidate_refuse; nothing was visible before the fence. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "flow/request/answer_error.h"
#include "registry/inside.h"
#include "wire/json.h"

static struct candidate *candidate_of(struct stage_job *job) {
	return (struct candidate *)((char *)job - offsetof(struct candidate, job));
}

/* ---- the end of a candidate ---- */

static void candidate_free(struct candidate *candidate) {
	struct registry *registry = candidate->registry;
	struct disk *disk = registry->options.disk;
	if (candidate->placed != NULL)
		disk->unlink(disk, candidate->placed); /* a leftover does not count, and is cleaned at the next start */
	if (candidate->found.image != NULL) {
		disk->unlink(disk, candidate->found.image->path);
		image_destroy(candidate->found.image);
	}
	if (candidate->replaced != NULL)
		disk->unlink(disk, candidate->replaced);
	free(candidate->replaced);
	free(candidate->swap);
	free(candidate->placed);
	free(candidate->known);
	free(candidate->path);
	free(candidate->file);
	free(candidate);
}

void candidate_end(struct candidate *candidate) {
	struct registry *registry = candidate->registry;
	check(registry->current == candidate);
	registry->current = NULL;
	candidate_free(candidate);
	candidates_next(registry);
}

void candidate_tell_inbox(const struct candidate *candidate, enum inbox_verdict verdict) {
	if (candidate->from_inbox)
		inbox_judged(candidate->registry->inbox, candidate->file, verdict);
}

void candidate_tell_error(struct candidate *candidate, const struct error *error) {
	registry_done *done = candidate->done;
	candidate->done = NULL;
	if (done != NULL)
		done(candidate->done_arg, NULL, error);
}

struct offer *candidate_offer(struct candidate *candidate, const struct error *error) {
	struct offer *offer = offer_find(candidate->registry, candidate->file);
	/* A refused load from elsewhere says nothing of a file of that name in the directory. */
	if (offer != NULL && !offer->from_load && candidate->place)
		return offer;
	offer = offer_add(candidate->registry, candidate->file, candidate->place);
	offer_judge(offer, candidate->found.hashed ? candidate->found.hash : NULL, &candidate->found.identity, error);
	return offer;
}

/* Visible, told, and over. */
static void candidate_refuse(struct candidate *candidate, const struct error *error) {
	char line[sizeof(*error)];
	error_line(error, line, sizeof(line));
	log_event(LOG_WARN, "plugin_refused", "file=\"%s\" why=\"%s\"", candidate->file, line);
	events_emit(candidate->registry->options.events, EVENT_REFUSED,
		json_pack("{s:o, s:o}", "file", json_from_words(bytes_text(candidate->file)), "why",
			json_from_words(bytes_text(line))));
	if (candidate->swap == NULL)
		candidate_offer(candidate, error);
	candidate_tell_inbox(candidate, INBOX_JUDGED);
	candidate_tell_error(candidate, error);
	candidate_end(candidate);
}

void refused_durable(void *arg, bool good) {
	struct candidate *candidate = arg;
	(void)good; /* if it is not, the store has failed, and says so */
	candidate_refuse(candidate, &candidate->found.error);
}

void candidate_judge_bytes(struct candidate *candidate) {
	struct verdict *verdict = verdict_add(candidate->registry, candidate->found.hash);
	if (verdict->name[0] == '\0') {
		memcpy(verdict->name, candidate->found.name, sizeof(verdict->name));
		memcpy(verdict->version, candidate->found.version, sizeof(verdict->version));
	}
	verdict_set_text(&verdict->file, candidate->file);
	verdict_refuse(verdict, VERDICT_REFUSED, &candidate->found.error);
	verdict_commit(candidate->registry, verdict, NULL, 0, refused_durable, candidate);
}

/* ---- judging what was examined ---- */

/* Versions are what a plugin is known by: one that is in, or may come back, has its bytes for good. */
static bool version_free(const struct candidate *candidate, struct error *error) {
	const struct registry *registry = candidate->registry;
	const struct image *image = candidate->found.image;
	for (size_t i = 0; i < registry->verdict_count; i++) {
		const struct verdict *other = registry->verdicts[i];
		bool in = other->state == VERDICT_LIVE || other->state == VERDICT_DRAINING || other->state == VERDICT_READY;
		if ((!in && !(other->state == VERDICT_RETIRED && other->kept != 0)) || strcmp(other->name, image->name) != 0 ||
			strcmp(other->version, image->version) != 0 || memcmp(other->hash, image->hash, HASH_BYTES) == 0)
			continue;
		error_set(error, ERROR_REFUSED, "%s %s is %s with other bytes", other->name, other->version,
			verdict_state_name(other->state));
		error_found(error, "%s %s, content %.16s", image->name, image->version, image->hash_text);
		error_expected(error, "a version that no plugin has");
		error_hint(error, "raise the version in the plugin; the same version is never replaced");
		return false;
	}
	return true;
}

/* The name under which a copy is to be placed must not hide another plugin's file. */
static bool place_free(const struct candidate *candidate, struct error *error) {
	for (const struct plugin *plugin = candidate->registry->plugins; candidate->place && plugin != NULL;
		 plugin = plugin->next) {
		if (plugin->state == PLUGIN_STUCK || strcmp(plugin->verdict->file, candidate->file) != 0 ||
			strcmp(plugin->verdict->name, candidate->found.image->name) == 0)
			continue;
		error_set(error, ERROR_REFUSED, "another plugin's file has that name in the plugins directory");
		error_found(error, "%.200s of plugin %s", candidate->file, plugin->verdict->name);
		error_expected(error, "a file name of its own");
		error_hint(error, "rename the file, for instance to %s.so", candidate->found.image->name);
		return false;
	}
	return true;
}

/* Not now: another version is on its way. A dropped file is offered again then; a load is for its caller to repeat. */
static void candidate_defer(struct candidate *candidate, const struct error *error) {
	if (candidate->from_inbox)
		candidate_offer(candidate, NULL)->deferred = true;
	candidate_tell_inbox(candidate, INBOX_JUDGED);
	candidate_tell_error(candidate, error);
	candidate_end(candidate);
}

static bool canary_runs(const struct lineage *lineage, struct error *error) {
	if (lineage == NULL || lineage->now.percent == 0)
		return false;
	error_set(error, ERROR_CONFLICT, "a canary of %s is running", lineage->name);
	error_found(error, "%s %s has %u %% of the ids", lineage->name, lineage->now.canary->version, lineage->now.percent);
	error_expected(error, "one live version");
	error_hint(error, "`sofun promote %s` or `sofun rollback %s` first", lineage->name, lineage->name);
	return true;
}

/* A newer version goes live by itself, under the policy auto; others are kept ready for `sofun swap`. */
static bool goes_live(const struct candidate *candidate, const struct plugin *live) {
	if (candidate->swap != NULL || live == NULL || live->state != PLUGIN_LIVE)
		return true;
	struct error no_way_back;
	return !candidate->registry->options.config->plugins_manual &&
		types_lead_back(candidate->registry, &candidate->found.image->manifest, &no_way_back) &&
		manifest_version_compare(candidate->found.image->version, live->verdict->version) > 0;
}

static void candidate_judge(struct candidate *candidate) {
	struct registry *registry = candidate->registry;
	const struct manifest *manifest = &candidate->found.image->manifest;
	const struct lineage *lineage = lineage_find(registry, manifest->name);
	struct error error;
	if (lineage_busy(lineage, &error) || canary_runs(lineage, &error)) {
		candidate_defer(candidate, &error);
		return;
	}
	candidate->ready = !goes_live(candidate, plugin_find(registry, manifest->name));
	const struct swap *swap = candidate->swap;
	if ((swap != NULL && !swap->rollback && !swap->no_way_back && !types_lead_back(registry, manifest, &error)) ||
		!version_free(candidate, &error) || !types_admit(registry, manifest, &error) || !place_free(candidate, &error))
		candidate_refuse(candidate, &error);
	else
		candidate_commit_attempt(candidate);
}

/* ---- what was judged before ---- */

/* The same bytes are live: nothing happens, but the file may be their new home. */
static void candidate_is_live(struct candidate *candidate, struct plugin *plugin) {
	struct registry *registry = candidate->registry;
	struct verdict *verdict = plugin->verdict;
	if (!candidate->place && strcmp(verdict->file, candidate->file) != 0 &&
		!inbox_has(registry->inbox, verdict->file)) {
		verdict_set_text(&verdict->file, candidate->file);
		verdict_commit(registry, verdict, NULL, 0, NULL, NULL);
	}
	if (!candidate->place)
		candidate_offer(candidate, plugin->state == PLUGIN_PARKED ? &plugin->parked : NULL);
	else if (offer_find(registry, candidate->file) != NULL && offer_find(registry, candidate->file)->from_load)
		offer_remove(registry, candidate->file); /* an earlier refusal of that load */
	candidate_tell_inbox(candidate, INBOX_JUDGED);
	registry_done *done = candidate->done;
	candidate->done = NULL;
	if (done != NULL)
		done_report(plugin, done, candidate->done_arg);
	candidate_end(candidate);
}

static bool candidate_held(const struct candidate *candidate, const struct verdict *verdict) {
	return candidate->from_inbox && verdict->held_inode == candidate->found.identity.inode &&
		verdict->held_ctime_ns == candidate->found.identity.ctime_ns;
}

/* Known, and nothing is to be done with it. */
static void candidate_stays(struct candidate *candidate, struct verdict *verdict) {
	if (verdict->state == VERDICT_READY && !candidate->place)
		verdict_set_text(&verdict->file, candidate->file);
	candidate_offer(candidate, NULL);
	candidate_tell_inbox(candidate, INBOX_JUDGED);
	candidate_end(candidate);
}

static void candidate_start(struct candidate *candidate);

static void leaving_set(const struct verdict *verdict, struct error *error) {
	error_set(error, ERROR_CONFLICT, "%s %s is on its way out", verdict->name, verdict->version);
	error_found(error, "the same file, not gone yet");
	error_advise(error, "that it has gone", "`sofun status` shows what it waits for; then do it again");
}

static void candidate_known(struct candidate *candidate) {
	struct verdict *verdict = verdict_find(candidate->registry, candidate->found.hash);
	struct error error;
	check(verdict != NULL);
	if (!lineage_busy(lineage_find(candidate->registry, verdict->name), &error))
		leaving_set(verdict, &error);
	switch (verdict->state) {
	case VERDICT_REFUSED:
	case VERDICT_QUARANTINED:
		candidate_refuse(candidate, verdict->refusal);
		return;
	case VERDICT_READY:
		candidate_stays(candidate, verdict);
		return;
	case VERDICT_RETIRED:
		if (candidate_held(candidate, verdict)) {
			candidate_stays(candidate, verdict);
			return;
		}
		if (verdict->refusal != NULL) { /* it went back for a reason (rule 32) */
			candidate_refuse(candidate, verdict->refusal);
			return;
		}
		candidate->force = true; /* dropped anew */
		candidate_start(candidate);
		return;
	default:
		for (struct plugin *plugin = candidate->registry->plugins; plugin != NULL; plugin = plugin->next) {
			if (plugin->verdict != verdict || plugin->state == PLUGIN_STUCK)
				continue;
			if (plugin->state == PLUGIN_LIVE || plugin->state == PLUGIN_PARKED)
				candidate_is_live(candidate, plugin);
			else
				candidate_defer(candidate, &error);
			return;
		}
		candidate->force = true;
		candidate_start(candidate);
	}
}

static void candidate_incomplete(struct candidate *candidate) {
	struct error *error = &candidate->found.error;
	char message[sizeof(error->message)];
	if (candidate->from_inbox && !candidate->patience_over) {
		candidate_tell_inbox(candidate, INBOX_INCOMPLETE);
		candidate_end(candidate);
		return;
	}
	memcpy(message, error->message, sizeof(message));
	if (candidate->from_inbox)
		snprintf(error->message, sizeof(error->message), "%.300s; it is still growing, or was cut off, after %llu ms",
			message, (unsigned long long)candidate->registry->options.config->stage_patience_ms);
	candidate_refuse(candidate, error);
}

static void candidate_absent(struct candidate *candidate) {
	candidate_tell_inbox(candidate, INBOX_JUDGED);
	candidate_tell_error(candidate, &candidate->found.error);
	candidate_end(candidate);
}

static void candidate_examined(struct stage_job *job, bool cancelled) {
	struct candidate *candidate = candidate_of(job);
	if (cancelled || candidate->registry->stopped)
		return;
	switch (candidate->result) {
	case EXAMINE_GOOD:
		candidate_judge(candidate);
		return;
	case EXAMINE_KNOWN:
		candidate_known(candidate);
		return;
	case EXAMINE_INCOMPLETE:
		candidate_incomplete(candidate);
		return;
	case EXAMINE_ABSENT:
		candidate_absent(candidate);
		return;
	case EXAMINE_UNREADABLE:
		candidate_refuse(candidate, &candidate->found.error);
		return;
	case EXAMINE_REFUSED:
		candidate_judge_bytes(candidate);
	}
}

/* ---- starting ---- */

static bool verdict_stands(const struct candidate *candidate, const struct verdict *verdict) {
	const struct plugin *plugin = plugin_find(candidate->registry, verdict->name);
	bool parked = plugin != NULL && plugin->verdict == verdict && plugin->state == PLUGIN_PARKED;
	switch (verdict->state) {
	case VERDICT_LIVE:
	case VERDICT_DRAINING:
		return !parked || (!candidate->force && !plugin->restage);
	case VERDICT_REFUSED:
	case VERDICT_QUARANTINED:
	case VERDICT_READY:
		return !candidate->force;
	case VERDICT_RETIRED:
		return !candidate->force && (verdict->held_inode != 0 || verdict->refusal != NULL);
	default:
		return false;
	}
}

static void candidate_note_known(struct candidate *candidate) {
	const struct registry *registry = candidate->registry;
	free(candidate->known);
	candidate->known_count = 0;
	candidate->known = check_alloc(registry->verdict_count + 1, HASH_BYTES);
	for (size_t i = 0; i < registry->verdict_count; i++)
		if (verdict_stands(candidate, registry->verdicts[i]))
			memcpy(candidate->known[candidate->known_count++], registry->verdicts[i]->hash, HASH_BYTES);
}

static void examine_run(struct stage_job *job) {
	struct candidate *candidate = candidate_of(job);
	candidate->result = examine(&candidate->order, &candidate->found);
}

static void candidate_start(struct candidate *candidate) {
	struct registry *registry = candidate->registry;
	candidate_note_known(candidate);
	candidate->order = (struct examination_order){
		.path = candidate->path,
		.images = registry->images,
		.disk = registry->options.disk,
		.generation = ++registry->generation,
		.known = (const uint8_t(*)[HASH_BYTES])candidate->known,
		.known_count = candidate->known_count,
	};
	candidate->job = (struct stage_job){.run = examine_run, .done = candidate_examined};
	stage_submit(registry->stage, &candidate->job);
}

void candidates_next(struct registry *registry) {
	if (registry->current != NULL || registry->waiting == NULL || registry->stopped || registry->stage == NULL)
		return;
	registry->current = registry->waiting;
	registry->waiting = registry->current->next;
	candidate_start(registry->current);
}

struct candidate *candidate_add(struct registry *registry, char *path, char *file) {
	struct candidate *candidate = check_alloc(1, sizeof(*candidate));
	struct candidate **place = &registry->waiting;
	while (*place != NULL)
		place = &(*place)->next;
	candidate->registry = registry;
	candidate->path = path;
	candidate->file = file;
	*place = candidate;
	return candidate;
}

void candidate_arrived(struct registry *registry, const char *file, bool patience_over) {
	struct candidate *candidate =
		candidate_add(registry, path_join(registry->options.config->plugins, file), check_strdup(file));
	candidate->from_inbox = true;
	candidate->patience_over = patience_over;
	candidates_next(registry);
}

void candidates_stop(struct registry *registry) {
	struct error error;
	answer_error(&(struct engine_answer){.code = ERROR_STOPPING}, &error);
	error_hint(&error, "load the plugin again when it runs");
	while (registry->current != NULL || registry->waiting != NULL) {
		struct candidate *candidate = registry->current != NULL ? registry->current : registry->waiting;
		if (candidate == registry->current)
			registry->current = NULL;
		else
			registry->waiting = candidate->next;
		candidate_tell_error(candidate, &error);
		candidate_abandon(candidate);
		candidate_free(candidate);
	}
}
