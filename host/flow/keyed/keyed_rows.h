/* Rows of idempotency keys (rule 10): what a key belongs to, and its answer. Any thread.
 *
 *   'J' hash[16]            [type, id, key, print, expires_ms]             born with the message
 *   'R' hash[16]            [expires_ms, code, number, type, payload]      the answer, in the reply's epoch
 *   'U' due_ms:u64be row    [owner]                                        when to look at row 'J' or 'P' (sweep.h)
 *   'N'                     [keys]                                         how many rows 'J' there are
 *
 * hash names (type, id, key); print stands for mode, content type and body. Both are two 64-bit hashes with seeds of the
 * store: what hash names is compared, and a print that agrees by chance is less likely than a disk that lies. */
#ifndef HOST_FLOW_KEYED_KEYED_ROWS_H
#define HOST_FLOW_KEYED_KEYED_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "flow/message.h"
#include "state/key.h"

struct keyed_birth {
	uint64_t type;
	struct bytes id;
	struct bytes key;
	struct bytes print; /* KEYED_HASH_BYTES */
	uint64_t expires_ms;
};

struct keyed_answer {
	uint64_t expires_ms; /* of the birth that it answers */
	enum error_code code;
	uint64_t number;
	struct bytes type;
	struct bytes payload; /* a reply's MessagePack, or a failure's text */
};

/* Of some parts, one behind the other; each with its size. */
void keyed_hash(uint64_t seed, const struct bytes *parts, size_t count, uint8_t ret_hash[KEYED_HASH_BYTES]);

struct key key_keyed_birth(const uint8_t hash[KEYED_HASH_BYTES]);
struct key key_keyed_answer(const uint8_t hash[KEYED_HASH_BYTES]);
struct key key_wake(uint64_t due_ms, struct bytes row);

void keyed_birth_write(struct buf *row, const struct keyed_birth *birth);
bool keyed_birth_read(struct bytes row, struct keyed_birth *ret_birth);
void keyed_answer_write(struct buf *row, const struct keyed_answer *answer);
bool keyed_answer_read(struct bytes row, struct keyed_answer *ret_answer);

/* [number]: rows 'U' and 'N'. */
void keyed_number_write(struct buf *row, uint64_t number);
bool keyed_number_read(struct bytes row, uint64_t *ret_number);

#endif
