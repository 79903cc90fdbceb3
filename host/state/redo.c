#include "state/redo.h"

#include "base/check.h"

/* ---- values that others are like ---- */

static void place_set(struct redo_place *place, struct bytes value) {
	place->size = (uint8_t)value.size;
	bytes_copy(place->bytes, value.data, value.size);
}

static bool value_stands(struct bytes value) {
	return value.size >= 1 && value.size <= REDO_PLACE_BYTES_MAX;
}

static void places_follow(struct redo_places *places, struct bytes value) {
	if (!value_stands(value))
		return;
	place_set(&places->places[places->next], value);
	places->next = (places->next + 1) % REDO_PLACES;
}

static void places_put(struct redo_places *places, struct bytes value) {
	for (size_t i = 0; i < REDO_PLACES; i++)
		places->places[i].size = 0;
	places->next = 0;
	places_follow(places, value);
}

/* How much two values have in common at their beginnings, up to REDO_SAME_MAX bytes. words: the first of the one. */
static unsigned place_same(const struct redo_place *place, const uint64_t words[2], size_t size) {
	unsigned limit = place->size < size ? place->size : (unsigned)size;
	uint64_t differ = bytes_word(place->bytes) ^ words[0];
	unsigned same = 0;
	if (differ == 0) {
		differ = bytes_word(place->bytes + 8) ^ words[1];
		same = 8;
	}
	same += differ == 0 ? 8 : (unsigned)__builtin_ctzll(differ) / 8; /* little-endian, as the formats are */
	limit = limit < REDO_SAME_MAX ? limit : REDO_SAME_MAX;
	return same < limit ? same : limit;
}

/* The place whose value begins most alike; *ret_same: as far as it does. */
static unsigned places_find(const struct redo_places *places, struct bytes value, unsigned *ret_same) {
	enum { ENOUGH = 2 }; /* bytes that differ: no other place is looked at to save one of them */
	uint64_t words[2] = {0};
	unsigned found = 0;
	bytes_copy((uint8_t *)words, value.data, value.size < sizeof words ? value.size : sizeof words);
	*ret_same = 0;
	for (unsigned i = 0; i < REDO_PLACES && *ret_same + ENOUGH < value.size; i++) {
		unsigned same = place_same(&places->places[i], words, value.size);
		if (same > *ret_same) {
			*ret_same = same;
			found = i;
		}
	}
	return found;
}

/* ---- writing ---- */

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

static void follow_put(struct buf *redo, size_t shared, struct bytes rest, struct bytes value) {
	uint8_t *start = buf_reserve(redo, 1 + 2 * VARINT_BYTES_MAX + rest.size + value.size);
	uint8_t *at = start;
	*at++ = (uint8_t)(REDO_FOLLOW | shared);
	at = varint_put(at, rest.size);
	bytes_copy(at, rest.data, rest.size);
	at = varint_put(at + rest.size, value.size);
	bytes_copy(at, value.data, value.size);
	redo->size += (size_t)(at + value.size - start);
}

/* False: to follow says it in fewer bytes. */
static bool like_put(
	struct buf *redo, struct redo_series *series, size_t shared, struct bytes rest, struct bytes value) {
	enum { SAME_WORTH_SIZES = 2 };
	unsigned same;
	struct redo_place *place = &series->values.places[places_find(&series->values, value, &same)];
	const bool given = place->size != value.size || series->key_size != shared + rest.size;
	if (!value_stands(value) || same < (given ? SAME_WORTH_SIZES : 1))
		return false;
	const size_t differs = value.size - same;
	uint8_t *start = buf_reserve(redo, 2 + 2 * VARINT_BYTES_MAX + rest.size + differs);
	uint8_t *at = start;
	*at++ = (uint8_t)(REDO_LIKE | (unsigned)(place - series->values.places) << 4 | same);
	*at++ = (uint8_t)(shared | (given ? REDO_SIZES_GIVEN : 0));
	if (given) {
		at = varint_put(at, rest.size);
		at = varint_put(at, differs);
	}
	bytes_copy(at, rest.data, rest.size);
	at += rest.size;
	bytes_copy(at, value.data + same, differs);
	redo->size += (size_t)(at + differs - start);
	place_set(place, value);
	return true;
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
		const struct bytes rest = bytes_of(key.data + shared, key.size - shared);
		if (!like_put(redo, series, shared, rest, value)) {
			follow_put(redo, shared, rest, value);
			places_follow(&series->values, value);
		}
	} else {
		redo_put(redo, database, key, value);
		places_put(&series->values, value);
	}
	bytes_copy(series->key + shared, key.data + shared, key.size - shared);
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

/* ---- reading ---- */

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
static bool key_follow(struct redo_reader *reader, size_t shared, struct bytes rest) {
	if (shared > reader->key.size || rest.size > sizeof reader->room - shared)
		return false;
	if (reader->key.data != reader->room && shared > 0)
		memcpy(reader->room, reader->key.data, shared);
	bytes_copy(reader->room + shared, rest.data, rest.size);
	reader->key = bytes_of(reader->room, shared + rest.size);
	return true;
}

static bool follow_take(struct redo_reader *reader, size_t shared, struct redo_op *ret_op) {
	struct bytes rest;
	if (!sized_take(&reader->rest, &rest) || !key_follow(reader, shared, rest) ||
		!sized_take(&reader->rest, &ret_op->value))
		return false;
	places_follow(&reader->values, ret_op->value);
	return true;
}

/* What a like has of key and value itself. */
static bool like_sizes_take(struct redo_reader *reader, const struct redo_place *place, unsigned same, uint8_t second,
	uint64_t *ret_key, uint64_t *ret_value) {
	const size_t shared = second & REDO_SHARED_MAX;
	if (place->size == 0 || same > place->size || shared > reader->key.size)
		return false;
	if ((second & REDO_SIZES_GIVEN) != 0)
		return varint_take(&reader->rest, ret_key) && varint_take(&reader->rest, ret_value);
	*ret_key = reader->key.size - shared;
	*ret_value = (uint64_t)(place->size - same);
	return true;
}

/* The value grows in its place. */
static bool like_take(struct redo_reader *reader, unsigned first, struct redo_op *ret_op) {
	struct redo_place *place = &reader->values.places[first >> 4 & (REDO_PLACES - 1)];
	struct bytes *rest = &reader->rest;
	const unsigned same = first & REDO_SAME_MAX;
	uint64_t key_size, value_size;
	if (rest->size < 1)
		return false;
	const uint8_t second = rest->data[0];
	*rest = bytes_of(rest->data + 1, rest->size - 1);
	if (!like_sizes_take(reader, place, same, second, &key_size, &value_size) || key_size > rest->size ||
		value_size > rest->size - key_size || value_size > REDO_PLACE_BYTES_MAX - same || same + value_size == 0 ||
		!key_follow(reader, second & REDO_SHARED_MAX, bytes_of(rest->data, (size_t)key_size)))
		return false;
	bytes_copy(place->bytes + same, rest->data + key_size, (size_t)value_size);
	place->size = (uint8_t)(same + value_size);
	*rest = bytes_of(rest->data + key_size + value_size, rest->size - (size_t)(key_size + value_size));
	ret_op->value = bytes_of(place->bytes, place->size);
	return true;
}

/* An operation that says only what those before it do not. */
static bool short_take(struct redo_reader *reader, uint8_t first, struct redo_op *ret_op) {
	if (!reader->begun ||
		!(first >= REDO_FOLLOW ? follow_take(reader, first - (size_t)REDO_FOLLOW, ret_op)
							   : like_take(reader, first, ret_op)))
		return false;
	ret_op->kind = REDO_PUT;
	ret_op->database = reader->database;
	ret_op->key = reader->key;
	return true;
}

bool redo_next(struct redo_reader *reader, struct redo_op *ret_op) {
	struct bytes *rest = &reader->rest;
	uint8_t kind = rest->data[0];
	*rest = bytes_of(rest->data + 1, rest->size - 1);
	if (kind >= REDO_LIKE)
		return short_take(reader, kind, ret_op);
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
	if (kind == REDO_REMOVE)
		return true;
	if (!sized_take(rest, &ret_op->value))
		return false;
	places_put(&reader->values, ret_op->value);
	return true;
}
