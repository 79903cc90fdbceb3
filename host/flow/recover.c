#include "flow/recover.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "flow/dead_letter.h"
#include "flow/keyed/keyed_rows.h"
#include "flow/operation/restore.h"
#include "flow/owed.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum {
	LAYOUTS_MAX = 0xffffff,
	MOVE_EPOCH_BYTES = 1 << 20, /* of messages moved to another layout in one epoch */
};

static bool malformed(struct error *error, const char *what) {
	return error_set(error, ERROR_STORE_FAILED, "%s in the runtime database is malformed: run sofund --verify", what);
}

/* ---- layout and numbers ---- */

bool recover_layout(struct flow *flow, bool *ret_changed, struct error *error) {
	struct key key = key_of(KEY_LAYOUT);
	struct buf row = {0};
	int found = store_get(flow->store, REDO_RUNTIME, key_bytes(&key), &row, error);
	if (found < 0)
		return false;
	uint64_t layout = 1;
	uint64_t shards = flow->shards_count;
	if (found == 1) {
		struct cursor cursor = cursor_of(bytes_buf(&row));
		uint32_t count;
		if (!cursor_read_array(&cursor, &count) || count < 2 || !cursor_read_uint(&cursor, &layout) ||
			!cursor_read_uint(&cursor, &shards) || layout >= LAYOUTS_MAX) {
			buf_finish(&row);
			return malformed(error, "the layout row");
		}
	}
	buf_finish(&row);
	*ret_changed = found == 0 || shards != flow->shards_count;
	flow->layout = (uint32_t)layout + (shards != flow->shards_count ? 1 : 0);
	return true;
}

/* The largest number behind `kind`, by halving: rows of one kind stand in the order of their numbers. */
static bool number_last(
	struct flow *flow, uint8_t kind, uint64_t highest, size_t width, uint64_t *ret_last, struct error *error) {
	uint64_t low = 0;
	uint64_t high = highest;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2 + 1;
		struct key key = key_of((enum key_kind)kind);
		for (size_t i = width; i > 0; i--)
			key_u8(&key, (uint8_t)(middle >> (8 * (i - 1))));
		struct store_cursor *cursor = store_cursor_open(flow->store, REDO_RUNTIME, key_bytes(&key), error);
		if (cursor == NULL)
			return false;
		struct bytes found, value;
		bool any = store_cursor_next(cursor, &found, &value) && found.size == width + 1 && found.data[0] == kind;
		if (any) {
			low = 0;
			for (size_t i = 0; i < width; i++)
				low = low << 8 | found.data[1 + i];
		} else {
			high = middle - 1;
		}
		bool good = store_cursor_status(cursor, error);
		store_cursor_close(cursor);
		if (!good)
			return false;
	}
	*ret_last = low;
	return true;
}

static bool keys_read(struct flow *flow, struct error *error) {
	struct key key = key_of(KEY_NUMBERS);
	struct buf row = {0};
	uint64_t keys = 0;
	int found = store_get(flow->store, REDO_RUNTIME, key_bytes(&key), &row, error);
	bool good = found >= 0;
	if (found == 1 && !keyed_number_read(bytes_buf(&row), &keys))
		good = malformed(error, "the count of idempotency keys");
	buf_finish(&row);
	atomic_store(&flow->keys, (int64_t)keys);
	return good;
}

/* A number that was given is not given again, though its letter has gone: whoever repeats a request about it after a
 * restart must not meet another letter. */
static bool dead_read(struct flow *flow, struct error *error) {
	struct key key = key_of(KEY_DEAD);
	struct buf row = {0};
	uint64_t last;
	int found = store_get(flow->store, REDO_RUNTIME, key_bytes(&key), &row, error);
	bool good = found >= 0;
	if (found == 1 && !dead_removed_read(bytes_buf(&row), &flow->dead_removed))
		good = malformed(error, "the number of the last dead letter that went");
	buf_finish(&row);
	if (!good || !number_last(flow, KEY_DEAD, UINT64_MAX - 1, 8, &last, error))
		return false;
	atomic_store(&flow->dead_next, (last > flow->dead_removed ? last : flow->dead_removed) + 1);
	return true;
}

bool recover_numbers(struct flow *flow, uint16_t *ret_types, struct error *error) {
	uint64_t types;
	if (!dead_read(flow, error) || !number_last(flow, KEY_TYPE, UINT16_MAX - 1, 2, &types, error))
		return false;
	*ret_types = (uint16_t)types;
	return keys_read(flow, error);
}

/* ---- recovery as one object ---- */

struct recovery {
	struct flow *flow;
	struct committer *committer;
	struct error *error;
	uint64_t messages;
	/* the queue being restored */
	struct queue *queue;
	struct shard *shard;
	uint64_t queue_id;
	struct wait_row head;  /* of a channel or park: its head alone */
	struct buf head_value; /* what its views are of */
	bool head_exists;
	/* messages on their way to this layout */
	struct buf redo;
	size_t moved_bytes;
	uint64_t birth_limit; /* what was born behind a fence is moved after all that was born before it */
	struct buf left;      /* of the row that is being moved */
};

static bool head_find(struct recovery *recovery, uint64_t queue) {
	struct key key = key_queue_head(queue);
	bool waits;
	buf_reset(&recovery->head_value);
	int found = store_get(recovery->flow->store, REDO_RUNTIME, key_bytes(&key), &recovery->head_value, recovery->error);
	recovery->head_exists = found == 1;
	if (found == 1 && !wait_row_read(bytes_buf(&recovery->head_value), &recovery->head, &waits))
		return malformed(recovery->error, "the head row of a queue");
	return found >= 0;
}

static struct queue *wait_open(struct recovery *recovery) {
	struct flow *flow = recovery->flow;
	const struct wait_row *head = &recovery->head;
	if (!recovery->head_exists || head->type == 0) {
		malformed(recovery->error, "a queue of retries without its head row");
		return NULL;
	}
	uint64_t serial = recovery->queue_id & 0xffffffffffffffu;
	if (serial >= atomic_load(&flow->wait_next))
		atomic_store(&flow->wait_next, serial + 1);
	struct bytes id = head->id;
	uint32_t hash = flow_hash(flow, (uint16_t)head->type, id);
	struct shard *shard = flow->shards[message_shard(hash, flow->shards_count)];
	const struct view *view = shard->view;
	uint32_t value_count = 0;
	uint32_t schema = 1;
	if (head->type < view->binding_count) {
		const struct binding *binding = &view->bindings[head->type];
		const struct version *version = binding_version(binding, 0, id);
		value_count = binding->value_count;
		if (version != NULL)
			schema = version->schema;
	}
	struct instance *instance = cache_get(&shard->cache, flow->store, hash, (uint16_t)head->type, id, value_count,
		schema, false, UINT64_MAX, recovery->error);
	if (instance == NULL)
		return NULL;
	recovery->shard = shard;
	return &retry_restore(shard, instance, head, recovery->queue_id)->queue;
}

static bool queue_begin(struct recovery *recovery, uint64_t id) {
	struct flow *flow = recovery->flow;
	uint16_t from = (uint16_t)(id >> 16);
	uint16_t to = (uint16_t)id;
	recovery->queue_id = id;
	if (!head_find(recovery, id))
		return false;
	switch (queue_id_kind(id)) {
	case QUEUE_WAIT:
		recovery->queue = wait_open(recovery);
		return recovery->queue != NULL;
	case QUEUE_CHANNEL:
		if (from >= flow->shards_count || to >= flow->shards_count)
			return malformed(recovery->error, "a channel");
		recovery->shard = flow->shards[to];
		recovery->queue = shard_channel(flow, from, to);
		return true;
	case QUEUE_WAIT_AHEAD: /* its id is that of a wait */
		break;
	case QUEUE_PARK:
		if (from >= flow->shards_count)
			return malformed(recovery->error, "a park");
		recovery->shard = flow->shards[from];
		recovery->queue = park_of(recovery->shard, to);
		return true;
	}
	return malformed(recovery->error, "a queue of an unknown kind");
}

static bool queue_end(struct recovery *recovery) {
	if (recovery->queue == NULL)
		return true;
	uint64_t head = recovery->head_exists ? recovery->head.head : recovery->queue->head.number;
	bool good = queue_restore_end(recovery->queue, head, recovery->head_exists, recovery->flow->store, recovery->error);
	recovery->queue = NULL;
	return good;
}

/* ---- counting what came back ---- */

static void message_count(struct recovery *recovery, struct shard *shard, const uint8_t *at) {
	const struct message_head *head = (const struct message_head *)(const void *)at;
	if (head->operation != MESSAGE_ORDINARY)
		operations_restore(shard, at);
	shard->counts.born++;
	shard->counts.colour[head->flags & MESSAGE_COLOUR]++;
	recovery->messages++;
	if ((head->flags & MESSAGE_COUNTED) != 0)
		owed_add(&shard->owed, shard->flow, head, 1);
}

/* Calls each() for the messages of a run that are not consumed yet. */
static void run_each(struct recovery *recovery, uint64_t first, struct bytes run,
	void (*each)(struct recovery *recovery, const uint8_t *at)) {
	uint64_t number = first;
	uint64_t head = recovery->head_exists ? recovery->head.head : 0;
	/* rows come from the store at any alignment */
	uint8_t *aligned = check_alloc(1, run.size);
	memcpy(aligned, run.data, run.size);
	for (size_t at = 0; at < run.size; number++) {
		const struct message_head *message = (const struct message_head *)(const void *)(aligned + at);
		if (number >= head)
			each(recovery, aligned + at);
		at += message->size;
	}
	free(aligned);
}

static void restored_count(struct recovery *recovery, const uint8_t *at) {
	const struct message_head *head = (const struct message_head *)(const void *)at;
	message_count(recovery, recovery->shard, at);
	if (queue_id_kind(recovery->queue_id) == QUEUE_CHANNEL)
		recovery->shard->counts.channels_in++;
	if (queue_id_kind(recovery->queue_id) == QUEUE_WAIT && recovery->head.undecided != 0)
		recovery->shard->counts.undecided++;
	if (queue_id_kind(recovery->queue_id) == QUEUE_PARK)
		atomic_fetch_add(&recovery->flow->parked[head->type], 1);
}

static bool row_restore(struct recovery *recovery, uint64_t id, uint64_t first, struct bytes run) {
	if ((recovery->queue == NULL || recovery->queue_id != id) && (!queue_end(recovery) || !queue_begin(recovery, id)))
		return false;
	uint64_t count;
	if (!message_run_valid(run, &count) || count == 0 || count > UINT32_MAX || run.size > UINT32_MAX)
		return malformed(recovery->error, "a run of waiting messages");
	struct queue_run queue_run = {.first = first, .count = (uint32_t)count, .bytes = (uint32_t)run.size};
	queue_restore_run(recovery->queue, &queue_run);
	run_each(recovery, first, run, restored_count);
	return true;
}

/* ---- walking rows ---- */

typedef bool row_visit(struct recovery *recovery, uint64_t id, uint64_t first, struct bytes run);

/* Every run row with from <= queue id < until. */
static bool rows_walk(struct recovery *recovery, uint64_t from, uint64_t until, row_visit *visit) {
	struct key key = key_of(KEY_QUEUE_RUN);
	key_u64(&key, from);
	struct store_cursor *cursor =
		store_cursor_open(recovery->flow->store, REDO_RUNTIME, key_bytes(&key), recovery->error);
	if (cursor == NULL)
		return false;
	struct bytes found, value;
	bool good = true;
	while (good && store_cursor_next(cursor, &found, &value) && found.size == 17 && found.data[0] == KEY_QUEUE_RUN) {
		uint64_t id = key_u64_at(found.data + 1);
		if (id >= until)
			break;
		good = visit(recovery, id, key_u64_at(found.data + 9), value);
	}
	good = good && store_cursor_status(cursor, recovery->error);
	store_cursor_close(cursor);
	return good;
}

static bool layout_restore(struct recovery *recovery, enum queue_kind kind, uint32_t layout) {
	return rows_walk(recovery, queue_id(kind, layout, 0, 0), queue_id(kind, layout + 1, 0, 0), row_restore) &&
		queue_end(recovery);
}

/* ---- moving what an older layout left ---- */

static void redo_commit_queue(struct recovery *recovery, struct shard *shard, struct queue *queue, uint64_t epoch) {
	struct flow *flow = recovery->flow;
	queue_publish(queue);
	queue_log(queue, epoch, &recovery->redo);
	if (atomic_load(&shard->queue_memory) > flow->queue_bytes)
		queue_page_out(queue, store_applied(flow->store), epoch, flow->queue_bytes, &recovery->redo);
}

/* One epoch of recovery's own: what was moved, and that it is gone from where it was. */
static bool move_commit(struct recovery *recovery) {
	struct flow *flow = recovery->flow;
	uint64_t epoch = recovery->committer->epoch;
	for (uint32_t to = 0; to < flow->shards_count; to++) {
		struct shard *shard = flow->shards[to];
		for (uint32_t from = 0; from < flow->shards_count; from++)
			redo_commit_queue(recovery, shard, shard_channel(flow, from, to), epoch);
		for (size_t type = 0; type < shard->park_count; type++) {
			if (shard->parks[type] != NULL)
				redo_commit_queue(recovery, shard, shard->parks[type], epoch);
		}
	}
	if (!committer_commit_now(recovery->committer, &recovery->redo, recovery->error))
		return false;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		flow->shards[i]->epoch = recovery->committer->epoch;
		atomic_store(&flow->shards[i]->sealed, recovery->committer->epoch - 1);
	}
	/* no thread runs yet: the applier's turn is here, so that memory stays bounded whatever is moved */
	while ((store_applied(flow->store) < epoch || committer_must_wait(recovery->committer)) &&
		!store_failed(flow->store, recovery->error)) {
		if (!store_applier_step(flow->store) && store_applied(flow->store) >= epoch)
			break;
	}
	recovery->moved_bytes = 0;
	return !store_failed(flow->store, recovery->error);
}

/* A sender's messages to one address stay in order: they stood in one old queue, and go to one new one. */
static void message_move(struct recovery *recovery, const uint8_t *at) {
	struct flow *flow = recovery->flow;
	struct message message;
	message_read(at, &message);
	bool parked = queue_id_kind(recovery->queue_id) == QUEUE_PARK;
	if (!parked && message.head->birth_epoch >= recovery->birth_limit) {
		buf_append(&recovery->left, at, message.head->size);
		return;
	}
	uint32_t to = message_shard(message.head->hash, flow->shards_count);
	uint32_t from = to;
	if (message.head->caller_type != 0)
		from = message_shard(flow_hash(flow, message.head->caller_type, message.caller_id), flow->shards_count);
	struct queue *queue = parked ? park_of(flow->shards[to], message.head->type) : shard_channel(flow, from, to);
	memcpy(queue_reserve(queue, message.head->size), at, message.head->size);
	queue_commit(queue, message.head->size);
	queue_publish(queue);
	recovery->moved_bytes += message.head->size;
	message_count(recovery, flow->shards[to], at);
	if (parked)
		atomic_fetch_add(&flow->parked[message.head->type], 1);
	else
		flow->shards[to]->counts.channels_in++;
}

static bool row_move(struct recovery *recovery, uint64_t id, uint64_t first, struct bytes run) {
	uint64_t count;
	if (!message_run_valid(run, &count))
		return malformed(recovery->error, "a run of waiting messages");
	if (recovery->queue_id != id) {
		recovery->queue_id = id;
		if (!head_find(recovery, id))
			return false;
		if (recovery->head_exists) { /* the first row of a queue is moved as a whole, so the head row goes with it */
			struct key key = key_queue_head(id);
			redo_remove(&recovery->redo, REDO_RUNTIME, key_bytes(&key));
		}
	}
	struct key key = key_queue_run(id, first);
	buf_reset(&recovery->left);
	run_each(recovery, first, run, message_move);
	if (recovery->left.size == 0)
		redo_remove(&recovery->redo, REDO_RUNTIME, key_bytes(&key));
	else if (recovery->left.size < run.size)
		redo_put(&recovery->redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&recovery->left));
	return recovery->moved_bytes < MOVE_EPOCH_BYTES || move_commit(recovery);
}

/* The lowest layout >= `from` that has rows of that kind; LAYOUTS_MAX if none has. */
static bool layout_next(struct recovery *recovery, enum queue_kind kind, uint32_t from, uint32_t *ret_layout) {
	struct key key = key_of(KEY_QUEUE_RUN);
	key_u64(&key, queue_id(kind, from, 0, 0));
	struct store_cursor *cursor =
		store_cursor_open(recovery->flow->store, REDO_RUNTIME, key_bytes(&key), recovery->error);
	if (cursor == NULL)
		return false;
	struct bytes found, value;
	*ret_layout = LAYOUTS_MAX;
	if (store_cursor_next(cursor, &found, &value) && found.size == 17 && found.data[0] == KEY_QUEUE_RUN &&
		queue_id_kind(key_u64_at(found.data + 1)) == kind)
		*ret_layout = queue_id_layout(key_u64_at(found.data + 1));
	bool good = store_cursor_status(cursor, recovery->error);
	store_cursor_close(cursor);
	return good;
}

/* The highest layout below `below` that has rows; 0 if none has. */
static bool layout_before(struct recovery *recovery, uint32_t below, uint32_t *ret_layout) {
	static const enum queue_kind kinds[] = {QUEUE_PARK, QUEUE_CHANNEL};
	*ret_layout = 0;
	for (int i = 0; i < 2; i++) {
		uint32_t layout = 0;
		while (layout_next(recovery, kinds[i], layout, &layout) && layout < below) {
			if (layout > *ret_layout)
				*ret_layout = layout;
			layout++;
		}
		if (layout != LAYOUTS_MAX && layout < below)
			return false;
	}
	return true;
}

static bool layouts_move(struct recovery *recovery) {
	uint32_t layout = recovery->flow->layout;
	for (;;) {
		if (!layout_before(recovery, layout, &layout))
			return false;
		if (layout == 0)
			return true;
		/* parked messages stand before those of the channels, newer layouts before older ones */
		if (!rows_walk(
				recovery, queue_id(QUEUE_PARK, layout, 0, 0), queue_id(QUEUE_PARK, layout + 1, 0, 0), row_move) ||
			!rows_walk(
				recovery, queue_id(QUEUE_CHANNEL, layout, 0, 0), queue_id(QUEUE_CHANNEL, layout + 1, 0, 0), row_move))
			return false;
	}
}

static int fence_compare(const void *a, const void *b) {
	const uint64_t one = *(const uint64_t *)a;
	const uint64_t other = *(const uint64_t *)b;
	return one < other ? -1 : one > other;
}

/* Several old channels become one new one: there, what is behind a fence must not stand before what is in front of it, or
 * an address would go to the new version and back. So it goes in passes, from fence to fence. */
static bool layouts_move_by_fence(struct recovery *recovery) {
	const struct view *view = recovery->flow->shards[0]->view;
	uint64_t *limits = check_alloc(view->binding_count + 1, sizeof *limits);
	size_t count = 0;
	for (size_t i = 1; i < view->binding_count; i++) {
		if (view->bindings[i].fence != 0)
			limits[count++] = view->bindings[i].fence;
	}
	qsort(limits, count, sizeof *limits, fence_compare);
	limits[count++] = UINT64_MAX;
	bool good = true;
	for (size_t i = 0; good && i < count; i++) {
		if (i > 0 && limits[i] == limits[i - 1])
			continue;
		recovery->birth_limit = limits[i];
		recovery->queue_id = UINT64_MAX;
		good = layouts_move(recovery) && (recovery->redo.size == 0 || move_commit(recovery));
	}
	free(limits);
	buf_finish(&recovery->left);
	return good;
}

/* Nobody knows what came of an operation that was under way: its address is told so, behind what stands in its mailbox, before
 * anything new comes in. */
static bool unknown_send(void *arg, const uint8_t *result) {
	struct recovery *recovery = arg;
	struct flow *flow = recovery->flow;
	const struct message_head *head = (const struct message_head *)(const void *)result;
	uint32_t to = message_shard(head->hash, flow->shards_count);
	struct queue *channel = shard_channel(flow, to, to);
	memcpy(queue_reserve(channel, head->size), head, head->size);
	queue_commit(channel, head->size);
	queue_publish(channel);
	message_count(recovery, flow->shards[to], result);
	flow->shards[to]->counts.channels_in++;
	flow->shards[to]->counts.operations_unknown++;
	recovery->moved_bytes += head->size;
	return recovery->moved_bytes < MOVE_EPOCH_BYTES || move_commit(recovery);
}

static bool operations_recover(struct recovery *recovery) {
	return operations_unknown_each(recovery->flow, &recovery->redo, unknown_send, recovery, recovery->error) &&
		(recovery->redo.size == 0 || move_commit(recovery));
}

static void layout_redo(const struct flow *flow, struct buf *redo) {
	struct key key = key_of(KEY_LAYOUT);
	struct buf row = {0};
	pack_array(&row, 2);
	pack_uint(&row, flow->layout);
	pack_uint(&row, flow->shards_count);
	redo_put(redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&row));
	buf_finish(&row);
}

/* Inputs wait until each shard has consumed what stood in its channels before. */
static void restored_mark(struct flow *flow) {
	for (uint32_t to = 0; to < flow->shards_count; to++) {
		struct shard *shard = flow->shards[to];
		shard->restored = check_alloc(flow->shards_count, sizeof *shard->restored);
		for (uint32_t from = 0; from < flow->shards_count; from++)
			shard->restored[from] = shard_channel(flow, from, to)->tail.number;
	}
	atomic_store(&flow->restoring, flow->shards_count);
}

bool recover_queues(struct flow *flow, struct committer *committer, bool layout_changed, struct error *error) {
	struct recovery recovery = {.flow = flow, .committer = committer, .error = error, .queue_id = UINT64_MAX};
	if (!rows_walk(&recovery, queue_wait_id(0), queue_wait_id(0) + (UINT64_C(1) << 56), row_restore) ||
		!queue_end(&recovery))
		return false;
	if (!layout_restore(&recovery, QUEUE_PARK, flow->layout) || !layout_restore(&recovery, QUEUE_CHANNEL, flow->layout))
		return false;
	uint64_t restored = recovery.messages;
	recovery.queue_id = UINT64_MAX;
	if (layout_changed)
		layout_redo(flow, &recovery.redo);
	bool good = layouts_move_by_fence(&recovery) && operations_recover(&recovery);
	buf_finish(&recovery.redo);
	buf_finish(&recovery.head_value);
	if (!good)
		return false;
	if (recovery.messages > restored)
		restored_mark(flow);
	log_event(LOG_INFO, "mailboxes", "waiting=%llu moved=%llu layout=%u shards=%u",
		(unsigned long long)recovery.messages, (unsigned long long)(recovery.messages - restored), flow->layout,
		flow->shards_count);
	return true;
}
