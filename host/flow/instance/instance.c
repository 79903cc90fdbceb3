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
	HAND_BLOCK_SLOTS = 8,
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

/* Made if there was none. */
static struct instance_rest *rest_of(struct instance *instance) {
	if (instance->rest == NULL)
		instance->rest = check_alloc(1, sizeof *instance->rest);
	return instance->rest;
}

void instance_wait_set(struct instance *instance, struct wait *wait) {
	if (wait != NULL || instance->rest != NULL)
		rest_of(instance)->wait = wait;
}

void instance_set(struct instance *instance, uint32_t number, struct bytes msgpack) {
	check(number < instance->value_count);
	uint64_t bit = UINT64_C(1) << number;
	bool large = msgpack.size > VALUE_INLINE_BYTES;
	if (large)
		rest_of(instance);
	if (instance->rest != NULL && (large || (instance->rest->large.rows & bit) != 0))
		instance->rest->large.dirty |= bit;
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
	struct instance_large *large = &instance->rest->large;
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

struct instance_life *instance_live(struct instance *instance) {
	struct instance_life *life = instance_life(instance);
	if (life != NULL)
		return life;
	struct instance_rest *rest = rest_of(instance);
	rest->life = check_alloc(1, sizeof *rest->life);
	return rest->life;
}

void instance_written_set(struct instance *instance, uint32_t number, uint64_t time_ms) {
	uint64_t *written = instance_written(instance);
	if (written == NULL && time_ms == 0)
		return;
	if (written == NULL) {
		written = check_alloc(instance->value_count, sizeof *written);
		rest_of(instance)->written_ms = written;
	}
	written[number] = time_ms;
}

static bool row_write(const struct instance *instance, struct buf *row) {
	bool any = false;
	const struct instance_life *life = instance_life(instance);
	const uint64_t *written = instance_written(instance);
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
		uint64_t written_ms = written == NULL ? 0 : written[number];
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
	if (instance->rest != NULL)
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

static struct instance *instance_create(
	uint32_t hash, uint16_t type, struct bytes id, uint32_t value_count, uint32_t schema, enum instance_room room) {
	const struct instance head = {
		.hash = hash,
		.type = type,
		.id_size = (uint8_t)id.size,
		.value_count = (uint8_t)value_count,
		.schema = schema,
		.room = (uint8_t)room,
	};
	struct instance *instance =
		check_alloc(1, sizeof head + value_count * sizeof(struct slot) + instance_room_bytes(&head) + id.size);
	*instance = head;
	bytes_copy(instance_id(instance), id.data, id.size);
	return instance;
}

static void rest_free(struct instance_rest *rest) {
	if (rest == NULL)
		return;
	free(rest->life);
	free(rest->written_ms);
	free(rest);
}

static void instance_destroy(struct instance *instance) {
	for (uint32_t number = 0; number < instance->value_count; number++) {
		if (instance->slots[number].size > SLOT_INLINE_BYTES)
			free(slot_heap(&instance->slots[number]));
	}
	rest_free(instance->rest);
	free(instance);
}

/* A rest that only says who waits, or what is large, is left out: those are few, or large themselves. */
size_t instance_memory(const struct instance *instance) {
	enum { MALLOC_HEAD_BYTES = 16 };
	size_t memory = MALLOC_HEAD_BYTES + sizeof *instance + instance->value_count * sizeof instance->slots[0] +
		instance_room_bytes(instance) + instance->id_size;
	for (uint32_t number = 0; number < instance->value_count; number++)
		memory += slot_memory(&instance->slots[number]);
	if (instance->rest != NULL && instance->rest->life != NULL)
		memory += 2 * MALLOC_HEAD_BYTES + sizeof *instance->rest + sizeof *instance->rest->life;
	if (instance->rest != NULL && instance->rest->written_ms != NULL)
		memory += MALLOC_HEAD_BYTES + instance->value_count * sizeof *instance->rest->written_ms;
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
			instance_prefetch(cache->slots[at].instance);
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
	return (instance->flags & INSTANCE_DIRTY) == 0 && instance_wait(instance) == NULL &&
		instance->dirty_epoch <= applied;
}

/* Where the hand is. It goes by blocks of neighbours, which share cache lines, and from block to block by the golden section of the
 * table, so that what it takes away it takes from everywhere: if it went from slot to slot, the slots behind it would be empty, and
 * those ahead of it, which it comes to last, filled beyond their number at more than half of a load, with probes without end. */
static size_t hand_slot(const struct cache *cache) {
	const size_t blocks = cache->slot_count / HAND_BLOCK_SLOTS;
	const size_t stride = (blocks * 40503 >> 16) | 1; /* odd: it comes to every block */
	const size_t block = (cache->hand / HAND_BLOCK_SLOTS * stride) & (blocks - 1);
	return block * HAND_BLOCK_SLOTS + cache->hand % HAND_BLOCK_SLOTS;
}

static void hand_step(struct cache *cache) {
	cache->hand = (cache->hand + 1) & (cache->slot_count - 1);
}

static void cache_evict(struct cache *cache, uint64_t applied) {
	for (int looks = 0; looks < EVICT_LOOKS_MAX && cache->memory > cache->memory_max; looks++) {
		const size_t at = hand_slot(cache);
		struct instance *instance = cache->slots[at].instance;
		if (instance == NULL || !evictable(instance, applied)) {
			hand_step(cache);
		} else if ((instance->flags & INSTANCE_USED) != 0) {
			instance->flags &= (uint8_t)~INSTANCE_USED;
			hand_step(cache);
		} else {
			cache->memory -= instance_memory(instance);
			slot_remove(cache, at); /* the hand stays: another may have moved here */
			instance_destroy(instance);
			cache->evicted++;
		}
	}
}

/* Fills a new instance from its row. The highest number in the row may exceed what the live version declares. */
static struct instance *instance_load(struct bytes row, uint32_t hash, uint16_t type, struct bytes id,
	uint32_t value_count, enum instance_room room, struct error *error) {
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
	struct instance *instance = instance_create(hash, type, id, value_count, (uint32_t)header.schema,
		header.last_touch_ms != 0 && room == ROOM_NONE ? ROOM_LIFE : room);
	instance->flags |= INSTANCE_ROW;
	if (header.generation != 0 || header.last_touch_ms != 0) {
		struct instance_life *life = instance_live(instance);
		life->generation = header.generation;
		life->last_touch_ms = header.last_touch_ms;
	}
	while (rest.size > 0 && instance_value_take(&rest, &value)) {
		struct slot *slot = &instance->slots[value.number];
		if (value.written_ms > 0)
			instance_written_set(instance, value.number, value.written_ms);
		if (!value.large) {
			if (entries_header_is(value.msgpack))
				instance->flags |= INSTANCE_ENTRIES;
			slot_set(slot, value.msgpack);
			continue;
		}
		rest_of(instance)->large.rows |= UINT64_C(1) << value.number;
		slot->size = (uint32_t)value.size;
		slot_heap_set(slot, NULL, true);
	}
	return instance;
malformed:
	error_set(error, ERROR_STORE_FAILED, "the row of an instance of type %u is malformed: run sofund --verify", type);
	return NULL;
}

struct instance *cache_bring(struct cache *cache, struct store *store, uint32_t hash, uint16_t type, struct bytes id,
	uint32_t value_count, uint32_t schema, enum instance_room room, uint64_t applied, struct error *error) {
	struct instance *instance;
	struct key key = key_instance(id);
	cache->missed++;
	buf_reset(&cache->row);
	int found = store_get(store, type, key_bytes(&key), &cache->row, error);
	if (found < 0)
		return NULL;
	if (found == 0)
		instance = instance_create(hash, type, id, value_count, schema, room);
	else
		instance = instance_load(bytes_buf(&cache->row), hash, type, id, value_count, room, error);
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
	return instance;
}

struct instance *cache_get(struct cache *cache, struct store *store, uint32_t hash, uint16_t type, struct bytes id,
	uint32_t value_count, uint32_t schema, enum instance_room room, uint64_t applied, struct error *error) {
	struct instance *instance = cache_find(cache, hash, type, id);
	if (instance == NULL)
		instance = cache_bring(cache, store, hash, type, id, value_count, schema, room, applied, error);
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

static enum instance_room room_of(const struct instance *instance) {
	if (instance_written(instance) != NULL)
		return ROOM_VALUES;
	return instance_life(instance) != NULL ? ROOM_LIFE : ROOM_NONE;
}

/* wide: has room for all of it. */
static void times_move(struct instance *instance, struct instance *wide) {
	const struct instance_life *life = instance_life(instance);
	const uint64_t *written = instance_written(instance);
	if (life != NULL)
		*instance_life(wide) = *life;
	if (written != NULL)
		memcpy(instance_written(wide), written, instance->value_count * sizeof *written);
	wide->rest = instance->rest;
	if (wide->rest == NULL)
		return;
	free(wide->rest->life);
	free(wide->rest->written_ms);
	wide->rest->life = NULL;
	wide->rest->written_ms = NULL;
}

struct instance *cache_widen(struct cache *cache, struct instance *instance, uint32_t value_count) {
	check(value_count > instance->value_count && value_count <= VALUES_MAX);
	struct instance *wide = instance_create(
		instance->hash, instance->type, instance_id_bytes(instance), value_count, instance->schema, room_of(instance));
	const size_t before = instance_memory(instance);
	wide->dirty_epoch = instance->dirty_epoch;
	wide->flags = instance->flags;
	times_move(instance, wide);
	memcpy(wide->slots, instance->slots, instance->value_count * sizeof *instance->slots);
	slot_of(cache, instance)->instance = wide;
	cache->memory += instance_memory(wide) - before;
	free(instance); /* its values on the heap, and its rest, are wide's now */
	return wide;
}
