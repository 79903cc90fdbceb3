/* Idempotency keys (rule 10): a call or send that is repeated with its key gets the stored answer. Private to host/flow.
 *
 * All that concerns a key happens on the shard that owns the address. The row is born in the epoch in which the message
 * comes to stand in the shard's own channel (not handed to the function at once: its row must not be durable before it
 * is). The answer is a row of its own, put without reading, so that the effects of an invocation cannot fail on it; where
 * another shard replies it comes home as a message. The rows live in the store; what is kept here is what the applier has
 * not taken yet. */
#ifndef HOST_FLOW_KEYED_KEYED_H
#define HOST_FLOW_KEYED_KEYED_H

#include <sys/queue.h>

#include "flow/engine/engine.h"
#include "flow/message.h"

struct shard;
struct input;

/* Rows that changed lately. */
struct keyed_entry {
	struct keyed_entry *next; /* in its bucket */
	TAILQ_ENTRY(keyed_entry) order;
	uint8_t hash[KEYED_HASH_BYTES];
	uint64_t epoch;    /* of the last change: once it is applied, the store knows */
	bool gone;         /* removed; what the store says does not count */
	struct buf birth;  /* row 'J'; empty: as the store has it */
	struct buf answer; /* row 'R'; the same */
};
TAILQ_HEAD(keyed_order, keyed_entry);

enum { KEYED_BUCKETS = 1024 };

struct keyed {
	struct keyed_entry *buckets[KEYED_BUCKETS];
	struct keyed_order order; /* by epoch */
	int64_t change;           /* keys that came less keys that went, in the open epoch */
};

/* What precedes the message in an INPUT_KEYED; the key and zeros up to a multiple of 8 follow, then the message. */
struct keyed_input {
	uint8_t hash[KEYED_HASH_BYTES];
	uint8_t print[KEYED_HASH_BYTES];
	uint32_t key_size;
	uint32_t reserved;
};

void keyed_init(struct keyed *keyed);
void keyed_finish(struct keyed *keyed);

/* [loop] What the key is, and its request, by name. */
void keyed_identify(
	uint64_t seed, const struct engine_message *message, uint16_t type, bool call, struct keyed_input *ret_keyed);

/* [loop] The body of an INPUT_KEYED; REQUIRES message_measure of parts. */
size_t keyed_input_measure(const struct engine_message *message, const struct message_parts *parts);
void keyed_input_put(uint8_t *at, const struct keyed_input *keyed, const struct engine_message *message,
	const struct message_parts *parts);

/* Takes an INPUT_KEYED; false if it is not done yet. */
bool keyed_take(struct shard *shard, const struct input *input);

/* Messages from outside stand in the shard's own channel, and another must go behind them: keyed_queue. */
bool keyed_waits(const struct shard *shard);
void keyed_queue(struct shard *shard, const struct input *input, const uint8_t *at);

/* The reply to a call with a key, or its failure, in the open epoch. */
void keyed_reply(struct shard *shard, const struct message_route *route, const struct engine_answer *answer);

/* A MESSAGE_ANSWER has come to the shard that owns the key. */
void keyed_home(struct shard *shard, const struct message *message);

/* A row 'J' may have expired; false: the store could not be read. */
bool keyed_expire(struct shard *shard, struct bytes row_key, uint64_t due_ms);

/* Lets go what the applier has. */
void keyed_trim(struct shard *shard);

#endif
