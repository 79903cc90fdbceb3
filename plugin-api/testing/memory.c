#include <stdio.h>
#include <stdlib.h>

#include "inside.h"

void test_stop(const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	(void)fputs("sofun testing: ", stderr);
	(void)vfprintf(stderr, format, arguments);
	(void)fputc('\n', stderr);
	va_end(arguments);
	exit(EXIT_FAILURE);
}

void *memory_take(size_t size) {
	void *data = calloc(1, size == 0 ? 1 : size);
	if (data == NULL)
		test_stop("no memory for %zu bytes", size);
	return data;
}

void *memory_grow(void *data, size_t size) {
	void *grown = realloc(data, size == 0 ? 1 : size);
	if (grown == NULL)
		test_stop("no memory for %zu bytes", size);
	return grown;
}

void *memory_grow_one(void *items, size_t count, size_t item_bytes) {
	if ((count & (count - 1)) != 0)
		return items; /* there is room up to the next power of two */
	return memory_grow(items, (count == 0 ? 1 : 2 * count) * item_bytes);
}

void piece_append(struct piece *piece, const void *data, size_t size) {
	piece->data = memory_grow(piece->data, piece->size + size);
	if (size > 0)
		memcpy(piece->data + piece->size, data, size);
	piece->size += size;
}

void piece_finish(struct piece *piece) {
	free(piece->data);
	*piece = (struct piece){0};
}

void test_keep(sofun_test *test, void *memory) {
	test->kept = memory_grow_one(test->kept, test->kept_count, sizeof *test->kept);
	test->kept[test->kept_count++] = memory;
}
