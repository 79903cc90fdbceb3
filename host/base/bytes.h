/* Borrowed byte views and the growable buffer. Uses nothing else of the host. */
#ifndef HOST_BASE_BYTES_H
#define HOST_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed view: never owns, never freed through it. data may be NULL iff size is 0. */
struct bytes {
	const uint8_t *data;
	size_t size;
};

/* A growable buffer; zero-initialised is empty. Growth failure ends the process (see check.h). */
struct buf {
	uint8_t *data;
	size_t size;
	size_t capacity;
};

static inline struct bytes bytes_of(const void *data, size_t size) {
	return (struct bytes){.data = data, .size = size};
}

static inline struct bytes bytes_text(const char *text) {
	return bytes_of(text, strlen(text));
}

static inline struct bytes bytes_buf(const struct buf *buf) {
	return bytes_of(buf->data, buf->size);
}

static inline bool bytes_equal(struct bytes a, struct bytes b) {
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline uint64_t bytes_word(const uint8_t *at) {
	uint64_t word;
	memcpy(&word, at, sizeof word);
	return word;
}

static inline uint32_t bytes_half(const uint8_t *at) {
	uint32_t half;
	memcpy(&half, at, sizeof half);
	return half;
}

/* memcpy and memcmp == 0 for what is mostly shorter than a call of those is worth: ids, names, small values. Two loads
 * from the ends, which overlap, serve every size in between. */
static inline void bytes_copy(uint8_t *to, const uint8_t *from, size_t size) {
	if (size > 32) {
		memcpy(to, from, size);
	} else if (size > 16) {
		uint8_t first[16], last[16];
		memcpy(first, from, 16);
		memcpy(last, from + size - 16, 16);
		memcpy(to, first, 16);
		memcpy(to + size - 16, last, 16);
	} else if (size >= 8) {
		uint64_t first = bytes_word(from), last = bytes_word(from + size - 8);
		memcpy(to, &first, 8);
		memcpy(to + size - 8, &last, 8);
	} else if (size >= 4) {
		uint32_t first = bytes_half(from), last = bytes_half(from + size - 4);
		memcpy(to, &first, 4);
		memcpy(to + size - 4, &last, 4);
	} else if (size > 0) {
		uint8_t first = from[0], middle = from[size / 2], last = from[size - 1];
		to[0] = first;
		to[size / 2] = middle;
		to[size - 1] = last;
	}
}

static inline bool bytes_same(const uint8_t *a, const uint8_t *b, size_t size) {
	if (size > 32)
		return memcmp(a, b, size) == 0;
	if (size > 16)
		return bytes_word(a) == bytes_word(b) && bytes_word(a + 8) == bytes_word(b + 8) &&
			bytes_word(a + size - 16) == bytes_word(b + size - 16) &&
			bytes_word(a + size - 8) == bytes_word(b + size - 8);
	if (size >= 8)
		return bytes_word(a) == bytes_word(b) && bytes_word(a + size - 8) == bytes_word(b + size - 8);
	if (size >= 4)
		return bytes_half(a) == bytes_half(b) && bytes_half(a + size - 4) == bytes_half(b + size - 4);
	return size == 0 || (a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1]);
}

/* As memcmp, a prefix sorts before what it begins: the order of keys in every database. */
int bytes_compare(struct bytes a, struct bytes b);

/* True iff the bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
bool bytes_utf8(struct bytes text);

/* Appends the text for people to read: each byte that is no UTF-8 becomes '?'. */
void bytes_clean(struct bytes text, struct buf *clean);

/* Slow path of buf_reserve. */
void buf_grow(struct buf *buf, size_t extra);

/* Room for `extra` more bytes behind size; the place to write them. */
static inline uint8_t *buf_reserve(struct buf *buf, size_t extra) {
	if (buf->capacity - buf->size < extra)
		buf_grow(buf, extra);
	return buf->data + buf->size;
}

static inline void buf_append(struct buf *buf, const void *data, size_t size) {
	if (size == 0)
		return;
	memcpy(buf_reserve(buf, size), data, size);
	buf->size += size;
}

static inline void buf_append_bytes(struct buf *buf, struct bytes bytes) {
	buf_append(buf, bytes.data, bytes.size);
}

static inline void buf_append_u8(struct buf *buf, uint8_t value) {
	*buf_reserve(buf, 1) = value;
	buf->size += 1;
}

/* printf at the end; the terminating NUL is written but not counted. */
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void buf_reset(struct buf *buf) {
	buf->size = 0;
}

/* Frees the memory and leaves an empty buffer. */
void buf_finish(struct buf *buf);

#endif
