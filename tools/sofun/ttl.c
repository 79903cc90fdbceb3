/* ttl: when state of a function ends by itself, and the word of the command on it. */
#include <stdio.h>
#include <string.h>

#include "client/http.h"
#include "commands.h"
#include "fail.h"
#include "show/output.h"
#include "show/table.h"

#define MS_MAX 3155760000000ull /* a hundred years; the host's own bound */

/* ---- shown ---- */

static void time_cell(struct table *table, const json_t *ms) {
	char text[32] = "-";
	if (json_is_integer(ms) && json_integer_value(ms) == 0)
		snprintf(text, sizeof text, "never");
	else if (json_is_integer(ms))
		snprintf(text, sizeof text, "%lld ms", (long long)json_integer_value(ms));
	table_cell(table, text);
}

static void term_row(struct table *table, const char *what, const char *how, const json_t *term) {
	const json_t *since = json_object_get(term, "since_ms");
	char time[TIME_TEXT_BYTES] = "-";
	if (json_is_integer(since))
		time_text(json_integer_value(since), time);
	table_cell(table, what);
	table_cell(table, how);
	time_cell(table, json_object_get(term, "ms"));
	time_cell(table, json_object_get(term, "plugin"));
	time_cell(table, json_object_get(term, "settings"));
	time_cell(table, json_object_get(term, "command"));
	table_cell(table, time);
}

static int ttl_print(const struct invocation *run, const json_t *answer) {
	static const struct table_column columns[] = {{"WHAT", 12, 0}, {"ENDS", 0, 0}, {"TIME", 0, 0}, {"PLUGIN", 0, 1},
		{"SETTINGS", 0, 2}, {"COMMAND", 0, 3}, {"COUNTS SINCE", 0, 4}};
	if (run->json) {
		output_json(answer);
		return EXIT_OK;
	}
	struct table table;
	table_init(&table, columns, sizeof columns / sizeof columns[0]);
	term_row(&table, "(the instance)", "when idle", json_object_get(answer, "idle_ttl_ms"));
	const char *name;
	json_t *value;
	json_object_foreach(json_object_get(answer, "values"), name, value) {
		term_row(&table, name, "after write", json_object_get(value, "expire_after_write_ms"));
		term_row(&table, name, "after invoke", json_object_get(value, "expire_after_invoke_ms"));
	}
	table_print(&table);
	if (json_is_true(json_object_get(answer, "filing")))
		printf("\nthe sweep learns of it in the background; whoever reads sees it already\n");
	return EXIT_OK;
}

/* ---- set ---- */

/* A number of milliseconds, `never`, or `default`: the command has no word on it. NULL: told. */
static json_t *word_read(const struct invocation *run, const char *option) {
	unsigned long long ms = 0;
	const char *text = option_value(run, option);
	if (strcmp(text, "never") == 0)
		return json_integer(0);
	if (strcmp(text, "default") == 0)
		return json_null();
	if (!option_number(run, option, MS_MAX, &ms))
		return NULL;
	return json_integer((json_int_t)ms);
}

/* True if it stands in the object, or was not asked for. */
static bool word_set(const struct invocation *run, const char *option, json_t *object, const char *key) {
	if (option_value(run, option) == NULL)
		return true;
	json_t *word = word_read(run, option);
	if (word != NULL)
		json_object_set_new(object, key, word);
	return word != NULL;
}

static bool body_build(const struct invocation *run, json_t *body) {
	const char *name = option_value(run, "--value");
	bool words = option_value(run, "--after-write") != NULL || option_value(run, "--after-invoke") != NULL;
	if (words != (name != NULL))
		return fail_usage(run, "--value goes with --after-write or --after-invoke"), false;
	if (option_value(run, "--clear") != NULL)
		json_object_set_new(body, "clear", json_true());
	if (!word_set(run, "--idle", body, "idle_ttl_ms"))
		return false;
	if (name == NULL)
		return true;
	json_t *value = json_object();
	json_t *values = json_object();
	bool known = json_object_set(values, name, value) == 0;
	json_object_set_new(body, "values", values);
	bool good = word_set(run, "--after-write", value, "expire_after_write_ms") &&
		word_set(run, "--after-invoke", value, "expire_after_invoke_ms");
	json_decref(value);
	return known ? good : (fail_usage(run, "the value's name is not UTF-8"), false);
}

static int ttl_run(const struct invocation *run) {
	struct buf target = {0};
	json_t *body = json_object(), *answer = NULL;
	int result = EXIT_USAGE;
	buf_printf(&target, "/v1/ttl/");
	if (!target_append_type(&target, argument(run, 0)))
		result = fail_usage(run, "a function is NS/NAME, not '%s'", argument(run, 0));
	else if (body_build(run, body))
		result = json_object_size(body) == 0 ? http_json(run, "GET", target_text(&target), NULL, &answer)
											 : http_json(run, "POST", target_text(&target), body, &answer);
	if (result == EXIT_OK)
		result = ttl_print(run, answer);
	json_decref(answer);
	json_decref(body);
	buf_finish(&target);
	return result;
}

static const struct option ttl_options[] = {
	{"--idle", "MS", "end an instance to which no message was handled for so long; or: never, default"},
	{"--value", "NAME", "the value that these are for:"},
	{"--after-write", "MS", "unset it so long after it was last set; or: never, default"},
	{"--after-invoke", "MS", "unset it so long after a message to the instance was last handled; or: never, default"},
	{"--clear", NULL, "take back all that was ever set so for this function, first"},
	{NULL, NULL, NULL},
};

const struct command ttl_command = {
	.name = "ttl",
	.usage = "NS/NAME [--idle MS] [--value NAME --after-write MS --after-invoke MS] [--clear]",
	.summary = "when state of a function ends by itself",
	.help =
		"Without options: the times after which instances of the function NS/NAME and their values end, and who says so. What\n"
		"is set here wins over sofun.yaml, and that over the plugin; it stays across restarts and new versions, until\n"
		"`default` or --clear takes it back. It holds for state that is there already, at once. Time counts from the last\n"
		"message or write, but never from before that kind of end was introduced.\n\n"
		"  sofun ttl web/session --idle 600000\n"
		"  sofun ttl web/session --value token --after-write 3600000\n"
		"  sofun ttl web/session --clear",
	.completes = "type",
	.options = ttl_options,
	.arguments_min = 1,
	.arguments_max = 1,
	.run = ttl_run,
};
