#include "flow/keyed/sweep.h"

#include "base/check.h"
#include "base/log.h"
#include "flow/engine/inside.h"
#include "flow/keyed/keyed_rows.h"
#include "state/store_format.h"

enum { DUE_BYTES = 8 };

/* An entry that is written from now on is due no earlier. */
static uint64_t look_next(const struct config *config, uint64_t now_ms, uint64_t due_ms) {
	uint64_t keys_ms = config->idempotency_expiry_s * 1000;
	uint64_t producers_ms = config->producer_expiry_s * 1000;
	uint64_t wait_ms = keys_ms < producers_ms ? keys_ms : producers_ms;
	if (wait_ms > SWEEP_LOOK_MS)
		wait_ms = SWEEP_LOOK_MS;
	return due_ms < now_ms + wait_ms ? due_ms : now_ms + wait_ms;
}

static bool entry_take(struct sweep *sweep, struct bytes key, struct bytes value) {
	uint64_t owner;
	if (key.size <= 1 + DUE_BYTES || !keyed_number_read(value, &owner))
		return false;
	buf_append_u64(&sweep->found, key_u64_at(key.data + 1));
	buf_append_u64(&sweep->found, owner);
	buf_append_sized(&sweep->found, bytes_of(key.data + 1 + DUE_BYTES, key.size - 1 - DUE_BYTES));
	sweep->count++;
	return true;
}

/* Entries that are due, from where the last scan ended; the end of them is where the next one looks again. */
static bool entries_collect(struct sweep *sweep, struct store_cursor *cursor, uint64_t now_ms, uint64_t *ret_due_ms) {
	struct bytes key, value;
	*ret_due_ms = UINT64_MAX;
	while (store_cursor_next(cursor, &key, &value)) {
		*ret_due_ms = key_u64_at(key.data + 1);
		if (*ret_due_ms > now_ms)
			return true;
		if (sweep->count == SWEEP_BATCH) {
			sweep->from.size = 0;
			key_append(&sweep->from, key);
			*ret_due_ms = now_ms; /* at once, when these are done */
			return true;
		}
		if (!entry_take(sweep, key, value))
			return false;
		*ret_due_ms = UINT64_MAX;
	}
	return true;
}

bool sweep_scan(struct engine *engine) {
	struct flow *flow = &engine->flow;
	struct sweep *sweep = &engine->sweep;
	uint64_t now_ms = flow_clock_now(&flow->clock);
	if (now_ms < sweep->look_ms || atomic_load(&flow->sweeping) != 0 || atomic_load(&flow->failed))
		return false;
	struct error error;
	struct key from = sweep->from.size > 0 ? sweep->from : key_of(KEY_WAKE);
	struct store_cursor *cursor = store_cursor_open(flow->store, REDO_RUNTIME, key_bytes(&from), &error);
	if (cursor == NULL) {
		log_event(LOG_WARN, "sweep", "reason=\"%s\"", error.message);
		return false;
	}
	uint64_t due_ms;
	sweep->from.size = 0;
	if (!entries_collect(sweep, cursor, now_ms, &due_ms))
		error_set(&error, ERROR_STORE_FAILED, "an entry of the sweep is malformed: run sofund --verify");
	else if (store_cursor_status(cursor, &error))
		error.code = ERROR_NONE;
	if (error.code != ERROR_NONE)
		log_event(LOG_WARN, "sweep", "reason=\"%s\"", error.message);
	sweep->look_ms = look_next(flow->config, now_ms, due_ms);
	store_cursor_close(cursor);
	atomic_store(&flow->sweeping, (uint32_t)sweep->count);
	return sweep->count > 0;
}

void sweep_submit(void *arg) {
	struct engine *engine = arg;
	struct sweep *sweep = &engine->sweep;
	struct flow *flow = &engine->flow;
	bool running = engine->started && !atomic_load(&flow->stopping);
	struct bytes rest = bytes_buf(&sweep->found);
	for (; running && rest.size > 0;) {
		uint64_t due_ms = little_u64(rest.data);
		uint64_t owner = little_u64(rest.data + DUE_BYTES);
		struct bytes key;
		rest = bytes_of(rest.data + 2 * DUE_BYTES, rest.size - 2 * DUE_BYTES);
		bool whole = sized_take(&rest, &key);
		check(whole);
		uint32_t to = message_shard((uint32_t)owner, flow->shards_count);
		struct input *input = input_reserve(engine, to, INPUT_SWEEP, key.size);
		input->first = due_ms;
		input->body_size = key.size;
		memcpy(input + 1, key.data, key.size);
		input_submit(engine, to, input);
	}
	buf_reset(&sweep->found);
	sweep->count = 0;
}
