/* state: the instances of a function, or the values of one. */
#include <stdio.h>
#include <stdlib.h>

#include "client/http.h"
#include "commands.h"
#include "fail.h"
#include "show/output.h"
#include "show/table.h"
#include "wire/json.h"

enum {
	LIMIT_MAX = 1000000,
	OPERATIONS_TOLD_MAX = 20, /* lines, for people; --json has all */
};

static void next_tell(const json_t *next) {
	if (next == NULL || json_is_null(next))
		return;
	struct buf text = {0};
	text_of_json(next, &text);
	fprintf(stderr, "there are more; go on with: --after '%.*s'\n", (int)text.size, (const char *)text.data);
	buf_finish(&text);
}

static int instances_print(const struct invocation *run, const json_t *answer) {
	if (run->json) {
		output_json(answer);
		return EXIT_OK;
	}
	size_t i;
	json_t *at;
	json_array_foreach(json_object_get(answer, "instances"), i, at) {
		struct buf text = {0};
		text_of_json(json_object_get(at, "id"), &text);
		if (json_object_get(at, "values") != NULL) {
			buf_printf(&text, "  schema %lld  ", (long long)json_integer_value(json_object_get(at, "schema")));
			text_of_json(json_object_get(at, "values"), &text);
		}
		printf("%.*s\n", (int)text.size, (const char *)text.data);
		buf_finish(&text);
	}
	next_tell(json_object_get(answer, "next"));
	return EXIT_OK;
}

/* The tables or lists of an instance by name: what is in them is asked for by --table. A list knows its length; of a table the
 * answer has a page. */
static void many_tell(json_t *many, const json_t *expires, const char *kind, const char *key, const char *one) {
	const char *name;
	json_t *page;
	json_object_foreach(many, name, page) {
		const json_t *length = json_object_get(page, "length");
		const bool more = length == NULL && !json_is_null(json_object_get(page, "next"));
		const long long count = length != NULL ? (long long)json_integer_value(length)
											   : (long long)json_array_size(json_object_get(page, key));
		const json_t *due = json_object_get(expires, name);
		char time[TIME_TEXT_BYTES] = "";
		if (json_is_integer(due))
			time_text(json_integer_value(due), time);
		printf("%s %s: %s%lld %s%s%s; --table %s shows %s\n", kind, name, more ? "more than " : "", count,
			count == 1 && !more ? one : key, time[0] != '\0' ? ", expires at " : "", time, name,
			count == 1 && !more ? "it" : "them");
	}
}

static void operations_tell(const json_t *operations) {
	size_t i;
	const json_t *at;
	json_array_foreach(operations, i, at) {
		if (i == OPERATIONS_TOLD_MAX) {
			printf("and %zu operations more\n", json_array_size(operations) - i);
			break;
		}
		char since[TIME_TEXT_BYTES];
		time_text(json_integer_value(json_object_get(at, "since_ms")), since);
		printf("%soperation since %s: %s%s\n", i == 0 ? "\n" : "", since,
			json_string_value(json_object_get(at, "state")),
			json_is_true(json_object_get(at, "waits")) ? "; messages wait for its result" : "");
	}
}

static void values_print(const json_t *answer) {
	static const struct table_column columns[] = {{"VALUE", 12, 0}, {"EXPIRES", 0, 1}, {"CONTENT", 24, 0}};
	struct table table;
	table_init(&table, columns, 3);
	const char *name;
	json_t *value;
	const json_t *expires = json_object_get(answer, "expires");
	json_object_foreach(json_object_get(answer, "values"), name, value) {
		const json_t *due = json_object_get(expires, name);
		char time[TIME_TEXT_BYTES] = "-";
		if (json_is_integer(due))
			time_text(json_integer_value(due), time);
		table_cell(&table, name);
		table_cell(&table, time);
		table_cell_json(&table, value);
	}
	table_print(&table);
}

static int instance_print(const struct invocation *run, const json_t *answer) {
	if (run->json) {
		output_json(answer);
		return EXIT_OK;
	}
	printf("schema %lld\n", (long long)json_integer_value(json_object_get(answer, "schema")));
	if (json_object_size(json_object_get(answer, "values")) > 0)
		values_print(answer);
	const json_t *expires = json_object_get(answer, "expires");
	many_tell(json_object_get(answer, "tables"), expires, "table", "entries", "entry");
	many_tell(json_object_get(answer, "lists"), expires, "list", "items", "item");
	const json_t *whole = json_object_get(expires, "*");
	char time[TIME_TEXT_BYTES];
	if (json_is_integer(whole)) {
		time_text(json_integer_value(whole), time);
		printf("\nthe instance expires at %s if no message comes before\n", time);
	}
	operations_tell(json_object_get(answer, "operations"));
	return EXIT_OK;
}

/* A page of one table or list, whichever the answer has, and where the next one begins. */
static int entries_print(const struct invocation *run, const json_t *answer) {
	const char *name = option_value(run, "--table");
	const json_t *page = json_object_get(json_object_get(answer, "tables"), name);
	const bool list = page == NULL;
	if (run->json) {
		output_json(answer);
		return EXIT_OK;
	}
	if (list)
		page = json_object_get(json_object_get(answer, "lists"), name);
	static const struct table_column columns[] = {{"KEY", 12, 0}, {"CONTENT", 24, 0}}, item = {"ITEM", 24, 0};
	struct table table;
	size_t i;
	json_t *at;
	table_init(&table, list ? &item : columns, list ? 1 : 2);
	json_array_foreach(json_object_get(page, list ? "items" : "entries"), i, at) {
		if (!list)
			table_cell_json(&table, json_object_get(at, "key"));
		table_cell_json(&table, list ? at : json_object_get(at, "value"));
	}
	table_print(&table);
	next_tell(json_object_get(page, "next"));
	return EXIT_OK;
}

/* "/v1/state/NS/NAME" and what the arguments add; false: told. */
static bool target_build(const struct invocation *run, struct buf *target) {
	unsigned long long limit = 0;
	const char *id = argument(run, 1), *after = option_value(run, "--after"), *mark = "?";
	if (!option_number(run, "--limit", LIMIT_MAX, &limit))
		return false;
	buf_printf(target, "/v1/state/");
	if (!target_append_type(target, argument(run, 0)))
		return fail_usage(run, "a function is NS/NAME, not '%s'", argument(run, 0)), false;
	const char *entries = option_value(run, "--table");
	if (id == NULL && entries != NULL)
		return fail_usage(run, "--table is of one instance: name its ID, too"), false;
	if (id != NULL) {
		buf_printf(target, "/");
		target_append(target, bytes_text(id));
		if (entries == NULL)
			return true;
		buf_printf(target, "?table=");
		target_append(target, bytes_text(entries));
		mark = "&";
	}
	if (option_value(run, "--limit") != NULL) {
		buf_printf(target, "%slimit=%llu", mark, limit);
		mark = "&";
	}
	if (after != NULL) {
		buf_printf(target, "%safter=", mark);
		target_append(target, bytes_text(after));
	}
	return true;
}

/* Asks for the instance of each row and puts its values into the row. One that has gone meanwhile leaves the page. */
static int values_add(const struct invocation *run, json_t *instances) {
	int result = EXIT_OK;
	for (size_t i = 0; i < json_array_size(instances) && result == EXIT_OK;) {
		struct buf target = {0}, id = {0};
		struct error error;
		json_t *row = json_array_get(instances, i), *instance = NULL;
		buf_printf(&target, "/v1/state/");
		target_append_type(&target, argument(run, 0));
		buf_printf(&target, "/");
		if (!json_to_bytes(json_object_get(row, "id"), &id, &error))
			result = fail_error(run, &error);
		target_append(&target, bytes_buf(&id));
		if (result == EXIT_OK)
			result = http_json_if_found(run, target_text(&target), &instance);
		if (result == EXIT_OK && instance == NULL) {
			json_array_remove(instances, i);
		} else if (result == EXIT_OK) {
			json_object_set(row, "values", json_object_get(instance, "values"));
			json_object_set(row, "schema", json_object_get(instance, "schema"));
			i++;
		}
		json_decref(instance);
		buf_finish(&target);
		buf_finish(&id);
	}
	return result;
}

static int state_run(const struct invocation *run) {
	struct buf target = {0};
	json_t *answer = NULL;
	bool one = argument(run, 1) != NULL;
	int result = EXIT_USAGE;
	if (target_build(run, &target))
		result = http_json(run, "GET", target_text(&target), NULL, &answer);
	if (result == EXIT_OK && !one && option_value(run, "--values") != NULL)
		result = values_add(run, json_object_get(answer, "instances"));
	if (result == EXIT_OK && one && option_value(run, "--table") != NULL)
		result = entries_print(run, answer);
	else if (result == EXIT_OK)
		result = one ? instance_print(run, answer) : instances_print(run, answer);
	buf_finish(&target);
	json_decref(answer);
	return result;
}

static const struct option state_options[] = {
	{"--limit", "N", "at most this many instances, entries or items"},
	{"--after", "ID", "those behind this id: what `next` of the page before said"},
	{"--table", "NAME", "a page of that table or list of the instance ID"},
	{"--values", NULL, "list each instance with its values"},
	{NULL, NULL, NULL},
};

const struct command state_command = {
	.name = "state",
	.usage = "NS/NAME [ID] [--table NAME] [--limit N] [--after ID] [--values]",
	.summary = "the instances of a function, or the values of one",
	.help =
		"Without ID: a page of the instances of the function NS/NAME, in the order of their ids. With ID: its durable\n"
		"values, which tables and lists it has, when what ends by itself will, and the operations under way; with --table, a\n"
		"page of that table or list: --after takes a key, or the index of an item. An instance without state: exit 4.\n\n"
		"  sofun state auth/source --limit 100 --values\n"
		"  sofun state auth/source 203.0.113.7\n"
		"  sofun state shop/cart ada --table items --limit 50",
	.completes = "type id",
	.options = state_options,
	.arguments_min = 1,
	.arguments_max = 2,
	.run = state_run,
};
