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
	uint64_t written_ms[];  /* by value: when it was last set; 0: not kept */
};

enum instance_flag {
	INSTANCE_DIRTY = 1,    /* in the shard's dirty list */
	INSTANCE_LIFE = 2,     /* has room for its life behind the id, so that nobody waits for memory twice */
	INSTANCE_ROW = 4,      /* its row exists in the store or is on its way there */
	INSTANCE_ENTRIES = 16, /* some value is, or was, a table or a list */
	INSTANCE_USED = 8,     /* since the eviction hand last passed */
};

struct instance {
	uint32_t hash;
	uint16_t type;
	uint8_t id_size;
	uint8_t value_count;
	uint64_t dirty_epoch; /* the last epoch whose redo holds it: it may leave once that is applied (rule 14) */
	uint32_t schema;
	uint8_t flags;
	struct instance_large *large; /* NULL: no value is large */
	struct instance_life *life;   /* NULL: nothing of it expires */
	struct wait *wait;            /* messages queue behind one in backoff; NULL: no */
	struct slot slots[];          /* value_count, then the id, then its life if there is room for it */
};

static inline uint8_t *instance_id(const struct instance *instance) {
	return (uint8_t *)(uintptr_t)(instance->slots + instance->value_count);
}

static inline struct bytes instance_id_bytes(const struct instance *instance) {
	return bytes_of(instance_id(instance), instance->id_size);
}

/* Most end in the second line, half of those with a life in the third. */
static inline void instance_prefetch(const struct instance *instance, bool tall) {
	__builtin_prefetch(instance, 1);
	__builtin_prefetch((const char *)instance + 64, 1);
	if (tall)
		__builtin_prefetch((const char *)instance + 96, 1);
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
	size_t hand;      /* of the eviction clock */
	size_t memory;    /* of the instances and the slots */
	size_t memory_max;
	bool tall;        /* some have a life */
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
	uint32_t value_count, uint32_t schema, bool expires, uint64_t applied, struct error *error);

/* Finds it or reads it from the store; a new one if it is nowhere, with room for its life if `expires`. NULL: the store
 * failed. Evicts others first if the memory is spent; `applied` as of store_applied. */
struct instance *cache_get(struct cache *cache, struct store *store, uint32_t hash, uint16_t type, struct bytes id,
	uint32_t value_count, uint32_t schema, bool expires, uint64_t applied, struct error *error);

/* A version declares more values than the one that was live when the instance was made: the same one with room for them.
 * The old pointer is gone; the caller replaces it where it is kept. */
struct instance *cache_widen(struct cache *cache, struct instance *instance, uint32_t value_count);

/* After a set: the instance's memory changed by `delta`. */
static inline void cache_account(struct cache *cache, size_t before, size_t after) {
	cache->memory += after - before;
}

#endif
