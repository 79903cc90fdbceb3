/* Names of timers, as far as memory must know them: those of timers that stand in memory, and those that were set, sent or
 * cancelled so recently that the store may not tell it yet (rule 14). Everything else is a row 'Y'. Belongs to whoever
 * holds the shard. */
#ifndef HOST_FLOW_TIMER_TOKEN_H
#define HOST_FLOW_TIMER_TOKEN_H

#include "flow/timer/place.h"

struct timer;

struct token {
	struct token *next;       /* in its bucket */
	struct timer *timer;      /* NULL: not in memory, or gone */
	struct timer_place place; /* of its timer */
	uint64_t epoch;           /* of the last change that waits; 0: none does */
	bool gone;                /* there is no timer of that name */
	uint32_t hash;
	size_t key_size;
	uint8_t key[]; /* key_token's */
};

/* A change that waits until the store can tell it. */
struct token_change {
	struct token *token;
	uint64_t epoch;
};

struct tokens {
	struct token **buckets;
	size_t bucket_count; /* a power of two; 0: none yet */
	size_t count;
	struct token_change *changes; /* a ring, in order of epochs */
	size_t change_first;
	size_t change_count;
	size_t change_capacity; /* a power of two */
	size_t memory;
};

void tokens_finish(struct tokens *tokens);

/* NULL: memory knows nothing of that name. */
struct token *tokens_find(const struct tokens *tokens, const struct key *key);

/* Found, or new: of a name of which memory knew nothing. */
struct token *tokens_add(struct tokens *tokens, const struct key *key);

/* The token was changed in that epoch: it stays until that is applied. */
void tokens_changed(struct tokens *tokens, struct token *token, uint64_t epoch);

/* Its timer left memory for the store; so does the name, unless a change of it still waits. */
void tokens_detach(struct tokens *tokens, struct token *token);

/* Forgets changes that the store can tell. */
void tokens_prune(struct tokens *tokens, uint64_t applied);

#endif
