/* See table.h. Each database has an index of its own, so that reading one in order costs what it holds. An index uses
 * open addressing with linear probing; a slot is a hash and the place of the operation in the table's arena.
 *
 * An operation that is overwritten leaves its place to a later one, so that a table grows with its keys and not with how
 * often they change. Who may still read the old one: a look-up, which ends before the applier gets `readers` for itself;
 * and whoever has a reference, taken before the epoch that overwrites is taken (cursors see whole epochs) and not given
 * back by its end. */
#include "state/table/table.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/pages.h"
#include "state/key.h"
#include "state/table/arena.h"

enum {
	TABLE_MAGIC = 0x7ab1e001,
	SLOTS_MIN = 64,
	TABLE_KEY_BYTES_MAX = (1 << 24) - 1,
	/* Operations that are parsed ahead of their insertion, so that their slots are on the way from memory meanwhile. */
	AHEAD = 16,
};

struct index {
	struct table_slot *slots; /* moved only with readers held exclusively */
	size_t slot_count;        /* a power of two */
	size_t entries;           /* [applier] */
	struct ordered order;     /* the places of entries of tables and lists, which are read in order of their keys */
};

struct table {
	unsigned magic;
	_Atomic unsigned references;
	pthread_rwlock_t *readers;
	_Atomic(struct index *) *indexes; /* by database; NULL: no entry */
	_Atomic uint32_t indexes_end;     /* above the last one: there is room for every database, and few are used */
	_Atomic uint64_t entries;
	_Atomic uint64_t slot_bytes;
	_Atomic uint64_t arena_bytes;
	_Atomic uint64_t order_bytes;
	_Atomic uint64_t dropped; /* rows that drop a range */
	_Atomic uint64_t removed; /* removals of rows of types' databases */
	/* the applier's */
	struct table_arena arena;
	uint64_t epoch; /* the last one taken */
	uint64_t time_ms;
};

static uint64_t key_hash(struct bytes key) {
	const uint64_t kind = key.size > 0 ? key.data[0] : 0;
	return kind << TABLE_KIND_SHIFT | hash_bytes(0, key.data, key.size) >> 8;
}

struct table *table_create(pthread_rwlock_t *readers) {
	struct table *table = check_alloc(1, sizeof *table);
	table->magic = TABLE_MAGIC;
	atomic_init(&table->references, 1);
	table->readers = readers;
	table->indexes = check_alloc(TABLE_DATABASES, sizeof *table->indexes);
	return table;
}

void table_reference(struct table *table) {
	CHECK_OBJECT(table, TABLE_MAGIC);
	atomic_fetch_add(&table->references, 1);
}

static void slots_destroy(struct table_slot *slots, size_t count) {
	if (count * sizeof *slots < PAGES_BYTES_MIN)
		free(slots);
	else
		pages_free(slots, count * sizeof *slots);
}

static void index_destroy(struct index *index) {
	if (index == NULL)
		return;
	slots_destroy(index->slots, index->slot_count);
	ordered_finish(&index->order, NULL);
	free(index);
}

void table_release(struct table *table) {
	if (table == NULL)
		return;
	CHECK_OBJECT(table, TABLE_MAGIC);
	if (atomic_fetch_sub(&table->references, 1) != 1)
		return;
	for (uint32_t i = 0; i < atomic_load(&table->indexes_end); i++)
		index_destroy(atomic_load_explicit(&table->indexes[i], memory_order_relaxed));
	arena_finish(&table->arena);
	free(table->indexes);
	table->magic = 0;
	free(table);
}

static void slot_set(struct table_slot *slot, uint64_t hash, const uint8_t *place) {
	atomic_store_explicit(&slot->hash, hash, memory_order_relaxed);
	atomic_store_explicit(&slot->place, place, memory_order_release);
}

static const uint8_t *slot_place(const struct table_slot *slot) {
	return atomic_load_explicit(&slot->place, memory_order_acquire);
}

static uint64_t slot_hash(const struct table_slot *slot) {
	return atomic_load_explicit(&slot->hash, memory_order_relaxed);
}

static struct table_slot *slots_create(struct table *table, size_t count) {
	size_t bytes = count * sizeof(struct table_slot);
	atomic_fetch_add(&table->slot_bytes, bytes);
	return bytes < PAGES_BYTES_MIN ? check_alloc(1, bytes) : pages_alloc(bytes);
}

static struct index *index_load(const struct table *table, uint32_t database) {
	return atomic_load_explicit(&table->indexes[database], memory_order_acquire);
}

static struct index *index_of(struct table *table, uint32_t database) {
	struct index *index = index_load(table, database);
	if (index != NULL)
		return index;
	index = check_alloc(1, sizeof *index);
	index->slot_count = SLOTS_MIN;
	index->slots = slots_create(table, SLOTS_MIN);
	atomic_store_explicit(&table->indexes[database], index, memory_order_release);
	if (database >= atomic_load_explicit(&table->indexes_end, memory_order_relaxed))
		atomic_store_explicit(&table->indexes_end, database + 1, memory_order_release);
	return index;
}

static void slots_copy(const struct index *index, struct table_slot *slots, size_t count) {
	for (size_t i = 0; i < index->slot_count; i++) {
		const uint8_t *place = slot_place(&index->slots[i]);
		if (place == NULL)
			continue;
		uint64_t hash = slot_hash(&index->slots[i]);
		size_t at = hash & (count - 1);
		while (slot_place(&slots[at]) != NULL)
			at = (at + 1) & (count - 1);
		slot_set(&slots[at], hash, place);
	}
}

static void index_grow(struct table *table, struct index *index) {
	size_t count = index->slot_count * 2;
	struct table_slot *slots = slots_create(table, count);
	slots_copy(index, slots, count);
	struct table_slot *old = index->slots;
	pthread_rwlock_wrlock(table->readers);
	index->slots = slots;
	index->slot_count = count;
	pthread_rwlock_unlock(table->readers);
	atomic_fetch_sub(&table->slot_bytes, count / 2 * sizeof *slots);
	slots_destroy(old, count / 2);
}

static bool key_is(const uint8_t *place, struct bytes key) {
	struct bytes found = table_operation(place).key;
	return found.size == key.size && bytes_same(found.data, key.data, key.size);
}

/* Where the key stands, or the free slot where it would. */
static struct table_slot *slot_find(const struct index *index, uint64_t hash, struct bytes key) {
	size_t at = hash & (index->slot_count - 1);
	for (;; at = (at + 1) & (index->slot_count - 1)) {
		struct table_slot *slot = &index->slots[at];
		const uint8_t *place = slot_place(slot);
		if (place == NULL || (slot_hash(slot) == hash && key_is(place, key)))
			return slot;
	}
}

/* An operation that stands in the arena and in no slot yet. */
struct ahead {
	uint64_t hash;
	struct index *index;
	struct bytes key;
	const uint8_t *place;
};

static size_t operation_size(const struct redo_op *op) {
	return sizeof(struct table_place) + (op->kind == REDO_EGRESS ? sizeof op->offset : 0) + op->key.size +
		op->value.size;
}

static const uint8_t *operation_put(struct table *table, const struct redo_op *op) {
	uint8_t *place = arena_take(&table->arena, operation_size(op));
	const struct table_place head = {
		.value_size = (uint32_t)op->value.size, .key_size = op->key.size & 0xffffff, .kind = op->kind};
	uint8_t *at = place;
	memcpy(at, &head, sizeof head);
	at += sizeof head;
	if (op->kind == REDO_EGRESS) {
		memcpy(at, &op->offset, sizeof op->offset);
		at += sizeof op->offset;
	}
	bytes_copy(at, op->key.data, op->key.size);
	bytes_copy(at + op->key.size, op->value.data, op->value.size);
	return place;
}

static void operation_insert(struct table *table, const struct ahead *ahead) {
	struct index *index = ahead->index;
	if ((index->entries + 1) * 3 > index->slot_count * 2)
		index_grow(table, index);
	struct table_slot *slot = slot_find(index, ahead->hash, ahead->key);
	const uint8_t *old = slot_place(slot);
	slot_set(slot, ahead->hash, ahead->place);
	if (old == NULL) {
		index->entries++;
		atomic_fetch_add_explicit(&table->entries, 1, memory_order_relaxed);
	} else {
		struct redo_op op = table_operation(old);
		arena_give(&table->arena, (uint8_t *)(uintptr_t)old, operation_size(&op));
	}
}

/* Operations on their way into the table. Each waits for memory twice, for its slot and for what that points at: so it is
 * asked for the one when it comes, for the other AHEAD operations later, and inserted AHEAD operations after that. */
struct arrivals {
	struct ahead ring[2 * AHEAD];
	size_t came;
	size_t asked;
	size_t gone;
};

static void arrivals_ask(struct arrivals *arrivals) {
	const struct ahead *ahead = &arrivals->ring[arrivals->asked++ % (2 * AHEAD)];
	const struct index *index = ahead->index;
	size_t at = ahead->hash & (index->slot_count - 1);
	while (slot_place(&index->slots[at]) != NULL && slot_hash(&index->slots[at]) != ahead->hash)
		at = (at + 1) & (index->slot_count - 1);
	__builtin_prefetch(slot_place(&index->slots[at]));
}

static void arrivals_insert(struct table *table, struct arrivals *arrivals) {
	operation_insert(table, &arrivals->ring[arrivals->gone++ % (2 * AHEAD)]);
}

static void arrivals_add(struct table *table, struct arrivals *arrivals, const struct ahead *ahead) {
	if (arrivals->came - arrivals->gone == 2 * AHEAD)
		arrivals_insert(table, arrivals);
	if (arrivals->came - arrivals->asked == AHEAD)
		arrivals_ask(arrivals);
	arrivals->ring[arrivals->came++ % (2 * AHEAD)] = *ahead;
	__builtin_prefetch(&ahead->index->slots[ahead->hash & (ahead->index->slot_count - 1)]);
}

static void arrivals_end(struct table *table, struct arrivals *arrivals) {
	while (arrivals->asked < arrivals->came)
		arrivals_ask(arrivals);
	while (arrivals->gone < arrivals->came)
		arrivals_insert(table, arrivals);
}

/* What the arena's sizes can tell. */
static bool operation_fits(const struct redo_op *op) {
	return op->database < TABLE_DATABASES && op->key.size <= TABLE_KEY_BYTES_MAX && op->value.size <= UINT32_MAX;
}

static void order_put(struct table *table, struct index *index, struct bytes key, const uint8_t *place) {
	void *before;
	size_t bytes = atomic_load_explicit(&index->order.bytes, memory_order_relaxed);
	ordered_put(&index->order, key, (void *)(uintptr_t)place, &before);
	bytes = atomic_load_explicit(&index->order.bytes, memory_order_relaxed) - bytes;
	atomic_fetch_add_explicit(&table->order_bytes, bytes, memory_order_relaxed);
}

/* Entries of tables and lists: functions step over them, on shards' threads. */
static bool operation_ordered(const struct redo_op *op) {
	return op->database != REDO_RUNTIME && op->key.size > 0 && op->key.data[0] == KEY_ENTRY;
}

static bool operation_drops(const struct redo_op *op) {
	return op->database == REDO_RUNTIME && op->key.size > 0 && op->key.data[0] == KEY_DROPPED;
}

static bool operation_removes(const struct redo_op *op) {
	return op->kind == REDO_REMOVE && op->database != REDO_RUNTIME;
}

/* What is read, or goes, by ranges. */
static void ranges_take(
	struct table *table, struct index *index, const struct redo_op *op, struct bytes key, const uint8_t *place) {
	if (operation_ordered(op))
		order_put(table, index, key, place);
	else if (operation_drops(op))
		atomic_fetch_add_explicit(&table->dropped, 1, memory_order_relaxed);
}

static bool part_take(
	struct table *table, struct bytes part, bool (*egress)(void *arg, const uint8_t *place), void *arg) {
	struct arrivals arrivals = {.came = 0};
	uint64_t removed = 0;
	struct redo_reader reader;
	redo_reader_init(&reader, part);
	while (reader.rest.size > 0) {
		struct redo_op op;
		if (!redo_next(&reader, &op) || !operation_fits(&op))
			return false;
		removed += operation_removes(&op);
		const uint8_t lead = op.key.size > 0 ? op.key.data[0] : 0;
		uint64_t hash = key_hash(op.key); /* here it is near; at its place it is not yet */
		const uint8_t *place = operation_put(table, &op);
		if (op.kind == REDO_EGRESS) {
			if (!egress(arg, place))
				return false;
			continue;
		}
		struct bytes key = bytes_of(place + sizeof(struct table_place), op.key.size);
		struct index *index = index_of(table, op.database);
		arrivals_add(table, &arrivals, &(struct ahead){hash, index, key, place});
		if (__builtin_expect(lead == KEY_ENTRY || lead == KEY_DROPPED, 0))
			ranges_take(table, index, &op, key, place);
	}
	arrivals_end(table, &arrivals);
	atomic_fetch_add_explicit(&table->removed, removed, memory_order_relaxed);
	return true;
}

/* No look-up that began before this reads what the last epoch has overwritten. One that is under way now is not waited
 * for: there will be another time. */
static void places_recycle(struct table *table) {
	if (pthread_rwlock_trywrlock(table->readers) != 0)
		return;
	pthread_rwlock_unlock(table->readers);
	arena_recycle(&table->arena);
}

bool table_take(
	struct table *table, struct store_epoch *epoch, bool (*egress)(void *arg, const uint8_t *place), void *arg) {
	CHECK_OBJECT(table, TABLE_MAGIC);
	check(epoch->epoch > table->epoch);
	table->epoch = epoch->epoch;
	table->time_ms = epoch->time_ms;
	places_recycle(table);
	bool good = true;
	for (size_t i = 0; good && i < epoch->part_count; i++)
		good = part_take(table, bytes_buf(&epoch->parts[i]), egress, arg);
	if (atomic_load(&table->references) > 1)
		arena_keep(&table->arena);
	atomic_store_explicit(&table->arena_bytes, table->arena.bytes, memory_order_relaxed);
	store_epoch_destroy(epoch);
	return good;
}

enum table_found table_get(const struct table *table, uint32_t database, struct bytes key, struct bytes *ret_value) {
	CHECK_OBJECT(table, TABLE_MAGIC);
	const struct index *index = index_load(table, database);
	if (index == NULL)
		return TABLE_ABSENT;
	/* The slot may be filled or overwritten by the applier at this moment: what is loaded here decides. */
	const uint8_t *place = slot_place(slot_find(index, key_hash(key), key));
	if (place == NULL)
		return TABLE_ABSENT;
	struct redo_op op = table_operation(place);
	if (!bytes_equal(op.key, key))
		return TABLE_ABSENT;
	if (op.kind == REDO_REMOVE)
		return TABLE_REMOVED;
	*ret_value = op.value;
	return TABLE_VALUE;
}

uint64_t table_epoch(const struct table *table) {
	return table->epoch;
}

uint64_t table_time_ms(const struct table *table) {
	return table->time_ms;
}

uint64_t table_entries(const struct table *table) {
	return atomic_load(&table->entries);
}

uint64_t table_bytes(const struct table *table) {
	return atomic_load(&table->slot_bytes) + atomic_load(&table->arena_bytes) + atomic_load(&table->order_bytes);
}

uint64_t table_dropped(const struct table *table) {
	return atomic_load_explicit(&table->dropped, memory_order_relaxed);
}

uint64_t table_removed(const struct table *table) {
	return atomic_load_explicit(&table->removed, memory_order_relaxed);
}

const struct ordered *table_order(const struct table *table, uint32_t database) {
	CHECK_OBJECT(table, TABLE_MAGIC);
	const struct index *index = index_load(table, database);
	return index == NULL ? NULL : &index->order;
}

uint32_t table_database_next(const struct table *table, uint32_t above) {
	const uint32_t end = atomic_load_explicit(&table->indexes_end, memory_order_acquire);
	for (uint32_t database = above + 1; database < end; database++)
		if (index_load(table, database) != NULL)
			return database;
	return UINT32_MAX;
}

const struct table_slot *table_slots(const struct table *table, uint32_t database, size_t *ret_count) {
	const struct index *index = database < TABLE_DATABASES ? index_load(table, database) : NULL;
	*ret_count = index == NULL ? 0 : index->slot_count;
	return index == NULL ? NULL : index->slots;
}
