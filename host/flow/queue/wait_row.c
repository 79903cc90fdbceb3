#include "flow/queue/wait_row.h"

#include "flow/message.h"
#include "flow/queue/queue.h"
#include "flow/view.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum { FIELDS = 7, FIELDS_UNDECIDED = 9 };

void wait_row_write(struct buf *value, const struct wait_row *row) {
	pack_array(value, row->undecided != 0 ? FIELDS_UNDECIDED : FIELDS);
	pack_uint(value, row->ahead ? QUEUE_WAIT_AHEAD : QUEUE_WAIT);
	pack_uint(value, row->head);
	pack_uint(value, row->type);
	pack_bin(value, row->id);
	pack_uint(value, row->attempts);
	pack_uint(value, row->first_failed_ms);
	pack_uint(value, row->due_ms);
	if (row->undecided == 0)
		return;
	pack_uint(value, row->undecided);
	pack_bin(value, row->failure);
}

static bool address_read(struct cursor *cursor, struct wait_row *row) {
	return cursor_read_uint(cursor, &row->type) && row->type > 0 && row->type < TYPES_MAX &&
		cursor_read_text_or_bin(cursor, &row->id) && row->id.size <= ID_BYTES_MAX;
}

static bool retry_read(struct cursor *cursor, struct wait_row *row) {
	return cursor_read_uint(cursor, &row->attempts) && cursor_read_uint(cursor, &row->first_failed_ms) &&
		cursor_read_uint(cursor, &row->due_ms);
}

static bool undecided_read(struct cursor *cursor, struct wait_row *row) {
	return cursor_read_uint(cursor, &row->undecided) && row->undecided != 0 && cursor_read_bin(cursor, &row->failure);
}

bool wait_row_read(struct bytes value, struct wait_row *ret_row, bool *ret_waits) {
	struct cursor cursor = cursor_of(value);
	uint32_t fields;
	uint64_t kind;
	*ret_row = (struct wait_row){0};
	if (!cursor_read_array(&cursor, &fields) || !cursor_read_uint(&cursor, &kind) ||
		!cursor_read_uint(&cursor, &ret_row->head))
		return false;
	ret_row->ahead = kind == QUEUE_WAIT_AHEAD;
	*ret_waits = kind == QUEUE_WAIT || kind == QUEUE_WAIT_AHEAD;
	return !*ret_waits ||
		(address_read(&cursor, ret_row) && retry_read(&cursor, ret_row) &&
			(fields == FIELDS || undecided_read(&cursor, ret_row)));
}
