#include "complete.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/http.h"
#include "command_line.h"

enum {
	ANSWER_MS = 500, /* a person waits for it with a finger on the key */
	IDS_MAX = 100,
	PROBLEM_BYTES = 256,
};

enum { FILES_TOO = 0, NO_FILES = 1 };

/* What has been written, and where it is. */
struct completion {
	struct invocation run; /* as far as it goes */
	const char *word;      /* the one being written */
};

/* ---- candidates ---- */

/* What a shell would take for something else than a plain word is not offered: an id may be anything. */
static bool plain_word(const char *word) {
	for (const char *at = word; *at != '\0'; at++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/:@%+,=-", *at) == NULL)
			return false;
	return *word != '\0';
}

static void offer(const struct completion *at, const char *candidate) {
	if (candidate != NULL && strncmp(candidate, at->word, strlen(at->word)) == 0 && plain_word(candidate))
		puts(candidate);
}

/* The words of "NAME|first|last" in small letters. */
static void offer_words(const struct completion *at, const char *words) {
	char room[64];
	while (*words != '\0') {
		const size_t size = strcspn(words, "|");
		(void)snprintf(room, sizeof room, "%.*s", (int)size, words);
		if (*room >= 'a' && *room <= 'z')
			offer(at, room);
		words += size + (words[size] == '|');
	}
}

static void offer_options(const struct completion *at, const struct option *options) {
	for (; options != NULL && options->name != NULL; options++)
		offer(at, options->name);
}

/* ---- what the host knows ---- */

/* NULL if it does not say: completion is silent. */
static json_t *host_ask(const struct completion *at, const char *target) {
	struct http_answer answer;
	char problem[PROBLEM_BYTES];
	if (http_request(at->run.control, "GET", target, bytes_of(NULL, 0), ANSWER_MS, &answer, problem) != HTTP_OK)
		return NULL;
	json_t *json = answer.status == 200 ? json_loadb((const char *)answer.body.data, answer.body.size, 0, NULL) : NULL;
	buf_finish(&answer.body);
	return json;
}

/* Of every plugin: its `key`, or each item of its list `key`, or of each item there the member `inner`. */
static void offer_plugins(const struct completion *at, const char *key, const char *inner) {
	json_t *status = host_ask(at, "/v1/status");
	size_t i, k;
	json_t *plugin, *item;
	json_array_foreach(json_object_get(status, "plugins"), i, plugin) {
		json_t *found = json_object_get(plugin, key);
		offer(at, json_string_value(found));
		json_array_foreach(found, k, item) {
			offer(at, json_string_value(inner == NULL ? item : json_object_get(item, inner)));
		}
	}
	json_decref(status);
}

static void offer_ids(const struct completion *at) {
	struct buf target = {0};
	const char *type = argument(&at->run, 0);
	size_t i;
	json_t *instance;
	buf_printf(&target, "/v1/state/");
	if (type != NULL && target_append_type(&target, type)) {
		buf_printf(&target, "?limit=%d", IDS_MAX);
		json_t *page = host_ask(at, target_text(&target));
		json_array_foreach(json_object_get(page, "instances"), i, instance) {
			offer(at, json_string_value(json_object_get(instance, "id")));
		}
		json_decref(page);
	}
	buf_finish(&target);
}

static void offer_versions(const struct completion *at) {
	struct buf target = {0};
	size_t i;
	json_t *version;
	buf_printf(&target, "/v1/plugins/");
	target_append(&target, bytes_text(argument(&at->run, 0)));
	buf_printf(&target, "/versions");
	json_t *versions = host_ask(at, target_text(&target));
	json_array_foreach(json_is_object(versions) ? json_object_get(versions, "versions") : versions, i, version) {
		offer(at, json_string_value(json_object_get(version, "version")));
	}
	json_decref(versions);
	buf_finish(&target);
}

/* ---- what stands where ---- */

static int offer_argument(const struct completion *at) {
	char kind[32] = "";
	const char *kinds = at->run.command->completes == NULL ? "" : at->run.command->completes;
	for (size_t i = 0; i <= at->run.argument_count; i++) {
		const size_t size = strcspn(kinds, " ");
		(void)snprintf(kind, sizeof kind, "%.*s", (int)size, kinds);
		kinds += size + (kinds[size] == ' ');
	}
	if (strcmp(kind, "file") == 0)
		return FILES_TOO;
	if (strcmp(kind, "plugin") == 0)
		offer_plugins(at, "name", NULL);
	else if (strcmp(kind, "type") == 0)
		offer_plugins(at, "functions", NULL);
	else if (strcmp(kind, "egress") == 0)
		offer_plugins(at, "egresses", NULL);
	else if (strcmp(kind, "ingress") == 0)
		offer_plugins(at, "routers", "ingress");
	else if (strcmp(kind, "id") == 0)
		offer_ids(at);
	else if (strcmp(kind, "version") == 0)
		offer_versions(at);
	else
		offer_words(at, kind);
	return NO_FILES;
}

static int offer_value(const struct completion *at, const struct option *option) {
	offer_words(at, option->value);
	return strcmp(option->value, "DIR") == 0 || strcmp(option->value, "PATH") == 0 || strcmp(option->value, "FILE") == 0
		? FILES_TOO
		: NO_FILES;
}

static void word_take(struct completion *at, const char *word) {
	if (at->run.command == NULL)
		at->run.command = command_find(word);
	else if (at->run.argument_count < ARGUMENTS_MAX)
		at->run.arguments[at->run.argument_count++] = word;
}

static const struct option *option_of(const struct completion *at, const char *word) {
	const struct option *option = option_find(global_options, word, strlen(word));
	if (option == NULL && at->run.command != NULL)
		option = option_find(at->run.command->options, word, strlen(word));
	return option;
}

/* The words before the one being written; the option whose value that is, or NULL. */
static const struct option *words_take(struct completion *at, int count, char **words) {
	for (int i = 0; i < count; i++) {
		const struct option *option = looks_like_option(words[i]) ? option_of(at, words[i]) : NULL;
		if (option != NULL && option->value != NULL && ++i >= count)
			return option;
		if (option != NULL && at->run.option_count < OPTIONS_MAX)
			at->run.options[at->run.option_count++] =
				(struct given){option->name, option->value == NULL ? "" : words[i]};
		else if (option == NULL && !looks_like_option(words[i]))
			word_take(at, words[i]);
	}
	return NULL;
}

static int offer_next(const struct completion *at, const struct option *pending) {
	if (pending != NULL)
		return offer_value(at, pending);
	if (at->word[0] == '-') {
		offer_options(at, global_options);
		offer_options(at, at->run.command == NULL ? NULL : at->run.command->options);
		return NO_FILES;
	}
	if (at->run.command != NULL)
		return offer_argument(at);
	for (const struct command *const *command = commands; *command != NULL; command++)
		offer(at, (*command)->name);
	return NO_FILES;
}

int complete(int count, char **words) {
	const int place = atoi(words[0]);
	struct completion at = {.word = ""};
	words++, count--;
	if (place < 0 || place > count)
		return NO_FILES;
	if (place < count)
		at.word = words[place];
	const struct option *pending = words_take(&at, place, words);
	if (option_value(&at.run, "--data") != NULL && option_value(&at.run, "--control") != NULL)
		return NO_FILES; /* the command would refuse it */
	(void)command_line_paths(&at.run);
	const int result = offer_next(&at, pending);
	command_line_finish(&at.run);
	return result;
}
