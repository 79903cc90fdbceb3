/* Entries of tables and lists that functions have written and the applier has not taken yet, on one shard: what the open epoch
 * and the sealed ones hold (rule 14). What is not here is in the store. Belongs to whoever holds the shard; what changes
 * the map runs on the shard's thread, so that a function on it reads the map without the hold. Private to host/flow. */
#ifndef HOST_FLOW_ENTRIES_ENTRIES_H
#define HOST_FLOW_ENTRIES_ENTRIES_H

#include "base/ordered.h"

struct instance;
struct shard;

/* One entry as it was written last. */
struct entry {
	uint64_t epoch; /* in which */
	uint32_t size;
	uint8_t number; /* of the value, in the version that wrote it */
	bool removed;
	uint8_t data[]; /* one MessagePack object */
};

struct entry *entry_create(uint8_t number, struct bytes msgpack);
struct entry *entry_create_removed(uint8_t number);

static inline struct bytes entry_bytes(const struct entry *entry) {
	return bytes_of(entry->data, entry->size);
}

struct entry_change {
	struct ordered_node *node;
	uint64_t epoch;
};

struct entries {
	struct ordered map;           /* type:u16be, then the key in the type's database */
	struct entry_change *changes; /* a ring, oldest first */
	size_t change_first;
	size_t change_count;
	size_t change_capacity; /* a power of two */
	size_t unsealed;        /* of the changes, the last ones: not in any seal's redo yet */
};

void entries_finish(struct entries *entries);

/* The place of a database's key among all of the shard's. */
struct key;
struct key entries_place(uint16_t type, struct bytes key);

/* Takes the entry over, as of the open epoch. */
void entries_put(struct shard *shard, uint16_t type, struct bytes key, struct entry *entry);

/* What was written in the epoch that is being closed, as redo. [who holds the shard] */
void entries_redo(struct shard *shard);

/* Forgets what the applier has taken, a bounded number at a time. [shard's thread, with the hold] */
void entries_prune(struct entries *entries, uint64_t applied);

struct invocation;

/* What the invocation wrote happens. REQUIRES that its values were applied: their headers tell which entries count. */
void entries_apply(struct shard *shard);

/* Before the invocation's values are applied: tables and lists of which none will tell any more are dropped. */
void entries_leave(struct shard *shard, const struct invocation *invocation);

/* The value is unset by the host: if it is a table or list, that is dropped. */
void entries_lose(struct shard *shard, const struct instance *instance, uint32_t number);

/* Nobody reads the keys from `from` to before `to` any more: their space is taken back in the background. */
void entries_drop(struct shard *shard, uint16_t type, struct bytes from, struct bytes to);

#endif
