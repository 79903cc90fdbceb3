#include "flow/migration/schema_counts.h"

#include <stdlib.h>

#include "base/check.h"
#include "flow/instance/record.h"
#include "state/key.h"
#include "state/store.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum { SCHEMA_KEY_BYTES = 7, COUNTS_FORMAT = 1 };

/* ---- changes ---- */

static void types_grow(struct schema_changes *changes, uint16_t type) {
	size_t count = (size_t)type + 16;
	changes->first = realloc(changes->first, count * sizeof *changes->first);
	check_memory(changes->first);
	memset(changes->first + changes->type_count, 0, (count - changes->type_count) * sizeof *changes->first);
	changes->type_count = count;
}

static struct schema_change *change_add(struct schema_changes *changes, uint16_t type, uint32_t schema) {
	if (changes->count == changes->capacity) {
		changes->capacity = changes->capacity == 0 ? 16 : changes->capacity * 2;
		changes->changes = realloc(changes->changes, changes->capacity * sizeof *changes->changes);
		check_memory(changes->changes);
	}
	struct schema_change *change = &changes->changes[changes->count++];
	*change = (struct schema_change){.type = type, .schema = schema, .next = changes->first[type]};
	changes->first[type] = (uint32_t)changes->count;
	return change;
}

void schema_changes_add(struct schema_changes *changes, uint16_t type, uint32_t schema, int64_t change) {
	if (type >= changes->type_count)
		types_grow(changes, type);
	for (uint32_t at = changes->first[type]; at != 0; at = changes->changes[at - 1].next) {
		if (changes->changes[at - 1].schema == schema) {
			changes->changes[at - 1].change += change;
			return;
		}
	}
	change_add(changes, type, schema)->change = change;
}

void schema_changes_reset(struct schema_changes *changes) {
	for (size_t i = 0; i < changes->count; i++)
		changes->first[changes->changes[i].type] = 0;
	changes->count = 0;
}

void schema_changes_finish(struct schema_changes *changes) {
	free(changes->changes);
	free(changes->first);
}

/* ---- the sum ---- */

void schema_counts_init(struct schema_counts *counts) {
	*counts = (struct schema_counts){0};
	pthread_mutex_init(&counts->mutex, NULL);
}

void schema_counts_finish(struct schema_counts *counts) {
	free(counts->counts);
	pthread_mutex_destroy(&counts->mutex);
}

static struct schema_count *count_of(struct schema_counts *counts, uint16_t type, uint32_t schema) {
	for (size_t i = 0; i < counts->count; i++) {
		if (counts->counts[i].type == type && counts->counts[i].schema == schema)
			return &counts->counts[i];
	}
	if (counts->count == counts->capacity) {
		counts->capacity = counts->capacity == 0 ? 16 : counts->capacity * 2;
		counts->counts = realloc(counts->counts, counts->capacity * sizeof *counts->counts);
		check_memory(counts->counts);
	}
	struct schema_count *count = &counts->counts[counts->count++];
	*count = (struct schema_count){.type = type, .schema = schema};
	return count;
}

static struct key key_schema(uint16_t type, uint32_t schema) {
	struct key key = key_of(KEY_SCHEMA);
	key_u8(&key, (uint8_t)(type >> 8));
	key_u8(&key, (uint8_t)type);
	for (int shift = 24; shift >= 0; shift -= 8)
		key_u8(&key, (uint8_t)(schema >> shift));
	return key;
}

static bool row_read(struct schema_counts *counts, struct bytes key, struct bytes value) {
	struct cursor cursor = cursor_of(value);
	uint32_t fields;
	uint64_t number;
	if (!cursor_read_array(&cursor, &fields) || fields < 1 || !cursor_read_uint(&cursor, &number))
		return false;
	if (key.size == 1) {
		counts->kept = counts->marked = true;
		return number == COUNTS_FORMAT;
	}
	if (key.size != SCHEMA_KEY_BYTES)
		return false;
	uint32_t schema = 0;
	for (size_t i = 3; i < SCHEMA_KEY_BYTES; i++)
		schema = schema << 8 | key.data[i];
	count_of(counts, (uint16_t)((uint32_t)key.data[1] << 8 | key.data[2]), schema)->instances = number;
	return true;
}

bool schema_counts_load(struct schema_counts *counts, struct store *store, bool created, struct error *error) {
	struct key from = key_of(KEY_SCHEMA);
	struct bytes key, value;
	bool good = true;
	counts->kept = created;
	struct store_cursor *cursor = store_cursor_open(store, REDO_RUNTIME, key_bytes(&from), error);
	if (cursor == NULL)
		return false;
	while (good && store_cursor_next(cursor, &key, &value)) {
		good = row_read(counts, key, value);
		if (!good)
			error_set(error, ERROR_STORE_FAILED, "a count of instances is malformed: run sofund --verify");
	}
	good = good && store_cursor_status(cursor, error);
	store_cursor_close(cursor);
	return good;
}

static bool type_scan(struct schema_counts *counts, struct store *store, uint16_t type, struct error *error) {
	struct key from = key_instance(bytes_of(NULL, 0));
	struct instance_header header;
	struct bytes key, value;
	bool good = true;
	struct store_cursor *cursor = store_cursor_open(store, type, key_bytes(&from), error);
	if (cursor == NULL)
		return false;
	while (good && store_cursor_next(cursor, &key, &value)) {
		good = instance_header_take(&value, &header);
		if (!good) {
			error_set(error, ERROR_STORE_FAILED, "the row of an instance is malformed: run sofund --verify");
			break;
		}
		struct schema_count *count = count_of(counts, type, (uint32_t)header.schema);
		count->instances++;
		count->dirty = true;
	}
	good = good && store_cursor_status(cursor, error);
	store_cursor_close(cursor);
	return good;
}

bool schema_counts_scan(struct schema_counts *counts, struct store *store, uint16_t types, struct error *error) {
	for (uint32_t type = 1; type <= types && !counts->kept; type++) {
		if (!type_scan(counts, store, (uint16_t)type, error))
			return false;
	}
	counts->kept = true;
	return true;
}

void schema_counts_apply(struct schema_counts *counts, struct schema_changes *changes) {
	if (changes->count == 0)
		return;
	pthread_mutex_lock(&counts->mutex);
	for (size_t i = 0; i < changes->count; i++) {
		const struct schema_change *change = &changes->changes[i];
		if (change->change == 0)
			continue;
		struct schema_count *count = count_of(counts, change->type, change->schema);
		check(change->change > 0 || count->instances >= (uint64_t)-change->change);
		count->instances += (uint64_t)change->change;
		count->dirty = true;
	}
	pthread_mutex_unlock(&counts->mutex);
	schema_changes_reset(changes);
}

static void number_put(struct buf *redo, const struct key *key, uint64_t number) {
	struct buf row = {0};
	pack_array(&row, 1);
	pack_uint(&row, number);
	redo_put(redo, REDO_RUNTIME, key_bytes(key), bytes_buf(&row));
	buf_finish(&row);
}

void schema_counts_redo(struct schema_counts *counts, struct buf *redo) {
	for (size_t i = 0; i < counts->count; i++) {
		struct schema_count *count = &counts->counts[i];
		if (!count->dirty)
			continue;
		count->dirty = false;
		struct key key = key_schema(count->type, count->schema);
		if (count->instances > 0)
			number_put(redo, &key, count->instances);
		else
			redo_remove(redo, REDO_RUNTIME, key_bytes(&key));
	}
	if (counts->marked)
		return;
	struct key key = key_of(KEY_SCHEMA);
	number_put(redo, &key, COUNTS_FORMAT);
	counts->marked = true;
}

void schema_counts_each(struct schema_counts *counts,
	void (*each)(void *arg, uint16_t type, uint32_t schema, uint64_t instances), void *arg) {
	pthread_mutex_lock(&counts->mutex);
	for (size_t i = 0; i < counts->count; i++) {
		if (counts->counts[i].instances > 0)
			each(arg, counts->counts[i].type, counts->counts[i].schema, counts->counts[i].instances);
	}
	pthread_mutex_unlock(&counts->mutex);
}
