#include "flow/entries/host_api_entries.h"

#include <stdlib.h>

#include "flow/entries/entries.h"
#include "flow/entries/read.h"
#include "flow/invocation/host_api_inside.h"
#include "state/key.h"

enum { ENTRY_COST_BYTES = 64 }; /* of an entry, besides its key and its object, against INVOCATION_BYTES_MAX */

static struct bytes borrowed(sofun_bytes bytes) {
	return bytes_of(bytes.data, bytes.size);
}

void entries_forget(struct invocation *invocation) {
	ordered_finish(&invocation->entries, free);
	invocation->entries_written = 0;
	invocation->tables_changed = 0;
	invocation->entries_stepped = 0;
}

/* ---- what both do ---- */

/* The header, for a change. */
static int header_for_change(
	struct invocation *invocation, uint32_t number, uint32_t kind, struct entries_header *ret_header) {
	int status = entries_header_of(invocation, number, kind, ret_header);
	return status == SOFUN_OK && invocation->expiring ? SOFUN_NOT_ALLOWED : status;
}

/* The first entry begins a generation. */
static void header_begin(struct invocation *invocation, struct entries_header *header) {
	if (header->generation == 0)
		header->generation = atomic_fetch_add(&invocation->flow->generation_next, 1);
}

static void header_change(struct invocation *invocation, uint32_t number, const struct entries_header *header) {
	struct buf value = {0};
	entries_header_put(&value, header);
	value_change(invocation, number, bytes_buf(&value));
	buf_finish(&value);
}

static int write_account(struct invocation *invocation, size_t bytes) {
	if (invocation->entries_written == INVOCATION_ENTRIES_MAX)
		return SOFUN_TOO_LARGE;
	int status = effect_account(invocation, bytes + ENTRY_COST_BYTES);
	invocation->entries_written += status == SOFUN_OK;
	return status;
}

static void own_put(
	struct invocation *invocation, const struct entries_header *header, struct bytes key, struct entry *entry) {
	struct key own = entries_own_key(header->generation, key);
	void *before;
	ordered_put(&invocation->entries, key_bytes(&own), entry, &before);
	free(before);
}

static int clear(sofun_context *context, uint32_t number, uint32_t kind) {
	struct invocation *invocation = invocation_of(context);
	struct entries_header header;
	int status = header_for_change(invocation, number, kind, &header);
	if (status == SOFUN_OK && header.generation != 0)
		value_change(invocation, number, bytes_of(NULL, 0));
	return status;
}

/* ---- tables ---- */

static bool key_good(sofun_bytes key) {
	return key.size >= 1 && key.size <= SOFUN_TABLE_KEY_BYTES_MAX;
}

static int table_get(sofun_context *context, uint32_t table, sofun_bytes key, sofun_bytes *ret_msgpack) {
	struct invocation *invocation = invocation_of(context);
	struct entries_header header;
	int status = entries_header_of(invocation, table, SOFUN_KIND_TABLE, &header);
	if (status == SOFUN_OK && !key_good(key))
		status = SOFUN_BAD_ARGUMENT;
	return status != SOFUN_OK ? status : entries_get(invocation, &header, borrowed(key), ret_msgpack);
}

static int table_set(sofun_context *context, uint32_t table, sofun_bytes key, sofun_bytes msgpack) {
	struct invocation *invocation = invocation_of(context);
	struct entries_header header;
	int status = header_for_change(invocation, table, SOFUN_KIND_TABLE, &header);
	if (status == SOFUN_OK && (!key_good(key) || msgpack.size == 0))
		status = SOFUN_BAD_ARGUMENT;
	if (status == SOFUN_OK)
		status = payload_check(invocation, borrowed(msgpack), invocation->flow->config->value_bytes);
	if (status == SOFUN_OK)
		status = write_account(invocation, key.size + msgpack.size);
	if (status != SOFUN_OK)
		return status;
	struct entry *entry = entry_create((uint8_t)table, borrowed(msgpack)); /* it may be a view of what is replaced */
	if (header.generation == 0) {
		header_begin(invocation, &header);
		header_change(invocation, table, &header);
	}
	own_put(invocation, &header, borrowed(key), entry);
	invocation->tables_changed |= UINT64_C(1) << table;
	return SOFUN_OK;
}

static int table_remove(sofun_context *context, uint32_t table, sofun_bytes key) {
	struct invocation *invocation = invocation_of(context);
	struct entries_header header;
	int status = header_for_change(invocation, table, SOFUN_KIND_TABLE, &header);
	if (status == SOFUN_OK && !key_good(key))
		status = SOFUN_BAD_ARGUMENT;
	if (status != SOFUN_OK || header.generation == 0)
		return status;
	status = write_account(invocation, key.size);
	if (status != SOFUN_OK)
		return status;
	own_put(invocation, &header, borrowed(key), entry_create_removed((uint8_t)table));
	invocation->tables_changed |= UINT64_C(1) << table;
	return SOFUN_OK;
}

static int table_clear(sofun_context *context, uint32_t table) {
	return clear(context, table, SOFUN_KIND_TABLE);
}

static int table_open(
	sofun_context *context, uint32_t table, sofun_bytes prefix, sofun_bytes from, sofun_cursor **ret_cursor) {
	struct invocation *invocation = invocation_of(context);
	struct entries_header header;
	int status = entries_header_of(invocation, table, SOFUN_KIND_TABLE, &header);
	if (status == SOFUN_OK && (prefix.size > SOFUN_TABLE_KEY_BYTES_MAX || from.size > SOFUN_TABLE_KEY_BYTES_MAX))
		status = SOFUN_BAD_ARGUMENT;
	if (status != SOFUN_OK)
		return status;
	return entries_open(invocation, table, &header, borrowed(prefix), borrowed(from), ret_cursor);
}

static int table_next(sofun_context *context, sofun_cursor *cursor, sofun_bytes *ret_key, sofun_bytes *ret_msgpack) {
	return entries_next(invocation_of(context), cursor, SOFUN_KIND_TABLE, ret_key, ret_msgpack);
}

const void *tables_api_table(void) {
	static const sofun_tables table = {
		.size = sizeof table,
		.get = table_get,
		.set = table_set,
		.remove = table_remove,
		.clear = table_clear,
		.open = table_open,
		.next = table_next,
	};
	return &table;
}

/* ---- lists ---- */

static struct key index_key(uint64_t index) {
	struct key key = {.size = 0};
	key_u64(&key, index);
	return key;
}

static int list_length(sofun_context *context, uint32_t list, uint64_t *ret_length) {
	struct entries_header header;
	int status = entries_header_of(invocation_of(context), list, SOFUN_KIND_LIST, &header);
	if (status == SOFUN_OK)
		*ret_length = header.end - header.first;
	return status;
}

static int list_get(sofun_context *context, uint32_t list, uint64_t index, sofun_bytes *ret_msgpack) {
	struct invocation *invocation = invocation_of(context);
	struct entries_header header;
	int status = entries_header_of(invocation, list, SOFUN_KIND_LIST, &header);
	*ret_msgpack = (sofun_bytes){NULL, 0};
	if (status != SOFUN_OK || index >= header.end - header.first)
		return status;
	struct key key = index_key(header.first + index);
	return entries_get(invocation, &header, key_bytes(&key), ret_msgpack);
}

static int list_append(sofun_context *context, uint32_t list, sofun_bytes msgpack) {
	struct invocation *invocation = invocation_of(context);
	struct entries_header header;
	int status = header_for_change(invocation, list, SOFUN_KIND_LIST, &header);
	if (status == SOFUN_OK && msgpack.size == 0)
		status = SOFUN_BAD_ARGUMENT;
	if (status == SOFUN_OK)
		status = payload_check(invocation, borrowed(msgpack), invocation->flow->config->value_bytes);
	if (status == SOFUN_OK)
		status = write_account(invocation, sizeof header.end + msgpack.size);
	if (status != SOFUN_OK)
		return status;
	struct key key = index_key(header.end++);
	header_begin(invocation, &header);
	own_put(invocation, &header, key_bytes(&key), entry_create((uint8_t)list, borrowed(msgpack)));
	header_change(invocation, list, &header);
	return SOFUN_OK;
}

/* An empty list is none. */
static int list_drop(sofun_context *context, uint32_t list, uint64_t count) {
	struct invocation *invocation = invocation_of(context);
	struct entries_header header;
	int status = header_for_change(invocation, list, SOFUN_KIND_LIST, &header);
	if (status != SOFUN_OK || count == 0 || header.generation == 0)
		return status;
	if (count >= header.end - header.first)
		return clear(context, list, SOFUN_KIND_LIST);
	header.first += count;
	header_change(invocation, list, &header);
	return SOFUN_OK;
}

static int list_clear(sofun_context *context, uint32_t list) {
	return clear(context, list, SOFUN_KIND_LIST);
}

static int list_open(sofun_context *context, uint32_t list, uint64_t from, sofun_cursor **ret_cursor) {
	struct invocation *invocation = invocation_of(context);
	struct entries_header header;
	int status = entries_header_of(invocation, list, SOFUN_KIND_LIST, &header);
	if (status != SOFUN_OK)
		return status;
	struct key key = index_key(from < header.end - header.first ? header.first + from : header.end);
	return entries_open(invocation, list, &header, bytes_of(NULL, 0), key_bytes(&key), ret_cursor);
}

static int list_next(sofun_context *context, sofun_cursor *cursor, sofun_bytes *ret_msgpack) {
	sofun_bytes key;
	return entries_next(invocation_of(context), cursor, SOFUN_KIND_LIST, &key, ret_msgpack);
}

const void *lists_api_table(void) {
	static const sofun_lists table = {
		.size = sizeof table,
		.length = list_length,
		.get = list_get,
		.append = list_append,
		.drop = list_drop,
		.clear = list_clear,
		.open = list_open,
		.next = list_next,
	};
	return &table;
}
