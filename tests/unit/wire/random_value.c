#include "random_value.h"

#include <math.h>

#include "base/check.h"
#include "wire/cursor.h"
#include "wire/pack.h"

uint64_t random_next(struct random *random) {
	uint64_t x = random->state += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t random_below(struct random *random, uint64_t limit) {
	return random_next(random) % limit;
}

static void big_endian_append(struct buf *value, uint8_t first, uint64_t number, unsigned size) {
	buf_append_u8(value, first);
	for (unsigned i = size; i > 0; i--)
		buf_append_u8(value, (uint8_t)(number >> (8 * (i - 1))));
}

static void random_number(struct random *random, struct buf *value) {
	uint64_t number = random_next(random) >> random_below(random, 64);
	uint8_t kind = (uint8_t)random_below(random, 10);
	if (kind < 8) /* uint 8 to 64, int 8 to 64 */
		big_endian_append(value, (uint8_t)(0xcc + kind), number, 1u << (kind & 3));
	else
		buf_append_u8(value, (uint8_t)(kind == 8 ? random_below(random, 0x80) : 0xe0 + random_below(random, 32)));
}

static void random_float(struct random *random, struct buf *value) {
	static const double special[] = {0.0, -0.0, 1.0, 0.1, -1.5, 1e300, 5e-324, HUGE_VAL, -HUGE_VAL};
	switch (random_below(random, 4)) {
	case 0:
		big_endian_append(value, 0xca, random_next(random), 4);
		break;
	case 1:
		big_endian_append(value, 0xcb, random_next(random), 8);
		break;
	case 2:
		big_endian_append(value, 0xcb, 0x7ff8000000000000u, 8);
		break;
	default:
		pack_double(value, special[random_below(random, sizeof special / sizeof *special)]);
	}
}

static void random_content(struct random *random, size_t size, struct buf *value) {
	static const char *const pieces[] = {"a", "ß", "→", "😀", "\"", "\\", "\n", "/"};
	size_t end = value->size + size;
	bool raw = random_below(random, 3) == 0;
	while (value->size < end) {
		struct bytes piece = bytes_text(pieces[random_below(random, sizeof pieces / sizeof *pieces)]);
		if (raw || piece.size > end - value->size)
			buf_append_u8(value, raw ? (uint8_t)random_next(random) : 'x');
		else
			buf_append_bytes(value, piece);
	}
}

/* str, bin or ext in any of its headers */
static void random_text(struct random *random, struct buf *value) {
	static const uint8_t firsts[] = {0xd9, 0xda, 0xdb, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9};
	size_t size = random_below(random, 40) == 0 ? random_below(random, 70000) : random_below(random, 20);
	uint64_t kind = random_below(random, 12);
	if (kind >= 9) {
		size = size % 32;
		buf_append_u8(value, (uint8_t)(0xa0 | size));
	} else {
		unsigned width = 1u << (kind % 3);
		if (width == 1)
			size = size % 256;
		else if (width == 2)
			size = size % 65536;
		big_endian_append(value, firsts[kind], size, width);
		if (kind >= 6)
			buf_append_u8(value, (uint8_t)random_next(random));
	}
	random_content(random, size, value);
}

static void random_fixext(struct random *random, struct buf *value) {
	unsigned power = (unsigned)random_below(random, 5);
	buf_append_u8(value, (uint8_t)(0xd4 + power));
	random_content(random, 1 + (1u << power), value);
}

static void random_key(struct random *random, uint32_t nesting, struct buf *value) {
	static const char *const keys[] = {"", "a", "b", "base64", "msgpack", "map", "ключ", "id"};
	if (random_below(random, 6) == 0)
		random_value(random, nesting, value);
	else if (random_below(random, 20) == 0)
		pack_str(value, bytes_of("n\0l", 3));
	else
		pack_text(value, keys[random_below(random, sizeof keys / sizeof *keys)]);
}

static void random_container(struct random *random, uint32_t nesting, struct buf *value) {
	bool map = random_below(random, 2) == 0;
	uint64_t count = random_below(random, random_below(random, 10) == 0 ? 20 : 4);
	uint64_t form = random_below(random, count < 16 ? 3 : 2);
	if (form == 2)
		buf_append_u8(value, (uint8_t)((map ? 0x80 : 0x90) | count));
	else
		big_endian_append(value, (uint8_t)((map ? 0xde : 0xdc) + form), count, form == 0 ? 2 : 4);
	for (uint64_t i = 0; i < count; i++) {
		if (map)
			random_key(random, nesting - 1, value);
		random_value(random, nesting - 1, value);
	}
}

void random_value(struct random *random, uint32_t nesting, struct buf *value) {
	switch (random_below(random, nesting == 0 ? 5 : 9)) {
	case 0:
		buf_append_u8(value, (uint8_t[]){0xc0, 0xc2, 0xc3}[random_below(random, 3)]);
		break;
	case 1:
		random_number(random, value);
		break;
	case 2:
		random_float(random, value);
		break;
	case 3:
		random_fixext(random, value);
		break;
	case 4:
		random_text(random, value);
		break;
	default:
		random_container(random, nesting, value);
	}
}

static void item_normalise(const struct cursor_item *item, struct bytes raw, struct buf *normal) {
	if (item->kind == CURSOR_UINT && item->uint <= INT64_MAX)
		pack_uint(normal, item->uint);
	else if (item->kind == CURSOR_INT)
		pack_int(normal, item->integer);
	else if (item->kind == CURSOR_FLOAT && isfinite(item->real))
		pack_double(normal, item->real);
	else if ((item->kind == CURSOR_STR || item->kind == CURSOR_BIN) && bytes_utf8(item->bytes))
		pack_str(normal, item->bytes);
	else if (item->kind == CURSOR_BIN)
		pack_bin(normal, item->bytes);
	else if (item->kind == CURSOR_ARRAY)
		pack_array(normal, item->count);
	else if (item->kind == CURSOR_MAP)
		pack_map(normal, item->count);
	else
		pack_raw(normal, raw);
}

void value_normalise(struct bytes value, struct buf *normal) {
	struct cursor cursor = cursor_of(value);
	while (!cursor_at_end(&cursor)) {
		const uint8_t *start = cursor.at;
		struct cursor_item item;
		check(cursor_next(&cursor, &item));
		item_normalise(&item, bytes_of(start, (size_t)(cursor.at - start)), normal);
	}
}
