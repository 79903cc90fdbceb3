/* The settings by HTTP and by SIGHUP: shown with where they come from, changed where they may. */
#include "control/settings.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "control/handlers.h"
#include "wire/json.h"

/* ---- show ---- */

static json_t *value_json(const struct config_shown *shown) {
	if (shown->number)
		return json_integer((json_int_t)shown->numeric);
	if (shown->text != NULL)
		return json_from_words(bytes_text(shown->text));
	if (shown->list == NULL)
		return json_from_words(shown->value);
	json_t *list = json_array();
	for (size_t i = 0; i < shown->list->count; i++)
		json_array_append_new(list, json_from_words(bytes_text(shown->list->items[i])));
	return list;
}

static void setting_append(void *list, const struct config_shown *shown) {
	json_array_append_new(list,
		json_pack("{s:s, s:o, s:o, s:s, s:s, s:b, s:s, s:s}", "key", shown->key, "value", value_json(shown), "default",
			json_from_words(shown->preset), "unit", shown->unit, "source", shown->source, "live", shown->live,
			"meaning", shown->meaning, "reason", shown->reason));
}

void handle_config_show(struct exchange *exchange) {
	const struct config *config = exchange->control->config;
	json_t *list = json_array();
	config_each(config, setting_append, list);
	exchange_json(exchange, 200,
		json_pack("{s:o, s:o}", "file", config->file == NULL ? json_null() : json_from_words(bytes_text(config->file)),
			"settings", list));
}

/* ---- change ---- */

static json_t *changes_json(const struct config_changes *changes) {
	json_t *changed = json_array(), *restart = json_array();
	for (size_t i = 0; i < changes->count; i++) {
		const struct config_change *change = &changes->items[i];
		json_array_append_new(change->live ? changed : restart,
			json_pack("{s:s, s:o, s:o}", "key", change->key, "from", json_from_words(bytes_text(change->from)), "to",
				json_from_words(bytes_text(change->to))));
	}
	return json_pack("{s:o, s:o}", "changed", changed, "needs_restart", restart);
}

static void changes_log(const struct config_changes *changes, const char *by) {
	for (size_t i = 0; i < changes->count; i++) {
		const struct config_change *change = &changes->items[i];
		log_event(change->live ? LOG_INFO : LOG_WARN, change->live ? "setting_changed" : "setting_needs_restart",
			"key=%s from=\"%s\" to=\"%s\" by=%s", change->key, change->from, change->to, by);
	}
}

/* Takes the keys whose value is null out of the object; what points to them is valid as long as `taken`. */
static size_t resets_take(json_t *object, json_t *taken, const char **resets) {
	const char *key;
	json_t *value;
	void *next;
	size_t count = 0;
	json_object_foreach_safe(object, next, key, value) {
		if (!json_is_null(value))
			continue;
		json_t *name = json_string(key);
		json_array_append_new(taken, name);
		resets[count++] = json_string_value(name);
		json_object_del(object, key);
	}
	return count;
}

static bool settings_set(struct control *control, json_t *body, json_t **ret_answer, struct error *error) {
	struct config_changes changes;
	json_t *taken = json_array();
	const char **resets = check_alloc(json_object_size(body) + 1, sizeof *resets);
	size_t count = resets_take(body, taken, resets);
	char *text = json_dumps(body, JSON_COMPACT);
	check_memory(text);
	bool good = config_live_set(control->settings, bytes_text(text), resets, count, &changes, error);
	if (good) {
		changes_log(&changes, "request");
		*ret_answer = changes_json(&changes);
		config_changes_finish(&changes);
	}
	free(text);
	free(resets);
	json_decref(taken);
	return good;
}

/* An answer that waits until every shard goes by what was changed. */
struct settled {
	struct exchange *exchange;
	json_t *answer;
};

static void settled_answer(void *arg, const struct error *error) {
	struct settled *settled = arg;
	if (error == NULL) {
		exchange_json(settled->exchange, 200, settled->answer);
	} else {
		json_decref(settled->answer);
		exchange_error(settled->exchange, error);
	}
	free(settled);
}

static bool functions_changed(const json_t *answer) {
	size_t i;
	const json_t *change;
	json_array_foreach(json_object_get(answer, "changed"), i, change) {
		if (strcmp(json_string_value(json_object_get(change, "key")), "functions") == 0)
			return true;
	}
	return false;
}

/* exchange: who waits for it; NULL: nobody. Takes the answer over. */
static void settings_settle(struct control *control, struct exchange *exchange, json_t *answer) {
	if (exchange == NULL) {
		if (functions_changed(answer))
			registry_ttl_changed(control->registry, NULL, NULL);
		json_decref(answer);
	} else if (!functions_changed(answer)) {
		exchange_json(exchange, 200, answer);
	} else {
		struct settled *settled = check_alloc(1, sizeof *settled);
		*settled = (struct settled){exchange, answer};
		registry_ttl_changed(control->registry, settled_answer, settled);
	}
}

void handle_config_set(struct exchange *exchange) {
	struct error error;
	json_t *answer;
	json_t *body = exchange_body_object(exchange, NULL);
	if (body == NULL)
		return;
	if (settings_set(exchange->control, body, &answer, &error))
		settings_settle(exchange->control, exchange, answer);
	else
		exchange_error(exchange, &error);
	json_decref(body);
}

/* ---- from the file ---- */

static bool settings_reload(struct control *control, const char *by, json_t **ret_answer, struct error *error) {
	struct config_changes changes;
	if (!config_live_reload(control->settings, &changes, error)) {
		char line[sizeof *error];
		error_line(error, line, sizeof line);
		log_event(LOG_ERROR, "settings_refused", "by=%s reason=\"%s\"", by, line);
		return false;
	}
	changes_log(&changes, by);
	log_event(LOG_INFO, "settings_read", "by=%s differing=%zu", by, changes.count);
	*ret_answer = changes_json(&changes);
	config_changes_finish(&changes);
	return true;
}

void handle_config_reload(struct exchange *exchange) {
	struct error error;
	json_t *answer;
	json_t *body = exchange_body_object(exchange, "");
	if (body == NULL)
		return;
	json_decref(body);
	if (settings_reload(exchange->control, "request", &answer, &error))
		settings_settle(exchange->control, exchange, answer);
	else
		exchange_error(exchange, &error);
}

void settings_hangup(void *control) {
	struct error error;
	json_t *answer;
	if (settings_reload(control, "SIGHUP", &answer, &error))
		settings_settle(control, NULL, answer);
}
