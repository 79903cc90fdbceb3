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
