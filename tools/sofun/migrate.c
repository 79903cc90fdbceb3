/* migrate: the instances that no message has met go to the schema of the live version now, and how far that is. */
#include <stdio.h>
#include <string.h>

#include "client/http.h"
#include "client/socket.h"
#include "commands.h"
#include "fail.h"
#include "show/output.h"
#include "show/progress.h"

enum { PAUSE_MS = 100 }; /* between two looks */

/* What is left of one plugin, over all its types. */
struct rest {
	unsigned long long total;
	unsigned long long left;
	unsigned long long refused;
	char reason[200];
};

static unsigned long long number(const json_t *row, const char *key) {
	return (unsigned long long)json_integer_value(json_object_get(row, key));
}

/* Of the rows that /v1/status and the answer to `migrate` have alike. */
static void rest_take(const struct invocation *run, const json_t *answer, struct rest *ret_rest) {
	size_t i;
	const json_t *row;
	*ret_rest = (struct rest){0};
	json_array_foreach(json_object_get(answer, "migrations"), i, row) {
		const char *plugin = json_string_value(json_object_get(row, "plugin"));
		const char *reason = json_string_value(json_object_get(row, "reason"));
		if (plugin == NULL || strcmp(plugin, argument(run, 0)) != 0)
			continue;
		ret_rest->total += number(row, "total");
		ret_rest->left += number(row, "left");
		ret_rest->refused += number(row, "refused");
		if (reason != NULL && reason[0] != '\0')
			snprintf(ret_rest->reason, sizeof ret_rest->reason, "%s", reason);
	}
}

static int rest_read(const struct invocation *run, struct rest *ret_rest) {
	json_t *status;
	int result = http_json(run, "GET", "/v1/status", NULL, &status);
	if (result != EXIT_OK)
		return result;
	rest_take(run, status, ret_rest);
	json_decref(status);
	return EXIT_OK;
}

/* What is left as it begins: a few instances are migrated sooner than anybody could look again. */
static int begin(const struct invocation *run, struct rest *ret_rest) {
	struct buf target = {0};
	json_t *answer;
	buf_printf(&target, "/v1/plugins/");
	target_append(&target, bytes_text(argument(run, 0)));
	buf_printf(&target, "/migrate");
	int result = http_json(run, "POST", target_text(&target), NULL, &answer);
	buf_finish(&target);
	if (result != EXIT_OK)
		return result;
	rest_take(run, answer, ret_rest);
	json_decref(answer);
	return EXIT_OK;
}

static int done_print(const struct invocation *run, unsigned long long migrated) {
	if (run->json) {
		json_t *answer = json_pack("{s:s, s:I}", "plugin", argument(run, 0), "migrated", (json_int_t)migrated);
		output_json(answer);
		json_decref(answer);
	} else {
		printf("%llu instances of %s migrated\n", migrated, argument(run, 0));
	}
	return EXIT_OK;
}

static int migrate_run(const struct invocation *run) {
	unsigned long long timeout_ms = 0;
	struct progress progress;
	struct rest rest = {0};
	if (!option_seconds(run, "--timeout", &timeout_ms))
		return EXIT_USAGE;
	uint64_t deadline_ms = timeout_ms == 0 ? UINT64_MAX : clock_ms() + timeout_ms;
	int result = begin(run, &rest);
	unsigned long long total = rest.total;
	if (result == EXIT_OK)
		result = rest_read(run, &rest);
	progress_init(&progress, !run->json);
	while (result == EXIT_OK && rest.left > rest.refused && clock_ms() < deadline_ms) {
		total = rest.total > total ? rest.total : total;
		progress_show(&progress, total - rest.left, total, total - rest.left);
		socket_wait(-1, 0, clock_ms() + PAUSE_MS);
		result = rest_read(run, &rest);
	}
	progress_finish(&progress);
	if (result != EXIT_OK)
		return result;
	if (rest.left > rest.refused)
		return fail_timeout(run, "%llu instances are left; the host goes on with them", rest.left);
	if (rest.refused > 0)
		return fail_here(
			run, "%llu instances could not be migrated, and keep their schema: %s", rest.refused, rest.reason);
	return done_print(run, total);
}

static const struct option migrate_options[] = {
	{"--timeout", "S", "stop watching after this many seconds: exit 6; the host goes on"},
	{NULL, NULL, NULL},
};

const struct command migrate_command = {
	.name = "migrate",
	.usage = "NAME [--timeout S]",
	.summary = "migrate the state that no message has met yet",
	.help =
		"After a swap to a version with another schema, an instance is migrated by the first message that meets it. This\n"
		"migrates all others in the background, and shows how far it is until they are done; messages come first. It goes\n"
		"on when the command is interrupted, and when the host starts anew. A rollback does the same by itself, downwards.\n\n"
		"  sofun swap authwatch 2.0.0 && sofun migrate authwatch",
	.completes = "plugin",
	.options = migrate_options,
	.arguments_min = 1,
	.arguments_max = 1,
	.run = migrate_run,
};
