#include "flow/timer/token.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

enum { BUCKETS_FIRST = 64, CHANGES_FIRST = 64 };

static uint32_t key_hash(const struct key *key) {
	return (uint32_t)hash_bytes(0, key->data, key->size);
}

static struct token **bucket_of(const struct tokens *tokens, uint32_t hash) {
	return &tokens->buckets[hash & (tokens->bucket_count - 1)];
}

static void buckets_grow(struct tokens *tokens) {
	struct token **old = tokens->buckets;
	size_t old_count = tokens->bucket_count;
	tokens->bucket_count = old_count == 0 ? BUCKETS_FIRST : old_count * 2;
	tokens->buckets = check_alloc(tokens->bucket_count, sizeof(struct token *));
	tokens->memory += (tokens->bucket_count - old_count) * sizeof(struct token *);
	for (size_t i = 0; i < old_count; i++) {
		while (old[i] != NULL) {
			struct token *token = old[i];
			old[i] = token->next;
			token->next = *bucket_of(tokens, token->hash);
			*bucket_of(tokens, token->hash) = token;
		}
	}
	free(old);
}

void tokens_finish(struct tokens *tokens) {
	for (size_t i = 0; i < tokens->bucket_count; i++) {
		while (tokens->buckets[i] != NULL) {
			struct token *token = tokens->buckets[i];
			tokens->buckets[i] = token->next;
			free(token);
		}
	}
	free(tokens->buckets);
	free(tokens->changes);
	*tokens = (struct tokens){0};
}

struct token *tokens_find(const struct tokens *tokens, const struct key *key) {
	if (tokens->count == 0)
		return NULL;
	uint32_t hash = key_hash(key);
	struct token *token = *bucket_of(tokens, hash);
	while (
		token != NULL && (token->hash != hash || !bytes_equal(bytes_of(token->key, token->key_size), key_bytes(key))))
		token = token->next;
	return token;
}

struct token *tokens_add(struct tokens *tokens, const struct key *key) {
	struct token *token = tokens_find(tokens, key);
	if (token != NULL)
		return token;
	if (tokens->count >= tokens->bucket_count)
		buckets_grow(tokens);
	token = check_alloc(1, sizeof *token + key->size);
	token->hash = key_hash(key);
	token->key_size = key->size;
	memcpy(token->key, key->data, key->size);
	token->next = *bucket_of(tokens, token->hash);
	*bucket_of(tokens, token->hash) = token;
	tokens->count++;
	tokens->memory += sizeof *token + key->size;
	return token;
}

static void token_forget(struct tokens *tokens, struct token *token) {
	struct token **place = bucket_of(tokens, token->hash);
	while (*place != token)
		place = &(*place)->next;
	*place = token->next;
	tokens->count--;
	tokens->memory -= sizeof *token + token->key_size;
	free(token);
}

static void changes_grow(struct tokens *tokens) {
	size_t capacity = tokens->change_capacity == 0 ? CHANGES_FIRST : tokens->change_capacity * 2;
	struct token_change *changes = check_alloc(capacity, sizeof *changes);
	for (size_t i = 0; i < tokens->change_count; i++)
		changes[i] = tokens->changes[(tokens->change_first + i) & (tokens->change_capacity - 1)];
	free(tokens->changes);
	tokens->memory += (capacity - tokens->change_capacity) * sizeof *changes;
	tokens->changes = changes;
	tokens->change_capacity = capacity;
	tokens->change_first = 0;
}

void tokens_changed(struct tokens *tokens, struct token *token, uint64_t epoch) {
	if (token->epoch == epoch)
		return; /* waits already */
	token->epoch = epoch;
	if (tokens->change_count == tokens->change_capacity)
		changes_grow(tokens);
	tokens->changes[(tokens->change_first + tokens->change_count++) & (tokens->change_capacity - 1)] =
		(struct token_change){.token = token, .epoch = epoch};
}

void tokens_detach(struct tokens *tokens, struct token *token) {
	token->timer = NULL;
	if (token->epoch == 0)
		token_forget(tokens, token);
}

void tokens_prune(struct tokens *tokens, uint64_t applied) {
	while (tokens->change_count > 0) {
		struct token_change *change = &tokens->changes[tokens->change_first];
		if (change->epoch > applied)
			return;
		tokens->change_first = (tokens->change_first + 1) & (tokens->change_capacity - 1);
		tokens->change_count--;
		struct token *token = change->token;
		if (token->epoch != change->epoch)
			continue; /* changed again since */
		token->epoch = 0;
		if (token->timer == NULL)
			token_forget(tokens, token);
	}
}
