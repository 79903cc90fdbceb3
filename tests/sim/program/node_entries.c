#include "node_entries.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "program_inside.h"

enum {
	KEYS = 12,
	CLEAR_TABLE = 17, /* every so many messages */
	REMOVE = 3,
	APPENDED = 3, /* items a message */
	DROP_FEW = 4,
	DROP_MANY = 7,
	CLEAR_LIST = 23,
	ITEMS_MAX = CLEAR_LIST * APPENDED,
};

/* ---- the model ---- */

struct model {
	uint64_t entries[KEYS]; /* 0: none */
	uint64_t items[ITEMS_MAX];
	uint32_t first;
	uint32_t end;
};

static uint32_t key_set(uint64_t count) {
	return (uint32_t)(hash_mix(count, 11) % KEYS);
}

static uint32_t key_removed(uint64_t count) {
	return (uint32_t)(hash_mix(count, 12) % KEYS);
}

static uint64_t dropped(uint64_t count) {
	return count % DROP_MANY == 0 ? 17 : count % DROP_FEW == 0 ? 2 : 0; /* 17: more than are dropped one by one */
}

static void model_step(struct model *model, uint64_t count) {
	if (count % CLEAR_TABLE == 0)
		memset(model->entries, 0, sizeof model->entries);
	model->entries[key_set(count)] = count;
	if (count % REMOVE == 0)
		model->entries[key_removed(count)] = 0;
	if (count % CLEAR_LIST == 0)
		model->first = model->end = 0;
	for (uint64_t i = 0; i < APPENDED; i++)
		model->items[model->end++] = count * APPENDED + i;
	uint64_t gone = dropped(count);
	model->first += gone < model->end - model->first ? (uint32_t)gone : model->end - model->first;
}

static void model_at(struct model *model, uint64_t count) {
	uint64_t from = count < 1000 ? 1 : count - 1000;
	*model = (struct model){.first = 0};
	for (uint64_t i = from - from % (CLEAR_TABLE * CLEAR_LIST); i <= count; i++)
		if (i > 0)
			model_step(model, i);
}

/* ---- the host's ---- */

static sofun_bytes key_of(uint8_t room[2], uint32_t key) {
	room[0] = (uint8_t)('a' + key % 2); /* two prefixes */
	room[1] = (uint8_t)key;
	return (sofun_bytes){room, 2};
}

static bool number_is(sofun_bytes msgpack, uint64_t expected) {
	sofun_reader reader = sofun_reader_of(msgpack);
	int64_t number;
	if (expected == 0)
		return msgpack.size == 0;
	return sofun_read_int(&reader, &number) && (uint64_t)number == expected;
}

/* Now and then: a run has many entries to look at. */
static void others(uint64_t turn) {
	if (turn % 8 == 0)
		program_inside();
}

/* False: the store could not be read, as after a crash in the middle of this call. */
static bool fine(int status) {
	check(status == SOFUN_OK || status == SOFUN_STORE);
	return status == SOFUN_OK;
}

static const char *table_step_check(
	sofun_context *context, sofun_cursor *cursor, const struct model *model, uint32_t parity, bool *ret_store) {
	sofun_bytes key, entry;
	uint8_t room[2];
	for (uint32_t i = parity; i < KEYS; i += 2) {
		if (model->entries[i] == 0)
			continue;
		*ret_store = !fine(sofun_table_next(context, cursor, &key, &entry));
		if (*ret_store)
			return NULL;
		sofun_bytes expected = key_of(room, i);
		if (key.size != 2 || memcmp(key.data, expected.data, 2) != 0 || !number_is(entry, model->entries[i]))
			return "an entry that a cursor gave";
		others(i + model->end);
	}
	*ret_store = !fine(sofun_table_next(context, cursor, &key, &entry));
	return !*ret_store && key.size != 0 ? "an entry that a cursor gave too many" : NULL;
}

static const char *entries_check(sofun_context *context, uint32_t table, const struct model *model, bool *ret_store) {
	uint8_t room[2];
	sofun_bytes entry;
	for (uint32_t i = 0; i < KEYS; i++) {
		*ret_store = !fine(sofun_table_get(context, table, key_of(room, i), &entry));
		if (*ret_store)
			return NULL;
		if (!number_is(entry, model->entries[i]))
			return "an entry";
	}
	return NULL;
}

static const char *table_check(sofun_context *context, uint32_t table, const struct model *model, bool *ret_store) {
	sofun_cursor *cursor;
	const char *wrong = NULL;
	for (uint32_t parity = 0; parity < 2 && wrong == NULL; parity++) {
		const uint8_t prefix = (uint8_t)('a' + parity);
		*ret_store =
			!fine(sofun_table_open(context, table, (sofun_bytes){&prefix, 1}, (sofun_bytes){NULL, 0}, &cursor));
		if (!*ret_store)
			wrong = table_step_check(context, cursor, model, parity, ret_store);
		if (*ret_store)
			return NULL;
	}
	return wrong;
}

static const char *list_check(sofun_context *context, uint32_t list, const struct model *model, bool *ret_store) {
	sofun_bytes item;
	sofun_cursor *cursor;
	uint64_t length;
	uint32_t from = (model->end - model->first) / 3;
	*ret_store = !fine(sofun_list_length(context, list, &length));
	if (!*ret_store && length != model->end - model->first)
		return "the length of a list";
	*ret_store = *ret_store || !fine(sofun_list_open(context, list, from, &cursor));
	for (uint32_t i = from; i < length && !*ret_store; i++) {
		*ret_store = !fine(sofun_list_next(context, cursor, &item));
		if (!*ret_store && !number_is(item, model->items[model->first + i]))
			return "an item that a cursor gave";
		others(i + model->end);
		*ret_store = *ret_store || !fine(sofun_list_get(context, list, i, &item));
		if (!*ret_store && !number_is(item, model->items[model->first + i]))
			return "an item";
	}
	*ret_store = *ret_store || !fine(sofun_list_next(context, cursor, &item));
	if (!*ret_store && item.size > 0)
		return "an item that a cursor gave too many";
	*ret_store = *ret_store || !fine(sofun_list_get(context, list, length, &item));
	return !*ret_store && item.size > 0 ? "an item behind the last" : NULL;
}

const char *node_entries_check(
	sofun_context *context, struct node_entries entries, uint64_t count, bool each, bool *ret_store) {
	struct model model;
	model_at(&model, count);
	const char *wrong = !each ? NULL : entries_check(context, entries.table, &model, ret_store);
	if (wrong != NULL || *ret_store || hash_mix(count, 13) % 8 != 0)
		return wrong;
	wrong = table_check(context, entries.table, &model, ret_store);
	if (wrong == NULL && !*ret_store)
		wrong = list_check(context, entries.list, &model, ret_store);
	return wrong;
}

/* Clears, sets, removes. */
static bool table_change(sofun_context *context, uint32_t table, uint64_t count) {
	uint8_t room[2];
	if (count % CLEAR_TABLE == 0) {
		program_did(COMMAND_TABLE_CLEAR);
		if (!fine(sofun_table_clear(context, table)))
			return false;
	}
	program_did(COMMAND_TABLE_SET);
	if (!fine(sofun_table_set_int(context, table, key_of(room, key_set(count)), (int64_t)count)))
		return false;
	if (count % REMOVE != 0)
		return true;
	program_did(COMMAND_TABLE_REMOVE);
	return fine(sofun_table_remove(context, table, key_of(room, key_removed(count))));
}

/* Clears, appends, drops. */
static bool list_change(sofun_context *context, uint32_t list, uint64_t count) {
	if (count % CLEAR_LIST == 0) {
		program_did(COMMAND_LIST_CLEAR);
		if (!fine(sofun_list_clear(context, list)))
			return false;
	}
	for (uint64_t i = 0; i < APPENDED; i++) {
		program_did(COMMAND_LIST_APPEND);
		if (!fine(sofun_list_append_int(context, list, (int64_t)(count * APPENDED + i))))
			return false;
	}
	if (dropped(count) > 0)
		program_did(COMMAND_LIST_DROP);
	return fine(sofun_list_drop(context, list, dropped(count)));
}

bool node_entries_change(sofun_context *context, struct node_entries entries, uint64_t count) {
	return table_change(context, entries.table, count) && list_change(context, entries.list, count);
}

bool node_entries_mark(sofun_context *context, uint32_t table, uint64_t number) {
	uint8_t room[SOFUN_TABLE_KEY_INT_BYTES];
	return fine(sofun_table_set_int(context, table, sofun_table_key_int(room, (int64_t)number), 1));
}

uint64_t node_entries_count(sofun_context *context, uint32_t table) {
	sofun_bytes key = {NULL, 0}, entry;
	sofun_cursor *cursor;
	uint64_t count = 0;
	if (!fine(sofun_table_open(context, table, key, key, &cursor)))
		return UINT64_MAX;
	for (;; count++) {
		if (!fine(sofun_table_next(context, cursor, &key, &entry)))
			return UINT64_MAX;
		if (key.size == 0)
			return count;
		others(count);
	}
}
