/* inspect: what a plugin file says about itself, without running any of it. Needs no host. */
#include "plugin/inspect.h"

#include <stdio.h>

#include "commands.h"
#include "fail.h"
#include "show/output.h"

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
		struct table table;
		table_init(&table, 2);
		table_cell(&table, "FIELD");
		table_cell(&table, "CONTENT");
		const char *key;
		json_t *value;
		json_object_foreach(json, key, value) {
			table_cell(&table, key);
			table_cell_json(&table, value);
		}
		table_print(&table);
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
