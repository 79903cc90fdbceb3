#include "control/read/entries.h"

#include "sofun/function.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/json.h"

struct page {
	struct read_job *job;
	const struct entries_ask *ask;
	json_t *list;
	json_t *next;      /* owned */
	size_t key_before; /* bytes of each row's key before the entry's own */
	uint64_t bytes;
	bool more;
	bool failed;
};

static json_t *entry_name(const struct page *page, struct bytes key) {
	if (page->ask->header->kind == SOFUN_KIND_TABLE)
		return json_from_bytes(key);
	return json_integer((json_int_t)(key_u64_at(key.data) - page->ask->header->first));
}

static bool page_add(void *arg, struct bytes row, struct bytes value) {
	struct page *page = arg;
	struct error error;
	struct bytes key = bytes_of(row.data + page->key_before, row.size - page->key_before);
	bool list = page->ask->header->kind == SOFUN_KIND_LIST;
	if (list && (key.size != 8 || key_u64_at(key.data) >= page->ask->header->end))
		return false; /* written since the header was read */
	if (page->ask->after != NULL && !list && bytes_equal(key, *page->ask->after))
		return true;
	page->more = json_array_size(page->list) == page->ask->limit || page->bytes > PAGE_BYTES_MAX;
	if (page->more)
		return false;
	json_t *json = json_from_value(value, CURSOR_NESTING_MAX, &error);
	if (json == NULL) {
		read_damaged(page->job, "an entry of the instance");
		page->failed = true;
		return false;
	}
	json_decref(page->next);
	page->next = entry_name(page, key);
	page->bytes += row.size + value.size;
	json_array_append_new(page->list, list ? json : json_pack("{s:O, s:o}", "key", page->next, "value", json));
	return true;
}

/* Where the page begins, behind what all keys of the table begin with; false: `after` is no index. */
static bool page_from(struct page *page, struct key *from) {
	const struct bytes *after = page->ask->after;
	if (page->ask->header->kind == SOFUN_KIND_TABLE) {
		if (after != NULL)
			key_append(from, *after);
		return true;
	}
	uint64_t index = 0;
	for (size_t i = 0; after != NULL && i < after->size; i++) {
		if (after->data[i] < '0' || after->data[i] > '9' || index > UINT64_MAX / 100)
			return false;
		index = index * 10 + after->data[i] - '0';
	}
	key_u64(from, page->ask->header->first + (after != NULL ? index + 1 : 0));
	return after == NULL || after->size > 0;
}

static json_t *page_json(struct page *page) {
	const struct entries_header *header = page->ask->header;
	json_t *next = page->more ? json_incref(page->next) : json_null();
	if (header->kind == SOFUN_KIND_TABLE)
		return json_pack("{s:O, s:o}", "entries", page->list, "next", next);
	return json_pack(
		"{s:I, s:O, s:o}", "length", (json_int_t)(header->end - header->first), "items", page->list, "next", next);
}

static void after_wrong(struct read_job *job, struct bytes after) {
	error_set(&job->error, ERROR_BAD_REQUEST, "`after` is neither a key of that table nor an index of that list");
	error_found(&job->error, "%zu bytes that are none", after.size);
	error_hint(&job->error, "leave it out to begin with the first");
	error_expected(&job->error, "what `next` of the page before said");
}

json_t *read_entries(struct read_job *job, struct store *store, const struct entries_ask *ask) {
	struct key prefix = key_entries(ask->id, ask->header->generation);
	struct key from = prefix;
	struct page page = {.job = job, .ask = ask, .key_before = prefix.size};
	if ((ask->after != NULL && ask->after->size > ID_BYTES_MAX) || !page_from(&page, &from)) {
		after_wrong(job, *ask->after);
		return NULL;
	}
	page.list = json_array();
	page.next = json_null();
	json_t *json = NULL;
	if (store_range_read(store, ask->database, key_bytes(&prefix), key_bytes(&from), page_add, &page, &job->error) &&
		!page.failed)
		json = page_json(&page);
	json_decref(page.list);
	json_decref(page.next);
	return json;
}
