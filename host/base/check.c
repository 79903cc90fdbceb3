#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void check_failed(const char *file, int line, const char *what) {
	fprintf(stderr, "sofun: check failed at %s:%d: %s\n", file, line, what);
	fflush(stderr);
	abort();
}

void *check_alloc(size_t count, size_t size) {
	void *memory = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
	check_memory(memory);
	return memory;
}

char *check_strdup(const char *text) {
	char *copy = strdup(text);
	check_memory(copy);
	return copy;
}
