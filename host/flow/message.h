/* A message as it stands in mailboxes and, byte for byte, in queue rows of the journal and of `runtime`.
 *
 *   message := head [route [keyed]] id caller_id type payload pad
 *   head    := struct message_head below, little-endian, 32 bytes
 *   route   := incarnation:u64le token:u64le              if MESSAGE_ROUTE
 *   keyed   := struct message_keyed below, 32 bytes         if MESSAGE_KEYED
 *   pad     := zeros up to a multiple of 8; head.size counts all of it
 *
 * Attempts and due time of a message that failed stand in the head row of the queue in which it waits (queue.h). */
#ifndef HOST_FLOW_MESSAGE_H
#define HOST_FLOW_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum message_flag {
	MESSAGE_COLOUR = 1,   /* which barrier it belongs to: inherited from its cause */
	MESSAGE_COUNTED = 2,  /* counted among the messages that a version will owe if it drains */
	MESSAGE_ROUTE = 4,    /* somebody waits for a reply */
	MESSAGE_TIMED = 8,    /* a timer's: whoever handles it looks at the clock, and sees its due time or a later one */
	MESSAGE_SWEEP = 32,   /* no message of a plugin's: a look whether its address has expired (expiry.h) */
	MESSAGE_KEYED = 64,   /* and the reply is kept under an idempotency key; only with MESSAGE_ROUTE */
	MESSAGE_ANSWER = 128, /* it is such a reply, on its way to the shard that owns the key; its type is 0 */
};

/* The messages of an asynchronous operation (operation/): the one that asks for it, which stands in its row, and its result,
 * which comes in its place. */
enum message_operation {
	MESSAGE_ORDINARY,
	MESSAGE_GOES_ON, /* its address goes on meanwhile */
	MESSAGE_WAITS,   /* what comes for its address waits until the result was handled */
};

/* Messages of a type are counted by sides; what is born behind a fence of the type has another side than what is in flight
 * (engine_side_next). */
enum { MESSAGE_SIDES = 4 };

struct message_head {
	uint32_t size;
	uint32_t hash; /* of the address: high bits choose the shard, all of it finds the instance */
	uint64_t birth_epoch;
	uint16_t type;        /* number of the target's function type */
	uint16_t caller_type; /* 0: from outside */
	uint8_t id_size;
	uint8_t caller_id_size;
	uint8_t type_size; /* of the payload's type name */
	uint8_t flags;
	uint32_t payload_size;
	uint8_t side;        /* it is counted with these */
	uint8_t operation;   /* enum message_operation */
	uint8_t reserved[2]; /* 0 */
};

_Static_assert(sizeof(struct message_head) == 32, "the head is an on-disk format");

enum { KEYED_HASH_BYTES = 16 };

/* The idempotency key of a call: its answer is written by the shard of `owner`, whoever replies. */
struct message_keyed {
	uint8_t hash[KEYED_HASH_BYTES]; /* of (type, id, key) */
	uint64_t expires_ms;            /* tells this birth of the key from a later one */
	uint32_t owner;                 /* hash of the address that was called */
	uint32_t reserved;              /* 0 */
};
_Static_assert(sizeof(struct message_keyed) == 32, "an on-disk format");

struct message_route {
	uint64_t incarnation; /* of the process that holds the caller's connection */
	uint64_t token;
	bool has_key;
	uint8_t colour;             /* MESSAGE_COLOUR of the message that it came with */
	struct message_keyed keyed; /* if has_key */
};
enum { MESSAGE_ROUTE_BYTES = 16 }; /* what of it stands in a message before `keyed` */

/* What to write; all views are copied. */
struct message_parts {
	struct message_head head;          /* size, *_size and MESSAGE_ROUTE are filled in by message_size */
	const struct message_route *route; /* NULL: none */
	struct bytes id;
	struct bytes caller_id;
	struct bytes type;
	struct bytes payload;
};

/* head.size of a message without a route, whose parts have so many bytes together. */
static inline uint32_t message_size(size_t bytes) {
	return (uint32_t)((sizeof(struct message_head) + bytes + 7) & ~(size_t)7);
}

/* Fills in the sizes; returns head.size. */
uint32_t message_measure(struct message_parts *parts);

/* REQUIRES message_measure; `at` has head.size bytes. */
void message_put(uint8_t *at, const struct message_parts *parts);

/* A message taken apart: views into where it stands. */
struct message {
	const struct message_head *head;
	struct message_route route; /* set if MESSAGE_ROUTE */
	struct bytes id;
	struct bytes caller_id;
	struct bytes type;
	struct bytes payload;
};

/* The route at `at`; returns what is behind it. */
const uint8_t *message_route_read(const uint8_t *at, uint8_t flags, struct message_route *ret_route);

/* `at` is 8-aligned and holds a whole message (what we wrote ourselves). */
static inline void message_read(const uint8_t *at, struct message *ret_message) {
	const struct message_head *head = (const struct message_head *)(const void *)at;
	ret_message->head = head;
	at += sizeof *head;
	if ((head->flags & MESSAGE_ROUTE) != 0)
		at = message_route_read(at, head->flags, &ret_message->route);
	ret_message->id = bytes_of(at, head->id_size);
	at += head->id_size;
	ret_message->caller_id = bytes_of(at, head->caller_id_size);
	at += head->caller_id_size;
	ret_message->type = bytes_of(at, head->type_size);
	at += head->type_size;
	ret_message->payload = bytes_of(at, head->payload_size);
}

/* True if the run holds whole messages and nothing else; counts them. For rows read back from the store. */
bool message_run_valid(struct bytes run, uint64_t *ret_count);

/* Which shard owns an address. */
static inline uint32_t message_shard(uint32_t hash, uint32_t shards) {
	return (uint32_t)(((uint64_t)hash * shards) >> 32);
}

#endif
