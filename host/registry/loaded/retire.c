/* A plugin on its way out: fence, drain, a view without it, the row, fini and unmapping. None of it can fail; what does
 * not end is shown with what it waits for. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/log.h"
#include "flow/request/answer_error.h"
#include "registry/inside.h"

/* ---- the list ---- */

struct plugin *plugin_add(
	struct registry *registry, struct verdict *verdict, struct image *image, enum plugin_state state) {
	struct plugin *plugin = check_alloc(1, sizeof(*plugin));
	struct plugin **place = &registry->plugins;
	while (*place != NULL)
		place = &(*place)->next;
	plugin->registry = registry;
	plugin->verdict = verdict;
	plugin->image = image;
	plugin->state = state;
	plugin->told_left = UINT64_MAX;
	plugin->since_ms = registry_now_ms();
	plugin->since_wall_ms = registry_wall_ms();
	*place = plugin;
	if (image != NULL && state != PLUGIN_READY && state != PLUGIN_STUCK)
		plugin_tally_begin(plugin);
	return plugin;
}

void plugin_add_stuck(struct registry *registry, struct verdict *verdict, struct image *image) {
	struct plugin *plugin = plugin_add(registry, verdict, image, PLUGIN_STUCK);
	plugin->stuck_reason = "refused, but the loader keeps it mapped";
	image->state = IMAGE_STUCK;
}

struct plugin *plugin_find(const struct registry *registry, const char *name) {
	const struct lineage *lineage = lineage_find(registry, name);
	for (struct plugin *plugin = registry->plugins; lineage != NULL && plugin != NULL; plugin = plugin->next)
		if (plugin->verdict == lineage->now.base && (plugin->state == PLUGIN_LIVE || plugin->state == PLUGIN_PARKED))
			return plugin;
	return NULL;
}

void plugin_remove(struct registry *registry, struct plugin *plugin) {
	struct plugin **place = &registry->plugins;
	while (*place != plugin)
		place = &(*place)->next;
	*place = plugin->next;
	image_destroy(plugin->image);
	free(plugin->figures_before);
	free(plugin);
}

void plugin_turn(struct plugin *plugin, enum plugin_state state) {
	plugin->state = state;
	plugin->told_left = UINT64_MAX;
	plugin->since_ms = registry_now_ms();
	plugin->since_wall_ms = registry_wall_ms();
}

/* ---- its file ---- */

/* The file that it came from still stands there, with those bytes. */
static bool verdict_file_own(
	const struct registry *registry, const struct verdict *verdict, struct file_identity *ret_identity) {
	const struct offer *offer = offer_find(registry, verdict->file);
	struct stat status;
	if (offer == NULL || !offer->hashed || memcmp(offer->hash, verdict->hash, HASH_BYTES) != 0)
		return false;
	char *path = path_join(registry->options.config->plugins, verdict->file);
	bool good = stat(path, &status) == 0;
	free(path);
	if (!good)
		return false;
	*ret_identity = file_identity_of(&status);
	return file_identity_equal(ret_identity, &offer->identity);
}

/* Written with the row `retired`, before the file goes: if it cannot go, or the host dies in between, that very file
 * does not come back by itself. */
static void plugin_hold_file(struct plugin *plugin) {
	if (plugin->by_request || plugin->retained)
		verdict_hold_file(plugin->registry, plugin->verdict);
}

/* Whatever it holds: the verdict is asked of files with its own content only, and while the host recovers nobody has looked. */
void verdict_hold_file(const struct registry *registry, struct verdict *verdict) {
	struct stat status;
	if (verdict->file[0] == '\0')
		return;
	char *path = path_join(registry->options.config->plugins, verdict->file);
	if (stat(path, &status) == 0) {
		struct file_identity identity = file_identity_of(&status);
		verdict->held_inode = identity.inode;
		verdict->held_ctime_ns = identity.ctime_ns;
	}
	free(path);
}

void verdict_release_file(struct verdict *verdict) {
	verdict->held_inode = 0;
	verdict->held_ctime_ns = 0;
}

static void plugin_take_file(struct plugin *plugin) {
	struct registry *registry = plugin->registry;
	struct file_identity identity;
	if (!plugin->by_request || !verdict_file_own(registry, plugin->verdict, &identity))
		return;
	char *path = path_join(registry->options.config->plugins, plugin->verdict->file);
	int result = registry->options.disk->unlink(registry->options.disk, path);
	if (result == 0) {
		inbox_forget(registry->inbox, plugin->verdict->file);
		offer_remove(registry, plugin->verdict->file);
	} else {
		log_event(LOG_WARN, "plugin_file_stays", "file=\"%s\" reason=\"%s\"", path, strerror(-result));
	}
	free(path);
}

/* ---- the way out ---- */

void drain_later(struct registry *registry) {
	struct timeval delay = {.tv_usec = DRAIN_LOOK_MS * 1000};
	event_add(registry->drain_timer, &delay);
}

static void plugin_answer_error(struct plugin *plugin, const struct error *error) {
	registry_done *done = plugin->done;
	plugin->done = NULL;
	if (done != NULL)
		done(plugin->done_arg, NULL, error);
}

static void offers_deferred(struct registry *registry) {
	for (size_t i = 0; i < registry->offer_count; i++) {
		if (!registry->offers[i]->deferred)
			continue;
		registry->offers[i]->deferred = false;
		inbox_offer_again(registry->inbox, registry->offers[i]->file);
	}
}

static void plugin_gone(struct plugin *plugin) {
	struct registry *registry = plugin->registry;
	registry_done *done = plugin->done;
	plugin->done = NULL;
	log_event(LOG_INFO, "plugin_retired", "name=%s version=%s unmapped=%s%s%s", plugin->verdict->name,
		plugin->verdict->version, plugin->unmapped ? "yes" : "no reason=\"",
		plugin->unmapped ? "" : plugin->stuck_reason, plugin->unmapped ? "" : "\"");
	plugin_turn(plugin, PLUGIN_STUCK);
	plugin->image->state = plugin->unmapped ? IMAGE_RETIRED : IMAGE_STUCK;
	events_emit(registry->options.events, plugin->unmapped ? EVENT_RETIRED : EVENT_STUCK,
		json_pack("{s:s, s:s}", "name", plugin->verdict->name, "version", plugin->verdict->version));
	if (done != NULL)
		done_report(plugin, done, plugin->done_arg);
	if (plugin->unmapped) {
		registry->unloaded++;
		if (!plugin->retained)
			registry->options.disk->unlink(
				registry->options.disk, plugin->image->path); /* a leftover is cleaned at a start */
		plugin_remove(registry, plugin);
	}
	offers_deferred(registry);
}

static struct plugin *plugin_of(struct stage_job *job) {
	return (struct plugin *)((char *)job - offsetof(struct plugin, job));
}

static void close_run(struct stage_job *job) {
	struct plugin *plugin = plugin_of(job);
	plugin->unmapped = image_close(plugin->image, plugin->registry->options.config->keep_images, &plugin->stuck_reason);
}

static void close_done(struct stage_job *job, bool cancelled) {
	struct plugin *plugin = plugin_of(job);
	/* Cancelled: the host stops; its row is written, and registry_destroy calls fini. */
	if (!cancelled && !plugin->registry->stopped)
		plugin_gone(plugin);
}

static void retired_durable(void *arg, bool good) {
	struct plugin *plugin = arg;
	if (!good)
		return; /* the store has failed: nothing more is retired, the process ends */
	plugin_take_file(plugin);
	plugin->job = (struct stage_job){.run = close_run, .done = close_done};
	stage_submit(plugin->registry->stage, &plugin->job);
}

static void plugin_retire(struct plugin *plugin) {
	plugin_turn(plugin, PLUGIN_RETIRING);
	plugin_hold_file(plugin);
	if (plugin->verdict->state != VERDICT_QUARANTINED)
		plugin->verdict->state = VERDICT_RETIRED;
	if (!plugin->retained)
		verdict_forget_copy(plugin->verdict);
	verdict_commit(plugin->registry, plugin->verdict, NULL, 0, retired_durable, plugin);
}

void plugin_leave(struct plugin *plugin, uint64_t view) {
	plugin_turn(plugin, PLUGIN_LEAVING);
	plugin->view = view;
	drain_later(plugin->registry);
}

/* A call that does not end: its image stays until it does, and who waits is told now. */
static void plugin_leaves_late(struct plugin *plugin) {
	struct error error;
	if (plugin->image->state != IMAGE_STUCK)
		events_emit(plugin->registry->options.events, EVENT_STUCK,
			json_pack("{s:s, s:s}", "name", plugin->verdict->name, "version", plugin->verdict->version));
	plugin->image->state = IMAGE_STUCK;
	error_set(&error, ERROR_TIMEOUT, "the plugin is stuck: a call of it does not end");
	error_found(&error, "%s is still in it, %d ms after the drain",
		atomic_load(&plugin->image->working) > 0 ? "work of an operation" : "a shard", LEAVING_MS_MAX);
	error_expected(&error, "calls that return");
	error_hint(&error, "it is retired when the call returns; restart the host if it never does");
	plugin_answer_error(plugin, &error);
}

static void plugin_look(struct plugin *plugin) {
	/* in this order: a thread of the pool that still sees an older view is seen by the first, its work by the second */
	if (engine_adopted(plugin->registry->options.engine) >= plugin->view && atomic_load(&plugin->image->working) == 0)
		plugin_retire(plugin);
	else if (registry_now_ms() - plugin->since_ms >= LEAVING_MS_MAX)
		plugin_leaves_late(plugin);
}

void registry_drain_look(evutil_socket_t fd, short what, void *arg) {
	struct registry *registry = arg;
	bool waiting = false;
	(void)fd;
	(void)what;
	lineages_look(registry, &waiting);
	waiting |= plugins_keep_look(registry);
	for (struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next) {
		if (plugin->state == PLUGIN_LEAVING)
			plugin_look(plugin);
		waiting = waiting || plugin->state == PLUGIN_LEAVING;
	}
	if (waiting) {
		drains_tell(registry);
		drain_later(registry);
	}
}

/* ---- what begins it ---- */

/* It was never entered in this process: its row is all there is. */
static void parked_retired(void *arg, bool good) {
	struct plugin *plugin = arg;
	if (!good)
		return;
	plugin_take_file(plugin);
	registry_done *done = plugin->done;
	plugin->done = NULL;
	if (done != NULL)
		done_report(plugin, done, plugin->done_arg);
	plugin_remove(plugin->registry, plugin);
}

static void parked_retire(struct plugin *plugin) {
	struct lineage *lineage = lineage_find(plugin->registry, plugin->verdict->name);
	plugin_turn(plugin, PLUGIN_RETIRING);
	plugin_hold_file(plugin);
	if (plugin->verdict->state != VERDICT_QUARANTINED)
		plugin->verdict->state = VERDICT_RETIRED;
	verdict_forget_copy(plugin->verdict);
	if (lineage != NULL) {
		lineage->now = (struct share){0};
		lineage->previous = NULL;
		lineage_commit(lineage);
	}
	verdict_commit(plugin->registry, plugin->verdict, NULL, 0, parked_retired, plugin);
}

void plugin_discard(struct plugin *plugin) {
	struct registry *registry = plugin->registry;
	plugin->verdict->state = VERDICT_RETIRED;
	verdict_forget_copy(plugin->verdict);
	verdict_commit(registry, plugin->verdict, NULL, 0, NULL, NULL);
	registry->options.disk->unlink(registry->options.disk, plugin->image->path);
	plugin_remove(registry, plugin);
}

static void live_file_removed(struct plugin *plugin) {
	struct lineage *lineage = lineage_find(plugin->registry, plugin->verdict->name);
	struct error busy;
	log_event(LOG_INFO, "plugin_removed", "name=%s file=\"%s\"", plugin->verdict->name, plugin->verdict->file);
	if (lineage_busy(lineage, &busy))
		lineage->unload_due = true;
	else
		lineage_unload(lineage);
}

void plugins_file_removed(struct registry *registry, const char *file) {
	for (struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next) {
		if (plugin->state == PLUGIN_STUCK || strcmp(plugin->verdict->file, file) != 0)
			continue;
		if (plugin->state == PLUGIN_LIVE)
			live_file_removed(plugin);
		else if (plugin->state == PLUGIN_PARKED)
			parked_retire(plugin);
		else if (plugin->state == PLUGIN_READY)
			plugin_discard(plugin);
		return;
	}
}

/* An answer that comes in a later turn, so that nobody is called back from within his own call. */
struct late_error {
	registry_done *done;
	void *arg;
	struct error error;
};

static void late_error_tell(evutil_socket_t fd, short what, void *arg) {
	struct late_error *late = arg;
	(void)fd;
	(void)what;
	late->done(late->arg, NULL, &late->error);
	free(late);
}

void late_error(struct registry *registry, registry_done *done, void *arg, const struct error *error) {
	struct timeval now = {0};
	struct late_error *late = check_alloc(1, sizeof(*late));
	*late = (struct late_error){done, arg, *error};
	check(event_base_once(registry->options.base, -1, EV_TIMEOUT, late_error_tell, late, &now) == 0);
}

static bool unload_refused(
	const struct registry *registry, const struct plugin *plugin, const char *name, struct error *error) {
	if (registry->stopped) {
		answer_error(&(struct engine_answer){.code = ERROR_STOPPING}, error);
	} else if (lineage_taken(lineage_find(registry, name), error)) {
		return true;
	} else if (plugin == NULL) {
		error_set(error, ERROR_NOT_FOUND, "there is no plugin of that name");
		error_found(error, "%s", name);
		error_expected(error, "the name of a plugin that is live");
		error_hint(error, "`sofun status` lists them");
	} else {
		return false;
	}
	return true;
}

void registry_unload(struct registry *registry, const char *name, registry_done *done, void *arg) {
	struct error error;
	struct plugin *plugin = plugin_find(registry, name);
	if (unload_refused(registry, plugin, name, &error)) {
		late_error(registry, done, arg, &error);
		return;
	}
	plugin->done = done;
	plugin->done_arg = arg;
	plugin->by_request = true;
	if (plugin->state == PLUGIN_PARKED)
		parked_retire(plugin);
	else
		lineage_unload(lineage_find(registry, name));
}

void plugins_stop(struct registry *registry) {
	struct error error;
	drains_stop(registry);
	answer_error(&(struct engine_answer){.code = ERROR_STOPPING}, &error);
	error_hint(&error, "the plugin's drain goes on at the next start");
	for (struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
		plugin_answer_error(plugin, &error);
}
