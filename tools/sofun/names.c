#include "names.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "client/http.h"

enum {
	ANSWER_MS = 500, /* a person waits for it with a finger on the key */
	IDS_MAX = 100,
};

void argument_kind(const struct command *command, size_t i, char ret_kind[KIND_BYTES]) {
	const char *kinds = command->completes == NULL ? "" : command->completes;
	for (; i > 0; i--) {
		kinds += strcspn(kinds, " ");
		kinds += *kinds == ' ';
	}
	(void)snprintf(ret_kind, KIND_BYTES, "%.*s", (int)strcspn(kinds, " "), kinds);
}

/* Whoever is told the names, one by one. */
struct listener {
	const struct invocation *run;
	name_take take;
	void *arg;
};

static void tell(const struct listener *listener, const json_t *name) {
	if (json_is_string(name))
		listener->take(listener->arg, json_string_value(name));
}

/* Of every plugin: its `key`, or each item of its list `key`, or of each item there the member `inner`. */
static void plugins_tell(const struct listener *listener, const char *key, const char *inner) {
	json_t *status = http_json_quiet(listener->run, "/v1/status", ANSWER_MS);
	size_t i, k;
	json_t *plugin, *item;
	json_array_foreach(json_object_get(status, "plugins"), i, plugin) {
		json_t *found = json_object_get(plugin, key);
		tell(listener, found);
		json_array_foreach(found, k, item) {
			tell(listener, inner == NULL ? item : json_object_get(item, inner));
		}
	}
	json_decref(status);
}

static void ids_tell(const struct listener *listener) {
	struct buf target = {0};
	const char *type = argument(listener->run, 0);
	size_t i;
	json_t *instance;
	buf_printf(&target, "/v1/state/");
	if (type != NULL && target_append_type(&target, type)) {
		buf_printf(&target, "?limit=%d", IDS_MAX);
		json_t *page = http_json_quiet(listener->run, target_text(&target), ANSWER_MS);
		json_array_foreach(json_object_get(page, "instances"), i, instance) {
			tell(listener, json_object_get(instance, "id"));
		}
		json_decref(page);
	}
	buf_finish(&target);
}

static void versions_tell(const struct listener *listener) {
	struct buf target = {0};
	size_t i;
	json_t *version;
	buf_printf(&target, "/v1/plugins/");
	target_append(&target, bytes_text(argument(listener->run, 0)));
	buf_printf(&target, "/versions");
	json_t *answer = http_json_quiet(listener->run, target_text(&target), ANSWER_MS);
	json_array_foreach(json_object_get(answer, "versions"), i, version) {
		tell(listener, json_object_get(version, "version"));
	}
	json_decref(answer);
	buf_finish(&target);
}

bool names_each(const struct invocation *run, const char *kind, name_take take, void *arg) {
	static const struct {
		const char *kind;
		const char *key;
		const char *inner;
	} of_plugins[] = {{"plugin", "name", NULL}, {"type", "functions", NULL}, {"egress", "egresses", NULL},
		{"ingress", "routers", "ingress"}};
	const struct listener listener = {run, take, arg};
	for (size_t i = 0; i < sizeof of_plugins / sizeof of_plugins[0]; i++)
		if (strcmp(kind, of_plugins[i].kind) == 0)
			return plugins_tell(&listener, of_plugins[i].key, of_plugins[i].inner), true;
	if (strcmp(kind, "id") == 0)
		return ids_tell(&listener), true;
	if (strcmp(kind, "version") == 0)
		return versions_tell(&listener), true;
	return false;
}

static void near_take(void *arg, const char *name) {
	near_offer(arg, name);
}

struct near names_nearest(const struct invocation *run, const char *kind, const char *wanted) {
	struct near near = near_begin(bytes_text(wanted));
	names_each(run, kind, near_take, &near);
	if (near.distance == 0) /* it is there: something else is not */
		near.best[0] = '\0';
	return near;
}
