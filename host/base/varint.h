/* LEB128 unsigned integers, as in every on-disk format of ours. */
#ifndef HOST_BASE_VARINT_H
#define HOST_BASE_VARINT_H

#include <stdbool.h>

#include "base/bytes.h"

enum { VARINT_BYTES_MAX = 10 };

/* Writes at `at` (VARINT_BYTES_MAX bytes of room); returns the end. */
static inline uint8_t *varint_put(uint8_t *at, uint64_t value) {
	while (value >= 0x80) {
		*at++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	return at;
}

/* Reads from the front of *rest and moves it on; false if it is cut off or longer than 64 bits. */
static inline bool varint_take(struct bytes *rest, uint64_t *ret_value) {
	uint64_t value = 0;
	for (size_t i = 0; i < rest->size && i < VARINT_BYTES_MAX; i++) {
		uint8_t byte = rest->data[i];
		if (i == 9 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			rest->data += i + 1;
			rest->size -= i + 1;
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static inline void buf_append_varint(struct buf *buf, uint64_t value) {
	uint8_t *at = buf_reserve(buf, VARINT_BYTES_MAX);
	buf->size += (size_t)(varint_put(at, value) - at);
}

/* varint size, then the bytes. */
static inline void buf_append_sized(struct buf *buf, struct bytes bytes) {
	buf_append_varint(buf, bytes.size);
	buf_append_bytes(buf, bytes);
}

static inline bool sized_take(struct bytes *rest, struct bytes *ret_bytes) {
	uint64_t size;
	struct bytes at = *rest;
	if (!varint_take(&at, &size) || size > at.size)
		return false;
	*ret_bytes = bytes_of(at.data, (size_t)size);
	rest->data = at.data + size;
	rest->size = at.size - (size_t)size;
	return true;
}

#endif
