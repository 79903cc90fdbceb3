/* Tables and lists of the fake host: arrays in the order of their keys, copied when a callback first changes one. A list has
 * none: its items are numbered by their places. */
#include <stdlib.h>

#include "inside.h"

enum { CURSORS_MAX = 16, ENTRIES_MAX = 65536 };

struct sofun_cursor {
	uint32_t value;
	sofun_bytes prefix;
	struct piece prefix_room;
	struct piece at; /* of a table: the key given last */
	size_t next;     /* of a list: the index to come */
	bool from;       /* nothing was given yet: `at` itself counts */
	struct sofun_cursor *before;
};

static struct callback *callback_of(sofun_context *context) {
	return (struct callback *)(void *)context;
}

/* ---- arrays ---- */

void entries_finish(struct entries *entries) {
	for (size_t i = 0; i < entries->count; i++) {
		piece_finish(&entries->pairs[i].key);
		piece_finish(&entries->pairs[i].value);
	}
	free(entries->pairs);
	*entries = (struct entries){0};
}

static void entries_insert(struct entries *entries, size_t at, sofun_bytes key, sofun_bytes value) {
	entries->pairs = memory_grow_one(entries->pairs, entries->count, sizeof *entries->pairs);
	memmove(&entries->pairs[at + 1], &entries->pairs[at], (entries->count - at) * sizeof *entries->pairs);
	entries->pairs[at] = (struct pair){0};
	piece_append(&entries->pairs[at].key, key.data, key.size);
	piece_append(&entries->pairs[at].value, value.data, value.size);
	entries->count++;
}

static void entries_remove(struct entries *entries, size_t at) {
	piece_finish(&entries->pairs[at].key);
	piece_finish(&entries->pairs[at].value);
	entries->count--;
	memmove(&entries->pairs[at], &entries->pairs[at + 1], (entries->count - at) * sizeof *entries->pairs);
}

static int key_compare(sofun_bytes a, sofun_bytes b) {
	const size_t size = a.size < b.size ? a.size : b.size;
	const int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
	return order != 0 ? order : a.size < b.size ? -1 : a.size > b.size;
}

/* The first key that is not below. */
static size_t entries_seek(const struct entries *entries, sofun_bytes key) {
	size_t low = 0, high = entries->count;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		if (key_compare(piece_bytes(&entries->pairs[middle].key), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool entries_has(const struct entries *entries, size_t at, sofun_bytes key) {
	return at < entries->count && sofun_bytes_equal(piece_bytes(&entries->pairs[at].key), key);
}

sofun_bytes entries_at(const struct entries *entries, sofun_bytes key) {
	const size_t at = entries_seek(entries, key);
	return entries_has(entries, at, key) ? piece_bytes(&entries->pairs[at].value) : sofun_bytes_of(NULL, 0);
}

/* ---- what a callback sees and changes ---- */

static void views_end(struct callback *callback) {
	piece_finish(&callback->entry_key);
	piece_finish(&callback->entry_value);
}

/* Every call ends the views of the one before. */
static int value_check(struct callback *callback, uint32_t value, uint32_t kind) {
	views_end(callback);
	if (callback->instance == NULL || callback->migrating)
		return SOFUN_NOT_ALLOWED;
	return value < callback->out_count && callback->out[value].kind == kind ? SOFUN_OK : SOFUN_BAD_ARGUMENT;
}

static int change_check(struct callback *callback, uint32_t value, uint32_t kind) {
	const int status = value_check(callback, value, kind);
	return status == SOFUN_OK && callback->expiring ? SOFUN_NOT_ALLOWED : status;
}

static struct entries *entries_seen(struct callback *callback, uint32_t value) {
	return callback->many_changed[value] ? &callback->many[value] : &callback->instance->many[value];
}

static struct entries *entries_changed(struct callback *callback, uint32_t value) {
	const struct entries *kept = &callback->instance->many[value];
	struct entries *own = &callback->many[value];
	if (callback->many_changed[value])
		return own;
	callback->many_changed[value] = true;
	for (size_t i = 0; i < kept->count; i++)
		entries_insert(own, i, piece_bytes(&kept->pairs[i].key), piece_bytes(&kept->pairs[i].value));
	return own;
}

static void entry_lend(struct callback *callback, sofun_bytes value, sofun_bytes *ret_value) {
	piece_append(&callback->entry_value, value.data, value.size);
	*ret_value = value.size == 0 ? sofun_bytes_of(NULL, 0) : piece_bytes(&callback->entry_value);
}

static int write_check(struct callback *callback, sofun_bytes msgpack) {
	const int status = object_check(msgpack, callback->test->value_bytes_max);
	if (status != SOFUN_OK)
		return status;
	return callback->entries_written++ < ENTRIES_MAX ? SOFUN_OK : SOFUN_TOO_LARGE;
}

void callback_entries_end(struct callback *callback, bool keep) {
	views_end(callback);
	for (size_t i = 0; i < VALUES_MAX; i++) {
		if (!callback->many_changed[i] || !keep) {
			entries_finish(&callback->many[i]);
			continue;
		}
		entries_finish(&callback->instance->many[i]);
		callback->instance->many[i] = callback->many[i];
	}
	while (callback->cursors != NULL) {
		struct sofun_cursor *cursor = callback->cursors;
		callback->cursors = cursor->before;
		piece_finish(&cursor->prefix_room);
		piece_finish(&cursor->at);
		free(cursor);
	}
}

static int clear(sofun_context *context, uint32_t value, uint32_t kind) {
	struct callback *callback = callback_of(context);
	const int status = change_check(callback, value, kind);
	if (status == SOFUN_OK)
		entries_finish(entries_changed(callback, value));
	return status;
}

static int cursor_open(struct callback *callback, uint32_t value, sofun_bytes prefix, sofun_cursor **ret_cursor) {
	size_t count = 0;
	for (struct sofun_cursor *at = callback->cursors; at != NULL; at = at->before)
		count++;
	if (count == CURSORS_MAX)
		return SOFUN_TOO_LARGE;
	struct sofun_cursor *cursor = memory_take(sizeof *cursor);
	cursor->value = value;
	cursor->from = true;
	piece_append(&cursor->prefix_room, prefix.data, prefix.size);
	cursor->prefix = piece_bytes(&cursor->prefix_room);
	cursor->before = callback->cursors;
	callback->cursors = cursor;
	*ret_cursor = cursor;
	return SOFUN_OK;
}

static int step_count(struct callback *callback) {
	return callback->entries_stepped++ < ENTRIES_MAX ? SOFUN_OK : SOFUN_TOO_LARGE;
}

/* ---- tables ---- */

static bool key_good(sofun_bytes key) {
	return key.size >= 1 && key.size <= SOFUN_TABLE_KEY_BYTES_MAX;
}

static int table_get(sofun_context *context, uint32_t table, sofun_bytes key, sofun_bytes *ret_msgpack) {
	struct callback *callback = callback_of(context);
	const int status = value_check(callback, table, SOFUN_KIND_TABLE);
	if (status != SOFUN_OK || !key_good(key))
		return status != SOFUN_OK ? status : SOFUN_BAD_ARGUMENT;
	entry_lend(callback, entries_at(entries_seen(callback, table), key), ret_msgpack);
	return SOFUN_OK;
}

static int table_set(sofun_context *context, uint32_t table, sofun_bytes key, sofun_bytes msgpack) {
	struct callback *callback = callback_of(context);
	struct piece key_copy = {0}, value_copy = {0}; /* either may be a view that ends now */
	piece_append(&key_copy, key.data, key.size);
	piece_append(&value_copy, msgpack.data, msgpack.size);
	int status = change_check(callback, table, SOFUN_KIND_TABLE);
	if (status == SOFUN_OK)
		status = key_copy.size >= 1 && key_copy.size <= SOFUN_TABLE_KEY_BYTES_MAX
			? write_check(callback, piece_bytes(&value_copy))
			: SOFUN_BAD_ARGUMENT;
	if (status == SOFUN_OK) {
		struct entries *entries = entries_changed(callback, table);
		const size_t at = entries_seek(entries, piece_bytes(&key_copy));
		if (entries_has(entries, at, piece_bytes(&key_copy)))
			entries_remove(entries, at);
		entries_insert(entries, at, piece_bytes(&key_copy), piece_bytes(&value_copy));
	}
	piece_finish(&key_copy);
	piece_finish(&value_copy);
	return status;
}

static int table_remove(sofun_context *context, uint32_t table, sofun_bytes key) {
	struct callback *callback = callback_of(context);
	struct piece copy = {0};
	piece_append(&copy, key.data, key.size);
	int status = change_check(callback, table, SOFUN_KIND_TABLE);
	if (status == SOFUN_OK && !key_good(piece_bytes(&copy)))
		status = SOFUN_BAD_ARGUMENT;
	if (status == SOFUN_OK) {
		struct entries *entries = entries_changed(callback, table);
		const size_t at = entries_seek(entries, piece_bytes(&copy));
		if (entries_has(entries, at, piece_bytes(&copy)))
			entries_remove(entries, at);
	}
	piece_finish(&copy);
	return status;
}

static int table_clear(sofun_context *context, uint32_t table) {
	return clear(context, table, SOFUN_KIND_TABLE);
}

static int table_open(
	sofun_context *context, uint32_t table, sofun_bytes prefix, sofun_bytes from, sofun_cursor **ret_cursor) {
	struct callback *callback = callback_of(context);
	struct piece at = {0};
	const sofun_bytes first = key_compare(from, prefix) > 0 ? from : prefix;
	piece_append(&at, first.data, first.size);
	int status = cursor_open(callback, table, prefix, ret_cursor);
	if (status == SOFUN_OK)
		status = value_check(callback, table, SOFUN_KIND_TABLE);
	if (status == SOFUN_OK)
		(*ret_cursor)->at = at;
	else
		piece_finish(&at);
	return status;
}

static int table_next(sofun_context *context, sofun_cursor *cursor, sofun_bytes *ret_key, sofun_bytes *ret_msgpack) {
	struct callback *callback = callback_of(context);
	int status = value_check(callback, cursor->value, SOFUN_KIND_TABLE);
	*ret_key = *ret_msgpack = sofun_bytes_of(NULL, 0);
	if (status != SOFUN_OK)
		return status;
	const struct entries *entries = entries_seen(callback, cursor->value);
	size_t at = entries_seek(entries, piece_bytes(&cursor->at));
	if (!cursor->from && entries_has(entries, at, piece_bytes(&cursor->at)))
		at++;
	if (at == entries->count || entries->pairs[at].key.size < cursor->prefix.size ||
		(cursor->prefix.size > 0 && memcmp(entries->pairs[at].key.data, cursor->prefix.data, cursor->prefix.size) != 0))
		return SOFUN_OK;
	status = step_count(callback);
	if (status != SOFUN_OK)
		return status;
	piece_finish(&cursor->at);
	piece_append(&cursor->at, entries->pairs[at].key.data, entries->pairs[at].key.size);
	cursor->from = false;
	piece_append(&callback->entry_key, cursor->at.data, cursor->at.size);
	*ret_key = piece_bytes(&callback->entry_key);
	entry_lend(callback, piece_bytes(&entries->pairs[at].value), ret_msgpack);
	return SOFUN_OK;
}

const sofun_tables tables_table = {.size = sizeof(sofun_tables),
	.get = table_get,
	.set = table_set,
	.remove = table_remove,
	.clear = table_clear,
	.open = table_open,
	.next = table_next};

/* ---- lists ---- */

static int list_length(sofun_context *context, uint32_t list, uint64_t *ret_length) {
	struct callback *callback = callback_of(context);
	const int status = value_check(callback, list, SOFUN_KIND_LIST);
	if (status == SOFUN_OK)
		*ret_length = entries_seen(callback, list)->count;
	return status;
}

static int list_get(sofun_context *context, uint32_t list, uint64_t index, sofun_bytes *ret_msgpack) {
	struct callback *callback = callback_of(context);
	const int status = value_check(callback, list, SOFUN_KIND_LIST);
	*ret_msgpack = sofun_bytes_of(NULL, 0);
	if (status == SOFUN_OK && index < entries_seen(callback, list)->count)
		entry_lend(callback, piece_bytes(&entries_seen(callback, list)->pairs[index].value), ret_msgpack);
	return status;
}

static int list_append(sofun_context *context, uint32_t list, sofun_bytes msgpack) {
	struct callback *callback = callback_of(context);
	struct piece copy = {0};
	piece_append(&copy, msgpack.data, msgpack.size);
	int status = change_check(callback, list, SOFUN_KIND_LIST);
	if (status == SOFUN_OK)
		status = write_check(callback, piece_bytes(&copy));
	if (status == SOFUN_OK) {
		struct entries *entries = entries_changed(callback, list);
		entries_insert(entries, entries->count, sofun_bytes_of(NULL, 0), piece_bytes(&copy));
	}
	piece_finish(&copy);
	return status;
}

static int list_drop(sofun_context *context, uint32_t list, uint64_t count) {
	struct callback *callback = callback_of(context);
	const int status = change_check(callback, list, SOFUN_KIND_LIST);
	struct entries *entries = status == SOFUN_OK ? entries_changed(callback, list) : NULL;
	for (; entries != NULL && count > 0 && entries->count > 0; count--) {
		entries_remove(entries, 0);
		for (struct sofun_cursor *at = callback->cursors; at != NULL; at = at->before)
			at->next -= at->value == list && at->next > 0;
	}
	return status;
}

static int list_clear(sofun_context *context, uint32_t list) {
	return clear(context, list, SOFUN_KIND_LIST);
}

static int list_open(sofun_context *context, uint32_t list, uint64_t from, sofun_cursor **ret_cursor) {
	struct callback *callback = callback_of(context);
	int status = value_check(callback, list, SOFUN_KIND_LIST);
	if (status == SOFUN_OK)
		status = cursor_open(callback, list, sofun_bytes_of(NULL, 0), ret_cursor);
	if (status == SOFUN_OK)
		(*ret_cursor)->next = from < SIZE_MAX ? (size_t)from : SIZE_MAX;
	return status;
}

static int list_next(sofun_context *context, sofun_cursor *cursor, sofun_bytes *ret_msgpack) {
	struct callback *callback = callback_of(context);
	int status = value_check(callback, cursor->value, SOFUN_KIND_LIST);
	*ret_msgpack = sofun_bytes_of(NULL, 0);
	if (status != SOFUN_OK)
		return status;
	const struct entries *entries = entries_seen(callback, cursor->value);
	if (cursor->next >= entries->count)
		return SOFUN_OK;
	status = step_count(callback);
	if (status == SOFUN_OK)
		entry_lend(callback, piece_bytes(&entries->pairs[cursor->next++].value), ret_msgpack);
	return status;
}

const sofun_lists lists_table = {.size = sizeof(sofun_lists),
	.length = list_length,
	.get = list_get,
	.append = list_append,
	.drop = list_drop,
	.clear = list_clear,
	.open = list_open,
	.next = list_next};

/* ---- migration ---- */

/* In place of an object: what state_get gives of a table or list to sofun_carry. */
enum { TOKEN_MARK = 0xc1 };

void entries_token(uint32_t value, struct piece *view) {
	const uint8_t token[2] = {TOKEN_MARK, (uint8_t)value};
	piece_append(view, token, sizeof token);
}

bool entries_token_is(sofun_bytes msgpack) {
	return msgpack.size == 2 && msgpack.data[0] == TOKEN_MARK;
}

int entries_carry(struct callback *callback, uint32_t to, sofun_bytes token) {
	const uint8_t from = token.data[1];
	if (!callback->migrating || to >= callback->out_count || from >= callback->in_count ||
		callback->in[from].kind != callback->out[to].kind)
		return SOFUN_BAD_ARGUMENT;
	for (size_t i = 0; i < VALUES_MAX; i++)
		if (callback->carried[i] == from + 1u && i != to)
			return SOFUN_BAD_ARGUMENT;
	callback->carried[to] = from + 1u;
	return SOFUN_OK;
}

void entries_migrate(struct callback *callback) {
	struct entries moved[VALUES_MAX] = {0};
	struct entries *kept = callback->instance->many;
	for (size_t to = 0; to < VALUES_MAX; to++) {
		if (callback->carried[to] == 0)
			continue;
		moved[to] = kept[callback->carried[to] - 1];
		kept[callback->carried[to] - 1] = (struct entries){0};
	}
	for (size_t i = 0; i < VALUES_MAX; i++) {
		entries_finish(&kept[i]);
		kept[i] = moved[i];
	}
}
