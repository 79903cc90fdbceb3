/* load and unload: plugins come and go. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/http.h"
#include "commands.h"
#include "drain_follow.h"
#include "fail.h"
#include "show/output.h"
#include "show/plugin_print.h"
#include "show/progress.h"

static int load_run(const struct invocation *run) {
	char *path = realpath(argument(run, 0), NULL);
	if (path == NULL) {
		int problem = errno;
		return (problem == ENOENT ? fail_missing : fail_here)(
			run, "cannot read %s: %s", argument(run, 0), strerror(problem));
	}
	json_t *body = json_pack("{s:s}", "path", path), *plugin;
	free(path);
	if (body == NULL)
		return fail_usage(run, "the file's path is not UTF-8");
	struct progress progress;
	progress_init(&progress, !run->json);
	progress_say(&progress, "staging: copied, examined, tried in a process of its own");
	int result = http_json(run, "POST", "/v1/plugins", body, &plugin);
	progress_finish(&progress);
	json_decref(body);
	if (result != EXIT_OK)
		return result;
	if (run->json)
		output_json(plugin);
	else
		plugin_line_print(plugin);
	result = drain_follow(run, json_string_value(json_object_get(plugin, "name")));
	json_decref(plugin);
	return result;
}

static int unload_run(const struct invocation *run) {
	struct buf target = {0};
	buf_printf(&target, "/v1/plugins/");
	target_append(&target, bytes_text(argument(run, 0)));
	json_t *answer;
	int result = drain_request(run, argument(run, 0), "DELETE", target_text(&target), &answer);
	buf_finish(&target);
	if (result != EXIT_OK)
		return result;
	if (run->json)
		output_json(answer);
	else
		printf("unloaded %s; its state stays\n", argument(run, 0));
	json_decref(answer);
	return EXIT_OK;
}

static const struct option load_options[] = {
	WAIT_OPTION,
	{NULL, NULL, NULL},
};

const struct command load_command = {
	.name = "load",
	.usage = "FILE [--wait]",
	.summary = "give the host a plugin",
	.help =
		"Copies FILE into the host's plugins directory and waits until it is live, or refused with a reason. Dropping a\n"
		"file into that directory does the same without the waiting.\n\n"
		"  sofun load build/counter.so",
	.completes = "file",
	.options = load_options,
	.arguments_min = 1,
	.arguments_max = 1,
	.run = load_run,
};

const struct command unload_command = {
	.name = "unload",
	.usage = "NAME",
	.summary = "take a plugin out, after it has finished",
	.help =
		"What was accepted is handled first; then the plugin leaves, and its file leaves the plugins directory. Its state\n"
		"stays: a later load goes on with it. Messages that come meanwhile wait.\n\n"
		"  sofun unload counter",
	.completes = "plugin",
	.arguments_min = 1,
	.arguments_max = 1,
	.run = unload_run,
};
