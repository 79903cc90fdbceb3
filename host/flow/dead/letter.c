#include "flow/dead/letter.h"

#include "wire/cursor.h"
#include "wire/pack.h"

enum { DEAD_LETTER_FIELDS = 12 };

void dead_letter_write(struct buf *row, const struct dead_letter *letter) {
	pack_array(row, DEAD_LETTER_FIELDS);
	pack_str(row, letter->to);
	pack_bin(row, letter->id);
	if (letter->from.size > 0)
		pack_str(row, letter->from);
	else
		pack_nil(row);
	pack_bin(row, letter->from_id);
	pack_str(row, letter->code);
	pack_str_clean(row, letter->reason);
	pack_uint(row, letter->attempts);
	pack_str(row, letter->plugin);
	pack_str(row, letter->version);
	pack_str_clean(row, letter->type);
	pack_uint(row, letter->time_ms);
	pack_raw(row, letter->payload);
}

bool dead_letter_read(struct bytes row, struct dead_letter *ret_letter) {
	struct cursor cursor = cursor_of(row);
	uint32_t count;
	if (!cursor_read_array(&cursor, &count) || count != DEAD_LETTER_FIELDS)
		return false;
	if (!cursor_read_str(&cursor, &ret_letter->to) || !cursor_read_bin(&cursor, &ret_letter->id))
		return false;
	ret_letter->from = bytes_of(NULL, 0);
	if (!cursor_read_nil(&cursor) && !cursor_read_str(&cursor, &ret_letter->from))
		return false;
	return cursor_read_bin(&cursor, &ret_letter->from_id) && cursor_read_str(&cursor, &ret_letter->code) &&
		cursor_read_str(&cursor, &ret_letter->reason) && cursor_read_uint(&cursor, &ret_letter->attempts) &&
		cursor_read_str(&cursor, &ret_letter->plugin) && cursor_read_str(&cursor, &ret_letter->version) &&
		cursor_read_str(&cursor, &ret_letter->type) && cursor_read_uint(&cursor, &ret_letter->time_ms) &&
		cursor_take(&cursor, CURSOR_NESTING_MAX, &ret_letter->payload) == CURSOR_GOOD && cursor_at_end(&cursor);
}

void dead_removed_write(struct buf *row, uint64_t number) {
	pack_array(row, 1);
	pack_uint(row, number);
}

bool dead_removed_read(struct bytes row, uint64_t *ret_number) {
	struct cursor cursor = cursor_of(row);
	uint32_t count;
	return cursor_read_array(&cursor, &count) && count == 1 && cursor_read_uint(&cursor, ret_number) &&
		cursor_at_end(&cursor);
}
