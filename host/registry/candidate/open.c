/* The second half of a candidate's way: the row `attempting`, the opening, the row `live`, the view. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "registry/inside.h"

static struct candidate *candidate_of(struct stage_job *job) {
	return (struct candidate *)((char *)job - offsetof(struct candidate, job));
}

/* ---- live ---- */

/* The copy in the plugins directory gets its name. What the inbox will see there is known already. */
static void candidate_place(struct candidate *candidate) {
	struct registry *registry = candidate->registry;
	struct disk *disk = registry->options.disk;
	struct stat status;
	char *path = path_join(registry->options.config->plugins, candidate->file);
	int result = disk->rename(disk, candidate->placed, path);
	if (result == 0)
		result = disk->sync_dir(disk, registry->options.config->plugins);
	if (result < 0)
		log_event(LOG_WARN, "plugin_not_placed", "file=\"%s\" reason=\"%s\"", path, strerror(-result));
	if (stat(path, &status) == 0)
		candidate->found.identity = file_identity_of(&status);
	free(candidate->placed);
	candidate->placed = NULL;
	candidate->place = false;
	free(path);
}

/* What was parked under that name has found its successor. */
static void candidate_replace_parked(struct candidate *candidate, struct lineage *lineage) {
	struct registry *registry = candidate->registry;
	struct plugin *plugin = plugin_find(registry, candidate->verdict->name);
	if (plugin == NULL || plugin->state != PLUGIN_PARKED)
		return;
	if (plugin->verdict != candidate->verdict && plugin->verdict->state == VERDICT_LIVE) {
		plugin->verdict->state = VERDICT_RETIRED;
		verdict_commit(registry, plugin->verdict, NULL, 0, NULL, NULL);
	}
	lineage->now = (struct share){0};
	plugin_remove(registry, plugin);
}

/* The file in the directory has these bytes now: those who had it before have none. */
static void file_owned(const struct candidate *candidate) {
	struct registry *registry = candidate->registry;
	for (size_t i = 0; i < registry->verdict_count; i++) {
		struct verdict *other = registry->verdicts[i];
		if (other != candidate->verdict && strcmp(other->file, candidate->file) == 0 &&
			strcmp(other->name, candidate->verdict->name) == 0) {
			verdict_set_text(&other->file, "");
			verdict_commit(registry, other, NULL, 0, NULL, NULL);
		}
	}
}

/* Whoever loaded it is answered. */
static void candidate_report(struct candidate *candidate, struct plugin *plugin) {
	if (candidate->placed != NULL)
		candidate_place(candidate);
	if (candidate->swap == NULL) {
		file_owned(candidate);
		candidate_offer(candidate, NULL);
	}
	candidate_tell_inbox(candidate, INBOX_JUDGED);
	registry_done *done = candidate->done;
	candidate->done = NULL;
	if (done != NULL)
		done_report(plugin, done, candidate->done_arg);
	candidate_end(candidate);
}

/* False: the store has failed, the candidate stays as it is, and the process ends. */
static bool candidate_durable(struct candidate *candidate, bool good) {
	if (good)
		return true;
	error_set(&candidate->found.error, ERROR_STORE_FAILED, "the plugin's row could not be made durable");
	candidate_tell_error(candidate, &candidate->found.error);
	return false;
}

static void candidate_live(void *arg, bool good) {
	struct candidate *candidate = arg;
	const struct image *image = candidate->plugin->image;
	if (!candidate_durable(candidate, good))
		return;
	log_event(LOG_INFO, "plugin_live", "name=%s version=%s file=\"%s\" hash=%.16s", image->name, image->version,
		candidate->file, image->hash_text);
	if (!candidate->found.unmaps && !library_kept_always())
		log_event(
			LOG_WARN, "plugin_will_stay_mapped", "name=%s effect=\"it is stuck once it is unloaded\"", image->name);
	candidate_report(candidate, candidate->plugin);
}

/* Open: from here on nothing can fail but the store. */
static void candidate_go_live(struct candidate *candidate) {
	static const struct swap as_a_file = {.deadline_ms = DRAIN_MS_MAX};
	const struct swap *swap = candidate->swap != NULL ? candidate->swap : &as_a_file;
	struct registry *registry = candidate->registry;
	struct verdict *verdict = candidate->verdict;
	struct lineage *lineage = lineage_add(registry, verdict->name);
	struct change change = {.running = swap->running, .deadline_ms = swap->deadline_ms};
	change.types = types_adopt(registry, &candidate->found.image->manifest, &change.type_count);
	change.then = candidate_live;
	change.arg = candidate;
	verdict->attempts = 0;
	verdict_release_file(verdict);
	verdict->kept = 1;
	candidate_replace_parked(candidate, lineage);
	candidate->plugin = plugin_add(registry, verdict, candidate->found.image, PLUGIN_LIVE);
	candidate->found.image = NULL;
	change.next = (struct share){.base = verdict};
	change.previous = swap->rollback ? NULL : lineage->now.base;
	if (swap->percent > 0 && lineage->now.base != NULL) {
		change.next = (struct share){.base = lineage->now.base, .canary = verdict, .percent = swap->percent};
		change.previous = lineage->previous;
		lineage_seed(lineage, verdict);
	}
	lineage_change(lineage, &change);
}

/* ---- ready ---- */

static void candidate_kept(void *arg, bool good) {
	struct candidate *candidate = arg;
	if (!candidate_durable(candidate, good))
		return;
	struct plugin *plugin = plugin_add(candidate->registry, candidate->verdict, candidate->found.image, PLUGIN_READY);
	plugin->image->state = IMAGE_READY;
	candidate->found.image = NULL;
	log_event(LOG_INFO, "plugin_ready", "name=%s version=%s file=\"%s\"", plugin->image->name, plugin->image->version,
		candidate->file);
	candidate_report(candidate, plugin);
}

static void candidate_keep(struct candidate *candidate) {
	candidate->verdict->attempts = 0;
	verdict_release_file(candidate->verdict);
	candidate->verdict->state = VERDICT_READY;
	verdict_commit(candidate->registry, candidate->verdict, NULL, 0, candidate_kept, candidate);
}

/* ---- opening ---- */

/* Before anything of the plugin runs: a directory that takes no copy refuses the load while that is still free. */
static bool open_place(struct candidate *candidate) {
	struct registry *registry = candidate->registry;
	struct disk *disk = registry->options.disk;
	const char *directory = registry->options.config->plugins;
	struct buf content = {0};
	struct buf name = {0};
	struct file_identity identity;
	if (!candidate->place)
		return true;
	buf_printf(&name, ".%s" LOADING_SUFFIX, candidate->file);
	char *path = path_join(directory, (const char *)name.data);
	disk->unlink(disk, path); /* one may be left from a crash */
	bool good = file_read(candidate->found.image->path, &content, &identity, &candidate->found.error) == FILE_READ &&
		image_file_write(disk, directory, (const char *)name.data, 0644, bytes_buf(&content), &candidate->found.error);
	if (good)
		candidate->placed = path;
	else
		free(path);
	candidate->place_failed = !good;
	buf_finish(&content);
	buf_finish(&name);
	return good;
}

static void open_run(struct stage_job *job) {
	struct candidate *candidate = candidate_of(job);
	candidate->opened = open_place(candidate) &&
		(candidate->ready ||
			image_open(
				candidate->found.image, candidate->registry->options.host, &candidate->stuck, &candidate->found.error));
}

static void candidate_opened(struct stage_job *job, bool cancelled) {
	struct candidate *candidate = candidate_of(job);
	if (cancelled || candidate->registry->stopped)
		return; /* candidates_stop sees to it */
	if (candidate->opened) {
		(candidate->ready ? candidate_keep : candidate_go_live)(candidate);
		return;
	}
	if (candidate->stuck) {
		plugin_add_stuck(candidate->registry, candidate->verdict, candidate->found.image);
		candidate->found.image = NULL;
	}
	candidate->verdict->attempts = 0;
	if (candidate->place_failed) {
		/* Not the plugin's fault: it was not tried. */
		candidate->verdict->state = VERDICT_RETIRED;
		verdict_commit(candidate->registry, candidate->verdict, NULL, 0, refused_durable, candidate);
		return;
	}
	candidate_judge_bytes(candidate);
}

static void candidate_attempt(void *arg, bool good) {
	struct candidate *candidate = arg;
	if (!candidate_durable(candidate, good))
		return;
	events_emit(candidate->registry->options.events, EVENT_STAGE,
		json_pack("{s:s, s:s}", "name", candidate->verdict->name, "version", candidate->verdict->version));
	candidate->job = (struct stage_job){.run = open_run, .done = candidate_opened};
	stage_submit(candidate->registry->stage, &candidate->job);
}

void candidate_commit_attempt(struct candidate *candidate) {
	const struct image *image = candidate->found.image;
	struct registry *registry = candidate->registry;
	struct verdict *verdict = verdict_add(registry, image->hash);
	candidate->verdict = verdict;
	if (verdict->image[0] != '\0')
		candidate->replaced = path_join(registry->images, verdict->image);
	for (struct plugin *plugin = registry->plugins, *next; plugin != NULL; plugin = next) {
		next = plugin->next;
		if (plugin->state == PLUGIN_READY && plugin->verdict == verdict)
			plugin_remove(registry, plugin);
	}
	verdict_refuse(verdict, VERDICT_ATTEMPTING, NULL);
	memcpy(verdict->name, image->name, sizeof(verdict->name));
	memcpy(verdict->version, image->version, sizeof(verdict->version));
	if (candidate->swap == NULL)
		verdict_set_text(&verdict->file, candidate->file);
	verdict_set_text(&verdict->image, strrchr(image->path, '/') + 1);
	verdict->generation = image->generation;
	verdict->attempts++;
	verdict_commit(candidate->registry, verdict, NULL, 0, candidate_attempt, candidate);
}

/* ---- the host stops in the middle ---- */

void candidate_abandon(struct candidate *candidate) {
	struct registry *registry = candidate->registry;
	if (candidate->opened && !candidate->ready) {
		/* Its row `live` may be durable or not; either way the next start knows what to do. Here it only gets its fini. */
		if (candidate->found.image != NULL)
			plugin_add(registry, candidate->verdict, candidate->found.image, PLUGIN_LIVE);
		candidate->found.image = NULL;
		return;
	}
	if (candidate->verdict == NULL || candidate->verdict->state != VERDICT_ATTEMPTING)
		return;
	candidate->verdict->attempts = 0; /* ended by us: it convicts nobody */
	verdict_commit(registry, candidate->verdict, NULL, 0, NULL, NULL);
}
