#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/check.h"

static size_t pages_round(size_t bytes) {
	return (bytes + PAGES_BYTES_MIN - 1) / PAGES_BYTES_MIN * PAGES_BYTES_MIN;
}

/* A huge page begins at a multiple of its size: more is mapped than is kept. */
void *pages_alloc(size_t bytes) {
	size_t size = pages_round(bytes);
	size_t mapped = size + PAGES_BYTES_MIN;
	uint8_t *memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check_memory(memory == MAP_FAILED ? NULL : memory);
	size_t before = (PAGES_BYTES_MIN - (uintptr_t)memory % PAGES_BYTES_MIN) % PAGES_BYTES_MIN;
	if (before > 0)
		munmap(memory, before);
	munmap(memory + before + size, mapped - before - size);
	madvise(memory + before, size, MADV_HUGEPAGE); /* a kernel without them goes on with small ones */
	return memory + before;
}

void pages_free(void *memory, size_t bytes) {
	if (memory != NULL)
		munmap(memory, pages_round(bytes));
}
