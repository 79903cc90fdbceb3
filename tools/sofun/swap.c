/* swap, rollback and versions: one plugin, several versions. The host does it; this presents its answer. */
#include <stdio.h>
#include <string.h>

#include "client/http.h"
#include "commands.h"
#include "drain_follow.h"
#include "fail.h"
#include "show/output.h"
#include "show/plugin_print.h"
#include "show/versions_print.h"

enum { DEADLINE_MS_MAX = 86400000 };

static int plugin_post(const struct invocation *run, const char *action, const json_t *body) {
	struct buf target = {0};
	buf_printf(&target, "/v1/plugins/");
	target_append(&target, bytes_text(argument(run, 0)));
	buf_printf(&target, "/%s", action);
	json_t *answer;
	int result = http_json(run, "POST", target_text(&target), body, &answer);
	buf_finish(&target);
	if (result != EXIT_OK)
		return result;
	if (run->json)
		output_json(answer);
	else
		plugin_line_print(answer);
	json_decref(answer);
	return drain_follow(run, argument(run, 0));
}

static int swap_run(const struct invocation *run) {
	unsigned long long deadline_ms = 0, canary = 0;
	const char *drain = option_value(run, "--drain");
	if (!option_number(run, "--deadline", DEADLINE_MS_MAX, &deadline_ms) ||
		!option_number(run, "--canary", 100, &canary))
		return EXIT_USAGE;
	if (drain != NULL && strcmp(drain, "accepted") != 0 && strcmp(drain, "running") != 0)
		return fail_usage(run, "--drain takes accepted or running, not '%s'", drain);
	json_t *body = json_pack("{s:s}", "version", argument(run, 1));
	if (body == NULL)
		return fail_usage(run, "the version is not UTF-8");
	if (drain != NULL)
		json_object_set_new(body, "drain", json_string(drain));
	if (option_value(run, "--deadline") != NULL)
		json_object_set_new(body, "deadline_ms", json_integer((json_int_t)deadline_ms));
	if (option_value(run, "--canary") != NULL)
		json_object_set_new(body, "canary", json_integer((json_int_t)canary));
	if (option_value(run, "--no-way-back") != NULL)
		json_object_set_new(body, "no_way_back", json_true());
	int result = plugin_post(run, "swap", body);
	json_decref(body);
	return result;
}

static int rollback_run(const struct invocation *run) {
	return plugin_post(run, "rollback", NULL);
}

static int promote_run(const struct invocation *run) {
	return plugin_post(run, "promote", NULL);
}

static int versions_run(const struct invocation *run) {
	struct buf target = {0};
	buf_printf(&target, "/v1/plugins/");
	target_append(&target, bytes_text(argument(run, 0)));
	buf_printf(&target, "/versions");
	json_t *answer;
	int result = http_json(run, "GET", target_text(&target), NULL, &answer);
	buf_finish(&target);
	if (result != EXIT_OK)
		return result;
	const json_t *versions = json_is_object(answer) ? json_object_get(answer, "versions") : answer;
	if (run->json)
		output_json(answer);
	else
		versions_print(versions);
	json_decref(answer);
	return EXIT_OK;
}

static const struct option swap_options[] = {
	{"--drain", "accepted|running",
		"accepted: what was accepted before is finished by the old version (default); running: only what runs"},
	{"--deadline", "MS", "after this, what still waits goes to the new version"},
	{"--canary", "P", "give the new version this share of the ids only, in percent"},
	{"--no-way-back", NULL,
		"even if the version before could not read the state that this one writes: no rollback then; what a canary "
		"has written waits, shown as blocked, if the canary ends"},
	WAIT_OPTION,
	{NULL, NULL, NULL},
};

static const struct option wait_options[] = {
	WAIT_OPTION,
	{NULL, NULL, NULL},
};

const struct command swap_command = {
	.name = "swap",
	.usage = "NAME VERSION [--drain accepted|running] [--deadline MS] [--canary P] [--no-way-back] [--wait]",
	.summary = "make another version of a plugin live",
	.help =
		"Switches the plugin NAME to VERSION, which may be older, while traffic flows: nothing is lost, repeated or\n"
		"reordered.\n\n"
		"On a terminal it shows how much the version before has left to finish, until that has gone; elsewhere --wait does.\n\n"
		"  sofun swap counter 1.1.0\n"
		"  sofun swap counter 1.1.0 --canary 5",
	.completes = "plugin version",
	.options = swap_options,
	.arguments_min = 2,
	.arguments_max = 2,
	.run = swap_run,
};

const struct command promote_command = {
	.name = "promote",
	.usage = "NAME [--wait]",
	.summary = "give a canary all ids, or trust a new version",
	.help =
		"Ends the canary of the plugin NAME by making it the live version of all ids. Of a version that has all ids and is\n"
		"on probation it ends the probation: messages that failed for good on it become dead letters, instead of\n"
		"waiting for whether it is rolled back.\n\n"
		"  sofun promote counter",
	.completes = "plugin",
	.options = wait_options,
	.arguments_min = 1,
	.arguments_max = 1,
	.run = promote_run,
};

const struct command rollback_command = {
	.name = "rollback",
	.usage = "NAME [--wait]",
	.summary = "go back to the version before",
	.help =
		"Switches the plugin NAME to the version that was live before, in one step; only what runs is finished by the one\n"
		"that goes. Messages that failed for good on it while it was on probation are run anew, in their order. A new\n"
		"version that fails more than the one before goes back by itself (rollback.error_percent).\n\n"
		"  sofun rollback counter",
	.completes = "plugin",
	.options = wait_options,
	.arguments_min = 1,
	.arguments_max = 1,
	.run = rollback_run,
};

const struct command versions_command = {
	.name = "versions",
	.usage = "NAME",
	.summary = "the versions of a plugin that the host knows",
	.help = "Lists the versions of the plugin NAME with their state and share, and side by side what those that are\n"
			"loaded have counted since they came: messages, how many of them failed at first, retries, messages that\n"
			"exhausted their attempts, latency. Then who is on probation, and who went back by itself, and why.\n\n"
			"  sofun versions counter",
	.completes = "plugin",
	.arguments_min = 1,
	.arguments_max = 1,
	.run = versions_run,
};
