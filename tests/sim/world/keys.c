#include "keys.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "wire/cursor.h"
#include "wire/pack.h"

/* Every third key is of a send; the calls are answered after so many hops to other instances. */
static bool is_send(uint32_t key) {
	return key % 3 == 0;
}

static uint32_t hops_of(uint32_t key) {
	return key % 4;
}

static uint64_t number_of(uint64_t seed, uint32_t key) {
	return hash_mix(seed, 0x6b657900 + key) | 1;
}

void keys_init(struct keys *keys, uint64_t seed, uint32_t count) {
	*keys = (struct keys){.seed = seed, .count = count};
	keys->clients = check_alloc(count, sizeof *keys->clients);
}

void keys_finish(struct keys *keys) {
	free(keys->clients);
}

void keys_step(struct keys *keys, struct engine *engine, uint64_t session, uint64_t chance) {
	uint32_t key = (uint32_t)(chance % keys->count);
	struct keys_client *client = &keys->clients[key];
	if (client->asked == session || (client->answered && chance / keys->count % 2 != 0))
		return;
	char id[8], name[16];
	struct buf payload = {0};
	uint64_t number = number_of(keys->seed, key);
	program_keyed_id(id, number);
	snprintf(name, sizeof name, "k%u", key);
	program_keyed_payload(&payload, number, is_send(key) ? 0 : hops_of(key));
	struct engine_message message = {
		.to = bytes_text("sim/node"),
		.id = bytes_text(id),
		.payload = bytes_buf(&payload),
		.key = bytes_text(name),
		.content = bytes_text("sim"),
		.body = bytes_buf(&payload),
	};
	uint64_t token = KEYS_TOKEN + session * keys->count + key;
	client->asked = session;
	if (is_send(key))
		engine_send(engine, token, &message);
	else
		(void)engine_call(engine, token, &message);
	buf_finish(&payload);
}

const char *keys_answered(struct keys *keys, const struct engine_answer *answer) {
	uint32_t key = (uint32_t)((answer->token - KEYS_TOKEN) % keys->count);
	struct keys_client *client = &keys->clients[key];
	uint64_t number = answer->number;
	client->asked = 0;
	if (answer->code == ERROR_CONFLICT)
		return client->answered ? "a key that was answered is said to run" : NULL;
	if (answer->code != ERROR_NONE && answer->code != ERROR_FUNCTION_FAILED)
		return "a request with a key was refused";
	if (answer->code == ERROR_NONE && !is_send(key)) {
		struct cursor cursor = cursor_of(answer->payload);
		if (!cursor_read_uint(&cursor, &number))
			return "the answer to a call with a key is no number";
	}
	if (client->answered && (client->code != answer->code || client->number != number))
		return "a repeated request has another answer";
	if (answer->code == ERROR_NONE && !is_send(key) &&
		number != program_keyed_last(number_of(keys->seed, key), hops_of(key)))
		return "a call with a key has a wrong answer";
	client->answered = true;
	client->code = answer->code;
	client->number = number;
	return NULL;
}

bool keys_done(const struct keys *keys) {
	for (uint32_t key = 0; key < keys->count; key++) {
		if (!keys->clients[key].answered)
			return false;
	}
	return true;
}

void keys_expect(const struct keys *keys, struct program_model *model) {
	for (uint32_t key = 0; key < keys->count; key++)
		program_keyed_expect(model, number_of(keys->seed, key), is_send(key) ? 0 : hops_of(key));
}
