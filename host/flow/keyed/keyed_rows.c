#include "flow/keyed/keyed_rows.h"

#include "base/hash.h"
#include "base/little.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum { BIRTH_FIELDS = 5, ANSWER_FIELDS = 5 };

void keyed_hash(uint64_t seed, const struct bytes *parts, size_t count, uint8_t ret_hash[KEYED_HASH_BYTES]) {
	uint64_t low = seed;
	uint64_t high = hash_mix(seed, HASH_K1);
	for (size_t i = 0; i < count; i++) {
		low = hash_bytes(low, parts[i].data, parts[i].size);
		high = hash_bytes(high, parts[i].data, parts[i].size);
	}
	little_u64_put(ret_hash, low);
	little_u64_put(ret_hash + 8, high);
}

static struct key key_hashed(enum key_kind kind, const uint8_t *hash) {
	struct key key = key_of(kind);
	key_append(&key, bytes_of(hash, KEYED_HASH_BYTES));
	return key;
}

struct key key_keyed_birth(const uint8_t hash[KEYED_HASH_BYTES]) {
	return key_hashed(KEY_KEYED, hash);
}

struct key key_keyed_answer(const uint8_t hash[KEYED_HASH_BYTES]) {
	return key_hashed(KEY_KEYED_ANSWER, hash);
}

struct key key_wake(uint64_t due_ms, struct bytes row) {
	struct key key = key_of(KEY_WAKE);
	key_u64(&key, due_ms);
	key_append(&key, row);
	return key;
}

void keyed_birth_write(struct buf *row, const struct keyed_birth *birth) {
	pack_array(row, BIRTH_FIELDS);
	pack_uint(row, birth->type);
	pack_bin(row, birth->id);
	pack_bin(row, birth->key);
	pack_bin(row, birth->print);
	pack_uint(row, birth->expires_ms);
}

bool keyed_birth_read(struct bytes row, struct keyed_birth *ret_birth) {
	struct cursor cursor = cursor_of(row);
	uint32_t count;
	return cursor_read_array(&cursor, &count) && count == BIRTH_FIELDS && cursor_read_uint(&cursor, &ret_birth->type) &&
		cursor_read_bin(&cursor, &ret_birth->id) && cursor_read_bin(&cursor, &ret_birth->key) &&
		cursor_read_bin(&cursor, &ret_birth->print) && ret_birth->print.size == KEYED_HASH_BYTES &&
		cursor_read_uint(&cursor, &ret_birth->expires_ms);
}

static struct bytes code_text(enum error_code code) {
	return code == ERROR_NONE ? bytes_of(NULL, 0) : bytes_text(error_code_name(code));
}

/* A code that this version does not know is an internal error to whoever asks again. */
static enum error_code code_of(struct bytes text) {
	if (text.size == 0)
		return ERROR_NONE;
	for (int code = ERROR_NONE + 1; code < ERROR_CODES; code++) {
		if (bytes_equal(text, bytes_text(error_code_name((enum error_code)code))))
			return (enum error_code)code;
	}
	return ERROR_INTERNAL;
}

void keyed_answer_write(struct buf *row, const struct keyed_answer *answer) {
	pack_array(row, ANSWER_FIELDS);
	pack_uint(row, answer->expires_ms);
	pack_str(row, code_text(answer->code));
	pack_uint(row, answer->number);
	pack_bin(row, answer->type);
	pack_bin(row, answer->payload);
}

bool keyed_answer_read(struct bytes row, struct keyed_answer *ret_answer) {
	struct cursor cursor = cursor_of(row);
	struct bytes code;
	uint32_t count;
	if (!cursor_read_array(&cursor, &count) || count != ANSWER_FIELDS ||
		!cursor_read_uint(&cursor, &ret_answer->expires_ms) || !cursor_read_str(&cursor, &code) ||
		!cursor_read_uint(&cursor, &ret_answer->number) || !cursor_read_bin(&cursor, &ret_answer->type) ||
		!cursor_read_bin(&cursor, &ret_answer->payload))
		return false;
	ret_answer->code = code_of(code);
	return true;
}

void keyed_number_write(struct buf *row, uint64_t number) {
	pack_array(row, 1);
	pack_uint(row, number);
}

bool keyed_number_read(struct bytes row, uint64_t *ret_number) {
	struct cursor cursor = cursor_of(row);
	uint32_t count;
	return cursor_read_array(&cursor, &count) && count >= 1 && cursor_read_uint(&cursor, ret_number);
}
