/* wait: until the host is up, and all that it accepted before is handled and durable. */
#include <stdio.h>

#include "client/http.h"
#include "client/socket.h"
#include "commands.h"
#include "fail.h"
#include "show/output.h"

enum {
	TIMEOUT_MS = 30000,
	PAUSE_MS = 20,   /* between two looks at a host that is not up yet */
	GRACE_MS = 2000, /* for the host's own word about the time-out */
	PROBLEM_BYTES = 256,
	STATUS_AWAY = 503, /* it starts or stops */
};

/* A host that starts answers 503 until its recovery is over; one that was just killed has no socket. */
static int host_wait(const struct invocation *run, uint64_t deadline_ms) {
	char problem[PROBLEM_BYTES] = "";
	for (;;) {
		struct http_answer answer;
		uint64_t now_ms = clock_ms();
		uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 1;
		enum http_result result =
			http_request(run->control, "GET", "/healthz", bytes_of(NULL, 0), left_ms, &answer, problem);
		buf_finish(&answer.body);
		if (result == HTTP_OK && answer.status == 200)
			return EXIT_OK;
		if (clock_ms() + PAUSE_MS > deadline_ms)
			return result == HTTP_UNREACHABLE ? fail_unreachable(run, "%s", problem)
											  : fail_timeout(run, "the host is not ready in time");
		socket_wait(-1, 0, clock_ms() + PAUSE_MS);
	}
}

/* A host that dies or stops over the question, or was about to when it said that it was up, is asked again in its next life. */
static int barrier_wait(const struct invocation *run, uint64_t deadline_ms, json_t **ret_answer) {
	char body[64], problem[PROBLEM_BYTES];
	for (;;) {
		struct http_answer answer;
		int result = host_wait(run, deadline_ms);
		if (result != EXIT_OK)
			return result;
		uint64_t now_ms = clock_ms(), left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
		snprintf(body, sizeof body, "{\"timeout_ms\":%llu}", (unsigned long long)left_ms);
		enum http_result got =
			http_request(run->control, "POST", "/v1/barrier", bytes_text(body), left_ms + GRACE_MS, &answer, problem);
		bool spent = clock_ms() + PAUSE_MS > deadline_ms;
		if (got == HTTP_OK && (answer.status != STATUS_AWAY || spent))
			return http_answered(run, "/v1/barrier", &answer, ret_answer);
		buf_finish(&answer.body);
		if (got == HTTP_TIMEOUT || spent)
			return got == HTTP_TIMEOUT ? fail_timeout(run, "%s", problem) : fail_unreachable(run, "%s", problem);
		socket_wait(-1, 0, clock_ms() + PAUSE_MS);
	}
}

static int wait_run(const struct invocation *run) {
	unsigned long long timeout_ms = TIMEOUT_MS;
	if (!option_seconds(run, "--timeout", &timeout_ms))
		return EXIT_USAGE;
	json_t *answer;
	int result = barrier_wait(run, clock_ms() + timeout_ms, &answer);
	if (result != EXIT_OK)
		return result;
	if (run->json)
		output_json(answer);
	else
		printf("all that was accepted is handled and durable, in epoch %lld\n",
			(long long)json_integer_value(json_object_get(answer, "epoch")));
	json_decref(answer);
	return EXIT_OK;
}

static const struct option wait_options[] = {
	{"--timeout", "S", "give up after this many seconds (default 30): exit 6, or 3 if there is no host"},
	{NULL, NULL, NULL},
};

const struct command wait_command = {
	.name = "wait",
	.usage = "[--timeout S]",
	.summary = "until the host is up and has handled all that it accepted",
	.help =
		"Waits until the host is up, and until everything that it accepted before this command is handled and durable.\n"
		"A message that is between two attempts counts as not handled.\n\n"
		"  sofund --data DIR & sofun --data DIR wait --timeout 10",
	.options = wait_options,
	.run = wait_run,
};
