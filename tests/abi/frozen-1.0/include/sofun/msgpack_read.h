/* A cursor over MessagePack bytes: nothing is allocated, nothing is copied. Every sofun_read_* takes one object from
 * the front and moves on, or answers false and leaves the cursor where it was (the bytes are cut off, or are of
 * another kind). Usable on any bytes, also those that nobody has checked; no recursion. Any thread.
 */
#ifndef SOFUN_MSGPACK_READ_H
#define SOFUN_MSGPACK_READ_H

#include <stdbool.h>
#include <string.h>

#include "types.h"

typedef struct sofun_reader {
	const uint8_t *at;
	const uint8_t *end;
} sofun_reader;

/* The kinds that sofun_read_kind tells apart; SOFUN_IS_NOTHING at the end of the bytes and at 0xc1, which MessagePack
 * never uses. */
typedef enum sofun_kind {
	SOFUN_IS_NOTHING,
	SOFUN_IS_NIL,
	SOFUN_IS_BOOL,
	SOFUN_IS_INT,
	SOFUN_IS_FLOAT,
	SOFUN_IS_STR,
	SOFUN_IS_BIN,
	SOFUN_IS_ARRAY,
	SOFUN_IS_MAP,
	SOFUN_IS_EXT
} sofun_kind;

static inline sofun_reader sofun_reader_of(sofun_bytes bytes) {
	sofun_reader reader;
	reader.at = bytes.data;
	reader.end = bytes.size == 0 ? bytes.data : bytes.data + bytes.size;
	return reader;
}

/* Nothing is left. */
static inline bool sofun_read_done(const sofun_reader *reader) {
	return reader->at == reader->end;
}

static inline size_t sofun_read_left(const sofun_reader *reader) {
	return (size_t)(reader->end - reader->at);
}

/* A big-endian number of 1, 2, 4 or 8 bytes. Written out, since compilers make one load of each form but not of a
 * loop. */
static inline uint64_t sofun_read_big(const uint8_t *at, size_t bytes) {
	if (bytes == 1)
		return at[0];
	if (bytes == 2)
		return (uint64_t)at[0] << 8 | (uint64_t)at[1];
	const uint64_t high = (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 | (uint64_t)at[3];
	if (bytes == 4)
		return high;
	return high << 32 | (uint64_t)at[4] << 24 | (uint64_t)at[5] << 16 | (uint64_t)at[6] << 8 | (uint64_t)at[7];
}

/* The kind of the next object; reads nothing. */
static inline sofun_kind sofun_read_kind(const sofun_reader *reader) {
	if (sofun_read_done(reader))
		return SOFUN_IS_NOTHING;
	const uint8_t tag = *reader->at;
	if (tag < 0x80 || tag >= 0xe0 || (tag >= 0xcc && tag <= 0xd3))
		return SOFUN_IS_INT;
	if (tag < 0x90 || tag == 0xde || tag == 0xdf)
		return SOFUN_IS_MAP;
	if (tag < 0xa0 || tag == 0xdc || tag == 0xdd)
		return SOFUN_IS_ARRAY;
	if (tag < 0xc0 || (tag >= 0xd9 && tag <= 0xdb))
		return SOFUN_IS_STR;
	if (tag == 0xc0)
		return SOFUN_IS_NIL;
	if (tag == 0xc2 || tag == 0xc3)
		return SOFUN_IS_BOOL;
	if (tag >= 0xc4 && tag <= 0xc6)
		return SOFUN_IS_BIN;
	if (tag == 0xca || tag == 0xcb)
		return SOFUN_IS_FLOAT;
	return tag == 0xc1 ? SOFUN_IS_NOTHING : SOFUN_IS_EXT;
}

static inline bool sofun_read_nil(sofun_reader *reader) {
	if (sofun_read_done(reader) || *reader->at != 0xc0)
		return false;
	reader->at++;
	return true;
}

static inline bool sofun_read_bool(sofun_reader *reader, bool *ret_value) {
	if (sofun_read_done(reader) || (*reader->at & 0xfe) != 0xc2)
		return false;
	*ret_value = *reader->at++ == 0xc3;
	return true;
}

/* The number behind the tags cc to cf (unsigned) and d0 to d3 (signed), its bits widened to 64. */
static inline bool sofun_read_wide(sofun_reader *reader, uint8_t first_tag, uint64_t *ret_value) {
	const size_t bytes = (size_t)1 << (*reader->at - first_tag);
	if (sofun_read_left(reader) <= bytes)
		return false;
	const uint64_t value = sofun_read_big(reader->at + 1, bytes);
	const unsigned unused = (unsigned)(64 - 8 * bytes);
	const uint64_t sign = (uint64_t)1 << (8 * bytes - 1);
	*ret_value = first_tag == 0xd0 && (value & sign) != 0 ? value | ~(UINT64_MAX >> unused) : value;
	reader->at += 1 + bytes;
	return true;
}

/* The slow half of sofun_read_int. */
static inline bool sofun_read_int_wide(sofun_reader *reader, int64_t *ret_value) {
	const uint8_t tag = *reader->at;
	const sofun_reader before = *reader;
	uint64_t value = 0;
	if (tag < 0xcc || tag > 0xd3 || !sofun_read_wide(reader, tag < 0xd0 ? 0xcc : 0xd0, &value))
		return false;
	if (tag == 0xcf && value > INT64_MAX) {
		*reader = before;
		return false;
	}
	memcpy(ret_value, &value, sizeof value);
	return true;
}

/* Any integer that an int64_t holds, whatever its encoding. */
static inline bool sofun_read_int(sofun_reader *reader, int64_t *ret_value) {
	if (sofun_read_done(reader))
		return false;
	const uint8_t tag = *reader->at;
	if (tag < 0x80 || tag >= 0xe0) {
		*ret_value = tag < 0x80 ? (int64_t)tag : (int64_t)tag - 256;
		reader->at++;
		return true;
	}
	return sofun_read_int_wide(reader, ret_value);
}

/* Any integer from 0 on. */
static inline bool sofun_read_uint(sofun_reader *reader, uint64_t *ret_value) {
	if (sofun_read_done(reader))
		return false;
	if (*reader->at == 0xcf)
		return sofun_read_wide(reader, 0xcc, ret_value);
	const sofun_reader before = *reader;
	int64_t value = 0;
	if (!sofun_read_int(reader, &value))
		return false;
	if (value < 0) {
		*reader = before;
		return false;
	}
	*ret_value = (uint64_t)value;
	return true;
}

/* float 32 or float 64; integers are not taken for floats. */
static inline bool sofun_read_float(sofun_reader *reader, double *ret_value) {
	const size_t left = sofun_read_left(reader);
	if (left >= 5 && *reader->at == 0xca) {
		const uint32_t bits = (uint32_t)sofun_read_big(reader->at + 1, 4);
		float value;
		memcpy(&value, &bits, sizeof value);
		*ret_value = (double)value;
		reader->at += 5;
		return true;
	}
	if (left >= 9 && *reader->at == 0xcb) {
		const uint64_t bits = sofun_read_big(reader->at + 1, 8);
		memcpy(ret_value, &bits, sizeof bits);
		reader->at += 9;
		return true;
	}
	return false;
}

/* `size` bytes behind a head of `head` bytes. */
static inline bool sofun_read_body(sofun_reader *reader, size_t head, uint64_t size, sofun_bytes *ret_value) {
	if (sofun_read_left(reader) < head || sofun_read_left(reader) - head < size)
		return false;
	ret_value->data = reader->at + head;
	ret_value->size = (size_t)size;
	reader->at += head + (size_t)size;
	return true;
}

/* A body whose length stands in 1, 2 or 4 bytes behind the tag: first_tag, first_tag + 1, first_tag + 2. */
static inline bool sofun_read_sized(sofun_reader *reader, uint8_t first_tag, sofun_bytes *ret_value) {
	if (sofun_read_done(reader) || *reader->at < first_tag || *reader->at > first_tag + 2)
		return false;
	const size_t width = (size_t)1 << (*reader->at - first_tag);
	if (sofun_read_left(reader) <= width)
		return false;
	return sofun_read_body(reader, 1 + width, sofun_read_big(reader->at + 1, width), ret_value);
}

/* A view into the bytes read; no NUL behind it. */
static inline bool sofun_read_str(sofun_reader *reader, sofun_bytes *ret_value) {
	if (!sofun_read_done(reader) && *reader->at >= 0xa0 && *reader->at <= 0xbf)
		return sofun_read_body(reader, 1, *reader->at & 0x1f, ret_value);
	return sofun_read_sized(reader, 0xd9, ret_value);
}

static inline bool sofun_read_bin(sofun_reader *reader, sofun_bytes *ret_value) {
	return sofun_read_sized(reader, 0xc4, ret_value);
}

/* str or bin: what may stand for an id. */
static inline bool sofun_read_str_or_bin(sofun_reader *reader, sofun_bytes *ret_value) {
	return sofun_read_str(reader, ret_value) || sofun_read_bin(reader, ret_value);
}

/* The head of an array or a map: a count in the tag's low four bits, or in 2 or 4 bytes behind wide_tag, wide_tag + 1.
 * */
static inline bool sofun_read_count(sofun_reader *reader, uint8_t fix_tag, uint8_t wide_tag, uint32_t *ret_count) {
	if (sofun_read_done(reader))
		return false;
	const uint8_t tag = *reader->at;
	if ((tag & 0xf0) == fix_tag) {
		*ret_count = tag & 0x0f;
		reader->at++;
		return true;
	}
	const size_t width = tag == wide_tag ? 2 : 4;
	if ((tag != wide_tag && tag != wide_tag + 1) || sofun_read_left(reader) <= width)
		return false;
	*ret_count = (uint32_t)sofun_read_big(reader->at + 1, width);
	reader->at += 1 + width;
	return true;
}

/* How many elements follow. Believe the number only as far as the bytes go. */
static inline bool sofun_read_array(sofun_reader *reader, uint32_t *ret_count) {
	return sofun_read_count(reader, 0x90, 0xdc, ret_count);
}

/* How many pairs follow: key, value, key, value. */
static inline bool sofun_read_map(sofun_reader *reader, uint32_t *ret_count) {
	return sofun_read_count(reader, 0x80, 0xde, ret_count);
}

static inline bool sofun_read_ext(sofun_reader *reader, int *ret_type, sofun_bytes *ret_value) {
	if (sofun_read_done(reader))
		return false;
	const uint8_t tag = *reader->at;
	const bool fixed = tag >= 0xd4 && tag <= 0xd8;
	if (!fixed && (tag < 0xc7 || tag > 0xc9))
		return false;
	const size_t width = fixed ? 0 : (size_t)1 << (tag - 0xc7);
	if (sofun_read_left(reader) < 2 + width)
		return false;
	const uint8_t type = reader->at[1 + width];
	const uint64_t size = fixed ? (uint64_t)1 << (tag - 0xd4) : sofun_read_big(reader->at + 1, width);
	if (!sofun_read_body(reader, 2 + width, size, ret_value))
		return false;
	*ret_type = type < 0x80 ? type : type - 256;
	return true;
}

/* Moves over one object's head and its own bytes, not over the elements of an array or map, whose number it returns. */
static inline bool sofun_skip_head(sofun_reader *reader, uint64_t *ret_elements) {
	sofun_bytes body;
	uint32_t count = 0;
	int type;
	bool flag;
	double real;
	uint64_t wide;
	const sofun_kind kind = sofun_read_kind(reader);
	*ret_elements = 0;
	switch (kind) {
	case SOFUN_IS_NOTHING:
		return false;
	case SOFUN_IS_NIL:
		return sofun_read_nil(reader);
	case SOFUN_IS_BOOL:
		return sofun_read_bool(reader, &flag);
	case SOFUN_IS_INT:
		if (*reader->at >= 0xcc && *reader->at <= 0xd3)
			return sofun_read_wide(reader, *reader->at < 0xd0 ? 0xcc : 0xd0, &wide);
		reader->at++;
		return true;
	case SOFUN_IS_FLOAT:
		return sofun_read_float(reader, &real);
	case SOFUN_IS_STR:
	case SOFUN_IS_BIN:
		return sofun_read_str_or_bin(reader, &body);
	case SOFUN_IS_EXT:
		return sofun_read_ext(reader, &type, &body);
	case SOFUN_IS_ARRAY:
	case SOFUN_IS_MAP:
		if (!(kind == SOFUN_IS_MAP ? sofun_read_map(reader, &count) : sofun_read_array(reader, &count)))
			return false;
		*ret_elements = kind == SOFUN_IS_MAP ? (uint64_t)count * 2 : count;
		return true;
	}
	return false;
}

/* Moves over one whole object, however deep. */
static inline bool sofun_skip(sofun_reader *reader) {
	sofun_reader at = *reader;
	uint64_t elements;
	/* Each open element takes at least a byte: more of them than bytes left is a lie, and the sum cannot overflow. */
	for (uint64_t open = 1; open > 0; open += elements - 1) {
		if (open > sofun_read_left(&at) || !sofun_skip_head(&at, &elements))
			return false;
	}
	*reader = at;
	return true;
}

/* One whole object of any kind, as its bytes. */
static inline bool sofun_read_raw(sofun_reader *reader, sofun_bytes *ret_msgpack) {
	const uint8_t *begin = reader->at;
	if (!sofun_skip(reader))
		return false;
	ret_msgpack->data = begin;
	ret_msgpack->size = (size_t)(reader->at - begin);
	return true;
}

/* True iff the bytes are the text: for keys of a map. */
static inline bool sofun_bytes_are(sofun_bytes bytes, const char *text) {
	const size_t size = strlen(text);
	return bytes.size == size && (size == 0 || memcmp(bytes.data, text, size) == 0);
}

#endif
