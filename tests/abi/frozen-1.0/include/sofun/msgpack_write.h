/* Writes MessagePack, in the shortest encoding, into memory of the caller or into a builder of the host that grows. An
 * error (no room) sticks in the writer and shows at sofun_written, so that no single write needs a check. Any thread
 * for memory of the caller; inside a callback for a builder.
 *
 *   uint8_t room[64];                               sofun_writer writer = sofun_writer_builder(context);
 *   sofun_writer writer = sofun_writer_into(room, sizeof room);
 *   sofun_write_map(&writer, 1);
 *   sofun_write_text(&writer, "source");
 *   sofun_write_str(&writer, address);
 *   sofun_bytes payload;
 *   int status = sofun_written(&writer, &payload);
 */
#ifndef SOFUN_MSGPACK_WRITE_H
#define SOFUN_MSGPACK_WRITE_H

#include <stdbool.h>
#include <string.h>

#include "host.h"

typedef struct sofun_writer {
	uint8_t *data;
	size_t size;
	size_t capacity;
	sofun_context *context; /* NULL: the memory is the caller's and does not grow */
	sofun_buf *buf;
	int status; /* SOFUN_OK, or the first error */
} sofun_writer;

/* The longest integer: a tag and eight bytes. */
enum { SOFUN_INT_BYTES_MAX = 9 };

static inline sofun_writer sofun_writer_into(void *room, size_t capacity) {
	sofun_writer writer;
	writer.data = (uint8_t *)room;
	writer.size = 0;
	writer.capacity = capacity;
	writer.context = NULL;
	writer.buf = NULL;
	writer.status = SOFUN_OK;
	return writer;
}

/* [callback] Takes one of the callback's 16 builders. */
static inline sofun_writer sofun_writer_builder(sofun_context *context) {
	sofun_writer writer = sofun_writer_into(NULL, 0);
	writer.context = context;
	writer.buf = context->host->buf(context);
	if (writer.buf == NULL) {
		writer.status = SOFUN_TOO_LARGE;
		return writer;
	}
	writer.data = writer.buf->data;
	writer.capacity = writer.buf->capacity;
	return writer;
}

/* What has been written: valid as long as the room, or until the callback returns. Not SOFUN_OK: something did not
 * fit. */
static inline int sofun_written(const sofun_writer *writer, sofun_bytes *ret_msgpack) {
	ret_msgpack->data = writer->data;
	ret_msgpack->size = writer->size;
	return writer->status;
}

/* Room for `extra` bytes, or NULL and the status set. */
static inline uint8_t *sofun_write_room(sofun_writer *writer, size_t extra) {
	if (writer->status != SOFUN_OK)
		return NULL;
	if (writer->capacity - writer->size < extra) {
		if (writer->context == NULL) {
			writer->status = SOFUN_TOO_LARGE;
			return NULL;
		}
		writer->buf->size = writer->size;
		writer->status = writer->context->host->buf_reserve(writer->context, writer->buf, extra);
		if (writer->status != SOFUN_OK)
			return NULL;
		writer->data = writer->buf->data;
		writer->capacity = writer->buf->capacity;
	}
	uint8_t *at = writer->data + writer->size;
	writer->size += extra;
	return at;
}

/* A tag and a big-endian number of 1, 2, 4 or 8 bytes, at `at`. Written out, since compilers make one store of each
 * form. */
static inline size_t sofun_put_big(uint8_t *at, uint8_t tag, uint64_t value, size_t bytes) {
	*at++ = tag;
	if (bytes == 8) {
		at[0] = (uint8_t)(value >> 56);
		at[1] = (uint8_t)(value >> 48);
		at[2] = (uint8_t)(value >> 40);
		at[3] = (uint8_t)(value >> 32);
		at += 4;
	}
	if (bytes >= 4) {
		at[0] = (uint8_t)(value >> 24);
		at[1] = (uint8_t)(value >> 16);
		at += 2;
	}
	if (bytes >= 2)
		*at++ = (uint8_t)(value >> 8);
	*at = (uint8_t)value;
	return 1 + bytes;
}

/* The integer's encoding at `at` (SOFUN_INT_BYTES_MAX bytes of room); its size. */
static inline size_t sofun_put_uint(uint8_t *at, uint64_t value) {
	if (value < 0x80) {
		at[0] = (uint8_t)value;
		return 1;
	}
	if (value <= UINT8_MAX)
		return sofun_put_big(at, 0xcc, value, 1);
	if (value <= UINT16_MAX)
		return sofun_put_big(at, 0xcd, value, 2);
	if (value <= UINT32_MAX)
		return sofun_put_big(at, 0xce, value, 4);
	return sofun_put_big(at, 0xcf, value, 8);
}

static inline size_t sofun_put_int(uint8_t *at, int64_t value) {
	const uint64_t bits = (uint64_t)value;
	if (value >= 0)
		return sofun_put_uint(at, bits);
	if (value >= -32) {
		at[0] = (uint8_t)bits;
		return 1;
	}
	if (value >= INT8_MIN)
		return sofun_put_big(at, 0xd0, bits, 1);
	if (value >= INT16_MIN)
		return sofun_put_big(at, 0xd1, bits, 2);
	if (value >= INT32_MIN)
		return sofun_put_big(at, 0xd2, bits, 4);
	return sofun_put_big(at, 0xd3, bits, 8);
}

/* The bytes as they are: one or more objects that are MessagePack already. */
static inline void sofun_write_raw(sofun_writer *writer, sofun_bytes msgpack) {
	uint8_t *at = sofun_write_room(writer, msgpack.size);
	if (at != NULL && msgpack.size > 0)
		memcpy(at, msgpack.data, msgpack.size);
}

static inline void sofun_write_head(sofun_writer *writer, const uint8_t *head, size_t size) {
	uint8_t *at = sofun_write_room(writer, size);
	if (at != NULL)
		memcpy(at, head, size);
}

static inline void sofun_write_nil(sofun_writer *writer) {
	const uint8_t tag = 0xc0;
	sofun_write_head(writer, &tag, 1);
}

static inline void sofun_write_bool(sofun_writer *writer, bool value) {
	const uint8_t tag = value ? 0xc3 : 0xc2;
	sofun_write_head(writer, &tag, 1);
}

static inline void sofun_write_uint(sofun_writer *writer, uint64_t value) {
	uint8_t head[SOFUN_INT_BYTES_MAX];
	sofun_write_head(writer, head, sofun_put_uint(head, value));
}

static inline void sofun_write_int(sofun_writer *writer, int64_t value) {
	uint8_t head[SOFUN_INT_BYTES_MAX];
	sofun_write_head(writer, head, sofun_put_int(head, value));
}

/* Always float 64. */
static inline void sofun_write_float(sofun_writer *writer, double value) {
	uint8_t head[9];
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	sofun_write_head(writer, head, sofun_put_big(head, 0xcb, bits, 8));
}

/* The head of a body or a collection: `count` in the fix_tag's low bits if below fix_count, else in 1, 2 or 4 bytes. A
 * tag of 0: there is no such form. */
static inline void sofun_write_count(sofun_writer *writer, uint32_t count, uint8_t fix_tag, uint32_t fix_count,
	uint8_t tag8, uint8_t tag16, uint8_t tag32) {
	uint8_t head[5];
	size_t size;
	if (count < fix_count) {
		head[0] = (uint8_t)(fix_tag | count);
		size = 1;
	} else if (tag8 != 0 && count <= UINT8_MAX) {
		size = sofun_put_big(head, tag8, count, 1);
	} else if (count <= UINT16_MAX) {
		size = sofun_put_big(head, tag16, count, 2);
	} else {
		size = sofun_put_big(head, tag32, count, 4);
	}
	sofun_write_head(writer, head, size);
}

/* `count` elements must follow. */
static inline void sofun_write_array(sofun_writer *writer, uint32_t count) {
	sofun_write_count(writer, count, 0x90, 16, 0, 0xdc, 0xdd);
}

/* `count` pairs must follow: key, value, key, value. */
static inline void sofun_write_map(sofun_writer *writer, uint32_t count) {
	sofun_write_count(writer, count, 0x80, 16, 0, 0xde, 0xdf);
}

/* True if MessagePack can say this length; else the status is SOFUN_TOO_LARGE. */
static inline bool sofun_write_fits(sofun_writer *writer, size_t size) {
	if (size > UINT32_MAX && writer->status == SOFUN_OK)
		writer->status = SOFUN_TOO_LARGE;
	return writer->status == SOFUN_OK;
}

/* Should be UTF-8; nobody checks. */
static inline void sofun_write_str(sofun_writer *writer, sofun_bytes text) {
	if (!sofun_write_fits(writer, text.size))
		return;
	sofun_write_count(writer, (uint32_t)text.size, 0xa0, 32, 0xd9, 0xda, 0xdb);
	sofun_write_raw(writer, text);
}

static inline void sofun_write_bin(sofun_writer *writer, sofun_bytes bytes) {
	if (!sofun_write_fits(writer, bytes.size))
		return;
	sofun_write_count(writer, (uint32_t)bytes.size, 0, 0, 0xc4, 0xc5, 0xc6);
	sofun_write_raw(writer, bytes);
}

/* Well-formed UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static inline bool sofun_is_utf8(sofun_bytes text) {
	size_t i = 0;
	while (i < text.size) {
		const uint8_t lead = text.data[i++];
		if (lead < 0x80)
			continue;
		const size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
		if (lead < 0xc2 || lead > 0xf4 || text.size - i < more)
			return false;
		const uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
		const uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
		if (text.data[i] < low || text.data[i] > high)
			return false;
		for (size_t k = 1; k < more; k++) {
			if ((text.data[i + k] & 0xc0) != 0x80)
				return false;
		}
		i += more;
	}
	return true;
}

/* str where the bytes are UTF-8, else bin: so that strict readers are not broken by what came from outside. */
static inline void sofun_write_str_or_bin(sofun_writer *writer, sofun_bytes bytes) {
	if (sofun_is_utf8(bytes))
		sofun_write_str(writer, bytes);
	else
		sofun_write_bin(writer, bytes);
}

/* A C string as str. */
static inline void sofun_write_text(sofun_writer *writer, const char *text) {
	sofun_bytes bytes;
	bytes.data = (const uint8_t *)text;
	bytes.size = strlen(text);
	sofun_write_str(writer, bytes);
}

#endif
