/* Counters that must not go back: what was given a number once is not met under it again. */
#include "flow/dead/letter.h"
#include "flow/keyed/keyed_rows.h"
#include "flow/recover/recovery.h"
#include "flow/shard.h"
#include "state/key.h"

struct numbers {
	uint8_t kind;
	size_t width; /* bytes of a number behind the kind */
	uint64_t low; /* none of them counts that is not above it */
	uint64_t highest;
};

/* The number of the first row from `number` on; false if there is none. */
static bool number_from(
	const struct numbers *numbers, struct store_cursor *cursor, uint64_t number, uint64_t *ret_number) {
	struct key key = key_of((enum key_kind)numbers->kind);
	for (size_t i = numbers->width; i > 0; i--)
		key_u8(&key, (uint8_t)(number >> (8 * (i - 1))));
	store_cursor_seek(cursor, key_bytes(&key));
	struct bytes found, value;
	if (!store_cursor_next(cursor, &found, &value) || found.size != numbers->width + 1)
		return false;
	*ret_number = 0;
	for (size_t i = 0; i < numbers->width; i++)
		*ret_number = *ret_number << 8 | found.data[1 + i];
	return true;
}

/* The last of them; `low` if there is none above. By halving: rows of one kind stand in the order of their numbers. */
static bool number_last(struct flow *flow, const struct numbers *numbers, uint64_t *ret_last, struct error *error) {
	struct key key = key_of((enum key_kind)numbers->kind);
	struct store_cursor *cursor = store_cursor_open(flow->store, REDO_RUNTIME, key_bytes(&key), error);
	if (cursor == NULL)
		return false;
	uint64_t low = numbers->low;
	for (uint64_t high = numbers->highest; low < high;) {
		const uint64_t middle = low + (high - low) / 2 + 1;
		if (!number_from(numbers, cursor, middle, &low))
			high = middle - 1;
	}
	const bool good = store_cursor_status(cursor, error);
	store_cursor_close(cursor);
	*ret_last = low;
	return good;
}

static bool keys_read(struct flow *flow, struct error *error) {
	struct key key = key_of(KEY_NUMBERS);
	struct buf row = {0};
	uint64_t keys = 0;
	int found = store_get(flow->store, REDO_RUNTIME, key_bytes(&key), &row, error);
	bool good = found >= 0;
	if (found == 1 && !keyed_number_read(bytes_buf(&row), &keys))
		good = recovery_malformed(error, "the count of idempotency keys");
	buf_finish(&row);
	atomic_store(&flow->keys, (int64_t)keys);
	return good;
}

static bool dead_removed_find(struct flow *flow, struct error *error) {
	struct key key = key_of(KEY_DEAD);
	struct buf row = {0};
	int found = store_get(flow->store, REDO_RUNTIME, key_bytes(&key), &row, error);
	bool good = found >= 0;
	if (found == 1 && !dead_removed_read(bytes_buf(&row), &flow->dead_removed))
		good = recovery_malformed(error, "the number of the last dead letter that went");
	buf_finish(&row);
	return good;
}

/* A number that was given is not given again, though its letter has gone: whoever repeats a request about it after a
 * restart must not meet another letter. Below the last that went are the marks of all that went, which are not looked over. */
static bool dead_read(struct flow *flow, struct error *error) {
	uint64_t last;
	if (!dead_removed_find(flow, error))
		return false;
	const struct numbers letters = {KEY_DEAD, 8, flow->dead_removed, UINT64_MAX - 1};
	if (!number_last(flow, &letters, &last, error))
		return false;
	atomic_store(&flow->dead_next, last + 1);
	return true;
}

bool recover_numbers(struct flow *flow, uint16_t *ret_types, struct error *error) {
	static const struct numbers types = {KEY_TYPE, 2, 0, UINT16_MAX - 1};
	uint64_t last;
	if (!dead_read(flow, error) || !number_last(flow, &types, &last, error))
		return false;
	*ret_types = (uint16_t)last;
	return keys_read(flow, error);
}
