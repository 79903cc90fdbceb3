/* The applier's table: the newest operation of every key of a run of epochs, found by hash. It stands between the
 * journal and the databases: what has left a shard's cache is found here until a checkpoint has written it.
 *
 * One writer [applier]; readers on any thread hold `readers` (given at creation) shared, which keeps the slots where
 * they are, and what they point at as it is. Who takes a reference while no epoch is being taken may keep views of
 * operations: those stay as they are until the reference is given back. */
#ifndef HOST_STATE_TABLE_TABLE_H
#define HOST_STATE_TABLE_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/bytes.h"
#include "base/ordered.h"
#include "state/redo.h"
#include "state/store.h"

struct table;

enum { TABLE_DATABASES = 65536 }; /* type numbers are u16 in row 'T' */

/* With one reference. `readers` is taken exclusively when the slots must move. */
struct table *table_create(pthread_rwlock_t *readers);
void table_reference(struct table *table);
void table_release(struct table *table); /* NULL is fine; the last one frees the epochs too */

/* [applier] Copies the epoch's operations, and destroys it. egress() gets the places of the egress records, in order; those
 * live as long as the table; its false, or a malformed operation, ends it with false. */
bool table_take(
	struct table *table, struct store_epoch *epoch, bool (*egress)(void *arg, const uint8_t *place), void *arg);

enum table_found { TABLE_ABSENT, TABLE_VALUE, TABLE_REMOVED };

/* [any thread, readers shared] The value is a view into the table. */
enum table_found table_get(const struct table *table, uint32_t database, struct bytes key, struct bytes *ret_value);

uint64_t table_epoch(const struct table *table);   /* [applier] the last one in it; 0: none */
uint64_t table_time_ms(const struct table *table); /* [applier] its time */
uint64_t table_entries(const struct table *table); /* [any thread] keys */
uint64_t table_bytes(const struct table *table);   /* [any thread] memory */
uint64_t table_dropped(const struct table *table); /* [any thread] rows 'd' that were put */
uint64_t table_removed(const struct table *table); /* [any thread] rows of types' databases that were removed */

/* [applier] The least database above `above` that has an entry; UINT32_MAX if none has. */
uint32_t table_database_next(const struct table *table, uint32_t above);

/* One database's slots, for runs.c. A slot without a place is free. Places are published with release. */
struct table_slot {
	_Atomic uint64_t hash; /* the first byte is the key's: rows of one kind are told without going to their places */
	_Atomic(const uint8_t *) place; /* first byte of the operation in the arena */
};

enum { TABLE_KIND_SHIFT = 56 };

/* REQUIRES a place that was loaded before. */
static inline uint8_t table_slot_kind(const struct table_slot *slot) {
	return (uint8_t)(atomic_load_explicit(&slot->hash, memory_order_relaxed) >> TABLE_KIND_SHIFT);
}

/* [readers shared] NULL and 0 if the database has no entry. */
const struct table_slot *table_slots(const struct table *table, uint32_t database, size_t *ret_count);

/* The places of a database's entries of tables and lists, in the order of their keys; NULL: it has none. Stays as long as the
 * table; what a place holds is read with readers shared. [any thread] */
const struct ordered *table_order(const struct table *table, uint32_t database);

/* How an operation stands in memory: this, then an egress record's offset, then key and value. */
struct table_place {
	uint32_t value_size;
	uint32_t key_size : 24;
	uint32_t kind : 8;
};

/* The operation at a place, but for its database. */
static inline struct redo_op table_operation(const uint8_t *place) {
	struct table_place head;
	memcpy(&head, place, sizeof head);
	place += sizeof head;
	struct redo_op op = {.kind = (enum redo_kind)head.kind};
	if (op.kind == REDO_EGRESS) {
		memcpy(&op.offset, place, sizeof op.offset);
		place += sizeof op.offset;
	}
	op.key = bytes_of(place, head.key_size);
	op.value = bytes_of(place + head.key_size, head.value_size);
	return op;
}

#endif
