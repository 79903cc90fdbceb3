/* The plugins by HTTP: list, load, unload, and their versions. */
#include <event2/http.h>

#include "base/check.h"
#include "control/handlers.h"
#include "control/http/body.h"
#include "control/plugin_json.h"
#include "control/surveyed.h"
#include "wire/json.h"

enum {
	PLUGIN_NAME_ROOM = 64,           /* names have at most 63 bytes */
	SWAP_DEADLINE_MS_MAX = 86400000, /* a day; beyond it is a mistake in units */
};

/* ---- as JSON ---- */

static json_t *names_json(const char *const *names, size_t count) {
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *routers_json(const struct registry_plugin *plugin) {
	json_t *routers = json_array();
	for (size_t i = 0; i < plugin->router_count; i++)
		json_array_append_new(routers,
			json_pack("{s:s, s:s}", "ingress", plugin->routers[i].ingress, "format", plugin->routers[i].format));
	return routers;
}

static json_t *waiting_json(const struct registry_plugin *plugin) {
	json_t *waiting = json_array();
	for (size_t i = 0; i < plugin->waiting_count; i++) {
		const struct registry_waiting *one = &plugin->waiting[i];
		json_array_append_new(waiting,
			json_pack("{s:s, s:o, s:I}", "reason", one->reason, "address", json_from_words(bytes_text(one->address)),
				"since_ms", (json_int_t)one->since_ms));
		json_t *row = json_array_get(waiting, i);
		if (one->messages > 0)
			json_object_set_new(row, "messages", json_integer((json_int_t)one->messages));
		if (one->shard >= 0)
			json_object_set_new(row, "shard", json_integer(one->shard));
	}
	return waiting;
}

static json_t *drain_json(const struct registry_drain *drain) {
	if (drain == NULL)
		return json_null();
	json_t *shards = json_array();
	for (uint32_t i = 0; i < drain->shards; i++)
		json_array_append_new(shards, json_integer((json_int_t)drain->left_on[i]));
	return json_pack("{s:s, s:I, s:o, s:I, s:I, s:I, s:I}", "drain", drain->running ? "running" : "accepted", "left",
		(json_int_t)drain->left, "shards", shards, "fence", (json_int_t)drain->fence, "since_ms",
		(json_int_t)drain->since_ms, "oldest_ms", (json_int_t)drain->oldest_ms, "deadline_ms",
		(json_int_t)drain->deadline_ms);
}

/* What tells how it does: its figures, whether it is on probation, why it went back. */
static void conduct_set(json_t *row, const struct registry_plugin *plugin) {
	json_object_set_new(row, "figures", plugin_figures_json(plugin));
	json_object_set_new(row, "counted_since_ms",
		plugin->figures == NULL ? json_null() : json_integer((json_int_t)plugin->counted_since_ms));
	json_object_set_new(row, "probation_ms", json_integer((json_int_t)plugin->probation_ms));
	json_object_set_new(row, "went_back", plugin->went_back == NULL ? json_null() : json_from_error(plugin->went_back));
}

json_t *plugin_json(const struct registry_plugin *plugin) {
	json_t *row = json_pack("{s:s, s:s, s:s, s:I, s:b, s:o, s:s, s:o, s:o, s:o, s:o, s:I, s:o}", "name", plugin->name,
		"version", plugin->version, "state", plugin->state, "share_percent", (json_int_t)plugin->share_percent,
		"rollback_target", plugin->rollback_target, "file", json_from_words(bytes_text(plugin->file)), "content_hash",
		plugin->hash, "functions", names_json(plugin->functions, plugin->function_count), "routers",
		routers_json(plugin), "egresses", names_json(plugin->egresses, plugin->egress_count), "waiting_for",
		waiting_json(plugin), "waiting_total", (json_int_t)plugin->waiting_total, "drain", drain_json(plugin->drain));
	conduct_set(row, plugin);
	return row;
}

static void plugin_append(void *list, const struct registry_plugin *plugin) {
	json_array_append_new(list, plugin_json(plugin));
}

json_t *plugins_json(struct registry *registry) {
	json_t *list = json_array();
	registry_each(registry, plugin_append, list);
	return list;
}

static void refused_append(void *list, const struct registry_refused *refused) {
	json_t *one = json_pack("{s:o}", "file", json_from_words(bytes_text(refused->file)));
	json_object_update_new(one, json_from_error(refused->error));
	json_array_append_new(list, one);
}

json_t *refused_json(struct registry *registry) {
	json_t *list = json_array();
	registry_refused_each(registry, refused_append, list);
	return list;
}

/* ---- handlers ---- */

static void plugins_list(struct exchange *exchange) {
	struct registry *registry = exchange->control->registry;
	exchange_json(
		exchange, 200, json_pack("{s:o, s:o}", "plugins", plugins_json(registry), "refused", refused_json(registry)));
}

void handle_plugins_list(struct exchange *exchange) {
	exchange_surveyed(exchange, plugins_list);
}

/* registry_done */
static void plugin_done(void *arg, const struct registry_plugin *plugin, const struct error *error) {
	struct exchange *exchange = arg;
	if (error != NULL)
		exchange_error(exchange, error);
	else
		exchange_json(exchange, 200, plugin_json(plugin));
}

static bool path_check(json_t *path, struct error *error) {
	if (!json_is_string(path)) {
		error_set(error, ERROR_BAD_REQUEST, "path is missing or no string");
		body_found(error, path);
		return error_advise(error, "the absolute path of a plugin file", "{\"path\":\"/DIR/NAME.so\"}");
	}
	const char *text = json_string_value(path);
	if (text[0] == '/' && strlen(text) == json_string_length(path))
		return true;
	error_set(error, ERROR_BAD_REQUEST, "path is not absolute");
	error_found(error, "%.200s", text);
	error_expected(error, "a path from / on");
	error_hint(error, "the host does not know the folder that you stand in");
	return false;
}

void handle_plugins_load(struct exchange *exchange) {
	struct error error;
	json_t *body = exchange_body_object(exchange, "path");
	if (body == NULL)
		return;
	json_t *path = json_object_get(body, "path");
	if (path_check(path, &error))
		registry_load(exchange->control->registry, json_string_value(path), plugin_done, exchange);
	else
		exchange_error(exchange, &error);
	json_decref(body);
}

static void plugin_missing(const struct exchange *exchange, struct error *error) {
	error_set(error, ERROR_NOT_FOUND, "there is no plugin of that name");
	exchange_found(exchange, exchange_param(exchange, 0), error);
	error_advise(error, "the name of a plugin that is in", "`sofun status` lists them");
}

/* The plugin's name in the path; false: there can be none of that name, and that was answered. */
static bool name_take(struct exchange *exchange, char text[PLUGIN_NAME_ROOM]) {
	struct error error;
	struct bytes name = exchange_param(exchange, 0);
	if (name.size >= PLUGIN_NAME_ROOM || (name.size > 0 && memchr(name.data, '\0', name.size) != NULL)) {
		plugin_missing(exchange, &error);
		exchange_error(exchange, &error);
		return false;
	}
	memcpy(text, name.data, name.size);
	text[name.size] = '\0';
	return true;
}

static void plugins_unload(struct exchange *exchange) {
	char name[PLUGIN_NAME_ROOM];
	if (name_take(exchange, name))
		registry_unload(exchange->control->registry, name, plugin_done, exchange);
}

void handle_plugins_unload(struct exchange *exchange) {
	exchange_surveyed(exchange, plugins_unload); /* a refusal names what is awaited */
}

/* ---- versions ---- */

static void versions_show(struct exchange *exchange) {
	struct error error;
	char name[PLUGIN_NAME_ROOM];
	if (!name_take(exchange, name))
		return;
	json_t *list = json_array();
	if (registry_versions_each(exchange->control->registry, name, plugin_append, list)) {
		exchange_json(exchange, 200, json_pack("{s:s, s:o}", "name", name, "versions", list));
		return;
	}
	json_decref(list);
	plugin_missing(exchange, &error);
	exchange_error(exchange, &error);
}

void handle_versions(struct exchange *exchange) {
	exchange_surveyed(exchange, versions_show);
}

static bool drain_take(json_t *body, bool *running, struct error *error) {
	const json_t *drain = json_object_get(body, "drain");
	const char *text = json_string_value(drain);
	if (drain == NULL)
		return true;
	if (text != NULL && (strcmp(text, "accepted") == 0 || strcmp(text, "running") == 0)) {
		*running = strcmp(text, "running") == 0;
		return true;
	}
	error_set(error, ERROR_BAD_REQUEST, "drain is not a way to drain");
	body_found(error, drain);
	return error_advise(error, "accepted or running",
		"accepted: what was accepted is finished by the old version; running: only what runs");
}

static bool percent_take(json_t *body, uint32_t *percent, struct error *error) {
	const json_t *canary = json_object_get(body, "canary");
	if (canary == NULL)
		return true;
	if (json_is_integer(canary) && json_integer_value(canary) >= 1 && json_integer_value(canary) <= 100) {
		*percent = (uint32_t)json_integer_value(canary);
		return true;
	}
	error_set(error, ERROR_BAD_REQUEST, "canary is no percentage");
	body_found(error, canary);
	return error_advise(error, "an integer from 1 to 100", "so many of a hundred ids go to the new version");
}

static bool deadline_take(json_t *body, uint64_t *deadline_ms, struct error *error) {
	return body_number(body, "deadline_ms", 0, SWAP_DEADLINE_MS_MAX, deadline_ms, error);
}

static bool shadow_missing(const json_t *shadow, struct error *error) {
	error_set(error, ERROR_NOT_FOUND, "shadow comes with a later version of sofun");
	body_found(error, shadow);
	return error_advise(error, "no shadow", "canary sends part of the ids to the new version");
}

static bool order_take(json_t *body, struct registry_swap *order, struct error *error) {
	order->version = json_string_value(json_object_get(body, "version"));
	if (json_object_get(body, "shadow") != NULL)
		return shadow_missing(json_object_get(body, "shadow"), error);
	return body_flag(body, "no_way_back", &order->no_way_back, error) && drain_take(body, &order->running, error) &&
		percent_take(body, &order->percent, error) && deadline_take(body, &order->deadline_ms, error);
}

/* A share is a swap's: what promote and rollback give are all ids. */
static bool share_refuse(const json_t *body, const char *name, struct error *error) {
	const json_t *canary = json_object_get(body, "canary");
	if (canary == NULL)
		return true;
	error_set(
		error, ERROR_BAD_REQUEST, "canary is of a swap: a version that is promoted, or gone back to, has all ids");
	body_found(error, canary);
	error_expected(error, "no canary");
	error_hint(error, "`sofun swap %s VERSION --canary P` gives a version another share", name);
	return false;
}

typedef void order_run(
	struct registry *registry, const char *name, const struct registry_swap *order, registry_done *done, void *arg);

static void handle_order(struct exchange *exchange, bool running, order_run *run) {
	struct error error;
	char name[PLUGIN_NAME_ROOM];
	struct registry_swap order = {.running = running, .deadline_ms = SWAP_DEADLINE_MS};
	if (!name_take(exchange, name))
		return;
	json_t *body = exchange_body_object(exchange, "version,drain,deadline_ms,canary,shadow,no_way_back");
	if (body == NULL)
		return;
	if (!order_take(body, &order, &error) || (run != registry_swap && !share_refuse(body, name, &error))) {
		exchange_error(exchange, &error);
	} else if (run == registry_swap && order.version == NULL) {
		error_set(&error, ERROR_BAD_REQUEST, "version is missing or no string");
		body_found(&error, json_object_get(body, "version"));
		error_advise(&error, "\"MAJOR.MINOR.PATCH\"", "`sofun versions NAME` lists what there is");
		exchange_error(exchange, &error);
	} else {
		run(exchange->control->registry, name, &order, plugin_done, exchange);
	}
	json_decref(body);
}

static void order_swap(struct exchange *exchange) {
	handle_order(exchange, false, registry_swap);
}

static void order_promote(struct exchange *exchange) {
	handle_order(exchange, false, registry_promote);
}

/* What made somebody go back must not go on working: only what runs is finished by it, unless asked otherwise. */
static void order_rollback(struct exchange *exchange) {
	handle_order(exchange, true, registry_rollback);
}

/* Surveyed, since a refusal names what is awaited. */
void handle_swap(struct exchange *exchange) {
	exchange_surveyed(exchange, order_swap);
}

void handle_promote(struct exchange *exchange) {
	exchange_surveyed(exchange, order_promote);
}

void handle_rollback(struct exchange *exchange) {
	exchange_surveyed(exchange, order_rollback);
}

/* ---- state migration in the background ---- */

static void migration_add(void *arg, const struct registry_migration *migration) {
	json_array_append_new(arg,
		json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "type", migration->type, "plugin", migration->plugin, "schema",
			(json_int_t)migration->schema, "total", (json_int_t)migration->total, "left", (json_int_t)migration->left,
			"refused", (json_int_t)migration->refused, "reason", json_from_words(bytes_text(migration->reason))));
}

json_t *migrations_json(struct registry *registry) {
	json_t *migrations = json_array();
	check_memory(migrations);
	registry_migrations_each(registry, migration_add, migrations);
	return migrations;
}

void handle_migrate(struct exchange *exchange) {
	struct error error;
	char name[PLUGIN_NAME_ROOM];
	if (!name_take(exchange, name))
		return;
	if (registry_migrate(exchange->control->registry, name, &error))
		exchange_json(exchange, 202, json_pack("{s:o}", "migrations", migrations_json(exchange->control->registry)));
	else
		exchange_error(exchange, &error);
}
