#include "flow/instance/instance.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/pages.h"
#include "flow/entries/header.h"
#include "flow/instance/record.h"
#include "state/key.h"

enum {
	CACHE_FIRST_SLOTS = 1024,
	MOVE_SLOTS =
		8, /* of a growing table at each insertion: two would do for it to be done before the new one is full */
	EVICT_LOOKS_MAX = 64, /* slots the hand passes for one insertion: bounded work, and more than one goes on average */
};

/* ---- values ---- */

static uint8_t *slot_heap(const struct slot *slot) {
	uint8_t *heap;
	memcpy(&heap, slot->as.big.heap, sizeof heap);
	return heap;
}

static void slot_heap_set(struct slot *slot, uint8_t *heap, bool cold) {
	slot->as.big.cold = cold;
	memcpy(slot->as.big.heap, &heap, sizeof heap);
}

struct bytes slot_bytes(const struct slot *slot) {
	if (slot->size <= SLOT_INLINE_BYTES)
		return bytes_of(slot->as.small, slot->size);
	check(slot->as.big.cold == 0);
	return bytes_of(slot_heap(slot), slot->size);
}

static void slot_set(struct slot *slot, struct bytes msgpack) {
	bool was_big = slot->size > SLOT_INLINE_BYTES;
	if (msgpack.size > SLOT_INLINE_BYTES) {
		uint8_t *heap = was_big ? slot_heap(slot) : NULL;
		if (heap == NULL || slot->size != msgpack.size) {
			heap = realloc(heap, msgpack.size);
			check_memory(heap);
		}
		memcpy(heap, msgpack.data, msgpack.size);
		slot_heap_set(slot, heap, false);
	} else {
		if (was_big)
			free(slot_heap(slot));
		bytes_copy(slot->as.small, msgpack.data, msgpack.size);
	}
	slot->size = (uint32_t)msgpack.size;
}

void instance_set(struct instance *instance, uint32_t number, struct bytes msgpack) {
	check(number < instance->value_count);
	uint64_t bit = UINT64_C(1) << number;
	bool large = msgpack.size > VALUE_INLINE_BYTES;
	if (large && instance->large == NULL)
		instance->large = check_alloc(1, sizeof *instance->large);
	if (instance->large != NULL && (large || (instance->large->rows & bit) != 0))
		instance->large->dirty |= bit;
	if (entries_header_is(msgpack))
		instance->flags |= INSTANCE_ENTRIES;
	slot_set(&instance->slots[number], msgpack);
}

/* ---- redo ---- */

static void row_remove(struct buf *redo, struct redo_series *series, uint32_t database, struct bytes key) {
	redo_remove(redo, database, key);
	series->begun = false;
}

static void large_redo(struct instance *instance, struct buf *redo, struct redo_series *series) {
	struct instance_large *large = instance->large;
	for (uint32_t number = 0; number < instance->value_count && large->dirty != 0; number++) {
		uint64_t bit = UINT64_C(1) << number;
		if ((large->dirty & bit) == 0)
			continue;
		large->dirty &= ~bit;
		struct key key = key_large_value(instance_id_bytes(instance), (uint8_t)number);
		if (instance->slots[number].size > VALUE_INLINE_BYTES) {
			redo_put_next(redo, series, instance->type, key_bytes(&key), slot_bytes(&instance->slots[number]));
			large->rows |= bit;
		} else {
			row_remove(redo, series, instance->type, key_bytes(&key));
			large->rows &= ~bit;
		}
	}
}

static size_t life_bytes(uint32_t value_count) {
	return sizeof(struct instance_life) + value_count * sizeof(uint64_t);
}

/* Where the room for its life begins, if it has any: aligned. */
static size_t life_offset(uint32_t value_count, size_t id_size) {
	const size_t end = sizeof(struct instance) + value_count * sizeof(struct slot) + id_size;
	return (end + _Alignof(struct instance_life) - 1) & ~(_Alignof(struct instance_life) - 1);
}

struct instance_life *instance_live(struct instance *instance) {
	if (instance->life == NULL)
		instance->life = check_alloc(1, life_bytes(instance->value_count));
	return instance->life;
}

static void life_free(struct instance *instance) {
	if ((instance->flags & INSTANCE_LIFE) == 0)
		free(instance->life);
}

static bool row_write(const struct instance *instance, struct buf *row) {
	bool any = false;
	const struct instance_life *life = instance->life;
	struct instance_header header = {.schema = instance->schema};
	if (life != NULL) {
		header.generation = life->generation;
		header.last_touch_ms = life->last_touch_ms;
	}
	buf_reset(row);
	instance_header_put(row, &header);
	for (uint32_t number = 0; number < instance->value_count; number++) {
		const struct slot *slot = &instance->slots[number];
		if (slot->size == 0)
			continue;
		any = true;
		uint64_t written_ms = life == NULL ? 0 : life->written_ms[number];
		if (slot->size > VALUE_INLINE_BYTES)
			instance_large_put(row, number, written_ms, slot->size);
		else
			instance_value_put(row, number, written_ms, slot_bytes(slot));
	}
	return any;
}

/* Behind the row: a struct key is larger than all of this, and would be copied. */
static struct bytes row_key(const struct instance *instance, struct buf *row) {
	uint8_t *key = buf_reserve(row, 1 + (size_t)instance->id_size);
	key[0] = KEY_INSTANCE;
	bytes_copy(key + 1, instance_id(instance), instance->id_size);
	return bytes_of(key, 1 + (size_t)instance->id_size);
}

void instance_redo(struct instance *instance, struct buf *redo, struct redo_series *series, struct buf *scratch) {
	if (instance->large != NULL)
		large_redo(instance, redo, series);
	bool any = row_write(instance, scratch);
	struct bytes key = row_key(instance, scratch);
	struct bytes row = bytes_of(scratch->data, (size_t)(key.data - scratch->data));
	if (any) {
		redo_put_next(redo, series, instance->type, key, row);
		instance->flags |= INSTANCE_ROW;
	} else if ((instance->flags & INSTANCE_ROW) != 0) {
		row_remove(redo, series, instance->type, key);
		instance->flags &= (uint8_t)~INSTANCE_ROW;
	}
}

/* ---- instances ---- */

/* expires: with room for its life. */
static struct instance *instance_create(
	uint32_t hash, uint16_t type, struct bytes id, uint32_t value_count, uint32_t schema, bool expires) {
	const size_t offset = life_offset(value_count, id.size);
	struct instance *instance = check_alloc(1, offset + (expires ? life_bytes(value_count) : 0));
	instance->hash = hash;
	instance->type = type;
	instance->id_size = (uint8_t)id.size;
	instance->value_count = (uint8_t)value_count;
	instance->schema = schema;
	memcpy(instance_id(instance), id.data, id.size);
	if (expires) {
		instance->flags = INSTANCE_LIFE;
		instance->life = (struct instance_life *)(void *)((uint8_t *)instance + offset);
	}
	return instance;
}

static void instance_destroy(struct instance *instance) {
	for (uint32_t number = 0; number < instance->value_count; number++) {
		if (instance->slots[number].size > SLOT_INLINE_BYTES)
			free(slot_heap(&instance->slots[number]));
	}
	free(instance->large);
	life_free(instance);
	free(instance);
}

size_t instance_memory(const struct instance *instance) {
	enum { MALLOC_HEAD_BYTES = 16 };
	size_t memory = MALLOC_HEAD_BYTES + life_offset(instance->value_count, instance->id_size);
	for (uint32_t number = 0; number < instance->value_count; number++)
		memory += slot_memory(&instance->slots[number]);
	if (instance->life != NULL)
		memory += life_bytes(instance->value_count);
	if (instance->life != NULL && (instance->flags & INSTANCE_LIFE) == 0)
		memory += MALLOC_HEAD_BYTES;
	return memory;
}

/* ---- the cache ---- */

static struct cache_slot *slots_create(size_t count) {
	size_t bytes = count * sizeof(struct cache_slot);
	return bytes < PAGES_BYTES_MIN ? check_alloc(1, bytes) : pages_alloc(bytes);
}

static void slots_destroy(struct cache_slot *slots, size_t count) {
	size_t bytes = count * sizeof *slots;
	if (bytes < PAGES_BYTES_MIN)
		free(slots);
	else
		pages_free(slots, bytes);
}

void cache_init(struct cache *cache, size_t memory_max) {
	*cache = (struct cache){.slot_count = CACHE_FIRST_SLOTS, .memory_max = memory_max};
	cache->slots = slots_create(cache->slot_count);
	cache->memory = cache->slot_count * sizeof *cache->slots;
}

static size_t slot_home(uint32_t hash, size_t mask) {
	return (size_t)(hash * 0x9e3779b1u) & mask;
}

static bool instance_is(const struct instance *instance, uint16_t type, struct bytes id) {
	return instance->type == type && instance->id_size == id.size &&
		bytes_same(instance_id(instance), id.data, id.size);
}

/* What the growing table has not taken over yet. */
static struct instance *cache_find_left(const struct cache *cache, uint32_t hash, uint16_t type, struct bytes id) {
	size_t mask = cache->left_count - 1;
	for (size_t i = slot_home(hash, mask);; i = (i + 1) & mask) {
		const struct cache_slot *slot = &cache->left[i];
		if (slot->instance == NULL && !slot->moved)
			return NULL;
		if (slot->hash == hash && slot->instance != NULL && instance_is(slot->instance, type, id))
			return slot->instance;
	}
}

struct instance *cache_find(struct cache *cache, uint32_t hash, uint16_t type, struct bytes id) {
	size_t mask = cache->slot_count - 1;
	for (size_t i = slot_home(hash, mask); cache->slots[i].instance != NULL; i = (i + 1) & mask) {
		if (cache->slots[i].hash == hash && instance_is(cache->slots[i].instance, type, id))
			return cache->slots[i].instance;
	}
	return cache->left == NULL ? NULL : cache_find_left(cache, hash, type, id);
}

void cache_prefetch(const struct cache *cache, const uint32_t *hashes, size_t count) {
	size_t mask = cache->slot_count - 1;
	for (size_t i = 0; i < count; i++)
		__builtin_prefetch(&cache->slots[slot_home(hashes[i], mask)]);
	for (size_t i = 0; i < count; i++) {
		size_t at = slot_home(hashes[i], mask);
		while (cache->slots[at].instance != NULL && cache->slots[at].hash != hashes[i])
			at = (at + 1) & mask;
		if (cache->slots[at].instance != NULL)
			instance_prefetch(cache->slots[at].instance, cache->tall);
	}
}

static void slot_place(struct cache *cache, uint32_t hash, struct instance *instance) {
	size_t mask = cache->slot_count - 1;
	size_t i = slot_home(hash, mask);
	while (cache->slots[i].instance != NULL)
		i = (i + 1) & mask;
	cache->slots[i] = (struct cache_slot){.hash = hash, .instance = instance};
}

/* The table grows a little at each insertion: at once, a million instances would stand still for 30 to 80 ms. */
static void cache_grow(struct cache *cache) {
	check(cache->left == NULL); /* it moves faster than it fills */
	cache->left = cache->slots;
	cache->left_count = cache->slot_count;
	cache->left_next = 0;
	cache->slot_count *= 2;
	cache->slots = slots_create(cache->slot_count);
	cache->hand = 0;
	cache->memory += cache->slot_count * sizeof *cache->slots;
}

/* Moves what stands in so many slots of the table that is left. */
static void cache_move(struct cache *cache, size_t count) {
	for (; count > 0 && cache->left_next < cache->left_count; count--) {
		struct cache_slot *slot = &cache->left[cache->left_next++];
		if (slot->instance != NULL)
			slot_place(cache, slot->hash, slot->instance);
		slot->moved = slot->instance != NULL;
		slot->instance = NULL;
	}
	if (cache->left_next < cache->left_count)
		return;
	slots_destroy(cache->left, cache->left_count);
	cache->left = NULL;
	cache->memory -= cache->left_count * sizeof *cache->slots;
}

void cache_finish(struct cache *cache) {
	if (cache->left != NULL)
		cache_move(cache, cache->left_count);
	for (size_t i = 0; i < cache->slot_count; i++) {
		if (cache->slots[i].instance != NULL)
			instance_destroy(cache->slots[i].instance);
	}
	slots_destroy(cache->slots, cache->slot_count);
	buf_finish(&cache->row);
}

/* Removes slot i and closes the gap, so that every probe still finds what follows. */
static void slot_remove(struct cache *cache, size_t i) {
	size_t mask = cache->slot_count - 1;
	size_t hole = i;
	for (size_t next = (i + 1) & mask; cache->slots[next].instance != NULL; next = (next + 1) & mask) {
		size_t home = slot_home(cache->slots[next].hash, mask);
		if (((next - home) & mask) >= ((next - hole) & mask)) {
			cache->slots[hole] = cache->slots[next];
			hole = next;
		}
	}
	cache->slots[hole] = (struct cache_slot){0};
	cache->used--;
}

static bool evictable(const struct instance *instance, uint64_t applied) {
	return (instance->flags & INSTANCE_DIRTY) == 0 && instance->wait == NULL && instance->dirty_epoch <= applied;
}

static void cache_evict(struct cache *cache, uint64_t applied) {
	size_t mask = cache->slot_count - 1;
	for (int looks = 0; looks < EVICT_LOOKS_MAX && cache->memory > cache->memory_max; looks++) {
		struct instance *instance = cache->slots[cache->hand].instance;
		if (instance == NULL || !evictable(instance, applied)) {
			cache->hand = (cache->hand + 1) & mask;
		} else if ((instance->flags & INSTANCE_USED) != 0) {
			instance->flags &= (uint8_t)~INSTANCE_USED;
			cache->hand = (cache->hand + 1) & mask;
		} else {
			cache->memory -= instance_memory(instance);
			slot_remove(cache, cache->hand); /* the hand stays: another may have moved here */
			instance_destroy(instance);
			cache->evicted++;
		}
	}
}

/* Fills a new instance from its row. The highest number in the row may exceed what the live version declares. */
static struct instance *instance_load(struct bytes row, uint32_t hash, uint16_t type, struct bytes id,
	uint32_t value_count, bool expires, struct error *error) {
	struct instance_header header;
	struct instance_value value;
	struct bytes rest = row;
	if (!instance_header_take(&rest, &header))
		goto malformed;
	for (struct bytes at = rest; at.size > 0;) {
		if (!instance_value_take(&at, &value))
			goto malformed;
		if (value.number >= value_count)
			value_count = value.number + 1;
	}
	struct instance *instance =
		instance_create(hash, type, id, value_count, (uint32_t)header.schema, expires || header.last_touch_ms != 0);
	instance->flags |= INSTANCE_ROW;
	if (header.generation != 0 || header.last_touch_ms != 0) {
		instance_live(instance)->generation = header.generation;
		instance->life->last_touch_ms = header.last_touch_ms;
	}
	while (rest.size > 0 && instance_value_take(&rest, &value)) {
		struct slot *slot = &instance->slots[value.number];
		if (value.written_ms > 0)
			instance_live(instance)->written_ms[value.number] = value.written_ms;
		if (!value.large) {
			if (entries_header_is(value.msgpack))
				instance->flags |= INSTANCE_ENTRIES;
			slot_set(slot, value.msgpack);
			continue;
		}
		if (instance->large == NULL)
			instance->large = check_alloc(1, sizeof *instance->large);
		instance->large->rows |= UINT64_C(1) << value.number;
		slot->size = (uint32_t)value.size;
		slot_heap_set(slot, NULL, true);
	}
	return instance;
malformed:
	error_set(error, ERROR_STORE_FAILED, "the row of an instance of type %u is malformed: run sofund --verify", type);
	return NULL;
}

struct instance *cache_bring(struct cache *cache, struct store *store, uint32_t hash, uint16_t type, struct bytes id,
	uint32_t value_count, uint32_t schema, bool expires, uint64_t applied, struct error *error) {
	struct instance *instance;
	struct key key = key_instance(id);
	cache->missed++;
	buf_reset(&cache->row);
	int found = store_get(store, type, key_bytes(&key), &cache->row, error);
	if (found < 0)
		return NULL;
	if (found == 0)
		instance = instance_create(hash, type, id, value_count, schema, expires);
	else
		instance = instance_load(bytes_buf(&cache->row), hash, type, id, value_count, expires, error);
	if (instance == NULL)
		return NULL;
	if (cache->memory > cache->memory_max)
		cache_evict(cache, applied);
	if (cache->left != NULL) /* what is evicted is found in the new table only */
		cache_move(cache, cache->memory > cache->memory_max ? EVICT_LOOKS_MAX : MOVE_SLOTS);
	else if ((cache->used + 1) * 4 > cache->slot_count * 3)
		cache_grow(cache);
	slot_place(cache, instance->hash, instance);
	cache->used++;
	cache->memory += instance_memory(instance);
	cache->tall = cache->tall || instance->life != NULL;
	return instance;
}

struct instance *cache_get(struct cache *cache, struct store *store, uint32_t hash, uint16_t type, struct bytes id,
	uint32_t value_count, uint32_t schema, bool expires, uint64_t applied, struct error *error) {
	struct instance *instance = cache_find(cache, hash, type, id);
	if (instance == NULL)
		instance = cache_bring(cache, store, hash, type, id, value_count, schema, expires, applied, error);
	return instance;
}

/* Where it stands; REQUIRES: in the cache. */
static struct cache_slot *slot_of(const struct cache *cache, const struct instance *instance) {
	size_t mask = cache->slot_count - 1;
	size_t i = slot_home(instance->hash, mask);
	for (; cache->slots[i].instance != NULL; i = (i + 1) & mask) {
		if (cache->slots[i].instance == instance)
			return &cache->slots[i];
	}
	check(cache->left != NULL);
	mask = cache->left_count - 1;
	for (i = slot_home(instance->hash, mask); cache->left[i].instance != instance; i = (i + 1) & mask)
		check(cache->left[i].instance != NULL || cache->left[i].moved);
	return &cache->left[i];
}

struct instance *cache_widen(struct cache *cache, struct instance *instance, uint32_t value_count) {
	check(value_count > instance->value_count && value_count <= VALUES_MAX);
	struct instance *wide = instance_create(instance->hash, instance->type, instance_id_bytes(instance), value_count,
		instance->schema, instance->life != NULL);
	wide->dirty_epoch = instance->dirty_epoch;
	wide->flags = (uint8_t)((instance->flags & ~INSTANCE_LIFE) | (wide->flags & INSTANCE_LIFE));
	wide->large = instance->large;
	wide->wait = instance->wait;
	if (instance->life != NULL) {
		*wide->life = *instance->life;
		memcpy(wide->life->written_ms, instance->life->written_ms,
			instance->value_count * sizeof instance->life->written_ms[0]);
	}
	memcpy(wide->slots, instance->slots, instance->value_count * sizeof *instance->slots);
	slot_of(cache, instance)->instance = wide;
	cache->memory += instance_memory(wide) - instance_memory(instance);
	life_free(instance);
	free(instance); /* its values on the heap are wide's now */
	return wide;
}
