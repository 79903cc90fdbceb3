/* The grammar of keys. One page for all rows that the host writes; FORMAT.md says what the values hold.
 *
 * runtime database
 *   'F'                              format: written by the store when it is made
 *   'C'                              last checkpoint: written by the store
 *   'B' database:u32be               epoch of that database's last checkpoint: written by the store
 *   'r' database:u32be               what was removed from that database, and what its rows weigh: written by the store
 *   'E' name                         end of an egress log at the last checkpoint: written by the store
 *   'L'                              layout of the queues: written by the flow
 *   'N'                              clock and counters that must not go back: written by the flow
 *   'T' number:u16be                 function type: [name, plugin, schema]
 *   't' number:u16be                 when state of that type ends by itself, and since when that counts (registry)
 *   'S' [type:u16be schema:u32be]    instances of that schema: see flow/migration/schema_counts.h
 *   'V' hash[32]                     content hash of a plugin file: what was judged of it (registry)
 *   'W' plugin                       which versions of a plugin are live, at which share, and what drains (registry)
 *   'P' ingress:sized producer       position of a producer
 *   'A' egress:sized name            position that a named subscriber has acknowledged
 *   'G' egress                       incarnations of an egress
 *   'K' egress                       how far the sink of an egress has written
 *   'H' queue:u64be                  head of a queue of waiting messages
 *   'Q' queue:u64be first:u64be      a run of waiting messages, the first with that arrival number
 *   'D' [number:u64be]               dead letter; without a number: the last that went
 *   'Z' due:u64be serial:u64be       timer: a message that is sent when it is due
 *   'z' due:u64be serial:u64be       sweep: when to look whether an instance has expired
 *   'Y' type:u16be id:sized8 token   which timer of that address has the token
 *   'O' id:u64be                     asynchronous operation that is under way
 *   'J' hash[16]                     idempotency key: what it belongs to
 *   'R' hash[16]                     its answer
 *   'd' epoch:u64be serial:u64be     a range of a type's database that nobody reads any more: see state/reclaim.h
 *   'U' due_ms:u64be row             when to look whether that row ('J', 'P') has expired
 *
 * database of a function type
 *   'F'                              format, type name, schema: written by the store when it is made
 *   'I' id                           instance: header and small values
 *   'X' id_size:u8 id value:u8       one large value
 *   'M' id_size:u8 id generation:u64be key          one entry of a table
 *   'M' id_size:u8 id generation:u64be index:u64be  one item of a list
 *
 * 0xff and beyond is no key: rule 1's empty range lies there. */
#ifndef HOST_STATE_KEY_H
#define HOST_STATE_KEY_H

#include "base/bytes.h"

enum key_kind {
	KEY_FORMAT = 'F',
	KEY_CHECKPOINT = 'C',
	KEY_DATABASE = 'B',
	KEY_REMOVALS = 'r',
	KEY_EGRESS = 'E',
	KEY_LAYOUT = 'L',
	KEY_NUMBERS = 'N',
	KEY_TYPE = 'T',
	KEY_TTL = 't',
	KEY_SCHEMA = 'S',
	KEY_VERDICT = 'V',
	KEY_SHARE = 'W',
	KEY_PRODUCER = 'P',
	KEY_ACKED = 'A',
	KEY_INCARNATIONS = 'G',
	KEY_SINK = 'K',
	KEY_QUEUE_HEAD = 'H',
	KEY_QUEUE_RUN = 'Q',
	KEY_DEAD = 'D',
	KEY_TIMER = 'Z',
	KEY_SWEEP = 'z',
	KEY_TOKEN = 'Y',
	KEY_OPERATION = 'O',
	KEY_KEYED = 'J',
	KEY_KEYED_ANSWER = 'R',
	KEY_WAKE = 'U',
	KEY_INSTANCE = 'I',
	KEY_LARGE_VALUE = 'X',
	KEY_ENTRY = 'M',
	KEY_DROPPED = 'd',
};

enum { ID_BYTES_MAX = 255, KEY_BYTES_MAX = 528 /* two names of 255 bytes, an id and an entry's key, and numbers */ };

/* A key under construction or taken apart; no allocation. */
struct key {
	uint8_t data[KEY_BYTES_MAX];
	size_t size;
};

static inline struct bytes key_bytes(const struct key *key) {
	return bytes_of(key->data, key->size);
}

static inline void key_u8(struct key *key, uint8_t value) {
	key->data[key->size++] = value;
}

static inline void key_u64(struct key *key, uint64_t value) {
	for (int shift = 56; shift >= 0; shift -= 8)
		key_u8(key, (uint8_t)(value >> shift));
}

static inline struct key key_of(enum key_kind kind) {
	struct key key;
	key.size = 0;
	key_u8(&key, (uint8_t)kind);
	return key;
}

static inline void key_append(struct key *key, struct bytes bytes) {
	if (bytes.size > 0)
		memcpy(key->data + key->size, bytes.data, bytes.size);
	key->size += bytes.size;
}

static inline struct key key_type(uint16_t number) {
	struct key key = key_of(KEY_TYPE);
	key_u8(&key, (uint8_t)(number >> 8));
	key_u8(&key, (uint8_t)number);
	return key;
}

static inline struct key key_ttl(uint16_t number) {
	struct key key = key_of(KEY_TTL);
	key_u8(&key, (uint8_t)(number >> 8));
	key_u8(&key, (uint8_t)number);
	return key;
}

static inline struct key key_verdict(const uint8_t hash[32]) {
	struct key key = key_of(KEY_VERDICT);
	key_append(&key, bytes_of(hash, 32));
	return key;
}

static inline struct key key_queue_head(uint64_t queue) {
	struct key key = key_of(KEY_QUEUE_HEAD);
	key_u64(&key, queue);
	return key;
}

static inline struct key key_queue_run(uint64_t queue, uint64_t first) {
	struct key key = key_of(KEY_QUEUE_RUN);
	key_u64(&key, queue);
	key_u64(&key, first);
	return key;
}

static inline struct key key_dead(uint64_t number) {
	struct key key = key_of(KEY_DEAD);
	key_u64(&key, number);
	return key;
}

static inline struct key key_instance(struct bytes id) {
	struct key key = key_of(KEY_INSTANCE);
	key_append(&key, id);
	return key;
}

static inline struct key key_large_value(struct bytes id, uint8_t value) {
	struct key key = key_of(KEY_LARGE_VALUE);
	key_u8(&key, (uint8_t)id.size);
	key_append(&key, id);
	key_u8(&key, value);
	return key;
}

/* How the keys of all entries of one table or list begin. */
static inline struct key key_entries(struct bytes id, uint64_t generation) {
	struct key key = key_of(KEY_ENTRY);
	key_u8(&key, (uint8_t)id.size);
	key_append(&key, id);
	key_u64(&key, generation);
	return key;
}

/* epoch: in which it is dropped, so that later checkpoints bring later rows. */
static inline struct key key_dropped(uint64_t epoch, uint64_t serial) {
	struct key key = key_of(KEY_DROPPED);
	key_u64(&key, epoch);
	key_u64(&key, serial);
	return key;
}

/* The big-endian number at data. */
static inline uint64_t key_u64_at(const uint8_t *data) {
	uint64_t value = 0;
	for (int i = 0; i < 8; i++)
		value = value << 8 | data[i];
	return value;
}

#endif
