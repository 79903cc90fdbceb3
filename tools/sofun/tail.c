/* tail: the records of an egress. */
#include <stdio.h>
#include <string.h>

#include "client/http.h"
#include "client/rpc.h"
#include "client/socket.h"
#include "commands.h"
#include "fail.h"
#include "show/output.h"
#include "wire/cursor.h"
#include "wire/json.h"
#include "wire/pack.h"

enum {
	PAGE = 1000,
	PATIENCE_MS = 10000,
	PROBLEM_BYTES = 256,
	PAUSE_MS = 100,
};

struct tail {
	const struct invocation *run;
	unsigned long long from;
	bool started; /* from is known; else the host is asked for the place named by word */
	const char *word;
	unsigned long long left;        /* records still to print */
	uint64_t incarnation;           /* with --follow: in which `from` was seen; 0: not known yet */
	unsigned long long patience_ms; /* with --follow: for a host that went away */
};

static void record_print(const struct invocation *run, const json_t *record) {
	if (run->json) {
		output_json(record);
		return;
	}
	char time[TIME_TEXT_BYTES];
	time_text(json_integer_value(json_object_get(record, "time_ms")), time);
	const json_t *source = json_object_get(record, "source");
	struct buf text = {0};
	text_of_json(json_object_get(source, "type"), &text);
	buf_printf(&text, " ");
	text_of_json(json_object_get(source, "id"), &text);
	buf_printf(&text, "  ");
	text_of_json(json_object_get(record, "payload"), &text);
	printf("%lld  %s  %.*s\n", (long long)json_integer_value(json_object_get(record, "offset")), time, (int)text.size,
		(const char *)text.data);
	buf_finish(&text);
}

static int page_ask(const struct tail *tail, unsigned long long limit, json_t **ret_page) {
	struct buf target = {0};
	buf_printf(&target, "/v1/egresses/");
	target_append(&target, bytes_text(argument(tail->run, 0)));
	if (tail->started)
		buf_printf(&target, "?from=%llu&limit=%llu", tail->from, limit);
	else
		buf_printf(&target, "?from=%s&limit=%llu", tail->word, limit);
	int result = http_json_patient(tail->run, target_text(&target), tail->started ? tail->patience_ms : 0, ret_page);
	buf_finish(&target);
	return result;
}

/* Prints one page; *ret_printed is how many records it had. */
static int page_run(struct tail *tail, size_t *ret_printed) {
	json_t *page;
	int result = page_ask(tail, tail->left < PAGE ? tail->left : PAGE, &page);
	if (result != EXIT_OK)
		return result;
	const json_t *records = json_object_get(page, "records");
	size_t i;
	json_t *record;
	json_array_foreach(records, i, record) {
		record_print(tail->run, record);
		tail->from = (unsigned long long)json_integer_value(json_object_get(record, "offset")) + 1;
		tail->started = true;
	}
	*ret_printed = json_array_size(records);
	tail->left -= *ret_printed;
	const json_t *next = json_object_get(page, "next");
	if (*ret_printed == 0 && json_is_integer(next)) {
		tail->from = (unsigned long long)json_integer_value(next);
		tail->started = true;
	}
	json_decref(page);
	return EXIT_OK;
}

/* ---- --follow: a subscription, until the connection is lost ---- */

static void subscribe_queue(const struct tail *tail, struct rpc *rpc) {
	struct buf *out = &rpc->queued;
	rpc_begin(rpc, 0, "subscribe");
	pack_map(out, tail->incarnation == 0 ? 2 : 3);
	pack_text(out, "egress");
	pack_text(out, argument(tail->run, 0));
	pack_text(out, "from");
	pack_uint(out, tail->from);
	if (tail->incarnation == 0)
		return;
	pack_text(out, "incarnation");
	pack_uint(out, tail->incarnation);
}

static json_t *json_of(struct bytes value) {
	struct error error;
	json_t *json = json_from_value(value, CURSOR_NESTING_MAX, &error);
	return json == NULL ? json_null() : json;
}

/* Another data directory is there now, or an older state of this one. */
static int subscribed(struct tail *tail, const struct rpc_answer *answer) {
	if (answer->error.data != NULL)
		return rpc_fail(tail->run, answer->error);
	json_t *result = json_of(answer->result);
	tail->incarnation = (uint64_t)json_integer_value(json_object_get(result, "incarnation"));
	tail->from = (unsigned long long)json_integer_value(json_object_get(result, "next"));
	if (json_object_get(result, "forked") != NULL)
		fprintf(stderr, "sofun: %s has other records than before; going on at offset %llu\n", argument(tail->run, 0),
			tail->from);
	json_decref(result);
	return EXIT_OK;
}

static void records_print(struct tail *tail, struct bytes params) {
	json_t *notification = json_of(params);
	long long offset = (long long)json_integer_value(json_object_get(notification, "first"));
	const json_t *skipped = json_object_get(notification, "skipped");
	size_t i;
	json_t *record;
	if (skipped != NULL)
		fprintf(stderr, "sofun: %lld records of %s were gone before they were read\n",
			(long long)json_integer_value(skipped), argument(tail->run, 0));
	json_array_foreach(json_object_get(notification, "records"), i, record) {
		if (tail->left == 0)
			break;
		json_t *line = json_pack("{s:I}", "offset", (json_int_t)(offset + (long long)i));
		json_object_update(line, record);
		record_print(tail->run, line);
		json_decref(line);
		tail->from = (unsigned long long)offset + i + 1;
		tail->left--;
	}
	json_decref(notification);
}

/* EXIT_OK also when the connection is lost. */
static int frames_take(struct tail *tail, struct rpc *rpc) {
	struct rpc_frame frame;
	bool broken = false;
	int result = EXIT_OK;
	while (result == EXIT_OK && tail->left > 0 && rpc_frame_take(rpc, &frame, &broken)) {
		if (frame.method.data == NULL)
			result = subscribed(tail, &frame.answer);
		else if (bytes_equal(frame.method, bytes_text("records")))
			records_print(tail, frame.params);
	}
	return broken ? fail_here(tail->run, "what the host sends is no MessagePack-RPC") : result;
}

static int follow(struct tail *tail) {
	char problem[PROBLEM_BYTES];
	struct rpc rpc;
	if (rpc_open(&rpc, tail->run->data) < 0) {
		rpc_close(&rpc);
		socket_wait(-1, 0, clock_ms() + PAUSE_MS);
		return EXIT_OK; /* the page that is asked for next says why, or waits */
	}
	subscribe_queue(tail, &rpc);
	int result = EXIT_OK;
	while (result == EXIT_OK && tail->left > 0 && fflush(stdout) == 0 &&
		rpc_exchange(&rpc, DEADLINE_NONE, problem) == RPC_OK)
		result = frames_take(tail, &rpc);
	rpc_close(&rpc);
	if (result == EXIT_OK && tail->left > 0)
		socket_wait(-1, 0, clock_ms() + PAUSE_MS); /* a host that went away is not asked in a loop */
	return result;
}

static bool tail_init(struct tail *tail, const struct invocation *run) {
	*tail = (struct tail){.run = run, .word = "earliest", .left = ~0ULL};
	const char *from = option_value(run, "--from");
	if (from != NULL && (strcmp(from, "earliest") == 0 || strcmp(from, "latest") == 0))
		tail->word = from;
	else if (from != NULL && !option_number(run, "--from", ~0ULL, &tail->from))
		return false;
	else
		tail->started = from != NULL;
	unsigned long long patience_ms = PATIENCE_MS;
	if (!option_number(run, "--count", ~0ULL, &tail->left) || !option_seconds(run, "--patience", &patience_ms))
		return false;
	tail->patience_ms = option_value(run, "--follow") == NULL ? 0 : patience_ms;
	return true;
}

static int tail_run(const struct invocation *run) {
	struct tail tail;
	if (!tail_init(&tail, run))
		return EXIT_USAGE;
	int result = EXIT_OK;
	while (tail.left > 0 && result == EXIT_OK && !ferror(stdout)) {
		size_t printed;
		result = page_run(&tail, &printed);
		if (result != EXIT_OK || printed > 0)
			continue;
		if (option_value(run, "--follow") == NULL)
			break;
		result = follow(&tail);
	}
	return result;
}

static const struct option tail_options[] = {
	{"--from", "OFFSET|earliest|latest", "begin there (default: earliest); latest: only what is new"},
	{"--follow", NULL, "do not end: wait for new records"},
	{"--patience", "S", "with --follow: how long to try to reach a host that went away (default 10)"},
	{"--count", "N", "end after this many records"},
	{NULL, NULL, NULL},
};

const struct command tail_command = {
	.name = "tail",
	.usage = "EGRESS [--from OFFSET|earliest|latest] [--follow] [--patience S] [--count N]",
	.summary = "the records of an egress",
	.help =
		"Prints the durable records of EGRESS, one a line: offset, time, source and payload. With --json each line is one\n"
		"JSON object.\n\n"
		"  sofun tail bans\n"
		"  sofun tail bans --follow --from latest\n"
		"  sofun --json tail bans --from 10 --count 5",
	.completes = "egress",
	.options = tail_options,
	.arguments_min = 1,
	.arguments_max = 1,
	.run = tail_run,
};
