/* Instances in memory: a shard's cache of function state. Belongs to whoever holds the shard. */
#ifndef HOST_FLOW_INSTANCE_INSTANCE_H
#define HOST_FLOW_INSTANCE_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "state/store.h"

/* A value's MessagePack: up to 12 bytes in place, more on the heap. size 0: unset. */
enum { SLOT_INLINE_BYTES = 12 };
struct slot {
	uint32_t size;
	union {
		uint8_t small[SLOT_INLINE_BYTES];
		struct {
			uint32_t cold;                /* 1: a large value that was not read yet; heap is NULL */
			uint8_t heap[sizeof(void *)]; /* a pointer, unaligned */
		} big;
	} as;
};
_Static_assert(sizeof(struct slot) == 16, "a warm instance stays small");

struct wait; /* shard.h */

/* Which values have a row of their own, and which of those rows must be written at the next cut. */
struct instance_large {
	uint64_t rows;
	uint64_t dirty;
};

/* When an instance was used, for those whose type expires: what is idle for too long is gone (expiry.h). */
struct instance_life {
	uint64_t generation;    /* of the entry that sweeps it; 0: there is none */
	uint64_t last_touch_ms; /* of the last message that was handled */
};

/* What few instances have, so that the others stay within two cache lines. */
struct instance_rest {
	struct wait *wait;           /* messages queue behind one in backoff; NULL: no */
	struct instance_large large; /* zero: no value is large */
	struct instance_life *life;  /* of one that was made without room for it; NULL: nothing of it expires */
	uint64_t *written_ms;        /* the same of the times of its values; NULL: all are 0 */
};

/* What of its times an instance is made with room for, so that nobody waits for memory twice. */
enum instance_room {
	ROOM_NONE,
	ROOM_LIFE,   /* for its life */
	ROOM_VALUES, /* and for when each of its values was last set */
};

enum instance_flag {
	INSTANCE_DIRTY = 1,   /* in the shard's dirty list */
	INSTANCE_ROW = 2,     /* its row exists in the store or is on its way there */
	INSTANCE_ENTRIES = 4, /* some value is, or was, a table or a list */
	INSTANCE_USED = 8,    /* since the eviction hand last passed */
};

struct instance {
	uint32_t hash;
	uint16_t type;
	uint8_t id_size;
	uint8_t value_count;
	uint64_t dirty_epoch; /* the last epoch whose redo holds it: it may leave once that is applied (rule 14) */
	uint32_t schema;
	uint8_t flags;
	uint8_t
		room; /* enum instance_room; stays as it is, so that its id may be read while the epoch is cut on the shard's behalf */
	struct instance_rest *rest; /* NULL: it has none of that */
	struct slot slots[];        /* value_count, then what it has room for of its times, then the id */
};
_Static_assert(sizeof(struct instance) == 32, "a warm instance stays small");

static inline size_t instance_room_bytes(const struct instance *instance) {
	return (instance->room >= ROOM_LIFE ? sizeof(struct instance_life) : 0) +
		(instance->room >= ROOM_VALUES ? instance->value_count * sizeof(uint64_t) : 0);
}

static inline uint8_t *instance_id(const struct instance *instance) {
	return (uint8_t *)(uintptr_t)(instance->slots + instance->value_count) + instance_room_bytes(instance);
}

static inline struct bytes instance_id_bytes(const struct instance *instance) {
	return bytes_of(instance_id(instance), instance->id_size);
}

/* NULL: nothing of it expires. */
static inline struct instance_life *instance_life(const struct instance *instance) {
	if (instance->room >= ROOM_LIFE)
		return (struct instance_life *)(uintptr_t)(instance->slots + instance->value_count);
	return instance->rest == NULL ? NULL : instance->rest->life;
}

/* When each value was last set; 0: not kept. NULL: none of them is. */
static inline uint64_t *instance_written(const struct instance *instance) {
	if (instance->room >= ROOM_VALUES)
		return (uint64_t *)(uintptr_t)(instance_life(instance) + 1);
	return instance->rest == NULL ? NULL : instance->rest->written_ms;
}

static inline uint64_t instance_written_ms(const struct instance *instance, uint32_t number) {
	const uint64_t *written = instance_written(instance);
	return written == NULL ? 0 : written[number];
}

/* Messages queue there behind one in backoff; NULL: no. */
static inline struct wait *instance_wait(const struct instance *instance) {
	return instance->rest == NULL ? NULL : instance->rest->wait;
}

void instance_wait_set(struct instance *instance, struct wait *wait);

/* Most end in the second line. */
static inline void instance_prefetch(const struct instance *instance) {
	__builtin_prefetch(instance, 1);
	__builtin_prefetch((const char *)instance + 64, 1);
}

/* The value as it is in memory. REQUIRES: not cold. */
struct bytes slot_bytes(const struct slot *slot);
static inline bool slot_cold(const struct slot *slot) {
	return slot->size > SLOT_INLINE_BYTES && slot->as.big.cold != 0;
}

/* Replaces a value ({NULL, 0} unsets it). Marks what its row needs; the caller marks the instance dirty. */
void instance_set(struct instance *instance, uint32_t number, struct bytes msgpack);

/* Its life, made if there was none. */
struct instance_life *instance_live(struct instance *instance);

/* When a value was last set; 0: that is not kept. */
void instance_written_set(struct instance *instance, uint32_t number, uint64_t time_ms);

/* Appends the instance's redo: its row and the large values that changed. Clears what it marked. */
struct redo_series;
void instance_redo(struct instance *instance, struct buf *redo, struct redo_series *series, struct buf *scratch);

/* Bytes of memory that a value takes besides its slot. */
static inline size_t slot_memory(const struct slot *slot) {
	enum { MALLOC_HEAD_BYTES = 16 };
	return slot->size <= SLOT_INLINE_BYTES || slot->as.big.cold != 0 ? 0 : MALLOC_HEAD_BYTES + (size_t)slot->size;
}

/* Bytes of memory that it takes. */
size_t instance_memory(const struct instance *instance);

struct cache_slot {
	uint32_t hash;
	bool moved; /* in the table that is left: its instance stands in the new one, and probes go past it */
	struct instance *instance;
};

struct cache {
	struct cache_slot *slots;
	size_t slot_count; /* power of two */
	size_t used;
	struct cache_slot *left; /* the table that it grows out of; NULL: it is not growing */
	size_t left_count;
	size_t left_next; /* slots below it have moved */
	size_t hand;      /* of the eviction clock: how far it is on its way round (hand_slot) */
	size_t memory;    /* of the instances and the slots */
	size_t memory_max;
	uint64_t missed;  /* looked for in the store, since the start */
	uint64_t evicted; /* since the start */
	struct buf row;   /* scratch for reading */
};

void cache_init(struct cache *cache, size_t memory_max);
void cache_finish(struct cache *cache);

/* NULL if it is not in memory. */
struct instance *cache_find(struct cache *cache, uint32_t hash, uint16_t type, struct bytes id);

/* True while all that is cached is near a core anyway. */
static inline bool cache_near(const struct cache *cache) {
	enum { CACHE_NEAR_BYTES = 256 << 10 };
	return cache->memory < CACHE_NEAR_BYTES;
}

/* Asks for the slots, then for the instances of addresses that will be looked up soon, so that the waits for memory
 * overlap. Changes nothing. */
void cache_prefetch(const struct cache *cache, const uint32_t *hashes, size_t count);

/* Of one that cache_find does not know: cache_get without looking for it there again. */
struct instance *cache_bring(struct cache *cache, struct store *store, uint32_t hash, uint16_t type, struct bytes id,
	uint32_t value_count, uint32_t schema, enum instance_room room, uint64_t applied, struct error *error);

/* Finds it or reads it from the store; a new one if it is nowhere, with that room. NULL: the store
 * failed. Evicts others first if the memory is spent; `applied` as of store_applied. */
struct instance *cache_get(struct cache *cache, struct store *store, uint32_t hash, uint16_t type, struct bytes id,
	uint32_t value_count, uint32_t schema, enum instance_room room, uint64_t applied, struct error *error);

/* A version declares more values than the one that was live when the instance was made: the same one with room for them.
 * The old pointer is gone; the caller replaces it where it is kept. */
struct instance *cache_widen(struct cache *cache, struct instance *instance, uint32_t value_count);

/* After a set: the instance's memory changed by `delta`. */
static inline void cache_account(struct cache *cache, size_t before, size_t after) {
	cache->memory += after - before;
}

#endif
