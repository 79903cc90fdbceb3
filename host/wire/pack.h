/* Writes MessagePack at the end of a struct buf, always in the shortest form. Small values inline, the rest through
 * msgpack-c's packer. Any thread; the buffer is the caller's. */
#ifndef HOST_WIRE_PACK_H
#define HOST_WIRE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

static inline void pack_nil(struct buf *buf) {
	buf_append_u8(buf, 0xc0);
}

static inline void pack_bool(struct buf *buf, bool truth) {
	buf_append_u8(buf, truth ? 0xc3 : 0xc2);
}

/* The slow paths: use those below. */
void pack_uint_wide(struct buf *buf, uint64_t value);
void pack_int_wide(struct buf *buf, int64_t value);
void pack_str_long(struct buf *buf, struct bytes text);
void pack_array_long(struct buf *buf, uint32_t count);
void pack_map_long(struct buf *buf, uint32_t pairs);

static inline void pack_uint(struct buf *buf, uint64_t value) {
	if (value < 0x80)
		buf_append_u8(buf, (uint8_t)value);
	else
		pack_uint_wide(buf, value);
}

static inline void pack_int(struct buf *buf, int64_t value) {
	if (value >= -32 && value < 0x80)
		buf_append_u8(buf, (uint8_t)value);
	else
		pack_int_wide(buf, value);
}

void pack_float(struct buf *buf, float value);
void pack_double(struct buf *buf, double value);

static inline void pack_str(struct buf *buf, struct bytes text) {
	if (text.size >= 32) {
		pack_str_long(buf, text);
		return;
	}
	buf_append_u8(buf, (uint8_t)(0xa0 | text.size));
	buf_append_bytes(buf, text);
}

static inline void pack_text(struct buf *buf, const char *text) {
	pack_str(buf, bytes_text(text));
}

/* A str for people: what is not UTF-8 in it becomes '?'. */
void pack_str_clean(struct buf *buf, struct bytes text);

/* Headers need what follows: bin and ext bring theirs, an array its elements, a map its pairs. */
void pack_bin(struct buf *buf, struct bytes bytes);
void pack_ext(struct buf *buf, int8_t type, struct bytes bytes);

static inline void pack_array(struct buf *buf, uint32_t count) {
	if (count < 16)
		buf_append_u8(buf, (uint8_t)(0x90 | count));
	else
		pack_array_long(buf, count);
}

static inline void pack_map(struct buf *buf, uint32_t pairs) {
	if (pairs < 16)
		buf_append_u8(buf, (uint8_t)(0x80 | pairs));
	else
		pack_map_long(buf, pairs);
}

/* One object that is packed already. */
static inline void pack_raw(struct buf *buf, struct bytes object) {
	buf_append_bytes(buf, object);
}

#endif
