/* The layout row: which layout of queues was in force, [layout, shards, its first epoch]. */
#include "flow/recover/recovery.h"
#include "flow/shard.h"
#include "state/key.h"
#include "wire/cursor.h"

static bool row_read(struct bytes row, uint64_t *ret_layout, uint64_t *ret_shards, uint64_t *ret_epoch) {
	struct cursor cursor = cursor_of(row);
	uint32_t count;
	return cursor_read_array(&cursor, &count) && count >= 2 && cursor_read_uint(&cursor, ret_layout) &&
		cursor_read_uint(&cursor, ret_shards) && *ret_layout < LAYOUTS_MAX &&
		(count < 3 || cursor_read_uint(&cursor, ret_epoch));
}

bool recover_layout(struct flow *flow, bool *ret_changed, struct error *error) {
	struct key key = key_of(KEY_LAYOUT);
	struct buf row = {0};
	uint64_t layout = 1;
	uint64_t shards = flow->shards_count;
	uint64_t epoch = 0; /* not said: the row is of a host that did not know what its last start had moved */
	int found = store_get(flow->store, REDO_RUNTIME, key_bytes(&key), &row, error);
	bool good = found >= 0;
	if (found == 1 && !row_read(bytes_buf(&row), &layout, &shards, &epoch))
		good = recovery_malformed(error, "the layout row");
	buf_finish(&row);
	if (!good)
		return false;
	*ret_changed = found == 0 || shards != flow->shards_count || epoch == 0;
	flow->layout_epoch = *ret_changed ? flow->incarnation : epoch;
	flow->layout = (uint32_t)layout + (shards != flow->shards_count ? 1 : 0);
	return true;
}
