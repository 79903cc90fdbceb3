/* Row 'V': what was judged of a plugin file. */
#include <string.h>

#include "base/check.h"
#include "registry/inside.h"
#include "wire/pack.h"

enum { VERDICT_FIELDS = 12, REFUSAL_FIELDS = 4 };

void verdict_write(struct buf *row, const struct verdict *verdict) {
	pack_array(row, VERDICT_FIELDS);
	pack_text(row, verdict_state_name(verdict->state));
	pack_text(row, verdict->name);
	pack_text(row, verdict->version);
	pack_str_clean(row, bytes_text(verdict->file));
	pack_text(row, verdict->image);
	pack_uint(row, verdict->generation);
	pack_uint(row, verdict->kept);
	pack_uint(row, verdict->attempts);
	pack_uint(row, verdict->held_inode);
	pack_uint(row, verdict->held_ctime_ns);
	pack_uint(row, verdict->time_ms);
	if (verdict->refusal == NULL) {
		pack_nil(row);
		return;
	}
	pack_array(row, REFUSAL_FIELDS);
	pack_str_clean(row, bytes_text(verdict->refusal->message));
	pack_str_clean(row, bytes_text(verdict->refusal->found));
	pack_str_clean(row, bytes_text(verdict->refusal->expected));
	pack_str_clean(row, bytes_text(verdict->refusal->hint));
}

static bool refusal_read_row(struct cursor *cursor, struct verdict *verdict) {
	uint32_t count;
	if (cursor_read_nil(cursor))
		return true;
	if (!cursor_read_array(cursor, &count) || count < REFUSAL_FIELDS)
		return false;
	verdict->refusal = check_alloc(1, sizeof(struct error));
	verdict->refusal->code = ERROR_REFUSED;
	struct error *refusal = verdict->refusal;
	return row_read_text(cursor, refusal->message, sizeof(refusal->message)) &&
		row_read_text(cursor, refusal->found, sizeof(refusal->found)) &&
		row_read_text(cursor, refusal->expected, sizeof(refusal->expected)) &&
		row_read_text(cursor, refusal->hint, sizeof(refusal->hint));
}

static bool state_read(struct cursor *cursor, enum verdict_state *ret_state) {
	struct bytes name;
	return cursor_read_str(cursor, &name) && verdict_state_of(name, ret_state);
}

static bool verdict_read_row(struct cursor *cursor, struct verdict *verdict) {
	uint32_t count;
	return cursor_read_array(cursor, &count) && count >= VERDICT_FIELDS && state_read(cursor, &verdict->state) &&
		row_read_text(cursor, verdict->name, sizeof(verdict->name)) &&
		row_read_text(cursor, verdict->version, sizeof(verdict->version)) &&
		row_read_new_text(cursor, &verdict->file) && row_read_new_text(cursor, &verdict->image) &&
		cursor_read_uint(cursor, &verdict->generation) && cursor_read_uint(cursor, &verdict->kept) &&
		cursor_read_uint(cursor, &verdict->attempts) && cursor_read_uint(cursor, &verdict->held_inode) &&
		cursor_read_uint(cursor, &verdict->held_ctime_ns) && cursor_read_uint(cursor, &verdict->time_ms) &&
		refusal_read_row(cursor, verdict);
}

bool verdict_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error) {
	struct cursor cursor = cursor_of(value);
	if (key.size != 1 + HASH_BYTES)
		return row_malformed(error, KEY_VERDICT);
	struct verdict *verdict = verdict_add(registry, key.data + 1);
	verdict->written = true;
	if (!verdict_read_row(&cursor, verdict))
		return row_malformed(error, KEY_VERDICT);
	if (verdict->generation > registry->generation)
		registry->generation = verdict->generation;
	return true;
}
