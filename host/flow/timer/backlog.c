#include "flow/timer/backlog.h"

#include "base/check.h"
#include "flow/shard.h"

enum {
	STRETCH_ROWS = 65536, /* between two the reader looks what else is asked of it */
	REST_US_MIN = 1000000,
	REST_TIMES = 20, /* as long as the last count took: so counting is at most a twentieth of the reader's time */
};

static bool sweeps_due(const struct flow *flow) {
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		if (tally_get(&flow->shards[i]->tally.sweeps_due) > 0)
			return true;
	}
	return false;
}

static uint64_t sent_of(const struct flow *flow, uint16_t type) {
	uint64_t sent = 0;
	for (uint32_t i = 0; i < flow->shards_count; i++)
		sent += tally_get(&shard_type_tally(flow->shards[i], type)->sweeps_sent);
	return sent;
}

static void count_begin(struct flow *flow) {
	struct sweep_backlog *backlog = &flow->sweep_backlog;
	memset(backlog->sent_at_end_found, 0, sizeof backlog->sent_at_end_found);
	backlog->counting = true;
	backlog->from = (struct timer_place){0};
	backlog->due_ms = flow_clock_now(&flow->clock);
	backlog->spent_us = 0;
}

static void count_end(struct sweep_backlog *backlog) {
	const uint64_t rest_us = backlog->spent_us * REST_TIMES;
	for (uint32_t type = 0; type < TYPES_MAX; type++)
		atomic_store_explicit(&backlog->sent_at_end[type], backlog->sent_at_end_found[type], memory_order_relaxed);
	backlog->counting = false;
	backlog->rest_until_us = monotonic_us() + (rest_us > REST_US_MIN ? rest_us : REST_US_MIN);
}

static void row_count(struct flow *flow, struct bytes row) {
	struct message_head head;
	if (row.size < 1 + sizeof head)
		return; /* who loads it says so */
	memcpy(&head, row.data + 1, sizeof head);
	uint64_t *found = &flow->sweep_backlog.sent_at_end_found[head.type % TYPES_MAX];
	if (*found == 0) /* what was sent before this one */
		*found = sent_of(flow, head.type % TYPES_MAX);
	++*found;
}

/* True: more is due behind it. A store that cannot be read is the next load's matter: then it counts as the end. */
static bool stretch_count(struct flow *flow) {
	struct sweep_backlog *backlog = &flow->sweep_backlog;
	struct key first = key_timer(TIMER_SWEEP, backlog->from);
	struct error error;
	struct bytes key, value;
	struct store_cursor *cursor = store_cursor_open(flow->store, REDO_RUNTIME, key_bytes(&first), &error);
	if (cursor == NULL)
		return false;
	int rows = 0;
	bool due = false;
	while (store_cursor_next(cursor, &key, &value) && key.data[0] == KEY_SWEEP && key.size == TIMER_KEY_BYTES) {
		backlog->from = (struct timer_place){.due_ms = key_u64_at(key.data + 1), .serial = key_u64_at(key.data + 9)};
		due = backlog->from.due_ms <= backlog->due_ms;
		if (!due || rows++ == STRETCH_ROWS)
			break;
		row_count(flow, value);
		due = false;
	}
	store_cursor_close(cursor);
	return due;
}

bool sweep_backlog_step(struct flow *flow) {
	struct sweep_backlog *backlog = &flow->sweep_backlog;
	const uint64_t start_us = monotonic_us();
	if (!backlog->counting) {
		if (start_us < backlog->rest_until_us || !sweeps_due(flow))
			return false;
		count_begin(flow);
	}
	const bool more = stretch_count(flow);
	backlog->spent_us += monotonic_us() - start_us;
	if (!more)
		count_end(backlog);
	return more;
}

uint64_t sweep_backlog(const struct flow *flow, uint16_t type) {
	const uint64_t end = atomic_load_explicit(&flow->sweep_backlog.sent_at_end[type], memory_order_relaxed);
	const uint64_t sent = sent_of(flow, type);
	return end > sent && sweeps_due(flow) ? end - sent : 0;
}
