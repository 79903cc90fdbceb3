/* send and call: one message to one address. They differ in what they wait for. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "client/http.h"
#include "client/rpc.h"
#include "commands.h"
#include "fail.h"
#include "show/output.h"
#include "show/terminal.h"
#include "wire/cursor.h"
#include "wire/json.h"
#include "wire/pack.h"

enum {
	READ_BYTES = 65536,
	SEND_TIMEOUT_MS = 60000,
	/* What the answer may take beyond the limit that the host keeps: the host's word is the better one. */
	CALL_GRACE_MS = 2000,
	SLOW_MS = 1000, /* then a person wants to know what is waited for */
	LOOK_MS = 500,  /* for the host to say that */
};

static bool stdin_read(struct buf *ret_text) {
	for (;;) {
		ssize_t size = read(STDIN_FILENO, buf_reserve(ret_text, READ_BYTES), READ_BYTES);
		if (size == 0)
			return true;
		if (size < 0 && errno != EINTR)
			return false;
		ret_text->size += size > 0 ? (size_t)size : 0;
	}
}

/* The payload as MessagePack; without one, nil. */
static int payload_pack(const struct invocation *run, struct buf *params) {
	const char *given = argument(run, 2);
	if (given == NULL)
		return pack_nil(params), EXIT_OK;
	struct buf text = {0};
	if (strcmp(given, "-") != 0)
		buf_append_bytes(&text, bytes_text(given));
	else if (!stdin_read(&text))
		return fail_here(run, "cannot read the payload: %s", strerror(errno));
	struct error error;
	int result = EXIT_OK;
	if (!json_text_to_value(bytes_buf(&text), CURSOR_NESTING_MAX, params, &error)) {
		error_hint(&error, "the payload is JSON: a text needs quotes within the shell's, '\"text\"'");
		fail_error(run, &error);
		result = EXIT_USAGE;
	}
	buf_finish(&text);
	return result;
}

static void id_pack(struct buf *params, const char *id) {
	struct bytes bytes = bytes_text(id);
	if (bytes_utf8(bytes))
		pack_str(params, bytes);
	else
		pack_bin(params, bytes);
}

/* ---- an answer that takes its time ---- */

/* Of the setting call.timeout_ms: what holds where --timeout does not say. 0: the host does not tell. */
static double limit_s_ask(const struct invocation *run) {
	json_t *config = http_json_quiet(run, "/v1/config", LOOK_MS);
	double limit_s = 0;
	size_t i;
	const json_t *setting;
	json_array_foreach(json_object_get(config, "settings"), i, setting) {
		const char *key = json_string_value(json_object_get(setting, "key"));
		if (key != NULL && strcmp(key, "call.timeout_ms") == 0)
			limit_s = json_number_value(json_object_get(setting, "value")) / 1000;
	}
	json_decref(config);
	return limit_s;
}

/* Whether a version that takes new messages has the function, by the host's status. */
static bool type_live(const json_t *status, const char *type) {
	size_t i, k;
	const json_t *plugin, *function;
	json_array_foreach(json_object_get(status, "plugins"), i, plugin) {
		const char *state = json_string_value(json_object_get(plugin, "state"));
		json_array_foreach(json_object_get(plugin, "functions"), k, function) {
			const char *name = json_string_value(function);
			if (name != NULL && strcmp(name, type) == 0 && state != NULL && strcmp(state, "live") == 0)
				return true;
		}
	}
	return false;
}

/* A person is told what is waited for, and how long; --json and scripts get the error at the end. */
static void slow_tell(const struct invocation *run) {
	unsigned long long limit_ms = 0;
	const char *type = argument(run, 0), *dim = terminal_style(STDERR_FILENO, STYLE_DIM);
	if (run->json || !isatty(STDERR_FILENO))
		return;
	json_t *status = http_json_quiet(run, "/v1/status", LOOK_MS);
	if (status == NULL)
		return;
	(void)option_seconds(run, "--timeout", &limit_ms);
	const double limit_s = option_value(run, "--timeout") != NULL ? (double)limit_ms / 1000 : limit_s_ask(run);
	if (type_live(status, type))
		fprintf(stderr, "%s%s has not replied yet: `sofun status` shows what waits", dim, type);
	else
		fprintf(stderr,
			"%sno version of %s is live: `sofun load FILE.so`, or drop it into the host's plugins directory", dim,
			type);
	if (limit_s > 0)
		fprintf(stderr, "; waiting until %.3g s are over", limit_s);
	fprintf(stderr, "%s\n", terminal_plain(STDERR_FILENO));
	json_decref(status);
}

/* ---- the request ---- */

static int message_request(
	const struct invocation *run, const char *method, const unsigned long long *timeout_ms, json_t **ret_result) {
	struct buf params = {0};
	pack_map(&params, timeout_ms == NULL ? 3 : 4);
	pack_text(&params, "to");
	pack_text(&params, argument(run, 0));
	pack_text(&params, "id");
	id_pack(&params, argument(run, 1));
	if (timeout_ms != NULL) {
		pack_text(&params, "timeout_ms");
		pack_uint(&params, *timeout_ms);
	}
	pack_text(&params, "payload");
	int result = payload_pack(run, &params);
	if (result == EXIT_OK) {
		const bool call = strcmp(method, "call") == 0;
		struct rpc_patience patience = {
			.limit_ms = call ? 0 : SEND_TIMEOUT_MS, .slow_ms = SLOW_MS, .slow = call ? slow_tell : NULL};
		if (timeout_ms != NULL)
			patience.limit_ms = *timeout_ms + CALL_GRACE_MS;
		result = rpc_call(run, method, bytes_buf(&params), &patience, ret_result);
	}
	buf_finish(&params);
	return result;
}

static int send_run(const struct invocation *run) {
	json_t *answer;
	int result = message_request(run, "send", NULL, &answer);
	if (result != EXIT_OK)
		return result;
	if (run->json)
		output_json(answer);
	else
		printf("durable in epoch %lld\n", (long long)json_integer_value(json_object_get(answer, "epoch")));
	json_decref(answer);
	return EXIT_OK;
}

static int call_run(const struct invocation *run) {
	unsigned long long timeout_ms = 0;
	if (!option_seconds(run, "--timeout", &timeout_ms))
		return EXIT_USAGE;
	json_t *answer;
	bool limited = option_value(run, "--timeout") != NULL;
	int result = message_request(run, "call", limited ? &timeout_ms : NULL, &answer);
	if (result != EXIT_OK)
		return result;
	const json_t *payload = json_object_get(answer, "payload");
	output_json(payload == NULL ? json_null() : payload);
	json_decref(answer);
	return EXIT_OK;
}

static const struct option call_options[] = {
	{"--timeout", "S", "wait this many seconds (default: the host's call.timeout_ms)"},
	{NULL, NULL, NULL},
};

const struct command send_command = {
	.name = "send",
	.usage = "NS/NAME ID [JSON|-]",
	.summary = "give a function a message",
	.help =
		"Sends the JSON payload (none: null; - reads it from stdin) to the instance ID of the function NS/NAME, and returns\n"
		"once the message is durable: it will be handled exactly once, whatever dies. It does not wait for the function.\n\n"
		"  sofun send demo/counter alice 5\n"
		"  echo '{\"add\":1}' | sofun send test/play 7 -",
	.completes = "type id",
	.arguments_min = 2,
	.arguments_max = 3,
	.run = send_run,
};

const struct command call_command = {
	.name = "call",
	.usage = "NS/NAME ID [JSON|-] [--timeout S]",
	.summary = "give a function a message and print its reply",
	.help =
		"Sends the JSON payload (none: null; - reads it from stdin) to the instance ID of the function NS/NAME and prints the\n"
		"reply as JSON, once it is durable. A function that fails after all attempts: exit 1, with its text. No reply in\n"
		"time: exit 6; what the function did stands. On a terminal it says after a second what it waits for.\n\n"
		"  sofun call demo/counter alice 5\n"
		"  sofun call demo/counter alice --timeout 2",
	.completes = "type id",
	.options = call_options,
	.arguments_min = 2,
	.arguments_max = 3,
	.run = call_run,
};
