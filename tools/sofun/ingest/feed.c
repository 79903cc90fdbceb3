#include "ingest/feed.h"

#include <poll.h>
#include <stdio.h>

#include "client/socket.h"
#include "fail.h"
#include "wire/cursor.h"
#include "wire/json.h"
#include "wire/pack.h"

enum {
	PROBLEM_BYTES = 256,
	POSITION_ID = 0, /* request id of a question for the position; batches are numbered from 1 */
	UNSENT_BYTES_MAX = 1 << 20,
	TICK_MS = 20,      /* how often a limited rate is looked at */
	RETRY_MS = 50,     /* between two attempts to connect */
	ANSWER_MS = 30000, /* for the position, of a host that took the connection */
};

enum step { STEP_GO_ON, STEP_LOST, STEP_FAILED, STEP_DONE };

static struct batch *batch_at(struct feed *feed, uint64_t number) {
	return &feed->window[number % WINDOW_BATCHES];
}

static void params_head(struct feed *feed, uint64_t first, uint32_t count) {
	pack_map(&feed->rpc.queued, 4);
	pack_text(&feed->rpc.queued, "ingress");
	pack_text(&feed->rpc.queued, feed->ingress);
	pack_text(&feed->rpc.queued, "producer");
	pack_text(&feed->rpc.queued, feed->producer);
	pack_text(&feed->rpc.queued, "first");
	pack_uint(&feed->rpc.queued, first);
	pack_text(&feed->rpc.queued, "records");
	pack_array(&feed->rpc.queued, count);
}

/* ---- the position ---- */

/* {durable, dead?}; *ret_dead is 0 where it does not say. */
static bool answer_read(struct bytes result, uint64_t *ret_durable, uint64_t *ret_dead) {
	struct cursor cursor = cursor_of(result);
	uint32_t pairs;
	bool found = false;
	*ret_dead = 0;
	if (!cursor_read_map(&cursor, &pairs))
		return false;
	for (; pairs > 0; pairs--) {
		struct bytes key;
		if (!cursor_read_str(&cursor, &key))
			return false;
		if (bytes_equal(key, bytes_text("durable")))
			found = cursor_read_uint(&cursor, ret_durable);
		else if (bytes_equal(key, bytes_text("dead")))
			(void)cursor_read_uint(&cursor, ret_dead);
		else if (cursor_skip(&cursor, CURSOR_NESTING_MAX) != CURSOR_GOOD)
			return false;
	}
	return found;
}

/* Asks on a fresh connection. STEP_FAILED is told, in *ret_exit. */
static enum step position_ask(struct feed *feed, char *problem, int *ret_exit) {
	uint64_t deadline_ms = clock_ms() + ANSWER_MS;
	rpc_begin(&feed->rpc, POSITION_ID, "ingest");
	params_head(feed, 1, 0);
	struct rpc_answer answer;
	bool broken = false;
	while (!rpc_answer_take(&feed->rpc, &answer, &broken)) {
		if (broken)
			return *ret_exit = fail_here(feed->run, "the host's answer is no MessagePack-RPC"), STEP_FAILED;
		enum rpc_result result = rpc_exchange(&feed->rpc, deadline_ms, problem);
		if (result == RPC_TIMEOUT)
			snprintf(problem, PROBLEM_BYTES, "the host does not answer");
		if (result != RPC_OK)
			return STEP_LOST;
	}
	if (answer.error.data != NULL)
		return *ret_exit = rpc_fail(feed->run, answer.error), STEP_FAILED;
	uint64_t dead;
	if (!answer_read(answer.result, &feed->durable, &dead))
		return *ret_exit = fail_here(feed->run, "the host's answer names no durable position"), STEP_FAILED;
	return STEP_GO_ON;
}

static enum step feed_connect(struct feed *feed, char *problem, int *ret_exit) {
	int opened = rpc_open(&feed->rpc, feed->run->data);
	if (opened < 0) {
		snprintf(problem, PROBLEM_BYTES, "no host answers at %s: %s", feed->run->data, strerror(-opened));
		return STEP_LOST;
	}
	return position_ask(feed, problem, ret_exit);
}

int feed_open(struct feed *feed) {
	char problem[PROBLEM_BYTES];
	int result = EXIT_OK;
	feed->rpc.socket = -1;
	feed->window_first = feed->window_end = feed->window_sent = 1;
	feed->started_ms = clock_ms();
	enum step step = feed_connect(feed, problem, &result);
	return step == STEP_LOST ? fail_unreachable(feed->run, "%s", problem) : result;
}

/* ---- batches ---- */

static bool window_full(const struct feed *feed) {
	return feed->window_end - feed->window_first == WINDOW_BATCHES || feed->window_bytes >= WINDOW_BYTES_MAX;
}

static void record_add(struct feed *feed, struct bytes record) {
	if (!feed->filling) {
		struct batch *batch = batch_at(feed, feed->window_end++);
		batch->first = feed->read;
		batch->count = 0;
		buf_reset(&batch->records);
		feed->filling = true;
	}
	struct batch *batch = batch_at(feed, feed->window_end - 1);
	size_t before = batch->records.size;
	if (feed->source->objects)
		pack_raw(&batch->records, record);
	else
		pack_bin(&batch->records, record);
	feed->window_bytes += batch->records.size - before;
	batch->count++;
	feed->filling = batch->count < feed->batch_records && batch->records.size < BATCH_BYTES_MAX;
}

/* How many records may have been read by now. */
static uint64_t rate_limit(const struct feed *feed) {
	if (feed->rate == 0)
		return UINT64_MAX;
	return feed->skipped + (clock_ms() - feed->started_ms) * feed->rate / 1000;
}

/* Takes records from the source while there is room for them. */
static enum step feed_fill(struct feed *feed) {
	uint64_t limit = rate_limit(feed);
	feed->dry = false;
	while (!feed->ended && (feed->filling || !window_full(feed)) && feed->read < limit) {
		struct bytes record;
		switch (source_next(feed->source, &record)) {
		case SOURCE_RECORD:
			feed->read++;
			if (feed->read <= feed->skipped)
				continue;
			record_add(feed, record);
			break;
		case SOURCE_LATER:
			feed->dry = true;
			feed->filling = false;
			return STEP_GO_ON;
		case SOURCE_END:
			feed->ended = true;
			break;
		case SOURCE_FAILED:
			return STEP_FAILED;
		}
	}
	if (feed->ended || feed->read >= limit)
		feed->filling = false;
	return STEP_GO_ON;
}

static void feed_queue(struct feed *feed) {
	uint64_t closed = feed->window_end - (feed->filling ? 1 : 0);
	while (feed->window_sent < closed && rpc_unsent(&feed->rpc) < UNSENT_BYTES_MAX) {
		const struct batch *batch = batch_at(feed, feed->window_sent);
		rpc_begin(&feed->rpc, (uint32_t)feed->window_sent, "ingest");
		params_head(feed, batch->first, batch->count);
		pack_raw(&feed->rpc.queued, bytes_buf(&batch->records));
		feed->window_sent++;
	}
}

static void durable_reached(struct feed *feed, uint64_t durable) {
	if (durable > feed->durable)
		feed->durable = durable;
	while (feed->window_first < feed->window_end - (feed->filling ? 1 : 0)) {
		struct batch *batch = batch_at(feed, feed->window_first);
		if (batch->first + batch->count - 1 > feed->durable)
			break;
		feed->window_bytes -= batch->records.size;
		feed->window_first++;
	}
	if (feed->window_sent < feed->window_first)
		feed->window_sent = feed->window_first;
}

/* ---- answers ---- */

static bool host_stops(struct bytes error) {
	struct error problem;
	json_t *json = json_from_value(error, CURSOR_NESTING_MAX, &problem);
	const char *code = json_string_value(json_object_get(json, "code"));
	bool stops = code != NULL && strcmp(code, "stopping") == 0;
	json_decref(json);
	return stops;
}

static enum step feed_answers(struct feed *feed, int *ret_exit) {
	struct rpc_answer answer;
	bool broken = false;
	while (rpc_answer_take(&feed->rpc, &answer, &broken)) {
		uint64_t durable, dead;
		if (answer.error.data != NULL && host_stops(answer.error))
			return STEP_LOST;
		if (answer.error.data != NULL)
			return *ret_exit = rpc_fail(feed->run, answer.error), STEP_FAILED;
		if (!answer_read(answer.result, &durable, &dead))
			return *ret_exit = fail_here(feed->run, "the host's answer names no durable position"), STEP_FAILED;
		durable_reached(feed, durable);
		feed->dead += dead;
	}
	if (broken)
		return *ret_exit = fail_here(feed->run, "the host's answer is no MessagePack-RPC"), STEP_FAILED;
	return STEP_GO_ON;
}

/* Until the socket or the source has something, or a limited rate lets more through. */
static void feed_pause(struct feed *feed) {
	struct pollfd ready[2] = {
		{.fd = feed->rpc.socket, .events = (short)(POLLIN | (rpc_unsent(&feed->rpc) > 0 ? POLLOUT : 0))},
		{.fd = feed->dry ? feed->source->file : -1, .events = POLLIN},
	};
	poll(ready, 2, feed->rate > 0 && !feed->ended ? TICK_MS : 1000);
}

static enum step feed_step(struct feed *feed, int *ret_exit) {
	char problem[PROBLEM_BYTES];
	if (feed_fill(feed) == STEP_FAILED)
		return *ret_exit = fail_here(feed->run, "cannot read the records: %s", feed->source->problem), STEP_FAILED;
	feed_queue(feed);
	if (feed->ended && feed->window_first == feed->window_end)
		return STEP_DONE;
	feed_pause(feed);
	if (rpc_exchange(&feed->rpc, clock_ms(), problem) == RPC_LOST)
		return STEP_LOST;
	enum step step = feed_answers(feed, ret_exit);
	progress_show(&feed->progress, feed->source->bytes_taken, feed->source->bytes_total, feed->read - feed->skipped);
	return step;
}

/* A host that was killed comes back; what was not durable is sent again. */
static enum step feed_reconnect(struct feed *feed, int *ret_exit) {
	uint64_t deadline_ms = clock_ms() + feed->patience_ms;
	char problem[PROBLEM_BYTES];
	uint64_t known = feed->durable;
	while (*feed->stop == 0) {
		char word[PROBLEM_BYTES * 2];
		rpc_close(&feed->rpc);
		enum step step = feed_connect(feed, problem, ret_exit);
		if (step == STEP_GO_ON)
			break;
		if (step == STEP_FAILED)
			return step;
		snprintf(word, sizeof word, "trying again: %s; %llu records are durable", problem, (unsigned long long)known);
		progress_say(&feed->progress, word);
		if (clock_ms() + RETRY_MS > deadline_ms) {
			*ret_exit = fail_unreachable(feed->run, "%s; records up to %llu are durable: go on with --producer %s",
				problem, (unsigned long long)known, feed->producer);
			return STEP_FAILED;
		}
		socket_wait(-1, 0, clock_ms() + RETRY_MS);
	}
	durable_reached(feed, feed->durable);
	feed->window_sent = feed->window_first;
	return STEP_GO_ON;
}

static int feed_stopped(struct feed *feed) {
	progress_finish(&feed->progress);
	return fail_here(feed->run, "stopped; records up to %llu are durable: go on with --producer %s",
		(unsigned long long)feed->durable, feed->producer);
}

int feed_run(struct feed *feed) {
	int result = EXIT_OK;
	feed->skipped = feed->durable;
	enum step step = STEP_GO_ON;
	while (step == STEP_GO_ON || step == STEP_LOST) {
		if (*feed->stop != 0)
			return feed_stopped(feed);
		step = step == STEP_LOST ? feed_reconnect(feed, &result) : feed_step(feed, &result);
	}
	if (feed->skipped > feed->read)
		feed->skipped = feed->read; /* the source is shorter than what the producer sent before */
	return result;
}

void feed_close(struct feed *feed) {
	rpc_close(&feed->rpc);
	for (size_t i = 0; i < WINDOW_BATCHES; i++)
		buf_finish(&feed->window[i].records);
}
