/* Many dead letters at once: POST /v1/dead/retry and /v1/dead/drop act on those that a filter means.
 *
 * One request does a bounded piece of work, oldest letter first: batch by batch the reader thread looks for what matches,
 * then the engine takes each letter as if it had been asked for alone (flow/dead/act.h), so each goes once whoever else
 * asks, and its answer is durable. What is left is told by `next`, from which another request goes on. `through` is where
 * it all ends: what fails again is a letter behind it, so whoever repeats until `next` is null never goes in a circle. */
#include <stdlib.h>

#include "base/check.h"
#include "base/little.h"
#include "control/dead/filter.h"
#include "control/handlers.h"
#include "control/http/body.h"
#include "control/read/read.h"
#include "flow/request/answer_error.h"
#include "state/key.h"
#include "wire/json.h"

enum {
	BULK_LIMIT_DEFAULT = 1000,
	BULK_LIMIT_MAX = 10000,
	BULK_LOOKED_MAX = 100000, /* letters in one request, whether they match or not */
	BATCH_LETTERS = 256,      /* on their way to the shards at a time: about two epochs of them */
	BATCH_BYTES = 1 << 20,
	BATCH_LOOKED_MAX = 10000, /* then the reader thread serves others */
};

#define BULK_KEYS DEAD_FILTER_KEYS ",all,after,through,limit,dry_run"

struct bulk {
	struct exchange *exchange;
	struct dead_filter filter;
	bool retry;
	bool dry_run;
	uint64_t limit;
	uint64_t at;      /* all letters up to it were looked at */
	uint64_t through; /* the last that is meant */
	bool end;         /* there is no other letter up to it */

	struct buf batch; /* [number:u64 size:u64 row] of those that match */
	size_t waiting;   /* letters of the batch that are not answered */

	uint64_t looked;
	uint64_t matched;
	uint64_t done;
	uint64_t gone;   /* somebody else was faster */
	uint64_t stayed; /* nobody takes them now */
	uint64_t epoch;
	struct error reason; /* of the first that stayed */
	struct error error;
};

static void bulk_read(struct bulk *bulk);

/* ---- the answer ---- */

static void bulk_finish(struct bulk *bulk) {
	dead_filter_finish(&bulk->filter);
	buf_finish(&bulk->batch);
	free(bulk);
}

static json_t *bulk_json(const struct bulk *bulk) {
	return json_pack("{s:I, s:I, s:I, s:I, s:o, s:b, s:o, s:I, s:o}", "count", (json_int_t)bulk->done, "matched",
		(json_int_t)bulk->matched, "gone", (json_int_t)bulk->gone, "stayed", (json_int_t)bulk->stayed, "reason",
		bulk->stayed == 0 ? json_null() : json_from_error(&bulk->reason), "dry_run", bulk->dry_run, "next",
		bulk->end ? json_null() : json_integer((json_int_t)bulk->at), "through", (json_int_t)bulk->through, "epoch",
		bulk->epoch == 0 ? json_null() : json_integer((json_int_t)bulk->epoch));
}

static void bulk_answer(struct bulk *bulk) {
	if (bulk->error.code == ERROR_NONE) {
		exchange_json(bulk->exchange, 200, bulk_json(bulk));
	} else {
		if (bulk->done > 0)
			error_found(&bulk->error, "%llu of the letters are durably %s", (unsigned long long)bulk->done,
				bulk->retry ? "sent again" : "dropped");
		exchange_error(bulk->exchange, &bulk->error);
	}
	bulk_finish(bulk);
}

/* ---- looking ---- */

static void batch_add(struct bulk *bulk, uint64_t number, struct bytes row) {
	bulk->matched++;
	if (bulk->dry_run)
		return;
	uint8_t *head = buf_reserve(&bulk->batch, 16);
	little_u64_put(head, number);
	little_u64_put(head + 8, row.size);
	bulk->batch.size += 16;
	buf_append_bytes(&bulk->batch, row);
	bulk->waiting++;
}

/* As much as this request, or this batch, may have. */
static bool batch_full(const struct bulk *bulk, uint64_t looked) {
	return bulk->matched >= bulk->limit || bulk->waiting >= BATCH_LETTERS || bulk->batch.size >= BATCH_BYTES ||
		looked >= BATCH_LOOKED_MAX;
}

static bool batch_collect(struct bulk *bulk, struct store_cursor *cursor) {
	struct bytes key, row;
	struct dead_letter letter;
	for (uint64_t looked = 0; store_cursor_next(cursor, &key, &row); looked++) {
		uint64_t number = key.size == 9 ? key_u64_at(key.data + 1) : UINT64_MAX;
		if (number > bulk->through)
			break;
		if (batch_full(bulk, looked))
			return true;
		if (!dead_letter_read(row, &letter)) {
			error_set(&bulk->error, ERROR_STORE_FAILED, "a dead letter cannot be read: run sofund --verify");
			return true;
		}
		bulk->at = number;
		bulk->looked++;
		if (dead_filter_matches(&bulk->filter, &letter))
			batch_add(bulk, number, row);
	}
	bulk->end = true;
	return store_cursor_status(cursor, &bulk->error);
}

/* [reader thread] */
static void batch_find(void *arg, struct store *store) {
	struct bulk *bulk = arg;
	struct key from = key_dead(bulk->at + 1);
	struct store_cursor *cursor = store_cursor_open(store, REDO_RUNTIME, key_bytes(&from), &bulk->error);
	if (cursor == NULL)
		return;
	batch_collect(bulk, cursor);
	store_cursor_close(cursor);
}

/* ---- acting ---- */

/* After a failure what is on its way is still waited for: the answer says how many are done. */
static void batch_next(struct bulk *bulk) {
	buf_reset(&bulk->batch);
	if (bulk->end || bulk->error.code != ERROR_NONE || bulk->matched >= bulk->limit || bulk->looked >= BULK_LOOKED_MAX)
		bulk_answer(bulk);
	else
		bulk_read(bulk);
}

static void letter_stayed(struct bulk *bulk, const struct engine_answer *answer) {
	if (bulk->stayed++ == 0)
		answer_error(answer, &bulk->reason);
}

static void letter_answered(void *arg, const struct engine_answer *answer) {
	struct bulk *bulk = arg;
	switch (answer->code) {
	case ERROR_NONE:
		bulk->done++;
		bulk->epoch = answer->number > bulk->epoch ? answer->number : bulk->epoch;
		break;
	case ERROR_NOT_FOUND:
		bulk->gone++;
		break;
	case ERROR_UNKNOWN_TYPE:
	case ERROR_UNKNOWN_INGRESS:
		letter_stayed(bulk, answer);
		break;
	default:
		answer_error(answer, &bulk->error);
	}
	if (--bulk->waiting == 0)
		batch_next(bulk);
}

/* [loop thread] */
static void batch_act(void *arg) {
	struct bulk *bulk = arg;
	struct control *control = bulk->exchange->control;
	if (bulk->waiting == 0 || bulk->error.code != ERROR_NONE) {
		batch_next(bulk);
		return;
	}
	for (size_t at = 0; at < bulk->batch.size;) {
		const uint8_t *head = bulk->batch.data + at;
		struct bytes row = bytes_of(head + 16, little_u64(head + 8));
		struct dead_letter letter;
		check(dead_letter_read(row, &letter));
		uint64_t token = request_open(control->requests, letter_answered, bulk);
		engine_dead(control->engine, token, little_u64(head), &letter, bulk->retry);
		at += 16 + row.size;
	}
}

static void bulk_read(struct bulk *bulk) {
	engine_read(bulk->exchange->control->engine, batch_find, batch_act, bulk);
}

/* ---- what is asked for ---- */

/* Every letter is meant only if that is said: an empty body is more often a mistake. */
static bool meant_check(const struct bulk *bulk, bool all, struct error *error) {
	if (bulk->filter.asked != all)
		return true;
	error_set(
		error, ERROR_BAD_REQUEST, all ? "all and a filter exclude each other" : "nothing says which dead letters");
	error_found(error, all ? "both" : "neither a filter nor all");
	error_expected(error, "at least one of " DEAD_FILTER_KEYS ", or \"all\":true");
	error_hint(error, "with \"dry_run\":true the answer only counts");
	return false;
}

static bool bulk_take(struct bulk *bulk, const json_t *body, struct error *error) {
	bool all;
	return dead_filter_of_object(body, &bulk->filter, error) && body_flag(body, "all", &all, error) &&
		body_flag(body, "dry_run", &bulk->dry_run, error) && meant_check(bulk, all, error) &&
		body_number(body, "limit", 1, BULK_LIMIT_MAX, &bulk->limit, error) &&
		body_number(body, "after", 0, INT64_MAX - 1, &bulk->at, error) &&
		body_number(body, "through", 0, INT64_MAX, &bulk->through, error);
}

static void bulk_start(struct exchange *exchange, bool retry) {
	struct error error;
	json_t *body = exchange_body_object(exchange, BULK_KEYS);
	if (body == NULL)
		return;
	struct bulk *bulk = check_alloc(1, sizeof *bulk);
	bulk->exchange = exchange;
	bulk->retry = retry;
	bulk->limit = BULK_LIMIT_DEFAULT;
	bulk->through = engine_dead_last(exchange->control->engine);
	if (bulk_take(bulk, body, &error)) {
		bulk_read(bulk);
	} else {
		exchange_error(exchange, &error);
		bulk_finish(bulk);
	}
	json_decref(body);
}

void handle_dead_retry_all(struct exchange *exchange) {
	bulk_start(exchange, true);
}

void handle_dead_drop_all(struct exchange *exchange) {
	bulk_start(exchange, false);
}
