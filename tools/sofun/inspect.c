/* inspect: what a plugin file says about itself, without running any of it. Needs no host. */
#include "plugin/inspect.h"

#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "fail.h"
#include "show/output.h"

/* All but the states, which would be too wide. */
static void facts_print(const json_t *facts) {
	struct table table;
	table_init(&table, 2);
	table_cell(&table, "FIELD");
	table_cell(&table, "CONTENT");
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
	static const char *const heads[] = {"FUNCTION", "SCHEMA", "MIGRATES", "VALUE", "KIND"};
	struct table table;
	const char *function;
	json_t *state, *earlier;
	size_t i;
	if (json_object_size(states) == 0)
		return;
	table_init(&table, sizeof heads / sizeof heads[0]);
	for (i = 0; i < sizeof heads / sizeof heads[0]; i++)
		table_cell(&table, heads[i]);
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
