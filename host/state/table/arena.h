/* Where a table keeps its operations: a place is handed out once, or again after it was given back and nobody can read it
 * any more. What stands at a place never moves. One thread [applier]. */
#ifndef HOST_STATE_TABLE_ARENA_H
#define HOST_STATE_TABLE_ARENA_H

#include <stdint.h>

#include "base/bytes.h"

enum {
	ARENA_UNIT_BYTES = 8,
	/* Up to here places are multiples of the unit; above it there are ARENA_STEPS sizes from one power of two to the next, so
	 * that a run of waiting messages fits where one before it stood that was about as long. */
	ARENA_SMALL_BITS = 9,
	ARENA_SMALL_BYTES_MAX = 1 << ARENA_SMALL_BITS,
	ARENA_STEP_BITS = 2,
	ARENA_STEPS = 1 << ARENA_STEP_BITS,
	ARENA_SIZE_BITS = 40, /* of the largest place: far more than a key and a value may have */
	ARENA_SMALL_CLASSES = ARENA_SMALL_BYTES_MAX / ARENA_UNIT_BYTES + 1,
	ARENA_CLASSES = ARENA_SMALL_CLASSES + (ARENA_SIZE_BITS - ARENA_SMALL_BITS) * ARENA_STEPS,
};

struct arena_chunk;

struct table_arena {
	struct arena_chunk *chunks; /* newest first; places come from the first */
	size_t used;                /* of the first */
	uint64_t bytes;             /* memory of all */
	/* Places by their size: those given back lately, and those that may be handed out. */
	struct buf given[ARENA_CLASSES];
	struct buf ready[ARENA_CLASSES];
};

void arena_finish(struct table_arena *arena);

/* Room for `size` bytes. */
uint8_t *arena_take(struct table_arena *arena, size_t size);

/* The place of `size` bytes is no longer needed. */
void arena_give(struct table_arena *arena, uint8_t *place, size_t size);

/* What was given back until now can be read by nobody any more: it may be handed out. */
void arena_recycle(struct table_arena *arena);

/* What was given back since the last recycling stays as it is: somebody may read it for long. */
void arena_keep(struct table_arena *arena);

#endif
