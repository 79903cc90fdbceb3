#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

#define BUF_FIRST_BYTES 64

int bytes_compare(struct bytes a, struct bytes b) {
	size_t common = a.size < b.size ? a.size : b.size;
	int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
	if (order != 0)
		return order;
	return a.size < b.size ? -1 : a.size > b.size;
}

/* How many continuation bytes follow a lead byte, and the lowest second byte; -1 if no lead byte. */
static int utf8_tail(uint8_t lead, uint8_t *ret_low, uint8_t *ret_high) {
	*ret_low = 0x80;
	*ret_high = 0xbf;
	if (lead < 0x80)
		return 0;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 1;
	if (lead >= 0xe0 && lead <= 0xef) {
		if (lead == 0xe0)
			*ret_low = 0xa0;
		if (lead == 0xed)
			*ret_high = 0x9f;
		return 2;
	}
	if (lead >= 0xf0 && lead <= 0xf4) {
		if (lead == 0xf0)
			*ret_low = 0x90;
		if (lead == 0xf4)
			*ret_high = 0x8f;
		return 3;
	}
	return -1;
}

/* The size of the well-formed character at the front; 0 if there is none. */
static size_t utf8_character(const uint8_t *at, size_t left) {
	uint8_t low, high;
	int tail = utf8_tail(*at, &low, &high);
	if (tail < 0 || left <= (size_t)tail)
		return 0;
	for (int k = 1; k <= tail; k++) {
		if (at[k] < low || at[k] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return (size_t)tail + 1;
}

/* Nearly all names and ids are, and eight bytes are looked at as fast as one. */
static bool bytes_ascii(struct bytes text) {
	uint64_t all = 0;
	size_t i = 0;
	for (; text.size - i >= sizeof all; i += sizeof all)
		all |= bytes_word(text.data + i);
	for (; i < text.size; i++)
		all |= text.data[i];
	return (all & 0x8080808080808080u) == 0;
}

bool bytes_utf8(struct bytes text) {
	if (bytes_ascii(text))
		return true;
	for (size_t i = 0; i < text.size;) {
		size_t size = utf8_character(text.data + i, text.size - i);
		if (size == 0)
			return false;
		i += size;
	}
	return true;
}

void bytes_clean(struct bytes text, struct buf *clean) {
	for (size_t i = 0; i < text.size;) {
		size_t size = utf8_character(text.data + i, text.size - i);
		if (size == 0)
			buf_append_u8(clean, '?');
		else
			buf_append(clean, text.data + i, size);
		i += size == 0 ? 1 : size;
	}
}

void buf_grow(struct buf *buf, size_t extra) {
	size_t need = buf->size + extra;
	check(need >= extra);
	size_t capacity = buf->capacity == 0 ? BUF_FIRST_BYTES : buf->capacity;
	while (capacity < need)
		capacity += capacity / 2 + 16;
	uint8_t *data = realloc(buf->data, capacity);
	check_memory(data);
	buf->data = data;
	buf->capacity = capacity;
}

void buf_printf(struct buf *buf, const char *format, ...) {
	va_list args;
	va_start(args, format);
	int size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	check(size >= 0);
	uint8_t *place = buf_reserve(buf, (size_t)size + 1);
	va_start(args, format);
	vsnprintf((char *)place, (size_t)size + 1, format, args);
	va_end(args);
	buf->size += (size_t)size;
}

void buf_finish(struct buf *buf) {
	free(buf->data);
	*buf = (struct buf){0};
}
