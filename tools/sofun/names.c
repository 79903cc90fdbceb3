#include "names.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "client/http.h"

enum {
	ANSWER_MS = 500, /* a person waits for it with a finger on the key */
	IDS_MAX = 100,
	PROBLEM_BYTES = 256,
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

/* NULL if it does not say: nobody is told of that. */
static json_t *host_ask(const struct listener *listener, const char *target) {
	struct http_answer answer;
	char problem[PROBLEM_BYTES];
	if (http_request(listener->run->control, "GET", target, bytes_of(NULL, 0), ANSWER_MS, &answer, problem) != HTTP_OK)
		return NULL;
	json_t *json = answer.status == 200 ? json_loadb((const char *)answer.body.data, answer.body.size, 0, NULL) : NULL;
	buf_finish(&answer.body);
	return json;
}

/* Of every plugin: its `key`, or each item of its list `key`, or of each item there the member `inner`. */
static void plugins_tell(const struct listener *listener, const char *key, const char *inner) {
	json_t *status = host_ask(listener, "/v1/status");
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
		json_t *page = host_ask(listener, target_text(&target));
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
	json_t *answer = host_ask(listener, target_text(&target));
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
