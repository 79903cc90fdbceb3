#include "registry/registry.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/log.h"
#include "registry/inside.h"

enum { REGISTRY_MAGIC = 0x52454749 };

static uint64_t clock_ms(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t registry_now_ms(void) {
	return clock_ms(CLOCK_MONOTONIC);
}

uint64_t registry_wall_ms(void) {
	return clock_ms(CLOCK_REALTIME);
}

/* ---- what the inbox says ---- */

static void on_arrived(void *arg, const char *file, bool patience_over) {
	candidate_arrived(arg, file, patience_over);
}

/* The same bytes may stand there under another name: then that is the plugin's file now. */
static bool plugin_rehome(struct registry *registry, struct plugin *plugin, const char *gone) {
	for (size_t i = 0; i < registry->offer_count; i++) {
		const struct offer *offer = registry->offers[i];
		if (offer->from_load || !offer->hashed || strcmp(offer->file, gone) == 0 ||
			memcmp(offer->hash, plugin->verdict->hash, HASH_BYTES) != 0 || !inbox_has(registry->inbox, offer->file))
			continue;
		verdict_set_text(&plugin->verdict->file, offer->file);
		verdict_commit(registry, plugin->verdict, NULL, 0, NULL, NULL);
		return true;
	}
	return false;
}

static void on_removed(void *arg, const char *file) {
	struct registry *registry = arg;
	bool moved = false;
	for (struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
		if (plugin->state == PLUGIN_LIVE && strcmp(plugin->verdict->file, file) == 0)
			moved = plugin_rehome(registry, plugin, file);
	if (!moved)
		plugins_file_removed(registry, file);
	offer_remove(registry, file);
}

static void on_settled(void *arg) {
	struct registry *registry = arg;
	registry->settled = true;
	ttl_undeclared_tell(registry); /* what stands in the directory has been declared by now */
	if (registry->on_settled != NULL)
		registry->on_settled(registry->on_settled_arg);
	registry->on_settled = NULL;
}

static void settled_late(evutil_socket_t fd, short what, void *arg) {
	(void)fd;
	(void)what;
	on_settled(arg);
}

void registry_on_settled(struct registry *registry, void (*settled)(void *arg), void *arg) {
	struct timeval now = {0};
	registry->on_settled = settled;
	registry->on_settled_arg = arg;
	if (registry->settled)
		check(event_base_once(registry->options.base, -1, EV_TIMEOUT, settled_late, registry, &now) == 0);
}

bool registry_busy(const struct registry *registry) {
	return !registry->settled;
}

/* ---- making ---- */

/* Copies that a `load` did not come to name, from a host that died. */
static void leftover_remove(void *arg, const char *name) {
	struct registry *registry = arg;
	size_t size = strlen(name);
	size_t suffix = sizeof(LOADING_SUFFIX) - 1;
	if (name[0] != '.' || size < suffix || strcmp(name + size - suffix, LOADING_SUFFIX) != 0)
		return;
	char *path = path_join(registry->options.config->plugins, name);
	registry->options.disk->unlink(registry->options.disk, path);
	free(path);
}

static bool plugins_directory_prepare(struct registry *registry, struct error *error) {
	struct disk *disk = registry->options.disk;
	const char *directory = registry->options.config->plugins;
	int result = disk->mkdir(disk, directory);
	if (result == 0)
		result = disk->list(disk, directory, leftover_remove, registry);
	if (result == 0)
		return true;
	error_system(error, ERROR_REFUSED, -result, "the plugins directory cannot be used");
	error_found(error, "%.200s", directory);
	error_expected(error, "a directory that the host may read");
	error_hint(error, "make it, or give another with --plugins DIR");
	return false;
}

struct registry *registry_create(const struct registry_options *options, struct error *error) {
	struct registry *registry = check_alloc(1, sizeof(*registry));
	registry->magic = REGISTRY_MAGIC;
	registry->options = *options;
	registry->images = path_join(options->config->data, "images");
	registry->drain_timer = evtimer_new(options->base, registry_drain_look, registry);
	registry->postpone_timer = evtimer_new(options->base, postponed_due, registry);
	registry->migrate_timer = evtimer_new(options->base, registry_migrate_look, registry);
	registry->probation_timer = evtimer_new(options->base, registry_probation_look, registry);
	check_memory(registry->probation_timer);
	check_memory(registry->drain_timer);
	check_memory(registry->postpone_timer);
	check_memory(registry->migrate_timer);
	const struct inbox_options inbox = {
		.base = options->base,
		.directory = options->config->plugins,
		.patience_ms = options->config->stage_patience_ms,
		.arrived = on_arrived,
		.removed = on_removed,
		.settled = on_settled,
		.arg = registry,
	};
	registry->inbox = inbox_create(&inbox);
	if (image_directory_prepare(options->disk, registry->images, error) && plugins_directory_prepare(registry, error))
		return registry;
	registry->stopped = true;
	registry_destroy(registry);
	return NULL;
}

static void on_staged(evutil_socket_t fd, short what, void *arg) {
	struct registry *registry = arg;
	(void)fd;
	(void)what;
	stage_take(registry->stage);
}

void registry_start(struct registry *registry) {
	CHECK_OBJECT(registry, REGISTRY_MAGIC);
	registry->stage = stage_create();
	registry->staged =
		event_new(registry->options.base, stage_fd(registry->stage), EV_READ | EV_PERSIST, on_staged, registry);
	check_memory(registry->staged);
	event_add(registry->staged, NULL);
	/* The shards' threads came after the images of the recovery: they are no strays of theirs. */
	for (struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
		if (plugin->image != NULL)
			strays_note(&plugin->image->strays);
	registry_write_recovered(registry);
	lineages_resume(registry);
	inbox_start(registry->inbox);
	registry_migrate_wake(registry);
}

/* ---- the end ---- */

void registry_stop(struct registry *registry) {
	if (registry == NULL || registry->stopped)
		return;
	CHECK_OBJECT(registry, REGISTRY_MAGIC);
	registry->stopped = true;
	inbox_destroy(registry->inbox);
	registry->inbox = NULL;
	event_del(registry->drain_timer);
	postponed_resume(registry);
	event_del(registry->probation_timer);
	if (registry->stage != NULL)
		stage_stop(registry->stage);
	registry_migrate_stop(registry);
	candidates_stop(registry);
	plugins_stop(registry);
	commits_forget(registry);
	ttl_waiters_stop(registry);
}

/* No dlclose at the end of the process: destructors and threads that are still there keep their code (trap 10). */
static void plugins_destroy(struct registry *registry) {
	const char *reason;
	while (registry->plugins != NULL) {
		struct plugin *plugin = registry->plugins;
		if (plugin->image != NULL && plugin->image->library != NULL)
			image_close(plugin->image, true, &reason);
		plugin_remove(registry, plugin);
	}
}

void registry_destroy(struct registry *registry) {
	if (registry == NULL)
		return;
	CHECK_OBJECT(registry, REGISTRY_MAGIC);
	check(registry->stopped);
	inbox_destroy(registry->inbox);
	plugins_destroy(registry);
	for (size_t i = 0; i < registry->verdict_count; i++)
		verdict_destroy(registry->verdicts[i]);
	for (size_t i = 0; i < registry->type_count; i++)
		type_destroy(registry->types[i]);
	lineages_destroy(registry);
	offers_destroy(registry);
	if (registry->staged != NULL)
		event_free(registry->staged);
	event_free(registry->drain_timer);
	event_free(registry->postpone_timer);
	event_free(registry->migrate_timer);
	event_free(registry->probation_timer);
	stage_destroy(registry->stage);
	free(registry->verdicts);
	free(registry->types);
	free(registry->images);
	registry->magic = 0;
	free(registry);
}
