/* Row 'W': the versions of a plugin. The fence stands at a fixed place, since the epoch
 * is found only when the row is about to be written. */
#include <string.h>

#include "base/check.h"
#include "flow/message.h"
#include "registry/inside.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum { LINEAGE_FIELDS = 20, LINEAGE_FIELDS_MIN = 14 };
enum { FLAG_LEAVES_UNDECIDED = 1 };

struct key lineage_key(const struct lineage *lineage) {
	struct key key = key_of(KEY_SHARE);
	key_append(&key, bytes_text(lineage->name));
	return key;
}

static void hash_pack(struct buf *row, const struct verdict *verdict) {
	if (verdict == NULL)
		pack_nil(row);
	else
		pack_bin(row, bytes_of(verdict->hash, HASH_BYTES));
}

static void fence_pack(struct buf *row, uint64_t fence) {
	buf_append_u8(row, 0xcf);
	for (int shift = 56; shift >= 0; shift -= 8)
		buf_append_u8(row, (uint8_t)(fence >> shift));
}

static void share_pack(struct buf *row, const struct share *share) {
	hash_pack(row, share->base);
	hash_pack(row, share->canary);
	pack_uint(row, share->percent);
}

static void outcomes_pack(struct buf *row, struct outcome_count count) {
	pack_uint(row, count.messages);
	pack_uint(row, count.failed);
}

void lineage_write(struct buf *row, const struct lineage *lineage) {
	size_t begin = row->size;
	pack_array(row, LINEAGE_FIELDS);
	pack_uint(row, lineage->side);
	check(row->size - begin + 1 == LINEAGE_FENCE_OFFSET);
	fence_pack(row, lineage->fence);
	share_pack(row, &lineage->now);
	share_pack(row, &lineage->before);
	hash_pack(row, lineage->previous);
	pack_uint(row, lineage->running ? 1 : 0);
	pack_uint(row, lineage->seed);
	pack_uint(row, lineage->since_wall_ms);
	pack_uint(row, lineage->deadline_wall_ms);
	pack_uint(row, lineage->leaves_undecided ? FLAG_LEAVES_UNDECIDED : 0);
	pack_uint(row, lineage->probation_until_ms);
	pack_uint(row, lineage->errors_before);
	outcomes_pack(row, lineage->probation_row);
	outcomes_pack(row, lineage->other_row);
}

static bool hash_take(struct registry *registry, struct cursor *cursor, struct verdict **ret_verdict) {
	struct bytes hash;
	*ret_verdict = NULL;
	if (cursor_read_nil(cursor))
		return true;
	if (!cursor_read_bin(cursor, &hash) || hash.size != HASH_BYTES)
		return false;
	*ret_verdict = verdict_find(registry, hash.data);
	return *ret_verdict != NULL;
}

static bool share_take(struct registry *registry, struct cursor *cursor, struct share *ret_share) {
	uint64_t percent;
	if (!hash_take(registry, cursor, &ret_share->base) || !hash_take(registry, cursor, &ret_share->canary) ||
		!cursor_read_uint(cursor, &percent) || percent > 100)
		return false;
	ret_share->percent = (uint32_t)percent;
	return true;
}

static bool outcomes_take(struct cursor *cursor, struct outcome_count *row, struct outcome_count *kept) {
	bool good = cursor_read_uint(cursor, &row->messages) && cursor_read_uint(cursor, &row->failed) &&
		row->failed <= row->messages;
	*kept = *row;
	return good;
}

static bool lineage_take(struct registry *registry, struct cursor *cursor, struct lineage *lineage) {
	uint32_t count;
	uint64_t side, running, flags;
	if (!cursor_read_array(cursor, &count) || count < LINEAGE_FIELDS_MIN || !cursor_read_uint(cursor, &side) ||
		side >= MESSAGE_SIDES || !cursor_read_uint(cursor, &lineage->fence) ||
		!share_take(registry, cursor, &lineage->now) || !share_take(registry, cursor, &lineage->before) ||
		!hash_take(registry, cursor, &lineage->previous) || !cursor_read_uint(cursor, &running) ||
		!cursor_read_uint(cursor, &lineage->seed) || !cursor_read_uint(cursor, &lineage->since_wall_ms) ||
		!cursor_read_uint(cursor, &lineage->deadline_wall_ms) || !cursor_read_uint(cursor, &flags))
		return false;
	lineage->side = (uint8_t)side;
	lineage->running = running != 0;
	lineage->leaves_undecided = (flags & FLAG_LEAVES_UNDECIDED) != 0;
	/* rows of before there were verdicts on probation end here */
	return count < LINEAGE_FIELDS ||
		(cursor_read_uint(cursor, &lineage->probation_until_ms) && cursor_read_uint(cursor, &lineage->errors_before) &&
			outcomes_take(cursor, &lineage->probation_row, &lineage->probation_kept) &&
			outcomes_take(cursor, &lineage->other_row, &lineage->other_kept));
}

bool lineage_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error) {
	char name[MANIFEST_NAME_BYTES_MAX + 1];
	struct cursor cursor = cursor_of(value);
	bool good = key.size > 1 && key.size - 1 < sizeof(name);
	if (good) {
		memcpy(name, key.data + 1, key.size - 1);
		name[key.size - 1] = '\0';
		good = lineage_take(registry, &cursor, lineage_add(registry, name));
	}
	return good || row_malformed(error, KEY_SHARE);
}
