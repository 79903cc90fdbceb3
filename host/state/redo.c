#include "state/redo.h"

#include "base/check.h"

static void redo_key(struct buf *redo, enum redo_kind kind, uint32_t database, struct bytes key) {
	uint8_t *start = buf_reserve(redo, 1 + 2 * VARINT_BYTES_MAX + key.size);
	uint8_t *at = start;
	*at++ = (uint8_t)kind;
	at = varint_put(at, database);
	at = varint_put(at, key.size);
	memcpy(at, key.data, key.size);
	redo->size += (size_t)(at + key.size - start);
}

void redo_put(struct buf *redo, uint32_t database, struct bytes key, struct bytes value) {
	redo_key(redo, REDO_PUT, database, key);
	buf_append_sized(redo, value);
}

static size_t keys_shared(const struct redo_series *series, struct bytes key) {
	size_t limit = series->key_size < key.size ? series->key_size : key.size;
	if (limit > REDO_SHARED_MAX)
		limit = REDO_SHARED_MAX;
	size_t shared = 0;
	for (; shared + 8 <= limit; shared += 8) {
		uint64_t a, b;
		memcpy(&a, series->key + shared, sizeof a);
		memcpy(&b, key.data + shared, sizeof b);
		if (a != b)
			return shared + (size_t)__builtin_ctzll(a ^ b) / 8; /* little-endian, as the formats are */
	}
	while (shared < limit && series->key[shared] == key.data[shared])
		shared++;
	return shared;
}

void redo_put_next(
	struct buf *redo, struct redo_series *series, uint32_t database, struct bytes key, struct bytes value) {
	size_t shared = 0;
	if (key.size > sizeof series->key) { /* the longest key of an entry, below the longest id */
		redo_put(redo, database, key, value);
		series->begun = false;
		return;
	}
	if (series->begun && series->database == database) {
		shared = keys_shared(series, key);
		uint8_t *at = buf_reserve(redo, 1 + 2 * VARINT_BYTES_MAX + key.size + value.size);
		uint8_t *start = at;
		*at++ = (uint8_t)(REDO_FOLLOW | shared);
		at = varint_put(at, key.size - shared);
		memcpy(at, key.data + shared, key.size - shared);
		at = varint_put(at + key.size - shared, value.size);
		if (value.size > 0)
			memcpy(at, value.data, value.size);
		redo->size += (size_t)(at + value.size - start);
	} else {
		redo_put(redo, database, key, value);
	}
	memcpy(series->key + shared, key.data + shared, key.size - shared);
	series->key_size = key.size;
	series->database = database;
	series->begun = true;
}

void redo_remove(struct buf *redo, uint32_t database, struct bytes key) {
	redo_key(redo, REDO_REMOVE, database, key);
}

size_t redo_egress(struct buf *redo, struct bytes name, struct bytes record) {
	buf_append_u8(redo, REDO_EGRESS);
	buf_append_sized(redo, name);
	size_t place = redo->size;
	static const uint8_t unset[8];
	buf_append(redo, unset, sizeof unset);
	buf_append_sized(redo, record);
	return place;
}

void redo_egress_offset_set(struct buf *redo, size_t place, uint64_t offset) {
	for (size_t i = 0; i < 8; i++)
		redo->data[place + i] = (uint8_t)(offset >> (8 * i));
}

static bool egress_take(struct bytes *rest, struct redo_op *ret_op) {
	if (!sized_take(rest, &ret_op->key) || rest->size < 8)
		return false;
	ret_op->offset = 0;
	for (size_t i = 0; i < 8; i++)
		ret_op->offset |= (uint64_t)rest->data[i] << (8 * i);
	*rest = bytes_of(rest->data + 8, rest->size - 8);
	return sized_take(rest, &ret_op->value);
}

/* The beginning of the key before stands in the room already if that one followed, too. */
static bool follow_take(struct redo_reader *reader, size_t shared, struct redo_op *ret_op) {
	struct bytes rest;
	if (!reader->begun || shared > reader->key.size || !sized_take(&reader->rest, &rest) ||
		rest.size > sizeof reader->room - shared || !sized_take(&reader->rest, &ret_op->value))
		return false;
	if (reader->key.data != reader->room && shared > 0)
		memcpy(reader->room, reader->key.data, shared);
	memcpy(reader->room + shared, rest.data, rest.size);
	reader->key = bytes_of(reader->room, shared + rest.size);
	ret_op->kind = REDO_PUT;
	ret_op->database = reader->database;
	ret_op->key = reader->key;
	return true;
}

bool redo_next(struct redo_reader *reader, struct redo_op *ret_op) {
	struct bytes *rest = &reader->rest;
	uint8_t kind = rest->data[0];
	*rest = bytes_of(rest->data + 1, rest->size - 1);
	if (kind >= REDO_FOLLOW)
		return follow_take(reader, kind - (size_t)REDO_FOLLOW, ret_op);
	*ret_op = (struct redo_op){.kind = (enum redo_kind)kind};
	reader->begun = kind != REDO_EGRESS;
	if (kind == REDO_EGRESS)
		return egress_take(rest, ret_op);
	uint64_t database;
	if ((kind != REDO_PUT && kind != REDO_REMOVE) || !varint_take(rest, &database) || database > UINT32_MAX)
		return false;
	ret_op->database = reader->database = (uint32_t)database;
	if (!sized_take(rest, &ret_op->key))
		return false;
	reader->key = ret_op->key;
	return kind == REDO_REMOVE || sized_take(rest, &ret_op->value);
}
