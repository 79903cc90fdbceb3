/* The plugins by HTTP: list, load, unload. */
#include <event2/http.h>

#include "base/check.h"
#include "control/handlers.h"
#include "control/plugin_json.h"
#include "wire/json.h"

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
	}
	return waiting;
}

json_t *plugin_json(const struct registry_plugin *plugin) {
	return json_pack("{s:s, s:s, s:s, s:I, s:o, s:s, s:o, s:o, s:o, s:o}", "name", plugin->name, "version",
		plugin->version, "state", plugin->state, "share_percent", (json_int_t)plugin->share_percent, "file",
		json_from_words(bytes_text(plugin->file)), "content_hash", plugin->hash, "functions",
		names_json(plugin->functions, plugin->function_count), "routers", routers_json(plugin), "egresses",
		names_json(plugin->egresses, plugin->egress_count), "waiting_for", waiting_json(plugin));
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

void handle_plugins_list(struct exchange *exchange) {
	struct registry *registry = exchange->control->registry;
	exchange_json(
		exchange, 200, json_pack("{s:o, s:o}", "plugins", plugins_json(registry), "refused", refused_json(registry)));
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
	if (!json_is_string(path))
		return error_set(error, ERROR_BAD_REQUEST, "path is missing or no string");
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

void handle_plugins_unload(struct exchange *exchange) {
	struct error error;
	struct bytes name = exchange_param(exchange, 0);
	char text[64]; /* plugin names have at most 63 bytes */
	if (name.size >= sizeof text || (name.size > 0 && memchr(name.data, '\0', name.size) != NULL)) {
		error_set(&error, ERROR_NOT_FOUND, "there is no plugin of that name");
		exchange_error(exchange, &error);
		return;
	}
	memcpy(text, name.data, name.size);
	text[name.size] = '\0';
	registry_unload(exchange->control->registry, text, plugin_done, exchange);
}
