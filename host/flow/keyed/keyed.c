#include "flow/keyed/keyed.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/little.h"
#include "flow/keyed/keyed_rows.h"
#include "flow/shard.h"

/* ---- on the loop thread ---- */

static size_t padded(size_t size) {
	return (size + 7) & ~(size_t)7;
}

size_t keyed_input_measure(const struct engine_message *message, const struct message_parts *parts) {
	return sizeof(struct keyed_input) + padded(message->key.size) + parts->head.size;
}

void keyed_input_put(uint8_t *at, const struct keyed_input *keyed, const struct engine_message *message,
	const struct message_parts *parts) {
	memcpy(at, keyed, sizeof *keyed);
	at += sizeof *keyed;
	memset(at, 0, padded(message->key.size));
	memcpy(at, message->key.data, message->key.size);
	message_put(at + padded(message->key.size), parts);
}

void keyed_identify(
	uint64_t seed, const struct engine_message *message, uint16_t type, bool call, struct keyed_input *ret_keyed) {
	const uint8_t number[2] = {(uint8_t)type, (uint8_t)(type >> 8)};
	const struct bytes name[] = {bytes_of(number, sizeof number), message->id, message->key};
	const struct bytes print[] = {bytes_text(call ? "call" : "send"), message->content, message->type, message->body};
	*ret_keyed = (struct keyed_input){.key_size = (uint32_t)message->key.size};
	keyed_hash(seed, name, sizeof name / sizeof *name, ret_keyed->hash);
	keyed_hash(seed, print, sizeof print / sizeof *print, ret_keyed->print);
}

/* ---- what changed lately ---- */

void keyed_init(struct keyed *keyed) {
	TAILQ_INIT(&keyed->order);
}

static size_t bucket_of(const uint8_t *hash) {
	return little_u32(hash) % KEYED_BUCKETS;
}

static void entry_remove(struct keyed *keyed, struct keyed_entry *entry) {
	struct keyed_entry **place = &keyed->buckets[bucket_of(entry->hash)];
	while (*place != entry)
		place = &(*place)->next;
	*place = entry->next;
	TAILQ_REMOVE(&keyed->order, entry, order);
	buf_finish(&entry->birth);
	buf_finish(&entry->answer);
	free(entry);
}

void keyed_finish(struct keyed *keyed) {
	while (!TAILQ_EMPTY(&keyed->order))
		entry_remove(keyed, TAILQ_FIRST(&keyed->order));
}

void keyed_trim(struct shard *shard) {
	struct keyed *keyed = &shard->keyed;
	if (TAILQ_EMPTY(&keyed->order))
		return;
	uint64_t applied = store_applied(shard->flow->store);
	struct keyed_entry *entry;
	while ((entry = TAILQ_FIRST(&keyed->order)) != NULL && entry->epoch <= applied)
		entry_remove(keyed, entry);
}

static struct keyed_entry *entry_find(const struct keyed *keyed, const uint8_t *hash) {
	struct keyed_entry *entry = keyed->buckets[bucket_of(hash)];
	while (entry != NULL && memcmp(entry->hash, hash, KEYED_HASH_BYTES) != 0)
		entry = entry->next;
	return entry;
}

/* The entry of a key that changes in the open epoch. */
static struct keyed_entry *entry_touch(struct shard *shard, const uint8_t *hash) {
	struct keyed *keyed = &shard->keyed;
	struct keyed_entry *entry = entry_find(keyed, hash);
	if (entry == NULL) {
		entry = check_alloc(1, sizeof *entry);
		memcpy(entry->hash, hash, KEYED_HASH_BYTES);
		entry->next = keyed->buckets[bucket_of(hash)];
		keyed->buckets[bucket_of(hash)] = entry;
	} else {
		TAILQ_REMOVE(&keyed->order, entry, order);
	}
	entry->epoch = shard->epoch;
	TAILQ_INSERT_TAIL(&keyed->order, entry, order);
	return entry;
}

/* ---- what is known of a key ---- */

struct known {
	bool born;
	bool answered;
	struct keyed_birth birth;   /* views into the entry, or into rows */
	struct keyed_answer answer; /* the same */
	struct buf rows[2];
};

static void known_finish(struct known *known) {
	buf_finish(&known->rows[0]);
	buf_finish(&known->rows[1]);
}

/* The row, as it changed lately or as the store has it. -1: it could not be read. */
static int row_find(struct shard *shard, const struct key *key, const struct buf *lately, bool gone, struct buf *row,
	struct bytes *ret_row) {
	struct error error;
	*ret_row = bytes_buf(lately);
	if (lately->size > 0 || gone)
		return lately->size > 0;
	int found = store_get(shard->flow->store, REDO_RUNTIME, key_bytes(key), row, &error);
	if (found < 0)
		shard_store_error(shard, &error);
	*ret_row = bytes_buf(row);
	return found;
}

static bool malformed(struct shard *shard) {
	struct error error;
	error_set(&error, ERROR_STORE_FAILED, "the row of an idempotency key is malformed: run sofund --verify");
	shard_store_error(shard, &error);
	return false;
}

/* An answer counts if it is to this birth: one that came after the key had expired answers an earlier one. */
static bool known_read(struct shard *shard, const uint8_t *hash, struct known *ret_known) {
	static const struct keyed_entry nothing;
	const struct keyed_entry *entry = entry_find(&shard->keyed, hash);
	if (entry == NULL)
		entry = &nothing;
	*ret_known = (struct known){0};
	struct key key = key_keyed_birth(hash);
	struct bytes row;
	int found = row_find(shard, &key, &entry->birth, entry->gone, &ret_known->rows[0], &row);
	if (found < 1)
		return found == 0;
	ret_known->born = true;
	if (!keyed_birth_read(row, &ret_known->birth))
		return malformed(shard);
	key = key_keyed_answer(hash);
	found = row_find(shard, &key, &entry->answer, entry->gone, &ret_known->rows[1], &row);
	if (found < 1)
		return found == 0;
	if (!keyed_answer_read(row, &ret_known->answer))
		return malformed(shard);
	ret_known->answered = ret_known->answer.expires_ms == ret_known->birth.expires_ms;
	return true;
}

/* ---- a repeated request ---- */

static void refuse(struct shard *shard, const struct input *input, enum error_code code, const char *text) {
	struct engine_answer answer = {.token = input->token, .code = code, .payload = bytes_text(text)};
	output_put(&shard->outputs, &answer);
}

static void repeated(
	struct shard *shard, const struct input *input, const struct keyed_input *keyed, const struct known *known) {
	if (!bytes_equal(known->birth.print, bytes_of(keyed->print, KEYED_HASH_BYTES))) {
		refuse(shard, input, ERROR_KEY_REUSED, "this key was used for another request to the same address");
		return;
	}
	if (!known->answered) {
		refuse(shard, input, ERROR_CONFLICT, "a request with this key is still running");
		return;
	}
	struct engine_answer answer = {
		.token = input->token,
		.code = known->answer.code,
		.number = known->answer.number,
		.payload = known->answer.payload,
		.type = known->answer.type,
	};
	output_put(&shard->outputs, &answer);
	shard->epoch_bytes += sizeof(struct output) + answer.payload.size;
}

/* ---- a new one ---- */

static void row_put(struct shard *shard, const struct key *key, const struct buf *row) {
	redo_put(&shard->redo, REDO_RUNTIME, key_bytes(key), bytes_buf(row));
	shard->epoch_bytes += key->size + row->size;
}

static void answer_put(struct shard *shard, const uint8_t *hash, const struct keyed_answer *answer) {
	struct keyed_entry *entry = entry_touch(shard, hash);
	struct key key = key_keyed_answer(hash);
	buf_reset(&entry->answer);
	keyed_answer_write(&entry->answer, answer);
	row_put(shard, &key, &entry->answer);
}

static void birth_put(struct shard *shard, const uint8_t *hash, const struct keyed_birth *birth, uint32_t owner) {
	struct keyed_entry *entry = entry_touch(shard, hash);
	struct key key = key_keyed_birth(hash);
	entry->gone = true; /* whatever the store has is of an expired birth */
	buf_reset(&entry->birth);
	buf_reset(&entry->answer);
	keyed_birth_write(&entry->birth, birth);
	row_put(shard, &key, &entry->birth);
	struct key wake = key_wake(birth->expires_ms, key_bytes(&key));
	buf_reset(&shard->scratch);
	keyed_number_write(&shard->scratch, owner);
	row_put(shard, &wake, &shard->scratch);
}

bool keyed_waits(const struct shard *shard) {
	return shard->keyed_until > shard_channel(shard->flow, shard->index, shard->index)->head.number;
}

/* Into this shard's own channel; what comes later for the same address comes behind it there. */
void keyed_queue(struct shard *shard, const struct input *input, const uint8_t *at) {
	struct queue *channel = shard_channel(shard->flow, shard->index, shard->index);
	const struct message_head *head = (const struct message_head *)(const void *)at;
	uint8_t *copy = queue_reserve(channel, head->size);
	memcpy(copy, at, head->size);
	effects_born(shard, (struct message_head *)(void *)copy, input->colour);
	queue_commit(channel, head->size);
	queue_publish(channel);
	shard->keyed_until = channel->tail.number;
	shard->counts.channels_in++;
	shard->epoch_bytes += head->size;
	shard->epoch_messages++;
}

static bool table_full(const struct shard *shard) {
	int64_t keys = atomic_load_explicit(&shard->flow->keys, memory_order_relaxed) + shard->keyed.change;
	return keys >= (int64_t)shard->flow->config->idempotency_keys_max;
}

static void begun(struct shard *shard, const struct input *input, const struct keyed_input *keyed,
	const struct message *message, bool born) {
	struct bytes key = bytes_of(keyed + 1, keyed->key_size);
	uint64_t expires_ms = shard->epoch_time_ms + shard->flow->config->idempotency_expiry_s * 1000;
	struct keyed_birth birth = {
		.type = message->head->type,
		.id = message->id,
		.key = key,
		.print = bytes_of(keyed->print, KEYED_HASH_BYTES),
		.expires_ms = expires_ms,
	};
	birth_put(shard, keyed->hash, &birth, message->head->hash);
	shard->keyed.change += born ? 0 : 1;
	uint8_t *at = (uint8_t *)(uintptr_t)message->head;
	if ((message->head->flags & MESSAGE_KEYED) != 0)
		memcpy(at + sizeof *message->head + MESSAGE_ROUTE_BYTES + offsetof(struct message_keyed, expires_ms),
			&expires_ms, sizeof expires_ms);
	keyed_queue(shard, input, at);
	if ((message->head->flags & MESSAGE_ROUTE) != 0)
		return;
	struct keyed_answer stored = {.expires_ms = expires_ms, .number = shard->epoch};
	answer_put(shard, keyed->hash, &stored);
	struct engine_answer answer = {.token = input->token, .number = shard->epoch};
	output_put(&shard->outputs, &answer);
}

bool keyed_take(struct shard *shard, const struct input *input) {
	const struct keyed_input *keyed = (const struct keyed_input *)(const void *)(input + 1);
	struct message message;
	message_read((const uint8_t *)(keyed + 1) + ((keyed->key_size + 7) & ~7u), &message);
	if (message.head->type >= shard->view->binding_count)
		return false;
	struct known known;
	shard_touch(shard);
	bool good = known_read(shard, keyed->hash, &known);
	struct bytes key = bytes_of(keyed + 1, keyed->key_size);
	if (good && known.born && known.birth.expires_ms > shard->epoch_time_ms) {
		if (bytes_equal(known.birth.key, key) && bytes_equal(known.birth.id, message.id) &&
			known.birth.type == message.head->type)
			repeated(shard, input, keyed, &known);
		else
			refuse(shard, input, ERROR_CONFLICT, "another key stands in the place of this one: choose another");
	} else if (good && !known.born && table_full(shard)) {
		refuse(shard, input, ERROR_KEYS_FULL, "no more idempotency keys are kept: some must expire first");
	} else if (good) {
		begun(shard, input, keyed, &message, known.born);
	}
	known_finish(&known);
	return good;
}

/* ---- the answer ---- */

/* On the shard that owns the key. One that comes after the key has expired is kept by nobody. */
static void answer_keep(struct shard *shard, const struct message_route *route, const struct engine_answer *answer) {
	if (route->keyed.expires_ms > shard->epoch_time_ms) {
		struct keyed_answer stored = {
			.expires_ms = route->keyed.expires_ms,
			.code = answer->code,
			.number = answer->number,
			.type = answer->type,
			.payload = answer->payload,
		};
		answer_put(shard, route->keyed.hash, &stored);
	}
	if (route->incarnation != shard->flow->incarnation) {
		shard->counts.replies_stale++;
		return;
	}
	struct engine_answer out = *answer;
	out.token = route->token;
	output_put(&shard->outputs, &out);
	shard->epoch_bytes += sizeof(struct output) + answer->payload.size;
}

static void answer_send(
	struct shard *shard, uint32_t to, const struct message_route *route, const struct engine_answer *answer) {
	struct keyed_answer body = {
		.code = answer->code, .number = answer->number, .type = answer->type, .payload = answer->payload};
	buf_reset(&shard->scratch);
	keyed_answer_write(&shard->scratch, &body);
	struct message_parts parts = {
		.head = {.hash = route->keyed.owner, .flags = MESSAGE_ANSWER},
		.route = route,
		.payload = bytes_buf(&shard->scratch),
	};
	uint32_t size = message_measure(&parts);
	struct queue *channel = shard_channel(shard->flow, shard->index, to);
	parts.head.birth_epoch = shard->epoch;
	parts.head.flags |= route->colour;
	shard->counts.born++;
	shard->counts.channels_in++;
	shard->counts.colour[route->colour]++;
	message_put(queue_reserve(channel, size), &parts);
	queue_commit(channel, size);
	shard->touched |= UINT64_C(1) << to;
	shard->epoch_bytes += size;
}

void keyed_reply(struct shard *shard, const struct message_route *route, const struct engine_answer *answer) {
	uint32_t owner = message_shard(route->keyed.owner, shard->flow->shards_count);
	if (owner == shard->index)
		answer_keep(shard, route, answer);
	else
		answer_send(shard, owner, route, answer);
}

void keyed_home(struct shard *shard, const struct message *message) {
	struct keyed_answer body;
	bool good = keyed_answer_read(message->payload, &body);
	check(good); /* message_run_valid has seen the sizes, and the rest is ours */
	struct engine_answer answer = {
		.code = body.code, .number = body.number, .type = body.type, .payload = body.payload};
	answer_keep(shard, &message->route, &answer);
}

/* ---- expiry ---- */

bool keyed_expire(struct shard *shard, struct bytes row_key, uint64_t due_ms) {
	struct known known;
	const uint8_t *hash = row_key.data + 1;
	shard_touch(shard);
	bool good = known_read(shard, hash, &known);
	if (good && due_ms <= shard->epoch_time_ms) {
		struct key wake = key_wake(due_ms, row_key);
		redo_remove(&shard->redo, REDO_RUNTIME, key_bytes(&wake));
		if (known.born && known.birth.expires_ms == due_ms) { /* else the key was used anew */
			struct keyed_entry *entry = entry_touch(shard, hash);
			struct key answer = key_keyed_answer(hash);
			redo_remove(&shard->redo, REDO_RUNTIME, row_key);
			redo_remove(&shard->redo, REDO_RUNTIME, key_bytes(&answer));
			entry->gone = true;
			buf_reset(&entry->birth);
			buf_reset(&entry->answer);
			shard->keyed.change--;
		}
		shard->epoch_bytes += 2 * wake.size;
	}
	known_finish(&known);
	return good;
}
