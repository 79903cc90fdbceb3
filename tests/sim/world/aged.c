#include "aged.h"

#include "flow/engine/inside.h"
#include "flow/timer/place.h"

static bool rows_age(struct store *store, struct buf *redo, struct error *error) {
	struct key first = key_of(KEY_SWEEP);
	struct bytes key, value;
	struct store_cursor *cursor = store_cursor_open(store, REDO_RUNTIME, key_bytes(&first), error);
	if (cursor == NULL)
		return false;
	while (store_cursor_next(cursor, &key, &value) && key.data[0] == KEY_SWEEP) {
		struct timer_place place = {.due_ms = key_u64_at(key.data + 1), .serial = key_u64_at(key.data + 9)};
		struct key old = key_timer(TIMER_MESSAGE, place);
		redo_remove(redo, REDO_RUNTIME, key);
		redo_put(redo, REDO_RUNTIME, key_bytes(&old), value);
	}
	bool good = store_cursor_status(cursor, error);
	store_cursor_close(cursor);
	return good;
}

bool aged_sweeps(struct engine *engine, struct error *error) {
	struct flow *flow = &engine->flow;
	struct committer *committer = &engine->committer;
	struct buf redo = {0};
	if (!rows_age(flow->store, &redo, error) || !committer_commit_now(committer, &redo, error)) {
		buf_finish(&redo);
		return false;
	}
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		flow->shards[i]->epoch = committer->epoch;
		atomic_store(&flow->shards[i]->sealed, committer->epoch - 1);
	}
	return true;
}
