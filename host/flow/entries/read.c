#include "flow/entries/read.h"

#include <stdlib.h>

#include "base/check.h"
#include "flow/entries/entries.h"
#include "flow/shard.h"
#include "state/key.h"

/* ---- one entry ---- */

static struct bytes header_bytes(const struct invocation *invocation, uint32_t number) {
	if ((invocation->changed & UINT64_C(1) << number) != 0)
		return bytes_buf(&invocation->values[number]);
	const struct slot *slot = &invocation->instance->slots[number];
	return slot_cold(slot) ? bytes_of(NULL, 0) : slot_bytes(slot);
}

int entries_header_of(
	const struct invocation *invocation, uint32_t number, uint32_t kind, struct entries_header *ret_header) {
	if (invocation->binding == NULL || invocation->migrator != NULL)
		return SOFUN_NOT_ALLOWED;
	if (number >= invocation->version->value_count || number >= invocation->instance->value_count ||
		invocation->version->function->values[number].kind != kind)
		return SOFUN_BAD_ARGUMENT;
	if (!entries_header_read(header_bytes(invocation, number), ret_header) || ret_header->kind != kind)
		*ret_header = (struct entries_header){.kind = kind};
	return SOFUN_OK;
}

struct key entries_own_key(uint64_t generation, struct bytes key) {
	struct key own = {.size = 0};
	key_u64(&own, generation);
	key_append(&own, key);
	return own;
}

static void entry_view(const struct entry *entry, sofun_bytes *ret) {
	*ret = entry->removed ? (sofun_bytes){NULL, 0} : (sofun_bytes){entry->data, entry->size};
}

int entries_get(
	struct invocation *invocation, const struct entries_header *header, struct bytes key, sofun_bytes *ret) {
	*ret = (sofun_bytes){NULL, 0};
	if (header->generation == 0)
		return SOFUN_OK;
	struct key own = entries_own_key(header->generation, key);
	const struct entry *entry = ordered_get(&invocation->entries, key_bytes(&own));
	if (entry != NULL) {
		entry_view(entry, ret);
		return SOFUN_OK;
	}
	const struct instance *instance = invocation->instance;
	struct key row = key_entries(instance_id_bytes(instance), header->generation);
	key_append(&row, key);
	struct key place = entries_place(instance->type, key_bytes(&row));
	entry = ordered_get(&invocation->shard->entries.map, key_bytes(&place));
	if (entry != NULL) {
		entry_view(entry, ret);
		return SOFUN_OK;
	}
	buf_reset(&invocation->entry_value);
	int found = store_get(
		invocation->flow->store, instance->type, key_bytes(&row), &invocation->entry_value, &invocation->store_error);
	if (found < 0)
		return SOFUN_STORE;
	if (found == 1)
		*ret = (sofun_bytes){invocation->entry_value.data, invocation->entry_value.size};
	return SOFUN_OK;
}

/* ---- cursors ---- */

enum { CURSOR_MAGIC = 0x5c0e7a61 };

struct sofun_cursor {
	unsigned magic;
	uint32_t number;
	uint32_t kind;
	uint64_t generation;       /* 0: of nothing */
	struct buf prefix;         /* of the keys that it gives */
	struct buf at;             /* the key given last, */
	bool behind;               /* or else the one to begin with */
	struct store_range *range; /* NULL: not opened yet */
	struct buf stored_key;     /* what the range gave last: the whole key of its row */
	struct buf stored_value;
	enum { STORED_NONE, STORED_ROW, STORED_END } stored;
};

static void cursor_destroy(struct sofun_cursor *cursor) {
	CHECK_OBJECT(cursor, CURSOR_MAGIC);
	store_range_close(cursor->range);
	buf_finish(&cursor->prefix);
	buf_finish(&cursor->at);
	buf_finish(&cursor->stored_key);
	buf_finish(&cursor->stored_value);
	cursor->magic = 0;
	free(cursor);
}

void entries_cursors_close(struct invocation *invocation) {
	while (invocation->cursor_count > 0)
		cursor_destroy(invocation->cursors[--invocation->cursor_count]);
}

int entries_open(struct invocation *invocation, uint32_t number, const struct entries_header *header,
	struct bytes prefix, struct bytes from, sofun_cursor **ret_cursor) {
	if (invocation->cursor_count == ENTRIES_CURSORS_MAX)
		return SOFUN_TOO_LARGE;
	struct sofun_cursor *cursor = check_alloc(1, sizeof *cursor);
	cursor->magic = CURSOR_MAGIC;
	cursor->number = number;
	cursor->kind = header->kind;
	cursor->generation = header->generation;
	buf_append_bytes(&cursor->prefix, prefix);
	buf_append_bytes(&cursor->at, bytes_compare(from, prefix) > 0 ? from : prefix);
	invocation->cursors[invocation->cursor_count++] = cursor;
	*ret_cursor = cursor;
	return SOFUN_OK;
}

/* A key of one of the sources, without what all keys of this table have before it; false: beyond the cursor's prefix. */
static bool key_inside(
	const struct sofun_cursor *cursor, struct bytes whole, struct bytes begin, struct bytes *ret_key) {
	if (whole.size < begin.size || memcmp(whole.data, begin.data, begin.size) != 0)
		return false;
	*ret_key = bytes_of(whole.data + begin.size, whole.size - begin.size);
	return ret_key->size >= cursor->prefix.size &&
		(cursor->prefix.size == 0 || memcmp(ret_key->data, cursor->prefix.data, cursor->prefix.size) == 0);
}

static bool key_ahead(const struct sofun_cursor *cursor, struct bytes key) {
	int order = bytes_compare(key, bytes_buf(&cursor->at));
	return cursor->behind ? order > 0 : order >= 0;
}

/* What a map of entries has next; begin: how keys of this table begin there. */
static const struct entry *map_peek(
	const struct sofun_cursor *cursor, const struct ordered *map, struct bytes begin, struct bytes *ret_key) {
	if (map->count == 0)
		return NULL;
	struct key from = {.size = 0};
	key_append(&from, begin);
	key_append(&from, bytes_buf(&cursor->at));
	struct ordered_node *node = ordered_seek(map, key_bytes(&from));
	if (node != NULL && cursor->behind && bytes_equal(ordered_key(node), key_bytes(&from)))
		node = ordered_next(node);
	return node != NULL && key_inside(cursor, ordered_key(node), begin, ret_key) ? ordered_what(node) : NULL;
}

static int range_read(struct invocation *invocation, struct sofun_cursor *cursor, const struct key *begin) {
	if (cursor->range == NULL) {
		struct key prefix = *begin;
		struct key from = *begin;
		key_append(&prefix, bytes_buf(&cursor->prefix));
		key_append(&from, bytes_buf(&cursor->at));
		cursor->range = store_range_open(invocation->flow->store, invocation->instance->type, key_bytes(&prefix),
			key_bytes(&from), &invocation->store_error);
		if (cursor->range == NULL)
			return SOFUN_STORE;
	}
	buf_reset(&cursor->stored_key);
	buf_reset(&cursor->stored_value);
	int found = store_range_next(cursor->range, &cursor->stored_key, &cursor->stored_value,
		&invocation->entries_stepped, &invocation->store_error);
	cursor->stored = found == 1 ? STORED_ROW : STORED_END;
	return found < 0 ? SOFUN_STORE : SOFUN_OK;
}

/* What the store has next. */
static int range_peek(
	struct invocation *invocation, struct sofun_cursor *cursor, const struct key *begin, struct bytes *ret_key) {
	for (;;) {
		if (cursor->stored == STORED_END)
			return SOFUN_OK;
		if (cursor->stored == STORED_ROW &&
			key_inside(cursor, bytes_buf(&cursor->stored_key), key_bytes(begin), ret_key) &&
			key_ahead(cursor, *ret_key))
			return SOFUN_OK;
		int status = range_read(invocation, cursor, begin);
		if (status != SOFUN_OK)
			return status;
	}
}

/* The least key of all sources is where the cursor stands then; the newest of its entries is what it is. NULL behind the
 * last; *ret_value: of the store's row, if that is it. */
static int cursor_take(
	struct invocation *invocation, struct sofun_cursor *cursor, bool *ret_end, sofun_bytes *ret_value) {
	const struct instance *instance = invocation->instance;
	struct key own_begin = entries_own_key(cursor->generation, bytes_of(NULL, 0));
	struct key row_begin = key_entries(instance_id_bytes(instance), cursor->generation);
	struct key place_begin = entries_place(instance->type, key_bytes(&row_begin));
	struct bytes keys[3];
	const struct entry *own = map_peek(cursor, &invocation->entries, key_bytes(&own_begin), &keys[0]);
	const struct entry *held = map_peek(cursor, &invocation->shard->entries.map, key_bytes(&place_begin), &keys[1]);
	int status = range_peek(invocation, cursor, &row_begin, &keys[2]);
	if (status != SOFUN_OK)
		return status;
	const bool there[3] = {own != NULL, held != NULL, cursor->stored == STORED_ROW};
	int least = -1;
	for (int i = 0; i < 3; i++)
		if (there[i] && (least < 0 || bytes_compare(keys[i], keys[least]) < 0))
			least = i;
	*ret_end = least < 0;
	if (least < 0)
		return SOFUN_OK;
	buf_reset(&cursor->at);
	buf_append_bytes(&cursor->at, keys[least]);
	cursor->behind = true;
	if (least == 2)
		*ret_value = (sofun_bytes){cursor->stored_value.data, cursor->stored_value.size};
	else
		entry_view(least == 0 ? own : held, ret_value);
	return SOFUN_OK;
}

/* Where it stands may have been cleared or dropped since. False: it has ended. */
static bool cursor_fit(const struct invocation *invocation, struct sofun_cursor *cursor) {
	struct entries_header header;
	if (cursor->generation == 0 || !entries_header_read(header_bytes(invocation, cursor->number), &header) ||
		header.generation != cursor->generation)
		return false;
	struct key first = {.size = 0};
	key_u64(&first, header.first);
	if (header.kind == SOFUN_KIND_LIST && bytes_compare(bytes_buf(&cursor->at), key_bytes(&first)) < 0) {
		buf_reset(&cursor->at);
		buf_append_bytes(&cursor->at, key_bytes(&first));
		cursor->behind = false;
	}
	return true;
}

static bool cursor_known(const struct invocation *invocation, const sofun_cursor *cursor, uint32_t kind) {
	for (uint32_t i = 0; i < invocation->cursor_count; i++)
		if (invocation->cursors[i] == cursor)
			return cursor->kind == kind;
	return false;
}

int entries_next(
	struct invocation *invocation, sofun_cursor *cursor, uint32_t kind, sofun_bytes *ret_key, sofun_bytes *ret_value) {
	*ret_key = *ret_value = (sofun_bytes){NULL, 0};
	if (invocation->binding == NULL || invocation->migrator != NULL)
		return SOFUN_NOT_ALLOWED;
	if (!cursor_known(invocation, cursor, kind))
		return SOFUN_BAD_ARGUMENT;
	while (cursor_fit(invocation, cursor)) {
		bool end;
		int status = cursor_take(invocation, cursor, &end, ret_value);
		if (status != SOFUN_OK || end)
			return status;
		if (++invocation->entries_stepped > INVOCATION_ENTRIES_MAX) {
			*ret_value = (sofun_bytes){NULL, 0};
			return SOFUN_TOO_LARGE;
		}
		if (ret_value->size > 0) {
			*ret_key = (sofun_bytes){cursor->at.data, cursor->at.size};
			return SOFUN_OK;
		}
	}
	return SOFUN_OK;
}
