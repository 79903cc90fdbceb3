/* What a version that leaves still waits for: how much on which shard, and by name. Told as events while it goes on, shown in
 * the status, and said to whoever asks for the next change too early. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "registry/inside.h"

enum {
	DRAIN_TELL_MS = 200, /* between two surveys of a drain, and so at least between two events of it */
	WAITS_TOLD_MAX = 10, /* addresses in an event */
	WAITS_SAID_MAX = 3,  /* and in a refusal */
};

/* ---- how much ---- */

static bool plugin_leaves(const struct plugin *plugin) {
	const struct lineage *lineage = lineage_find(plugin->registry, plugin->verdict->name);
	if (plugin->image == NULL || lineage == NULL)
		return false;
	return plugin->state == PLUGIN_LEAVING ||
		(plugin->state == PLUGIN_DRAINING && lineage->state == LINEAGE_DRAINING &&
			lineage_was(lineage, plugin->verdict));
}

static void messages_left(const struct lineage *lineage, uint64_t *left) {
	const struct registry *registry = lineage->registry;
	for (size_t i = 1; i < registry->type_count; i++) {
		const struct function_type *type = registry->types[i];
		if (type != NULL && strcmp(type->plugin, lineage->name) == 0)
			engine_left_add(registry->options.engine, type->number, lineage->side, left);
	}
}

uint64_t lineage_left(const struct lineage *lineage) {
	uint64_t left[SHARDS_MAX] = {0}, sum = 0;
	messages_left(lineage, left);
	for (uint32_t shard = 0; shard < engine_shards(lineage->registry->options.engine); shard++)
		sum += left[shard];
	return sum;
}

static void drain_fill(const struct lineage *lineage, bool calls, uint64_t view, struct registry_drain *ret_drain) {
	struct engine *engine = lineage->registry->options.engine;
	*ret_drain = (struct registry_drain){
		.shards = engine_shards(engine),
		.running = lineage->running,
		.calls = calls,
		.fence = lineage->fence == FENCE_NEXT ? 0 : lineage->fence,
		.since_ms = lineage->since_wall_ms,
		.oldest_ms = lineage->since_wall_ms,
		.deadline_ms = lineage->deadline_wall_ms,
	};
	if (calls) /* only a call that runs keeps it: on those shards that have not seen the view without it */
		engine_behind_add(engine, view, ret_drain->left_on);
	else
		messages_left(lineage, ret_drain->left_on);
	for (uint32_t shard = 0; shard < ret_drain->shards; shard++)
		ret_drain->left += ret_drain->left_on[shard];
}

bool plugin_drain(const struct plugin *plugin, struct registry_drain *ret_drain) {
	if (!plugin_leaves(plugin))
		return false;
	const struct lineage *lineage = lineage_find(plugin->registry, plugin->verdict->name);
	bool leaving = plugin->state == PLUGIN_LEAVING;
	drain_fill(lineage, leaving || lineage->running, leaving ? plugin->view : lineage->view, ret_drain);
	return true;
}

/* ---- by name ---- */

/* As in the path of /v1/state: ns/name/id, other bytes than letters, digits and -._~ as %XX. */
static char *address_text(const char *type, struct bytes id) {
	struct buf text = {0};
	buf_printf(&text, "%s", type);
	for (size_t i = 0; i < id.size; i++) {
		unsigned char byte = id.data[i];
		bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			(byte != 0 && strchr("-._~", byte) != NULL);
		buf_printf(&text, plain ? "%s%c" : "%s%%%02X", i == 0 ? "/" : "", byte);
	}
	char *copy = check_strdup((const char *)text.data);
	buf_finish(&text);
	return copy;
}

struct gathering {
	struct waits *waits;
	uint64_t before_ms; /* of those whose time is not known: they were accepted before the fence */
};

/* Oldest first; of more than there is room for the youngest goes. */
static void wait_insert(void *arg, const struct engine_wait *wait) {
	const struct gathering *gathering = arg;
	struct waits *waits = gathering->waits;
	uint64_t since_ms = wait->since_ms != 0 ? wait->since_ms : gathering->before_ms;
	size_t place = waits->count;
	while (place > 0 && waits->rows[place - 1].since_ms > since_ms)
		place--;
	if (place == WAITS_SHOWN_MAX)
		return;
	if (waits->count == WAITS_SHOWN_MAX)
		free((char *)(uintptr_t)waits->rows[--waits->count].address);
	memmove(&waits->rows[place + 1], &waits->rows[place], (waits->count - place) * sizeof *waits->rows);
	waits->rows[place] = (struct registry_waiting){
		.reason = wait->reason,
		.address = address_text(wait->type, wait->id),
		.since_ms = since_ms,
		.messages = wait->messages,
		.shard = (int)wait->shard,
	};
	waits->count++;
}

void plugin_waits(const struct plugin *plugin, struct waits *ret_waits) {
	const struct registry *registry = plugin->registry;
	const struct lineage *lineage = lineage_find(registry, plugin->verdict->name);
	ret_waits->count = 0;
	ret_waits->total = 0;
	if (plugin->image == NULL || lineage == NULL)
		return;
	struct gathering gathering = {ret_waits, lineage->since_wall_ms};
	ret_waits->total = engine_waits_each(registry->options.engine, plugin->image->note, wait_insert, &gathering);
}

void waits_finish(struct waits *waits) {
	for (size_t i = 0; i < waits->count; i++)
		free((char *)(uintptr_t)waits->rows[i].address);
	waits->count = 0;
}

/* ---- said to whoever comes too early ---- */

static const struct plugin *leaves_find(const struct lineage *lineage) {
	for (const struct plugin *plugin = lineage->registry->plugins; plugin != NULL; plugin = plugin->next)
		if (strcmp(plugin->verdict->name, lineage->name) == 0 && plugin_leaves(plugin))
			return plugin;
	return NULL;
}

bool lineage_leaves(const struct lineage *lineage, const char *version) {
	const struct plugin *plugin = leaves_find(lineage);
	return plugin != NULL && strcmp(plugin->verdict->version, version) == 0;
}

void lineage_awaited(const struct lineage *lineage, struct error *error) {
	const struct plugin *plugin = leaves_find(lineage);
	struct registry_drain drain;
	struct waits waits;
	struct buf text = {0};
	if (plugin == NULL || !plugin_drain(plugin, &drain))
		return;
	plugin_waits(plugin, &waits);
	buf_printf(&text, "%s %s is on its way out: %llu %s left", lineage->name, plugin->verdict->version,
		(unsigned long long)drain.left, drain.calls ? "calls" : "messages");
	for (size_t i = 0; i < waits.count && i < WAITS_SAID_MAX; i++)
		buf_printf(&text, "%s %s (%s)", i == 0 ? ", of" : ",", waits.rows[i].address, waits.rows[i].reason);
	if (waits.total > WAITS_SAID_MAX)
		buf_printf(&text, " and %llu more addresses", (unsigned long long)(waits.total - WAITS_SAID_MAX));
	error_found(error, "%s", (const char *)text.data);
	buf_finish(&text);
	waits_finish(&waits);
}

/* ---- told while it goes on ---- */

static json_t *left_json(const struct registry_drain *drain) {
	json_t *list = json_array();
	for (uint32_t shard = 0; shard < drain->shards; shard++)
		json_array_append_new(list, json_integer((json_int_t)drain->left_on[shard]));
	return list;
}

static json_t *waits_json(const struct waits *waits) {
	json_t *list = json_array();
	for (size_t i = 0; i < waits->count && i < WAITS_TOLD_MAX; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:I}", "reason", waits->rows[i].reason, "address", waits->rows[i].address, "since_ms",
				(json_int_t)waits->rows[i].since_ms));
	return list;
}

/* If it is another figure than was told last. */
static void plugin_tell(struct plugin *plugin) {
	struct registry_drain drain;
	struct waits waits;
	if (!plugin_drain(plugin, &drain) || plugin->told_left == drain.left)
		return;
	if (drain.left == 0 && plugin->told_left == UINT64_MAX)
		return; /* it is as good as gone */
	plugin->told_left = drain.left;
	plugin_waits(plugin, &waits);
	events_emit(plugin->registry->options.events, EVENT_DRAIN,
		json_pack("{s:s, s:s, s:I, s:s, s:I, s:o, s:o, s:I}", "name", plugin->verdict->name, "version",
			plugin->verdict->version, "fence", (json_int_t)drain.fence, "drain", drain.running ? "running" : "accepted",
			"left", (json_int_t)drain.left, "shards", left_json(&drain), "waiting_for", waits_json(&waits),
			"waiting_total", (json_int_t)waits.total));
	waits_finish(&waits);
}

static void survey_answered(void *arg, const struct engine_answer *answer) {
	struct registry *registry = arg;
	registry->survey_token = 0;
	if (answer->code != ERROR_NONE || registry->stopped)
		return;
	for (struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
		plugin_tell(plugin);
}

void drains_tell(struct registry *registry) {
	uint64_t now_ms = registry_now_ms();
	if (registry->survey_token != 0 || now_ms - registry->surveyed_ms < DRAIN_TELL_MS)
		return;
	registry->surveyed_ms = now_ms;
	registry->survey_token = request_open(registry->options.requests, survey_answered, registry);
	engine_survey(registry->options.engine, registry->survey_token);
}

void drains_stop(struct registry *registry) {
	if (registry->survey_token != 0)
		request_cancel(registry->options.requests, registry->survey_token);
	registry->survey_token = 0;
}
