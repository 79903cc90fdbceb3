/* Where a table keeps its operations: a place is handed out once, or again after it was given back and nobody can read it
 * any more. What stands at a place never moves. One thread [applier]. */
#ifndef HOST_STATE_TABLE_ARENA_H
#define HOST_STATE_TABLE_ARENA_H

#include <stdint.h>

#include "base/bytes.h"

enum {
	ARENA_UNIT_BYTES = 8,
	/* Larger places are not handed out again: they are rare, and few fit each other. */
	ARENA_AGAIN_BYTES_MAX = 512,
	ARENA_CLASSES = ARENA_AGAIN_BYTES_MAX / ARENA_UNIT_BYTES + 1,
};

struct arena_chunk;

struct table_arena {
	struct arena_chunk *chunks; /* newest first; places come from the first */
	size_t used;                /* of the first */
	uint64_t bytes;             /* memory of all */
	/* Places by size in units: those given back lately, and those that may be handed out. */
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
