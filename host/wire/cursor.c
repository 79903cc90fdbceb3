#include "wire/cursor.h"

#include "base/check.h"

/* What a first byte says of the object that it begins. */
struct head {
	uint8_t size;   /* bytes without the length's body and without children; 0: no MessagePack */
	uint8_t length; /* bytes of the length field behind the first byte; 0: none */
	uint8_t scale;  /* 0: the length counts bytes; 1: elements; 2: pairs */
	uint8_t few;    /* children that the first byte itself counts */
};

/* clang-format off */
#define ONE {1, 0, 0, 0}
#define ROW4(make, n) make(n), make((n) + 1), make((n) + 2), make((n) + 3)
#define ROW16(make, n) ROW4(make, n), ROW4(make, (n) + 4), ROW4(make, (n) + 8), ROW4(make, (n) + 12)
#define FIXINT(n) ONE
#define FIXMAP(n) {1, 0, 2, 2 * (n)}
#define FIXARRAY(n) {1, 0, 1, (n)}
#define FIXSTR(n) {1 + (n), 0, 0, 0}

static const struct head heads[256] = {
	ROW16(FIXINT, 0x00), ROW16(FIXINT, 0x10), ROW16(FIXINT, 0x20), ROW16(FIXINT, 0x30),
	ROW16(FIXINT, 0x40), ROW16(FIXINT, 0x50), ROW16(FIXINT, 0x60), ROW16(FIXINT, 0x70),
	ROW16(FIXMAP, 0), ROW16(FIXARRAY, 0), ROW16(FIXSTR, 0), ROW16(FIXSTR, 16),
	ONE, {0, 0, 0, 0}, ONE, ONE,                                 /* c0 nil, never used, false, true */
	{2, 1, 0, 0}, {3, 2, 0, 0}, {5, 4, 0, 0},                    /* c4 bin 8, 16, 32 */
	{3, 1, 0, 0}, {4, 2, 0, 0}, {6, 4, 0, 0},                    /* c7 ext 8, 16, 32: with the type's byte */
	{5, 0, 0, 0}, {9, 0, 0, 0},                                  /* ca float 32, 64 */
	{2, 0, 0, 0}, {3, 0, 0, 0}, {5, 0, 0, 0}, {9, 0, 0, 0},      /* cc uint 8 to 64 */
	{2, 0, 0, 0}, {3, 0, 0, 0}, {5, 0, 0, 0}, {9, 0, 0, 0},      /* d0 int 8 to 64 */
	{3, 0, 0, 0}, {4, 0, 0, 0}, {6, 0, 0, 0}, {10, 0, 0, 0}, {18, 0, 0, 0}, /* d4 fixext 1 to 16 */
	{2, 1, 0, 0}, {3, 2, 0, 0}, {5, 4, 0, 0},                    /* d9 str 8, 16, 32 */
	{3, 2, 1, 0}, {5, 4, 1, 0},                                  /* dc array 16, 32 */
	{3, 2, 2, 0}, {5, 4, 2, 0},                                  /* de map 16, 32 */
	ROW16(FIXINT, 0xe0), ROW16(FIXINT, 0xf0),
};
/* clang-format on */

static inline uint64_t big_endian(const uint8_t *at, unsigned size) {
	uint64_t value = 0;
	for (unsigned i = 0; i < size; i++)
		value = value << 8 | at[i];
	return value;
}

/* The object at `at` (at least 1 byte) without its children: its bytes, and how many objects follow as its children.
 * SHORT only if the length field itself is cut off. */
static inline enum cursor_result head_read(const uint8_t *at, size_t left, uint64_t *ret_size, uint64_t *ret_children) {
	const struct head *head = &heads[*at];
	*ret_size = head->size;
	*ret_children = head->few;
	if (head->length == 0)
		return head->size == 0 ? CURSOR_BAD : CURSOR_GOOD;
	if (left < 1u + head->length)
		return CURSOR_SHORT;
	uint64_t length = big_endian(at + 1, head->length);
	if (head->scale == 0)
		*ret_size += length;
	else
		*ret_children = length * head->scale;
	return CURSOR_GOOD;
}

/* The containers whose children are still to come, from the outside in. */
struct levels {
	uint32_t depth;
	uint64_t rest[CURSOR_NESTING_MAX]; /* what each has left behind the child being passed over */
};

/* Behind one whole object: how many more are due at the innermost level that is not done; 0: none at all. */
static inline uint64_t levels_close(struct levels *levels) {
	while (levels->depth > 0) {
		uint64_t rest = levels->rest[--levels->depth];
		if (rest > 0)
			return rest;
	}
	return 0;
}

static enum cursor_result container_skip(struct cursor *cursor, uint32_t nesting) {
	struct levels levels;
	levels.depth = 0;
	const uint8_t *at = cursor->at;
	uint64_t due = 1;
	while (due > 0) {
		size_t left = (size_t)(cursor->end - at);
		if (left == 0)
			return CURSOR_SHORT;
		bool container = heads[*at].scale != 0;
		uint64_t size, children;
		enum cursor_result result = head_read(at, left, &size, &children);
		if (result != CURSOR_GOOD)
			return result;
		if (container && levels.depth >= nesting)
			return CURSOR_DEEP;
		if (size > left || children > left - size)
			return CURSOR_SHORT;
		at += size;
		due--;
		if (children > 0) {
			levels.rest[levels.depth++] = due;
			due = children;
		} else if (due == 0) {
			due = levels_close(&levels);
		}
	}
	cursor->at = at;
	return CURSOR_GOOD;
}

enum cursor_result cursor_skip(struct cursor *cursor, uint32_t nesting) {
	check(nesting <= CURSOR_NESTING_MAX);
	size_t left = (size_t)(cursor->end - cursor->at);
	if (left == 0)
		return CURSOR_SHORT;
	if (heads[*cursor->at].scale != 0)
		return container_skip(cursor, nesting);
	uint64_t size, children;
	enum cursor_result result = head_read(cursor->at, left, &size, &children);
	if (result != CURSOR_GOOD)
		return result;
	if (size > left)
		return CURSOR_SHORT;
	cursor->at += size;
	return CURSOR_GOOD;
}

enum cursor_result cursor_take(struct cursor *cursor, uint32_t nesting, struct bytes *ret_object) {
	const uint8_t *start = cursor->at;
	enum cursor_result result = cursor_skip(cursor, nesting);
	if (result == CURSOR_GOOD)
		*ret_object = bytes_of(start, (size_t)(cursor->at - start));
	return result;
}

#define SIXTEEN(size) size, size, size, size, size, size, size, size, size, size, size, size, size, size, size, size
const uint8_t cursor_scalar_sizes[256] = {
	SIXTEEN(1), SIXTEEN(1), SIXTEEN(1), SIXTEEN(1), SIXTEEN(1), SIXTEEN(1), SIXTEEN(1), SIXTEEN(1),     /* positive */
	[0xa0] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,                                     /* str */
	[0xb0] = 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, [0xc0] = 1, [0xc2] = 1, 1, /* nil, bool */
	[0xca] = 5, 9, 2, 3, 5, 9, 2, 3, 5, 9, /* float, uint, int */
	[0xe0] = SIXTEEN(1), SIXTEEN(1),       /* negative */
};
#undef SIXTEEN

/* An array of at most fifteen short scalars: the payloads of many functions. False says nothing. */
static bool cursor_is_row(struct bytes object) {
	if (object.size == 0 || (object.data[0] & 0xf0) != 0x90)
		return false;
	size_t at = 1;
	for (unsigned left = object.data[0] & 15; left > 0; left--) {
		size_t size = at < object.size ? cursor_scalar_sizes[object.data[at]] : 0;
		if (size == 0)
			return false;
		at += size;
	}
	return at == object.size;
}

enum cursor_result cursor_check(struct bytes object, uint32_t nesting) {
	if (nesting > 0 && cursor_is_row(object))
		return CURSOR_GOOD;
	struct cursor cursor = cursor_of(object);
	enum cursor_result result = cursor_skip(&cursor, nesting);
	if (result == CURSOR_GOOD && !cursor_at_end(&cursor))
		return CURSOR_TRAILING;
	return result;
}

bool cursor_check_error(struct bytes object, uint32_t nesting, const char *what, struct error *error) {
	switch (cursor_check(object, nesting)) {
	case CURSOR_GOOD:
		return true;
	case CURSOR_DEEP:
		error_set(error, ERROR_TOO_DEEP, "%s is nested too deep", what);
		error_found(error, "more than that");
		error_expected(error, "at most %u maps and arrays within each other", (unsigned)nesting);
		error_hint(error, "raise limits.nesting, or send a flatter value");
		return false;
	case CURSOR_SHORT:
		error_set(error, ERROR_BAD_REQUEST, "%s is MessagePack that is cut off", what);
		break;
	case CURSOR_TRAILING:
		error_set(error, ERROR_BAD_REQUEST, "%s is one MessagePack object and then more bytes", what);
		break;
	default:
		error_set(error, ERROR_BAD_REQUEST, "%s is not MessagePack", what);
		break;
	}
	error_found(error, "%zu bytes", object.size);
	return error_advise(error, "one MessagePack object", "pack the value once, and send all of its bytes");
}

enum cursor_result cursor_scan(struct cursor_scan *scan, struct bytes received) {
	uint64_t offset = scan->offset;
	uint64_t objects = scan->objects;
	enum cursor_result result = CURSOR_GOOD;
	while (objects > 0) {
		result = CURSOR_SHORT;
		if (offset >= received.size)
			break;
		uint64_t size, children;
		result = head_read(received.data + offset, received.size - offset, &size, &children);
		if (result != CURSOR_GOOD)
			break;
		offset += size;
		objects += children - 1;
	}
	scan->offset = offset;
	scan->objects = objects;
	return result == CURSOR_GOOD && offset > received.size ? CURSOR_SHORT : result;
}

/* ---- reading single items ---- */

static void item_uint(struct cursor_item *item, uint64_t value) {
	item->kind = CURSOR_UINT;
	item->uint = value;
	item->integer = value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static void item_int(struct cursor_item *item, int64_t value) {
	if (value >= 0) {
		item_uint(item, (uint64_t)value);
		return;
	}
	item->kind = CURSOR_INT;
	item->integer = value;
}

static void item_float(struct cursor_item *item, uint8_t first, const uint8_t *at) {
	item->kind = CURSOR_FLOAT;
	item->single = first == 0xca;
	if (item->single) {
		uint32_t bits = (uint32_t)big_endian(at, 4);
		float value;
		memcpy(&value, &bits, sizeof value);
		item->real = (double)value;
	} else {
		uint64_t bits = big_endian(at, 8);
		memcpy(&item->real, &bits, sizeof item->real);
	}
}

/* int 8 to 64 at `at`. */
static int64_t signed_read(const uint8_t *at, unsigned size) {
	unsigned unused = 64 - 8 * size;
	return (int64_t)(big_endian(at, size) << unused) >> unused;
}

static void item_bytes(
	struct cursor_item *item, enum cursor_kind kind, const uint8_t *at, uint64_t size, size_t header) {
	item->kind = kind;
	item->bytes = bytes_of(at + header, (size_t)size - header);
}

static void item_ext(struct cursor_item *item, const uint8_t *at, uint64_t size, size_t header) {
	item_bytes(item, CURSOR_EXT, at, size, header);
	item->ext_type = (int8_t)at[header - 1];
}

/* The item of `size` bytes, all of which are there. */
static void item_fill(struct cursor_item *item, const uint8_t *at, uint64_t size, uint64_t children) {
	uint8_t first = *at;
	const struct head *head = &heads[first];
	if (first < 0x80) {
		item_uint(item, first);
	} else if (first >= 0xe0) {
		item_int(item, (int8_t)first);
	} else if (head->scale != 0) {
		item->kind = head->scale == 1 ? CURSOR_ARRAY : CURSOR_MAP;
		item->count = (uint32_t)(children / head->scale);
	} else if (first < 0xc0) {
		item_bytes(item, CURSOR_STR, at, size, 1);
	} else if (first == 0xc0) {
		item->kind = CURSOR_NIL;
	} else if (first <= 0xc3) {
		item->kind = CURSOR_BOOL;
		item->truth = first == 0xc3;
	} else if (first <= 0xc6) {
		item_bytes(item, CURSOR_BIN, at, size, head->size);
	} else if (first <= 0xc9) {
		item_ext(item, at, size, head->size);
	} else if (first <= 0xcb) {
		item_float(item, first, at + 1);
	} else if (first <= 0xcf) {
		item_uint(item, big_endian(at + 1, head->size - 1u));
	} else if (first <= 0xd3) {
		item_int(item, signed_read(at + 1, head->size - 1u));
	} else if (first <= 0xd8) {
		item_ext(item, at, size, 2);
	} else {
		item_bytes(item, CURSOR_STR, at, size, head->size);
	}
}

/* An item of which the first byte says all but the content: most are. False: it is another one, or cut off. */
static inline bool item_short(struct cursor_item *item, const uint8_t *at, size_t left, size_t *ret_size) {
	const uint8_t first = *at;
	*ret_size = 1;
	if (first < 0x80) {
		item_uint(item, first);
	} else if (first < 0xa0) {
		item->kind = first < 0x90 ? CURSOR_MAP : CURSOR_ARRAY;
		item->count = first & 15;
	} else {
		*ret_size += first & 31;
		if (first >= 0xc0 || *ret_size > left)
			return false;
		item_bytes(item, CURSOR_STR, at, *ret_size, 1);
	}
	return true;
}

bool cursor_next(struct cursor *cursor, struct cursor_item *ret_item) {
	const size_t left = (size_t)(cursor->end - cursor->at);
	size_t short_size;
	if (left > 0 && item_short(ret_item, cursor->at, left, &short_size)) {
		cursor->at += short_size;
		return true;
	}
	uint64_t size, children;
	if (left == 0 || head_read(cursor->at, left, &size, &children) != CURSOR_GOOD || size > left)
		return false;
	item_fill(ret_item, cursor->at, size, children);
	cursor->at += size;
	return true;
}

bool cursor_peek(const struct cursor *cursor, enum cursor_kind *ret_kind) {
	struct cursor copy = *cursor;
	struct cursor_item item;
	if (!cursor_next(&copy, &item))
		return false;
	*ret_kind = item.kind;
	return true;
}

/* Reads an item of that kind, or does not move. */
static bool kind_read(struct cursor *cursor, enum cursor_kind kind, struct cursor_item *item) {
	struct cursor copy = *cursor;
	if (!cursor_next(&copy, item) || item->kind != kind)
		return false;
	*cursor = copy;
	return true;
}

bool cursor_read_nil(struct cursor *cursor) {
	struct cursor_item item;
	return kind_read(cursor, CURSOR_NIL, &item);
}

bool cursor_read_bool(struct cursor *cursor, bool *ret_truth) {
	struct cursor_item item;
	if (!kind_read(cursor, CURSOR_BOOL, &item))
		return false;
	*ret_truth = item.truth;
	return true;
}

bool cursor_read_uint(struct cursor *cursor, uint64_t *ret_value) {
	struct cursor_item item;
	if (!kind_read(cursor, CURSOR_UINT, &item))
		return false;
	*ret_value = item.uint;
	return true;
}

bool cursor_read_int(struct cursor *cursor, int64_t *ret_value) {
	struct cursor copy = *cursor;
	struct cursor_item item;
	if (!cursor_next(&copy, &item))
		return false;
	if (item.kind != CURSOR_INT && (item.kind != CURSOR_UINT || item.uint > INT64_MAX))
		return false;
	*ret_value = item.integer;
	*cursor = copy;
	return true;
}

bool cursor_read_double(struct cursor *cursor, double *ret_value) {
	struct cursor_item item;
	if (!kind_read(cursor, CURSOR_FLOAT, &item))
		return false;
	*ret_value = item.real;
	return true;
}

bool cursor_read_str_any(struct cursor *cursor, struct bytes *ret_text) {
	struct cursor_item item;
	if (!kind_read(cursor, CURSOR_STR, &item))
		return false;
	*ret_text = item.bytes;
	return true;
}

bool cursor_read_bin(struct cursor *cursor, struct bytes *ret_bytes) {
	struct cursor_item item;
	if (!kind_read(cursor, CURSOR_BIN, &item))
		return false;
	*ret_bytes = item.bytes;
	return true;
}

bool cursor_read_text_or_bin(struct cursor *cursor, struct bytes *ret_bytes) {
	return cursor_read_str(cursor, ret_bytes) || cursor_read_bin(cursor, ret_bytes);
}

bool cursor_read_array(struct cursor *cursor, uint32_t *ret_count) {
	struct cursor_item item;
	if (!kind_read(cursor, CURSOR_ARRAY, &item))
		return false;
	*ret_count = item.count;
	return true;
}

bool cursor_read_map(struct cursor *cursor, uint32_t *ret_pairs) {
	struct cursor_item item;
	if (!kind_read(cursor, CURSOR_MAP, &item))
		return false;
	*ret_pairs = item.count;
	return true;
}
