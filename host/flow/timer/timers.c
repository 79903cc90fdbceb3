#include "flow/timer/timers.h"

#include "base/check.h"
#include "flow/shard.h"
#include "flow/timer/load.h"
#include "flow/timer/share.h"

void timers_init(struct timers *timers) {
	*timers = (struct timers){0};
	lane_init(&timers->messages, TIMER_MESSAGE, &timers->tokens);
	lane_init(&timers->sweeps, TIMER_SWEEP, NULL);
}

void timers_finish(struct timers *timers) {
	lane_finish(&timers->messages);
	lane_finish(&timers->sweeps);
	tokens_finish(&timers->tokens);
}

/* ---- effects ---- */

static void token_row(struct shard *shard, const struct key *key, struct timer_place place) {
	struct key row = {.size = 0}; /* two numbers, written as in a key */
	key_u64(&row, place.due_ms);
	key_u64(&row, place.serial);
	redo_put(&shard->redo, REDO_RUNTIME, key_bytes(key), key_bytes(&row));
	shard->epoch_bytes += key->size + row.size;
}

static struct timer_place place_next(struct shard *shard, uint64_t due_ms) {
	return (struct timer_place){.due_ms = due_ms, .serial = atomic_fetch_add(&shard->flow->timer_next, 1)};
}

static void timer_row(struct shard *shard, enum timer_kind kind, struct timer_place place, struct bytes token,
	const struct message_head *message) {
	struct key key = key_timer(kind, place);
	buf_reset(&shard->scratch);
	buf_append_u8(&shard->scratch, (uint8_t)token.size);
	buf_append_bytes(&shard->scratch, token);
	buf_append(&shard->scratch, message, message->size);
	redo_put(&shard->redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&shard->scratch));
	shard->epoch_bytes += key.size + shard->scratch.size;
}

void timers_set(struct shard *shard, uint64_t due_ms, struct bytes token, const struct message_head *message) {
	struct timers *timers = &shard->timers;
	struct timer_place place = place_next(shard, due_ms);
	timer_row(shard, TIMER_MESSAGE, place, token, message);
	shard->counts.timers_set++;
	struct timer *timer = lane_set(&timers->messages, place, message);
	if (token.size > 0) {
		struct message parts;
		message_read((const uint8_t *)message, &parts);
		struct key key = key_token(message->caller_type, parts.caller_id, token);
		struct token *name = tokens_add(&timers->tokens, &key);
		token_row(shard, &key, place);
		name->place = place;
		name->gone = false;
		name->timer = timer;
		if (timer != NULL)
			timer->token = name;
		tokens_changed(&timers->tokens, name, shard->epoch);
	}
	lane_fit(&timers->messages, shard->flow->timer_bytes);
}

void timers_file(struct shard *shard, uint64_t due_ms, const struct message_head *sweep) {
	struct lane *sweeps = &shard->timers.sweeps;
	struct timer_place place = place_next(shard, due_ms);
	timer_row(shard, TIMER_SWEEP, place, bytes_of(NULL, 0), sweep);
	lane_set(sweeps, place, sweep);
	lane_fit(sweeps, shard->flow->sweep_bytes);
}

static void token_gone(struct shard *shard, const struct key *key) {
	struct token *name = tokens_add(&shard->timers.tokens, key);
	name->gone = true;
	name->timer = NULL;
	tokens_changed(&shard->timers.tokens, name, shard->epoch);
	redo_remove(&shard->redo, REDO_RUNTIME, key_bytes(key));
	shard->epoch_bytes += key->size;
}

static void timer_row_remove(struct shard *shard, enum timer_kind kind, struct timer_place place) {
	struct key key = key_timer(kind, place);
	redo_remove(&shard->redo, REDO_RUNTIME, key_bytes(&key));
	shard->epoch_bytes += key.size;
}

void timers_cancel(struct shard *shard, uint16_t type, struct bytes id, struct bytes token, struct timer_place place) {
	struct timers *timers = &shard->timers;
	struct key key = key_token(type, id, token);
	const struct token *name = tokens_find(&timers->tokens, &key);
	if (name != NULL) {
		check(!name->gone);
		place = name->place;
		if (name->timer != NULL)
			lane_remove(&timers->messages, name->timer);
	}
	timer_row_remove(shard, TIMER_MESSAGE, place);
	token_gone(shard, &key);
	shard->counts.timers_cancelled++;
}

int timers_find(struct shard *shard, uint16_t type, struct bytes id, struct bytes token, struct timer_place *ret_place,
	struct error *error) {
	struct key key = key_token(type, id, token);
	const struct token *name = tokens_find(&shard->timers.tokens, &key);
	if (name != NULL) {
		*ret_place = name->place;
		return name->gone ? 0 : 1;
	}
	struct buf row = {0};
	int found = store_get(shard->flow->store, REDO_RUNTIME, key_bytes(&key), &row, error);
	if (found == 1 && row.size != TOKEN_ROW_BYTES) {
		error_set(error, ERROR_STORE_FAILED, "the row of a timer's token is malformed: run sofund --verify");
		found = -1;
	}
	if (found == 1)
		*ret_place = (struct timer_place){.due_ms = key_u64_at(row.data), .serial = key_u64_at(row.data + 8)};
	buf_finish(&row);
	return found;
}

/* ---- what is due ---- */

static void timer_fire(struct shard *shard, struct lane *lane, const struct due *due) {
	struct flow *flow = shard->flow;
	struct message_head *head = due->message;
	uint32_t to = message_shard(head->hash, flow->shards_count);
	struct queue *channel = shard_channel(flow, shard->index, to);
	shard_touch(shard);
	shard_clock_look(shard); /* the epoch's time: after a crash time goes on from there */
	uint8_t sweep = head->flags & MESSAGE_SWEEP;
	if (sweep != 0)
		tally_add(&shard_type_tally(shard, head->type)->sweeps_sent, 1);
	else
		shard->counts.timers_sent++;
	effects_born(shard, head, shard->colour);
	head->flags |= MESSAGE_TIMED | sweep;
	memcpy(queue_reserve(channel, head->size), head, head->size);
	queue_commit(channel, head->size);
	shard->counts.channels_in++;
	shard->epoch_bytes += head->size;
	shard->epoch_messages++;
	if (to == shard->index)
		queue_publish(channel);
	else
		shard->touched |= UINT64_C(1) << to;
	timer_row_remove(shard, lane->kind, due->place);
	if (due->token != NULL) {
		struct key key = {.size = due->token->key_size};
		memcpy(key.data, due->token->key, key.size);
		token_gone(shard, &key);
	}
	lane_take(lane);
}

/* ---- loading ---- */

static void load_ask(struct shard *shard, struct lane *lane) {
	const uint64_t epoch = shard->epoch_start_us != 0 ? shard->epoch : shard->epoch - 1;
	lane_load_begin(lane, epoch, atomic_load(&shard->flow->timer_next));
	timers_load_wake(shard->flow);
}

/* A sweep that stands where delayed messages do, as all did once: it goes to its own lane, as a new one. */
static void old_sweep_move(struct shard *shard, struct timer_place place, const struct message_head *sweep) {
	timer_row_remove(shard, TIMER_MESSAGE, place);
	timers_file(shard, place.due_ms, sweep);
}

/* One loaded row; the shard may have changed it since it was read. */
static void loaded_take(struct shard *shard, struct lane *lane, const struct timer_row *row) {
	const uint8_t *at = (const uint8_t *)(row + 1);
	const struct message_head *message = (const struct message_head *)(const void *)at;
	const struct bytes token = bytes_of(at + row->message_size, row->token_size);
	struct token *name = NULL;
	if (!lane_load_news(lane, row->place))
		return;
	if (lane->kind == TIMER_MESSAGE && (message->flags & MESSAGE_SWEEP) != 0) {
		old_sweep_move(shard, row->place, message);
		return;
	}
	if (token.size > 0) {
		struct message parts;
		message_read(at, &parts);
		struct key key = key_token(message->caller_type, parts.caller_id, token);
		name = tokens_find(lane->tokens, &key);
		if (name != NULL && (name->gone || !timer_place_same(name->place, row->place)))
			return; /* cancelled since */
		if (name == NULL)
			name = tokens_add(lane->tokens, &key);
		name->place = row->place;
	}
	lane_load_add(lane, row, name);
}

static void load_take(struct shard *shard, struct lane *lane) {
	shard_touch(shard); /* a clock move may wait to hear that nothing more is due: an epoch tells it */
	for (size_t at = 0; at < lane->loaded.size;) {
		const struct timer_row *row = (const struct timer_row *)(const void *)(lane->loaded.data + at);
		loaded_take(shard, lane, row);
		at += row->size;
	}
	lane_load_end(lane);
}

static bool lane_step(struct shard *shard, struct lane *lane, size_t bytes_max, uint64_t now_ms) {
	bool worked = false;
	int load = atomic_load_explicit(&lane->load, memory_order_acquire);
	if (load == LANE_LOAD_READY && shard_epoch_open(shard)) {
		load_take(shard, lane);
		lane_fit(lane, bytes_max);
		load = LANE_LOAD_NONE;
		worked = true;
	}
	if (load == LANE_LOAD_NONE && lane->tokens != NULL) /* else a loaded row is to be told from a cancelled one */
		tokens_prune(lane->tokens, store_applied(shard->flow->store));
	if (load == LANE_LOAD_NONE && lane_load_wanted(lane, now_ms))
		load_ask(shard, lane);
	return worked;
}

/* ---- a turn ---- */

uint64_t timers_next_ms(const struct shard *shard) {
	const uint64_t message_ms = lane_next_ms(&shard->timers.messages);
	const uint64_t sweep_ms = lane_next_ms(&shard->timers.sweeps);
	return message_ms < sweep_ms ? message_ms : sweep_ms;
}

uint64_t timers_due_ms(const struct shard *shard) {
	const uint64_t message_ms = lane_turn_ms(&shard->timers.messages);
	const uint64_t sweep_ms = lane_turn_ms(&shard->timers.sweeps);
	return message_ms < sweep_ms ? message_ms : sweep_ms;
}

static bool messages_send(struct shard *shard, uint64_t now_ms, int *budget) {
	struct lane *lane = &shard->timers.messages;
	struct due due;
	bool worked = false;
	for (; *budget > 0 && shard_epoch_open(shard) && lane_due(lane, now_ms, &due); (*budget)--) {
		timer_fire(shard, lane, &due);
		worked = true;
	}
	return worked;
}

static bool sweeps_send(struct shard *shard, uint64_t now_ms, int *budget) {
	struct timers *timers = &shard->timers;
	struct due due;
	bool worked = false;
	timers->sweeps_wait = false;
	while (*budget > 0 && shard_epoch_open(shard) && lane_due(&timers->sweeps, now_ms, &due)) {
		timers->sweeps_wait = !sweep_share_take(shard);
		if (timers->sweeps_wait)
			break;
		timer_fire(shard, &timers->sweeps, &due);
		(*budget)--;
		worked = true;
	}
	return worked;
}

bool timers_step(struct shard *shard, int *budget) {
	struct timers *timers = &shard->timers;
	uint64_t now_ms = flow_clock_now(&shard->flow->clock);
	bool worked = lane_step(shard, &timers->messages, shard->flow->timer_bytes, now_ms);
	worked |= lane_step(shard, &timers->sweeps, shard->flow->sweep_bytes, now_ms);
	worked |= messages_send(shard, now_ms, budget);
	worked |= sweeps_send(shard, now_ms, budget);
	tally_set(&shard->tally.timers_late_ms, lane_late_ms(&timers->messages, now_ms));
	tally_set(&shard->tally.sweeps_late_ms, lane_late_ms(&timers->sweeps, now_ms));
	tally_set(&shard->tally.sweeps_due, lane_is_due(&timers->sweeps, now_ms));
	return worked;
}
