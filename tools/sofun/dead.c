/* dead: messages that could not be handled, with the reason. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "client/http.h"
#include "commands.h"
#include "fail.h"
#include "show/output.h"

enum { PAGE = 100 };

/* One page behind `after` (NULL: the first). */
static int page_ask(const struct invocation *run, const json_t *after, json_t **ret_page) {
	struct buf target = {0}, text = {0};
	buf_printf(&target, "/v1/dead?limit=%d", PAGE);
	if (after != NULL) {
		text_of_json(after, &text);
		buf_printf(&target, "&after=");
		target_append(&target, bytes_buf(&text));
	}
	int result = http_json(run, "GET", target_text(&target), NULL, ret_page);
	buf_finish(&target);
	buf_finish(&text);
	return result;
}

/* What --type, --code and --plugin ask for. */
static bool letter_matches(const struct invocation *run, const json_t *letter) {
	static const char *const filters[][2] = {{"--type", "to"}, {"--code", "code"}, {"--plugin", "plugin"}};
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
		const char *wanted = option_value(run, filters[i][0]);
		const char *found = json_string_value(json_object_get(letter, filters[i][1]));
		if (wanted != NULL && (found == NULL || strcmp(wanted, found) != 0))
			return false;
	}
	return true;
}

static bool has_filter(const struct invocation *run) {
	return option_value(run, "--type") != NULL || option_value(run, "--code") != NULL ||
		option_value(run, "--plugin") != NULL;
}

static void letters_filter(const struct invocation *run, json_t *letters) {
	for (size_t i = json_array_size(letters); i > 0; i--) {
		if (!letter_matches(run, json_array_get(letters, i - 1)))
			json_array_remove(letters, i - 1);
	}
}

/* The first page, or with --all every letter, as {dead, next}. */
static int letters_ask(const struct invocation *run, json_t **ret_letters) {
	int result = page_ask(run, NULL, ret_letters);
	bool all = option_value(run, "--all") != NULL || has_filter(run);
	while (result == EXIT_OK && all && !json_is_null(json_object_get(*ret_letters, "next"))) {
		json_t *page;
		result = page_ask(run, json_object_get(*ret_letters, "next"), &page);
		if (result != EXIT_OK) {
			json_decref(*ret_letters);
			return result;
		}
		json_array_extend(json_object_get(*ret_letters, "dead"), json_object_get(page, "dead"));
		json_object_set(*ret_letters, "next", json_object_get(page, "next"));
		json_decref(page);
	}
	if (result == EXIT_OK && has_filter(run))
		letters_filter(run, json_object_get(*ret_letters, "dead"));
	return result;
}

static int list_run(const struct invocation *run) {
	static const char *const keys[] = {"number", "to", "id", "code", "attempts", "reason"};
	static const char *const heads[] = {"NUMBER", "TO", "ID", "CODE", "ATTEMPTS", "REASON"};
	json_t *letters;
	int result = letters_ask(run, &letters);
	if (result != EXIT_OK)
		return result;
	const json_t *dead = json_object_get(letters, "dead");
	if (run->json) {
		output_json(letters);
	} else if (json_array_size(dead) == 0) {
		puts("no dead letters");
	} else {
		struct table table;
		table_init(&table, 6);
		for (size_t i = 0; i < 6; i++)
			table_cell(&table, heads[i]);
		size_t i;
		json_t *letter;
		json_array_foreach(dead, i, letter) {
			for (size_t k = 0; k < 6; k++)
				table_cell_json(&table, json_object_get(letter, keys[k]));
		}
		table_print(&table);
		if (!json_is_null(json_object_get(letters, "next")))
			fputs("there are more; see all with --all\n", stderr);
	}
	json_decref(letters);
	return EXIT_OK;
}

static int letter_request(
	const struct invocation *run, const char *method, const char *number, const char *action, json_t **ret_answer) {
	struct buf target = {0};
	buf_printf(&target, "/v1/dead/");
	target_append(&target, bytes_text(number));
	buf_printf(&target, "%s", action);
	int result = http_json(run, method, target_text(&target), NULL, ret_answer);
	buf_finish(&target);
	return result;
}

static int show_run(const struct invocation *run, const char *number) {
	json_t *letter;
	int result = letter_request(run, "GET", number, "", &letter);
	if (result != EXIT_OK)
		return result;
	if (run->json) {
		output_json(letter);
	} else {
		struct table table;
		table_init(&table, 2);
		table_cell(&table, "FIELD");
		table_cell(&table, "CONTENT");
		const char *key;
		json_t *value;
		json_object_foreach(letter, key, value) {
			table_cell(&table, key);
			table_cell_json(&table, value);
		}
		table_print(&table);
	}
	json_decref(letter);
	return EXIT_OK;
}

/* retry and drop. */
static int letter_act(const struct invocation *run, const char *number, bool retry, json_t **ret_answer) {
	return letter_request(run, retry ? "POST" : "DELETE", number, retry ? "/retry" : "", ret_answer);
}

static int all_act(const struct invocation *run, bool retry) {
	json_t *letters;
	int result = letters_ask(run, &letters);
	if (result != EXIT_OK)
		return result;
	size_t i;
	long long count = 0;
	json_t *letter;
	json_array_foreach(json_object_get(letters, "dead"), i, letter) {
		char number[32];
		snprintf(number, sizeof number, "%lld", (long long)json_integer_value(json_object_get(letter, "number")));
		json_t *answer;
		result = letter_act(run, number, retry, &answer);
		if (result != EXIT_OK)
			break;
		json_decref(answer);
		count++;
	}
	json_decref(letters);
	if (result == EXIT_OK && run->json)
		printf("{\"count\":%lld}\n", count);
	else if (result == EXIT_OK)
		printf("%s %lld dead letters\n", retry ? "retried" : "dropped", count);
	return result;
}

static int one_act(const struct invocation *run, const char *number, bool retry) {
	json_t *answer;
	int result = letter_act(run, number, retry, &answer);
	if (result != EXIT_OK)
		return result;
	if (run->json)
		output_json(answer);
	else
		printf("%s dead letter %s\n", retry ? "retried" : "dropped", number);
	json_decref(answer);
	return EXIT_OK;
}

static int dead_run(const struct invocation *run) {
	const char *action = argument(run, 0) == NULL ? "list" : argument(run, 0), *number = argument(run, 1);
	bool all = option_value(run, "--all") != NULL || has_filter(run);
	bool retry = strcmp(action, "retry") == 0, show = strcmp(action, "show") == 0;
	if (strcmp(action, "list") == 0)
		return number == NULL ? list_run(run) : fail_usage(run, "dead list takes no number");
	if (!retry && !show && strcmp(action, "drop") != 0)
		return fail_usage(run, "dead takes list, show, retry or drop, not '%s'", action);
	if (all && !show)
		return number == NULL ? all_act(run, retry) : fail_usage(run, "give a number or --all, not both");
	if (number == NULL || strspn(number, "0123456789") != strlen(number) || *number == '\0')
		return fail_usage(run, "dead %s needs the number of a dead letter", action);
	return show ? show_run(run, number) : one_act(run, number, retry);
}

static const struct option dead_options[] = {
	{"--all", NULL, "list, retry or drop every dead letter, not only a page or one"},
	{"--type", "NS/NAME", "retry or drop those to this function type, or list them (ingress/NAME: a router's)"},
	{"--code", "CODE", "those with this code: unknown_type, function_failed, router_failed"},
	{"--plugin", "NAME", "those that died in this plugin"},
	{NULL, NULL, NULL},
};

const struct command dead_command = {
	.name = "dead",
	.usage = "[list | show N | retry N | drop N] [--all] [--type NS/NAME] [--code CODE] [--plugin NAME]",
	.summary = "messages that could not be handled, with the reason",
	.help =
		"A message that fails after all attempts, or that nobody can take, becomes a dead letter; its address goes on.\n"
		"retry sends it again: it then stands behind what its address has already, so order is not kept.\n\n"
		"  sofun dead\n"
		"  sofun dead show 3\n"
		"  sofun dead retry --all\n"
		"  sofun dead drop --type demo/counter --code function_failed",
	.completes = "list|show|retry|drop",
	.options = dead_options,
	.arguments_min = 0,
	.arguments_max = 2,
	.run = dead_run,
};
