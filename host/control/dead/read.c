/* Dead letters by HTTP. */
#include "control/read/read.h"
#include "base/check.h"
#include "control/dead/filter.h"
#include "control/handlers.h"
#include "flow/dead/letter.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/json.h"

struct dead_job {
	struct read_job job;
	uint64_t number; /* show: which; list: the first that is wanted */
	uint64_t limit;  /* list */
	struct dead_filter filter;
};

/* A filter that nothing matches must not keep the reader thread: the page ends here, and is empty. */
enum { LIST_LOOKED_MAX = 20000 };

/* ---- one letter ---- */

static json_t *words_or_null(struct bytes text) {
	return text.size == 0 ? json_null() : json_from_words(text);
}

static json_t *from_json(const struct dead_letter *letter) {
	if (letter->from.size == 0)
		return json_null();
	return json_pack("{s:o, s:o}", "type", json_from_words(letter->from), "id", json_from_bytes(letter->from_id));
}

/* NULL: the payload is damaged. */
static json_t *letter_json(uint64_t number, const struct dead_letter *letter) {
	struct error error;
	json_t *payload = json_from_value(letter->payload, CURSOR_NESTING_MAX, &error);
	if (payload == NULL)
		return NULL;
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:I}", "number", (json_int_t)number, "to",
		json_from_words(letter->to), "id", json_from_bytes(letter->id), "from", from_json(letter), "code",
		json_from_words(letter->code), "reason", json_from_words(letter->reason), "attempts",
		(json_int_t)letter->attempts, "plugin", words_or_null(letter->plugin), "version",
		words_or_null(letter->version), "type", words_or_null(letter->type), "payload", payload, "time_ms",
		(json_int_t)letter->time_ms);
}

/* ---- list ---- */

/* A page as it grows. */
struct page {
	json_t *list;
	uint64_t bytes;
	uint64_t looked;
	uint64_t last; /* number of the last letter that was looked at */
	bool more;     /* others follow */
};

static bool page_full(const struct dead_job *dead, const struct page *page) {
	return json_array_size(page->list) >= dead->limit || page->bytes >= PAGE_BYTES_MAX ||
		page->looked >= LIST_LOOKED_MAX;
}

/* False: damaged. */
static bool page_add(const struct dead_job *dead, uint64_t number, struct bytes row, struct page *page) {
	struct dead_letter letter;
	if (!dead_letter_read(row, &letter))
		return false;
	page->last = number;
	page->looked++;
	if (!dead_filter_matches(&dead->filter, &letter))
		return true;
	json_t *json = letter_json(number, &letter);
	if (json == NULL)
		return false;
	json_array_append_new(page->list, json);
	page->bytes += row.size;
	return true;
}

static bool letters_collect(const struct dead_job *dead, struct store_cursor *cursor, struct page *page) {
	struct bytes key, row;
	while (store_cursor_next(cursor, &key, &row) && key.size == 9) {
		if ((page->more = page_full(dead, page)))
			return true;
		if (!page_add(dead, key_u64_at(key.data + 1), row, page))
			return false;
	}
	return true;
}

static void list_work(struct read_job *job, struct store *store) {
	struct dead_job *dead = (struct dead_job *)job;
	struct key from = key_dead(dead->number);
	struct store_cursor *cursor = store_cursor_open(store, REDO_RUNTIME, key_bytes(&from), &job->error);
	struct page page = {.list = json_array()};
	bool good = cursor != NULL && letters_collect(dead, cursor, &page);
	if (cursor != NULL && !good)
		read_damaged(job, "a dead letter");
	if (good && store_cursor_status(cursor, &job->error))
		job->body = json_pack(
			"{s:O, s:o}", "dead", page.list, "next", page.more ? json_integer((json_int_t)page.last) : json_null());
	json_decref(page.list);
	dead_filter_finish(&dead->filter);
	if (cursor != NULL)
		store_cursor_close(cursor);
}

void handle_dead_list(struct exchange *exchange) {
	struct error error;
	uint64_t limit, after = 0;
	struct bytes text;
	struct dead_filter filter = {0};
	if (!read_limit(exchange, &limit, &error) ||
		!target_query_number(&exchange->target, "after", INT64_MAX, &after, &error) ||
		!dead_filter_of_query(&exchange->target, &filter, &error)) {
		dead_filter_finish(&filter);
		exchange_error(exchange, &error);
		return;
	}
	struct dead_job *dead = check_alloc(1, sizeof *dead);
	dead->job.exchange = exchange;
	dead->job.work = list_work;
	dead->number = target_query(&exchange->target, "after", &text) ? after + 1 : 0;
	dead->limit = limit;
	dead->filter = filter;
	read_start(&dead->job);
}

/* ---- show ---- */

static void letter_missing(const struct dead_job *dead, struct error *error) {
	error_set(error, ERROR_NOT_FOUND, "there is no dead letter %llu", (unsigned long long)dead->number);
	error_found(error, "%llu", (unsigned long long)dead->number);
	error_advise(error, "the number of a dead letter", "GET /v1/dead, or `sofun dead`, lists them");
}

static void show_work(struct read_job *job, struct store *store) {
	struct dead_job *dead = (struct dead_job *)job;
	struct key key = key_dead(dead->number);
	struct buf row = {0};
	int found = store_get(store, REDO_RUNTIME, key_bytes(&key), &row, &job->error);
	if (found == 0)
		letter_missing(dead, &job->error);
	struct dead_letter letter;
	if (found == 1 && dead_letter_read(bytes_buf(&row), &letter))
		job->body = letter_json(dead->number, &letter);
	if (found == 1 && job->body == NULL)
		read_damaged(job, "the dead letter");
	buf_finish(&row);
}

bool read_dead_number(struct exchange *exchange, uint64_t *ret_number) {
	struct error error;
	if (decimal_parse(exchange_param(exchange, 0), ret_number))
		return true;
	error_set(&error, ERROR_BAD_REQUEST, "a dead letter goes by its number");
	exchange_found(exchange, exchange_param(exchange, 0), &error);
	error_advise(&error, "/v1/dead/ and a decimal number", "GET /v1/dead, or `sofun dead`, lists them");
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
