/* dead: messages that could not be handled, with the reason. */
#include <stdio.h>
#include <string.h>

#include "client/http.h"
#include "commands.h"
#include "dead/bulk.h"
#include "dead/filter.h"
#include "fail.h"
#include "show/output.h"
#include "show/table.h"

enum { PAGE = 1000, PAGE_SHORT = 100 };

/* One page of at most `limit` letters behind `after` (NULL: the first). */
static int page_ask(const struct invocation *run, const json_t *filter, unsigned long long limit, const json_t *after,
	json_t **ret_page) {
	struct buf target = {0};
	buf_printf(&target, "/v1/dead?limit=%llu", limit < PAGE ? limit : PAGE);
	if (after != NULL)
		buf_printf(&target, "&after=%lld", (long long)json_integer_value(after));
	filter_append(filter, &target);
	int result = http_json(run, "GET", target_text(&target), NULL, ret_page);
	buf_finish(&target);
	return result;
}

/* Page by page up to `limit` letters, as {dead, next}. */
static int letters_ask(
	const struct invocation *run, const json_t *filter, unsigned long long limit, json_t **ret_letters) {
	int result = page_ask(run, filter, limit, NULL, ret_letters);
	while (result == EXIT_OK) {
		json_t *page, *next = json_object_get(*ret_letters, "next"), *dead = json_object_get(*ret_letters, "dead");
		if (json_is_null(next) || json_array_size(dead) >= limit)
			return EXIT_OK;
		result = page_ask(run, filter, limit - json_array_size(dead), next, &page);
		if (result != EXIT_OK) {
			json_decref(*ret_letters);
			return result;
		}
		json_array_extend(dead, json_object_get(page, "dead"));
		json_object_set(*ret_letters, "next", json_object_get(page, "next"));
		json_decref(page);
	}
	return result;
}

/* The first few, unless the options ask for more. */
static int letters_meant(const struct invocation *run, json_t **ret_letters) {
	unsigned long long limit = filter_given(run) || option_value(run, "--all") != NULL ? INT64_MAX : PAGE_SHORT;
	json_t *filter;
	if (!option_number(run, "--limit", INT64_MAX, &limit))
		return EXIT_USAGE;
	if (limit == 0)
		return fail_usage(run, "--limit 0 asks for nothing");
	int result = filter_read(run, &filter);
	if (result != EXIT_OK)
		return result;
	result = letters_ask(run, filter, limit, ret_letters);
	json_decref(filter);
	return result;
}

static int list_run(const struct invocation *run) {
	static const char *const keys[] = {"number", "to", "id", "code", "attempts", "reason"};
	static const struct table_column columns[] = {
		{"NUMBER", 0, 0}, {"TO", 12, 0}, {"ID", 8, 0}, {"CODE", 0, 2}, {"ATTEMPTS", 0, 3}, {"REASON", 16, 0}};
	json_t *letters;
	int result = letters_meant(run, &letters);
	if (result != EXIT_OK)
		return result;
	const json_t *dead = json_object_get(letters, "dead");
	if (run->json) {
		output_json(letters);
	} else if (json_array_size(dead) == 0) {
		puts("no dead letters");
	} else {
		struct table table;
		table_init(&table, columns, 6);
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
		static const struct table_column columns[] = {{"FIELD", 0, 0}, {"CONTENT", 0, 0}};
		struct table table;
		table_init(&table, columns, 2);
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
	bool all = option_value(run, "--all") != NULL || filter_given(run);
	bool retry = strcmp(action, "retry") == 0, show = strcmp(action, "show") == 0;
	if (strcmp(action, "list") == 0 && option_value(run, "--dry-run") != NULL)
		return fail_usage(run, "dead list changes nothing: leave --dry-run out");
	if (strcmp(action, "list") == 0)
		return number == NULL ? list_run(run) : fail_usage(run, "dead list takes no number");
	if (!retry && !show && strcmp(action, "drop") != 0)
		return fail_usage(run, "dead takes list, show, retry or drop, not '%s'", action);
	if (all && !show)
		return number == NULL ? bulk_run(run, retry) : fail_usage(run, "give a number, or --all or a filter, not both");
	if (option_value(run, "--dry-run") != NULL || option_value(run, "--limit") != NULL)
		return fail_usage(run, "--dry-run and --limit go with --all or a filter");
	if (number == NULL || strspn(number, "0123456789") != strlen(number) || *number == '\0')
		return fail_usage(run, "dead %s needs the number of a dead letter", action);
	return show ? show_run(run, number) : one_act(run, number, retry);
}

static const struct option dead_options[] = {
	{"--all", NULL, "list, retry or drop every dead letter, not only a page or one"},
	{"--type", "NS/NAME", "retry or drop those to this function type, or list them (ingress/NAME: a router's)"},
	{"--id", "ID", "those to this id"},
	{"--code", "CODE", "those with this code: unknown_type, function_failed, router_failed, crashed"},
	{"--plugin", "NAME", "those that died in this plugin"},
	{"--version", "VERSION", "those that died in this version of it"},
	{"--since", "TIME",
		"those that died at that time or later: an age as 90s, 15m, 2h, 7d, or milliseconds since 1970"},
	{"--before", "TIME", "those that died before that time"},
	{"--limit", "N", "at most so many, oldest first"},
	{"--dry-run", NULL, "retry, drop: only say how many there are"},
	{NULL, NULL, NULL},
};

const struct command dead_command = {
	.name = "dead",
	.usage = "[list | show N | retry N | drop N] [--all | FILTER...] [--limit N] [--dry-run]",
	.summary = "messages that could not be handled, with the reason",
	.help =
		"A message that fails after all attempts, or that nobody can take, becomes a dead letter; its address goes on.\n"
		"retry sends it again: it then stands behind what its address has already, so order is not kept.\n"
		"A filter means the letters that have all of what it says. What fails again meanwhile is a new letter, and is not met.\n\n"
		"  sofun dead\n"
		"  sofun dead show 3\n"
		"  sofun dead retry --all\n"
		"  sofun dead retry --type demo/counter --since 2h --dry-run\n"
		"  sofun dead drop --type demo/counter --code function_failed --before 7d",
	.completes = "list|show|retry|drop",
	.options = dead_options,
	.arguments_min = 0,
	.arguments_max = 2,
	.run = dead_run,
};
