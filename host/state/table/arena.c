#include "state/table/arena.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/pages.h"

enum { CHUNK_FIRST_BYTES = 32 << 10 };

/* Memory of CHUNK_FIRST_BYTES, four times that, and so on up to PAGES_BYTES_MIN, or as much as one operation needs. */
struct arena_chunk {
	struct arena_chunk *next;
	size_t capacity; /* with this header */
};

static struct arena_chunk *chunk_create(size_t capacity) {
	struct arena_chunk *chunk = capacity < PAGES_BYTES_MIN ? malloc(capacity) : pages_alloc(capacity);
	check_memory(chunk);
	chunk->capacity = capacity;
	return chunk;
}

static void chunk_destroy(struct arena_chunk *chunk) {
	if (chunk->capacity < PAGES_BYTES_MIN)
		free(chunk);
	else
		pages_free(chunk, chunk->capacity);
}

void arena_finish(struct table_arena *arena) {
	while (arena->chunks != NULL) {
		struct arena_chunk *next = arena->chunks->next;
		chunk_destroy(arena->chunks);
		arena->chunks = next;
	}
	for (size_t i = 0; i < ARENA_CLASSES; i++) {
		buf_finish(&arena->given[i]);
		buf_finish(&arena->ready[i]);
	}
}

static size_t round_up(size_t size, size_t step) {
	return (size + step - 1) & ~(step - 1);
}

/* Rounds it up to that of its class. */
static unsigned size_class(size_t *size) {
	if (__builtin_expect(*size <= ARENA_SMALL_BYTES_MAX, 1)) {
		*size = round_up(*size, ARENA_UNIT_BYTES);
		return (unsigned)(*size / ARENA_UNIT_BYTES);
	}
	const unsigned power = 63 - (unsigned)__builtin_clzll(*size - 1); /* the one below it */
	const unsigned step = power - ARENA_STEP_BITS;
	check(power < ARENA_SIZE_BITS);
	*size = round_up(*size, (size_t)1 << step);
	return ARENA_SMALL_CLASSES + (power - ARENA_SMALL_BITS) * ARENA_STEPS +
		(unsigned)((*size - ((size_t)1 << power)) >> step) - 1;
}

static void chunk_add(struct table_arena *arena, size_t size) {
	size_t capacity = arena->chunks == NULL ? CHUNK_FIRST_BYTES : arena->chunks->capacity * 4;
	if (capacity > PAGES_BYTES_MIN)
		capacity = PAGES_BYTES_MIN;
	if (capacity < sizeof(struct arena_chunk) + size)
		capacity = sizeof(struct arena_chunk) + size;
	struct arena_chunk *chunk = chunk_create(capacity);
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	arena->used = sizeof *chunk;
	arena->bytes += capacity;
}

/* It was written an epoch or more ago: asked for now, it is near when its turn comes. */
static void place_ask(const struct buf *ready) {
	enum { AHEAD = 16 };
	const uint8_t *place;
	if (ready->size < AHEAD * sizeof place)
		return;
	memcpy(&place, ready->data + ready->size - AHEAD * sizeof place, sizeof place);
	__builtin_prefetch(place, 1);
}

uint8_t *arena_take(struct table_arena *arena, size_t size) {
	struct buf *ready = &arena->ready[size_class(&size)];
	if (ready->size > 0) {
		uint8_t *place;
		ready->size -= sizeof place;
		memcpy(&place, ready->data + ready->size, sizeof place);
		place_ask(ready);
		return place;
	}
	if (arena->chunks == NULL || arena->chunks->capacity - arena->used < size)
		chunk_add(arena, size);
	uint8_t *place = (uint8_t *)arena->chunks + arena->used;
	arena->used += size;
	return place;
}

void arena_give(struct table_arena *arena, uint8_t *place, size_t size) {
	buf_append(&arena->given[size_class(&size)], &place, sizeof place);
}

void arena_recycle(struct table_arena *arena) {
	for (size_t i = 0; i < ARENA_CLASSES; i++) {
		buf_append(&arena->ready[i], arena->given[i].data, arena->given[i].size);
		buf_reset(&arena->given[i]);
	}
}

void arena_keep(struct table_arena *arena) {
	for (size_t i = 0; i < ARENA_CLASSES; i++)
		buf_reset(&arena->given[i]);
}
