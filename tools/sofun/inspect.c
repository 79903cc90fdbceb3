/* inspect: what a plugin file says about itself, without running any of it. Needs no host. */
#include "plugin/inspect.h"

#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "fail.h"
#include "show/output.h"
#include "show/table.h"

/* All but the states, which would be too wide. */
static void facts_print(const json_t *facts) {
	static const struct table_column columns[] = {{"FIELD", 0, 0}, {"CONTENT", 0, 0}};
	struct table table;
	table_init(&table, columns, 2);
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)facts, key, value) {
		if (strcmp(key, "states") == 0)
			continue;
		table_cell(&table, key);
		table_cell_json(&table, value);
	}
	table_print(&table);
}

static void schema_rows(struct table *table, const char *function, const json_t *schema, const char *migrates) {
	size_t i;
	json_t *value;
	json_array_foreach(json_object_get(schema, "values"), i, value) {
		table_cell(table, function);
		table_cell_json(table, json_object_get(schema, "schema"));
		table_cell(table, migrates);
		table_cell_json(table, json_object_get(value, "name"));
		table_cell_json(table, json_object_get(value, "kind"));
	}
}

/* A row a value, so that it fits a terminal: the function's own schema, then the earlier ones and which way they migrate. */
static void states_print(const json_t *states) {
	static const struct table_column columns[] = {
		{"FUNCTION", 12, 0}, {"SCHEMA", 0, 0}, {"MIGRATES", 0, 1}, {"VALUE", 12, 0}, {"KIND", 0, 0}};
	struct table table;
	const char *function;
	json_t *state, *earlier;
	size_t i;
	if (json_object_size(states) == 0)
		return;
	table_init(&table, columns, sizeof columns / sizeof columns[0]);
	json_object_foreach((json_t *)states, function, state) {
		schema_rows(&table, function, state, "-");
		json_array_foreach(json_object_get(state, "earlier"), i, earlier)
			schema_rows(&table, function, earlier, json_string_value(json_object_get(earlier, "migrates")));
	}
	printf("\n");
	table_print(&table);
}

static int inspect_run(const struct invocation *run) {
	struct inspection inspection;
	struct error error;
	if (!inspect_file(argument(run, 0), &inspection, &error))
		return fail_error(run, &error);
	json_t *json = inspection_json(&inspection);
	inspection_finish(&inspection);
	if (run->json) {
		output_json(json);
	} else {
		facts_print(json);
		states_print(json_object_get(json, "states"));
	}
	json_decref(json);
	return EXIT_OK;
}

const struct command inspect_command = {
	.name = "inspect",
	.usage = "FILE",
	.summary = "what a plugin file says about itself",
	.help =
		"Reads the manifest in the file, and runs nothing of it: name, version, ABI, functions with their states, ingresses.\n"
		"A file that no host would take: exit 5, with the reason. Needs no running host.\n\n"
		"  sofun inspect build/lib/sofun/plugins/counter.so",
	.completes = "file",
	.arguments_min = 1,
	.arguments_max = 1,
	.run = inspect_run,
};
