/* What the store says of plugins, before anything runs: rows, then images, then the first view. Runs no plugin code but
 * init. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "plugin/elf_file.h"
#include "plugin/refusal.h"
#include "registry/inside.h"
#include "state/key.h"
#include "supervisor/crash.h"
#include "wire/json.h"

/* ---- rows ---- */

static bool rows_read(struct registry *registry, enum key_kind kind,
	bool (*read)(struct registry *registry, struct bytes key, struct bytes value, struct error *error),
	struct error *error) {
	struct key from = key_of(kind);
	struct bytes key;
	struct bytes value;
	bool good = true;
	struct store_cursor *cursor = store_cursor_open(registry->options.store, REDO_RUNTIME, key_bytes(&from), error);
	if (cursor == NULL)
		return false;
	while (good && store_cursor_next(cursor, &key, &value))
		good = read(registry, key, value, error);
	good = good && store_cursor_status(cursor, error);
	store_cursor_close(cursor);
	return good;
}

/* ---- files ---- */

bool verdict_needs_image(const struct verdict *verdict) {
	return verdict->image[0] != '\0' && (verdict->state == VERDICT_LIVE || verdict->state == VERDICT_DRAINING);
}

/* What is ready, and what was live and may come back. */
static bool verdict_keeps_image(const struct verdict *verdict) {
	return verdict->image[0] != '\0' &&
		(verdict_needs_image(verdict) || verdict->state == VERDICT_READY || verdict->state == VERDICT_QUARANTINED ||
			(verdict->kept != 0 && (verdict->state == VERDICT_RETIRED || verdict->state == VERDICT_ATTEMPTING)));
}

/* Copies that the store names. */
static bool image_spare(void *arg, const char *file_name) {
	const struct registry *registry = arg;
	for (size_t i = 0; i < registry->verdict_count; i++) {
		const struct verdict *verdict = registry->verdicts[i];
		if (verdict_keeps_image(verdict) && strcmp(file_name, verdict->image) == 0)
			return true;
	}
	return false;
}

/* ---- images ---- */

struct image *verdict_image(const struct verdict *verdict, const char *path, struct error *error) {
	struct buf content = {0};
	struct file_identity identity;
	struct elf_facts facts;
	struct manifest manifest;
	uint8_t hash[HASH_BYTES];
	struct image *image = NULL;
	if (file_read(path, &content, &identity, error) == FILE_READ) {
		image_hash(bytes_buf(&content), hash);
		if (memcmp(hash, verdict->hash, HASH_BYTES) != 0) {
			error_set(error, ERROR_REFUSED, "the copy of the live plugin is damaged");
			error_found(error, "other bytes in %.200s", path);
			error_expected(error, "the bytes that were loaded");
			error_hint(error, "load the plugin's file again with `sofun load`");
		} else if (elf_examine(bytes_buf(&content), NULL, &facts, error) == ELF_SOUND &&
			manifest_parse(facts.manifest, &manifest, error)) {
			image = image_create(&manifest, hash, verdict->generation, path);
		}
	}
	buf_finish(&content);
	return image;
}

static void verdict_park(struct registry *registry, struct verdict *verdict, bool restage, struct error *error) {
	char line[sizeof(*error)];
	refusal_clean(error);
	error->code = ERROR_REFUSED;
	error_line(error, line, sizeof(line));
	log_event(LOG_ERROR, "plugin_parked", "name=%s version=%s why=\"%s\"", verdict->name, verdict->version, line);
	struct plugin *plugin = plugin_add(registry, verdict, NULL, PLUGIN_PARKED);
	plugin->parked = *error;
	plugin->restage = restage;
}

static void verdict_reload(struct registry *registry, struct verdict *verdict) {
	struct error error;
	bool stuck = false;
	char *path = path_join(registry->images, verdict->image);
	struct image *image = verdict_image(verdict, path, &error);
	free(path);
	if (image == NULL) {
		verdict_park(registry, verdict, true, &error);
		return;
	}
	if (!image_open(image, registry->options.host, &stuck, &error)) {
		verdict_park(registry, verdict, false, &error);
		if (stuck)
			plugin_add_stuck(registry, verdict, image);
		else
			image_destroy(image);
		return;
	}
	image->state = verdict->state == VERDICT_LIVE ? IMAGE_LIVE : IMAGE_DRAINING;
	plugin_add(registry, verdict, image, verdict->state == VERDICT_LIVE ? PLUGIN_LIVE : PLUGIN_DRAINING);
}

/* Judged and never run: its manifest is all that is needed. */
static void verdict_ready(struct registry *registry, struct verdict *verdict) {
	struct error error;
	char *path = path_join(registry->images, verdict->image);
	struct image *image = verdict_image(verdict, path, &error);
	free(path);
	if (image != NULL) {
		image->state = IMAGE_READY;
		plugin_add(registry, verdict, image, PLUGIN_READY);
		return;
	}
	log_event(LOG_WARN, "plugin_copy_lost", "name=%s version=%s", verdict->name, verdict->version);
	verdict->state = VERDICT_RETIRED;
	verdict_forget_copy(verdict);
	verdict->written = false;
}

/* ---- what is live, by the rows ---- */

/* A store of before there were shares: what was live was all of it. */
static void verdict_inherit(struct registry *registry, struct verdict *verdict) {
	if (verdict->state != VERDICT_LIVE || lineage_find(registry, verdict->name) != NULL)
		return;
	struct lineage *lineage = lineage_add(registry, verdict->name);
	lineage->now.base = verdict;
	lineage->dirty = true;
}

/* Rows 'W' say who is live and who drains; a verdict that was on its way when the host ended is retired. */
static void verdict_settle(struct verdict *verdict, const struct lineage *lineage) {
	bool live = lineage != NULL && (lineage->now.base == verdict || lineage->now.canary == verdict);
	bool drains = lineage != NULL && lineage->state == LINEAGE_DRAINING && !lineage->running &&
		(lineage->before.base == verdict || lineage->before.canary == verdict);
	enum verdict_state state = verdict->state;
	if (live || drains)
		verdict->state = live ? VERDICT_LIVE : VERDICT_DRAINING;
	else if (state == VERDICT_DRAINING && lineage != NULL && lineage->now.base != NULL)
		return; /* kept for its way down, as far as that is needed (loaded/keep.c) */
	else if (state == VERDICT_LIVE || state == VERDICT_DRAINING || (state == VERDICT_ATTEMPTING && verdict->kept != 0))
		verdict->state = VERDICT_RETIRED;
	verdict->written = verdict->written && state == verdict->state;
}

static void lineages_recover(struct registry *registry) {
	for (struct lineage *lineage = registry->lineages; lineage != NULL; lineage = lineage->next)
		lineage->state =
			lineage->before.base != NULL || lineage->before.percent > 0 ? LINEAGE_DRAINING : LINEAGE_SETTLED;
	for (size_t i = 0; i < registry->verdict_count; i++)
		verdict_inherit(registry, registry->verdicts[i]);
}

static void images_recover(struct registry *registry) {
	for (size_t i = 0; i < registry->verdict_count; i++) {
		struct verdict *verdict = registry->verdicts[i];
		const struct lineage *lineage = lineage_find(registry, verdict->name);
		if (verdict->state == VERDICT_QUARANTINED) {
			if (lineage != NULL && lineage->now.base == verdict)
				verdict_park(registry, verdict, false, verdict->refusal);
			else if (verdict->image[0] != '\0' && sentence_leaves_way_down(verdict))
				verdict_reload(registry, verdict); /* for its way down alone: it has no share */
			continue;
		}
		verdict_settle(verdict, lineage);
		if (verdict_needs_image(verdict))
			verdict_reload(registry, verdict);
		else if (verdict->state == VERDICT_READY)
			verdict_ready(registry, verdict);
	}
}

struct view *registry_recover(struct registry *registry, struct error *error) {
	uint64_t generation;
	if (!rows_read(registry, KEY_TYPE, type_read, error) || !rows_read(registry, KEY_TTL, type_ttl_read, error) ||
		!rows_read(registry, KEY_VERDICT, verdict_read, error) || !rows_read(registry, KEY_SHARE, lineage_read, error))
		return NULL;
	for (size_t i = 1; i < registry->type_count; i++)
		if (registry->types[i] != NULL)
			store_type_name(registry->options.store, registry->types[i]->number, registry->types[i]->name);
	if (!image_files_clean(registry->options.disk, registry->images, image_spare, registry, &generation, error))
		return NULL;
	if (generation > registry->generation)
		registry->generation = generation;
	lineages_recover(registry);
	verdicts_sentence(registry);
	images_recover(registry);
	types_ttl_update(registry, engine_time_ms(registry->options.engine));
	types_ttl_commit(registry); /* with the first epoch that goes by them */
	return registry_view(registry);
}

/* The verdict is in the store: the supervisor need not remember. */
static void sentence_durable(void *arg, bool good) {
	const struct verdict *verdict = arg;
	if (good && verdict->state == VERDICT_QUARANTINED)
		crash_spare(crash_current(), verdict->hash);
}

/* What recovery judged becomes durable once there is an engine. */
void registry_write_recovered(struct registry *registry) {
	for (size_t i = 0; i < registry->verdict_count; i++)
		if (!registry->verdicts[i]->written)
			verdict_commit(registry, registry->verdicts[i], NULL, 0, sentence_durable, registry->verdicts[i]);
	for (struct lineage *lineage = registry->lineages; lineage != NULL; lineage = lineage->next)
		if (lineage->dirty)
			lineage_commit(lineage);
	types_ttl_commit(registry);
}
