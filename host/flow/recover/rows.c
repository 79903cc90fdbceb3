/* The rows of queues, as recovery reads them: 'Q' queue first → messages, and 'H' queue → where the first of them stands. */
#include <stdlib.h>

#include "base/check.h"
#include "flow/recover/recovery.h"
#include "flow/shard.h"
#include "state/key.h"

enum { RUN_KEY_BYTES = 17 };

bool recovery_malformed(struct error *error, const char *what) {
	return error_set(error, ERROR_STORE_FAILED, "%s in the runtime database is malformed: run sofund --verify", what);
}

bool queue_head_read(struct recovery *recovery, uint64_t queue) {
	struct key key = key_queue_head(queue);
	bool waits;
	buf_reset(&recovery->head_value);
	int found = store_get(recovery->flow->store, REDO_RUNTIME, key_bytes(&key), &recovery->head_value, recovery->error);
	recovery->head_exists = found == 1;
	if (found == 1 && !wait_row_read(bytes_buf(&recovery->head_value), &recovery->head, &waits))
		return recovery_malformed(recovery->error, "the head row of a queue");
	return found >= 0;
}

static struct store_cursor *runs_open(struct recovery *recovery, uint64_t from) {
	struct key key = key_of(KEY_QUEUE_RUN);
	key_u64(&key, from);
	return store_cursor_open(recovery->flow->store, REDO_RUNTIME, key_bytes(&key), recovery->error);
}

/* False: malformed. */
static bool run_read(struct bytes key, struct bytes value, struct run *ret_run) {
	uint64_t count;
	if (key.size != RUN_KEY_BYTES || !message_run_valid(value, &count) || count == 0 || count > UINT32_MAX ||
		value.size > UINT32_MAX)
		return false;
	*ret_run = (struct run){.queue = key_u64_at(key.data + 1),
		.first = key_u64_at(key.data + 9),
		.count = (uint32_t)count,
		.messages = value};
	return true;
}

static bool run_before(struct bytes key, uint64_t until) {
	return key.size != RUN_KEY_BYTES || key_u64_at(key.data + 1) < until;
}

bool queue_runs_each(struct recovery *recovery, uint64_t from, uint64_t until, run_visit *visit) {
	struct store_cursor *cursor = runs_open(recovery, from);
	if (cursor == NULL)
		return false;
	struct bytes key, value;
	struct run run;
	bool good = true;
	while (good && store_cursor_next(cursor, &key, &value) && run_before(key, until)) {
		good = run_read(key, value, &run) ? visit(recovery, &run)
										  : recovery_malformed(recovery->error, "a run of waiting messages");
	}
	good = good && store_cursor_status(cursor, recovery->error);
	store_cursor_close(cursor);
	return good;
}

void run_messages_each(
	struct recovery *recovery, const struct run *run, void (*each)(struct recovery *recovery, const uint8_t *at)) {
	uint64_t number = run->first;
	const uint64_t head = recovery->head_exists ? recovery->head.head : 0;
	/* rows come from the store at any alignment */
	uint8_t *aligned = check_alloc(1, run->messages.size);
	memcpy(aligned, run->messages.data, run->messages.size);
	for (size_t at = 0; at < run->messages.size; number++) {
		const struct message_head *message = (const struct message_head *)(const void *)(aligned + at);
		if (number >= head)
			each(recovery, aligned + at);
		at += message->size;
	}
	free(aligned);
}

/* The lowest layout >= `from` that has rows of that kind; LAYOUTS_MAX if none has. */
static uint32_t layout_next(struct store_cursor *cursor, enum queue_kind kind, uint32_t from) {
	struct key key = key_of(KEY_QUEUE_RUN);
	struct bytes found, value;
	key_u64(&key, queue_id(kind, from, 0, 0));
	store_cursor_seek(cursor, key_bytes(&key));
	if (!store_cursor_next(cursor, &found, &value) || found.size != RUN_KEY_BYTES ||
		queue_id_kind(key_u64_at(found.data + 1)) != kind)
		return LAYOUTS_MAX;
	return queue_id_layout(key_u64_at(found.data + 1));
}

bool queue_layout_before(struct recovery *recovery, uint32_t below, uint32_t *ret_layout) {
	static const enum queue_kind kinds[] = {QUEUE_PARK, QUEUE_CHANNEL};
	struct store_cursor *cursor = runs_open(recovery, 0);
	if (cursor == NULL)
		return false;
	*ret_layout = 0;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		for (uint32_t layout = 0; (layout = layout_next(cursor, kinds[i], layout)) < below; layout++)
			*ret_layout = layout > *ret_layout ? layout : *ret_layout;
	}
	const bool good = store_cursor_status(cursor, recovery->error);
	store_cursor_close(cursor);
	return good;
}
