/* Dead letters by HTTP. */
#include "base/check.h"
#include "control/handlers.h"
#include "control/read.h"
#include "flow/dead_letter.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/json.h"

struct dead_job {
	struct read_job job;
	uint64_t number; /* show: which; list: the first that is wanted */
	uint64_t limit;  /* list */
};

/* ---- one letter ---- */

static json_t *words_or_null(struct bytes text) {
	return text.size == 0 ? json_null() : json_from_words(text);
}

static json_t *from_json(const struct dead_letter *letter) {
	if (letter->from.size == 0)
		return json_null();
	return json_pack("{s:o, s:o}", "type", json_from_words(letter->from), "id", json_from_bytes(letter->from_id));
}

/* NULL: the row is damaged. */
static json_t *letter_json(uint64_t number, struct bytes row) {
	struct dead_letter letter;
	struct error error;
	if (!dead_letter_read(row, &letter))
		return NULL;
	json_t *payload = json_from_value(letter.payload, CURSOR_NESTING_MAX, &error);
	if (payload == NULL)
		return NULL;
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:I}", "number", (json_int_t)number, "to",
		json_from_words(letter.to), "id", json_from_bytes(letter.id), "from", from_json(&letter), "code",
		json_from_words(letter.code), "reason", json_from_words(letter.reason), "attempts", (json_int_t)letter.attempts,
		"plugin", words_or_null(letter.plugin), "version", words_or_null(letter.version), "type",
		words_or_null(letter.type), "payload", payload, "time_ms", (json_int_t)letter.time_ms);
}

/* ---- list ---- */

/* Appends letters up to the limits; *last is the number of the last one, *more says whether others follow. False:
 * damaged. */
static bool letters_collect(
	const struct dead_job *dead, struct store_cursor *cursor, json_t *list, uint64_t *last, bool *more) {
	struct bytes key, value;
	uint64_t count = 0, bytes = 0;
	*more = false;
	while (store_cursor_next(cursor, &key, &value) && key.size == 9 && key.data[0] == KEY_DEAD) {
		*more = count == dead->limit || bytes >= PAGE_BYTES_MAX;
		if (*more)
			return true;
		*last = key_u64_at(key.data + 1);
		json_t *letter = letter_json(*last, value);
		if (letter == NULL)
			return false;
		json_array_append_new(list, letter);
		count++;
		bytes += value.size;
	}
	return true;
}

static void list_work(struct read_job *job, struct store *store) {
	struct dead_job *dead = (struct dead_job *)job;
	struct key from = key_dead(dead->number);
	struct store_cursor *cursor = store_cursor_open(store, REDO_RUNTIME, key_bytes(&from), &job->error);
	if (cursor == NULL)
		return;
	uint64_t last = 0;
	bool more;
	json_t *list = json_array();
	bool good = letters_collect(dead, cursor, list, &last, &more);
	if (!good)
		read_damaged(job, "a dead letter");
	if (good && store_cursor_status(cursor, &job->error))
		job->body = json_pack("{s:O, s:o}", "dead", list, "next", more ? json_integer((json_int_t)last) : json_null());
	json_decref(list);
	store_cursor_close(cursor);
}

void handle_dead_list(struct exchange *exchange) {
	struct error error;
	uint64_t limit, after = 0;
	struct bytes text;
	if (!read_limit(exchange, &limit, &error) ||
		!target_query_number(&exchange->target, "after", INT64_MAX, &after, &error)) {
		exchange_error(exchange, &error);
		return;
	}
	struct dead_job *dead = check_alloc(1, sizeof *dead);
	dead->job.exchange = exchange;
	dead->job.work = list_work;
	dead->number = target_query(&exchange->target, "after", &text) ? after + 1 : 0;
	dead->limit = limit;
	read_start(&dead->job);
}

/* ---- show ---- */

static void letter_missing(const struct dead_job *dead, struct error *error) {
	error_set(error, ERROR_NOT_FOUND, "there is no dead letter %llu", (unsigned long long)dead->number);
	error_hint(error, "GET /v1/dead lists them");
}

static void show_work(struct read_job *job, struct store *store) {
	struct dead_job *dead = (struct dead_job *)job;
	struct key key = key_dead(dead->number);
	struct buf row = {0};
	int found = store_get(store, REDO_RUNTIME, key_bytes(&key), &row, &job->error);
	if (found == 0)
		letter_missing(dead, &job->error);
	if (found == 1 && (job->body = letter_json(dead->number, bytes_buf(&row))) == NULL)
		read_damaged(job, "the dead letter");
	buf_finish(&row);
}

bool read_dead_number(struct exchange *exchange, uint64_t *ret_number) {
	struct error error;
	if (decimal_parse(exchange_param(exchange, 0), ret_number))
		return true;
	error_set(&error, ERROR_BAD_REQUEST, "a dead letter goes by its number");
	error_expected(&error, "/v1/dead/ and a decimal number");
	exchange_error(exchange, &error);
	return false;
}

void handle_dead_show(struct exchange *exchange) {
	uint64_t number;
	if (!read_dead_number(exchange, &number))
		return;
	struct dead_job *dead = check_alloc(1, sizeof *dead);
	dead->job.exchange = exchange;
	dead->job.work = show_work;
	dead->number = number;
	read_start(&dead->job);
}
