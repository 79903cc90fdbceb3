/* Clients of the simulation that call and send with idempotency keys, again and again until each key has its answer, and
 * after that now and then: it must be the same, and the message must have acted once. */
#ifndef TESTS_SIM_KEYS_H
#define TESTS_SIM_KEYS_H

#include "flow/engine/engine.h"
#include "program.h"

/* Tokens from here on are of these clients. */
#define KEYS_TOKEN (UINT64_C(1) << 40)

struct keys_client {
	uint64_t asked; /* session in which a request is open; 0: none */
	bool answered;
	enum error_code code;
	uint64_t number;
};

struct keys {
	uint64_t seed;
	uint32_t count;
	struct keys_client *clients;
};

void keys_init(struct keys *keys, uint64_t seed, uint32_t count);
void keys_finish(struct keys *keys);

/* One request; chance chooses which. */
void keys_step(struct keys *keys, struct engine *engine, uint64_t session, uint64_t chance);

/* NULL: fine; else what is wrong. */
const char *keys_answered(struct keys *keys, const struct engine_answer *answer);

bool keys_done(const struct keys *keys);
void keys_expect(const struct keys *keys, struct program_model *model);

#endif
