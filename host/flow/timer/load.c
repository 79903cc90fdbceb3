#include "flow/timer/load.h"

#include <errno.h>

#include "base/check.h"
#include "flow/shard.h"

enum {
	/* A pass ends after so many rows, of whatever shard, or so many bytes that it brings: they must fit into memory. But each
	 * pass looks at all that the applier's tables hold, some 10 ms when they are full: so few passes are better. */
	LOAD_ROWS_MAX = 131072,
	LOAD_BYTES_MAX = 8 << 20,
	LOAD_MEMORY_DIVISOR = 2, /* of a shard's budget for that kind: no pass brings more */
};

void timers_load_wake(struct flow *flow) {
	if (flow->reader_park != NULL)
		park_wake(flow->reader_park);
}

static struct lane *lane_of(const struct flow *flow, uint32_t shard, enum timer_kind kind) {
	return timers_lane(&flow->shards[shard]->timers, kind);
}

static bool lane_asks(struct lane *lane) {
	return atomic_load_explicit(&lane->load, memory_order_acquire) == LANE_LOAD_WANTED;
}

bool timers_load_asked(const struct flow *flow) {
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		if (lane_asks(lane_of(flow, i, TIMER_MESSAGE)) || lane_asks(lane_of(flow, i, TIMER_SWEEP)))
			return true;
	}
	return false;
}

/* Which shards ask, from where on, and whether the store can tell already all that they set before. */
struct pass {
	struct flow *flow;
	enum timer_kind kind;
	uint64_t shards; /* a bit each */
	struct timer_place from;
	struct timer_place until;
	size_t rows;
	size_t old;
	size_t bytes, bytes_max;
	struct error error;
	bool failed;
};

static void pass_plan(struct pass *pass) {
	const struct flow *flow = pass->flow;
	uint64_t applied = store_applied(flow->store);
	const size_t budget = pass->kind == TIMER_SWEEP ? flow->sweep_bytes : flow->timer_bytes;
	const size_t share = budget / LOAD_MEMORY_DIVISOR;
	pass->bytes_max = share < LOAD_BYTES_MAX ? share : LOAD_BYTES_MAX;
	pass->from = TIMER_PLACE_END;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		struct lane *lane = lane_of(flow, i, pass->kind);
		if (!lane_asks(lane) || lane->load_epoch > applied)
			continue;
		pass->shards |= UINT64_C(1) << i;
		if (timer_place_before(lane->load_from, pass->from))
			pass->from = lane->load_from;
	}
}

static bool row_malformed(struct pass *pass) {
	pass->failed = true;
	error_set(&pass->error, ERROR_STORE_FAILED, "the row of a timer is malformed: run sofund --verify");
	return false;
}

/* Hands a row to the shard of its sender, if that one asks. */
static bool row_deliver(struct pass *pass, struct timer_place place, struct bytes value) {
	struct flow *flow = pass->flow;
	if (value.size < 1 || value.size < 1 + (size_t)value.data[0] + sizeof(struct message_head))
		return row_malformed(pass);
	struct bytes token = bytes_of(value.data + 1, value.data[0]);
	struct bytes run = bytes_of(token.data + token.size, value.size - 1 - token.size);
	struct timer_row row = {.place = place, .message_size = (uint32_t)run.size, .token_size = (uint32_t)token.size};
	row.size = (uint32_t)(sizeof row + run.size + ((token.size + 7) & ~(size_t)7));
	struct buf *scratch = &flow->timer_row;
	buf_reset(scratch);
	buf_append(scratch, &row, sizeof row);
	buf_append_bytes(scratch, run);
	uint64_t count;
	if (!message_run_valid(bytes_of(scratch->data + sizeof row, run.size), &count) || count != 1)
		return row_malformed(pass);
	buf_append_bytes(scratch, token);
	memset(buf_reserve(scratch, 8), 0, 8);
	struct message message;
	message_read(scratch->data + sizeof row, &message);
	uint32_t hash = flow_hash(flow, message.head->caller_type, message.caller_id);
	uint32_t owner = message_shard(hash, flow->shards_count);
	if ((pass->shards & UINT64_C(1) << owner) != 0) {
		buf_append(&lane_of(flow, owner, pass->kind)->loaded, scratch->data, row.size);
		pass->bytes += row.size;
	}
	pass->old += pass->kind == TIMER_MESSAGE && (message.head->flags & MESSAGE_SWEEP) != 0;
	return true;
}

static bool pass_full(const struct pass *pass) {
	return pass->rows == LOAD_ROWS_MAX || pass->bytes >= pass->bytes_max || pass->old == TIMERS_LOAD_OLD_MAX;
}

static void rows_read(struct pass *pass) {
	struct key key = key_timer(pass->kind, pass->from);
	struct store_cursor *cursor = store_cursor_open(pass->flow->store, REDO_RUNTIME, key_bytes(&key), &pass->error);
	pass->until = TIMER_PLACE_END;
	if (cursor == NULL) {
		pass->failed = true;
		return;
	}
	struct bytes found, value;
	while (store_cursor_next(cursor, &found, &value) && found.size == TIMER_KEY_BYTES) {
		struct timer_place place = {.due_ms = key_u64_at(found.data + 1), .serial = key_u64_at(found.data + 9)};
		if (pass_full(pass)) {
			pass->until = place;
			break;
		}
		if (!row_deliver(pass, place, value))
			break;
		pass->rows++;
	}
	if (!store_cursor_status(cursor, &pass->error))
		pass->failed = true;
	store_cursor_close(cursor);
}

static void pass_end(struct pass *pass) {
	struct flow *flow = pass->flow;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		struct lane *lane = lane_of(flow, i, pass->kind);
		if ((pass->shards & UINT64_C(1) << i) == 0)
			continue;
		if (pass->failed) {
			buf_reset(&lane->loaded); /* it still asks */
			continue;
		}
		lane->loaded_until = pass->until;
		atomic_store_explicit(&lane->load, LANE_LOAD_READY, memory_order_release);
		park_wake(&flow->shards[i]->park);
	}
	if (pass->failed && pass->error.system != ENOSPC)
		flow_fail(flow, &pass->error);
}

static bool pass_do(struct flow *flow, enum timer_kind kind) {
	struct pass pass = {.flow = flow, .kind = kind};
	pass_plan(&pass);
	if (pass.shards == 0)
		return false;
	rows_read(&pass);
	pass_end(&pass);
	return !pass.failed;
}

bool timers_load_step(struct flow *flow) {
	const bool messages = pass_do(flow, TIMER_MESSAGE);
	const bool sweeps = pass_do(flow, TIMER_SWEEP);
	return messages || sweeps;
}
