#include "drain_follow.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "client/http.h"
#include "client/socket.h"
#include "fail.h"
#include "show/plugin_print.h"
#include "show/progress.h"
#include "show/terminal.h"

enum {
	LOOK_MS = 100,
	LINE_MS = 1000, /* between two lines where there is no terminal */
	PATIENCE_MS = 30000,
	REQUEST_MS = 0, /* a drain has a deadline of its own, which the host keeps */
	PROBLEM_BYTES = 256,
};

struct follow {
	const struct invocation *run;
	char target[160];
	bool bar;   /* stderr is a terminal */
	bool lines; /* on stdout, where it is none */
	struct progress progress;
	long long whole; /* the most that was left; -1: nothing has been seen to drain */
	long long told;  /* by the last line */
	uint64_t told_ms;
};

static void follow_init(struct follow *follow, const struct invocation *run, const char *name) {
	struct buf target = {0};
	*follow = (struct follow){.run = run, .whole = -1, .told = -1};
	follow->bar = !run->json && isatty(STDERR_FILENO);
	follow->lines = !run->json && !follow->bar;
	buf_printf(&target, "/v1/plugins/");
	target_append(&target, bytes_text(name));
	snprintf(follow->target, sizeof follow->target, "%s/versions", target_text(&target));
	buf_finish(&target);
	progress_init(&follow->progress, follow->bar);
}

/* The version that is on its way out; NULL: none is. */
static const json_t *leaving_find(const json_t *answer) {
	size_t i;
	const json_t *version;
	json_array_foreach(json_object_get(answer, "versions"), i, version) {
		if (json_is_object(json_object_get(version, "drain")))
			return version;
	}
	return NULL;
}

static void leaving_show(struct follow *follow, const json_t *version) {
	long long left = json_integer_value(json_object_get(json_object_get(version, "drain"), "left"));
	if (left > follow->whole)
		follow->whole = left;
	if (follow->bar)
		progress_left(&follow->progress, json_string_value(json_object_get(version, "version")), (uint64_t)left,
			(uint64_t)follow->whole);
	if (!follow->lines || left == follow->told || (follow->told >= 0 && clock_ms() - follow->told_ms < LINE_MS))
		return;
	follow->told = left;
	follow->told_ms = clock_ms();
	drain_line_print(version);
	fflush(stdout);
}

/* Its call does not end: nobody waits for that. */
static bool leaving_stuck(struct follow *follow, const json_t *version) {
	const char *state = json_string_value(json_object_get(version, "state"));
	if (state == NULL || strcmp(state, "stuck") != 0)
		return false;
	progress_finish(&follow->progress);
	if (!follow->run->json)
		printf("%s %s is stuck: a call of it does not end, see `sofun status`; it goes when the call does\n",
			json_string_value(json_object_get(version, "name")),
			json_string_value(json_object_get(version, "version")));
	return true;
}

/* One look; false: there is nothing to follow any more, or *ret_code is no EXIT_OK. */
static bool follow_look(struct follow *follow, int *ret_code) {
	json_t *answer;
	*ret_code = http_json_patient(follow->run, follow->target, PATIENCE_MS, &answer);
	if (*ret_code != EXIT_OK)
		return false;
	const json_t *version = leaving_find(answer);
	bool goes_on = version != NULL && !leaving_stuck(follow, version);
	if (goes_on)
		leaving_show(follow, version);
	json_decref(answer);
	return goes_on;
}

int drain_follow(const struct invocation *run, const char *name) {
	struct follow follow;
	int code;
	follow_init(&follow, run, name);
	bool waits = follow.bar || option_value(run, "--wait") != NULL;
	if (run->json && !waits)
		return EXIT_OK;
	while (follow_look(&follow, &code) && waits)
		socket_wait(-1, 0, clock_ms() + LOOK_MS);
	progress_finish(&follow.progress);
	return code;
}

/* ---- beside a request ---- */

struct request {
	const struct invocation *run;
	const char *method;
	const char *target;
	struct http_answer answer;
	enum http_result result;
	char problem[PROBLEM_BYTES];
	atomic_bool done;
};

/* What the list of versions said meanwhile. */
static void answer_show(struct follow *follow, const struct http_answer *answer) {
	json_t *versions =
		answer->status == 200 ? json_loadb((const char *)answer->body.data, answer->body.size, 0, NULL) : NULL;
	const json_t *version = versions == NULL ? NULL : leaving_find(versions);
	if (version != NULL)
		leaving_show(follow, version);
	json_decref(versions);
}

static void request_pause(const struct request *request) {
	enum { STEP_MS = 5 };
	for (int waited = 0; waited < LOOK_MS && !atomic_load(&request->done); waited += STEP_MS)
		socket_wait(-1, 0, clock_ms() + STEP_MS);
}

static void *request_main(void *arg) {
	struct request *request = arg;
	request->result = http_request(request->run->control, request->method, request->target, bytes_of(NULL, 0),
		REQUEST_MS, &request->answer, request->problem);
	atomic_store(&request->done, true);
	return NULL;
}

int drain_request(
	const struct invocation *run, const char *name, const char *method, const char *target, json_t **ret_answer) {
	struct follow follow;
	struct request request = {.run = run, .method = method, .target = target};
	pthread_t thread;
	if (run->json)
		return http_json(run, method, target, NULL, ret_answer);
	follow_init(&follow, run, name);
	check(pthread_create(&thread, NULL, request_main, &request) == 0);
	while (!atomic_load(&request.done)) {
		struct http_answer seen = {.status = 0};
		char problem[PROBLEM_BYTES] = "";
		request_pause(&request);
		if (http_request(run->control, "GET", follow.target, bytes_of(NULL, 0), PATIENCE_MS, &seen, problem) == HTTP_OK)
			answer_show(&follow, &seen);
		buf_finish(&seen.body);
	}
	pthread_join(thread, NULL);
	progress_finish(&follow.progress);
	if (request.result == HTTP_OK)
		return http_answered(run, target, &request.answer, ret_answer);
	return (request.result == HTTP_UNREACHABLE ? fail_unreachable : fail_here)(run, "%s", request.problem);
}
