#include "flow/timer/timers.h"

#include <stdlib.h>

#include "base/check.h"
#include "flow/shard.h"
#include "flow/timer/load.h"
#include "flow/timer/share.h"

enum {
	/* Timers are brought into memory this long before they are due: a load takes milliseconds. */
	LOAD_AHEAD_MS = 1000,
	/* While so many stand in memory, the next ones can wait: they are brought while these are sent. */
	LOAD_BELOW = 16384,
};

static struct timer *timer_of(struct heap_node *node) {
	return (struct timer *)(void *)node; /* its first member */
}

static bool timer_less(const struct heap_node *a, const struct heap_node *b) {
	return timer_place_before(
		((const struct timer *)(const void *)a)->place, ((const struct timer *)(const void *)b)->place);
}

static struct timer *heap_timer(const struct heap *heap) {
	struct heap_node *node = heap_first(heap);
	return node == NULL ? NULL : timer_of(node);
}

static struct timer *timers_first(const struct timers *timers) {
	struct timer *message = heap_timer(&timers->messages);
	struct timer *sweep = heap_timer(&timers->sweeps);
	if (message == NULL || sweep == NULL)
		return message == NULL ? sweep : message;
	return timer_place_before(sweep->place, message->place) ? sweep : message;
}

static size_t timers_count(const struct timers *timers) {
	return timers->messages.count + timers->sweeps.count;
}

static struct heap *heap_of(struct timers *timers, const struct message_head *message) {
	return (message->flags & MESSAGE_SWEEP) != 0 ? &timers->sweeps : &timers->messages;
}

void timers_init(struct timers *timers) {
	*timers = (struct timers){.messages = {.less = timer_less}, .sweeps = {.less = timer_less}};
	atomic_init(&timers->load, TIMERS_LOAD_NONE);
}

static void timers_free(struct heap *heap) {
	for (size_t i = 0; i < heap->count; i++)
		free(timer_of(heap->nodes[i]));
	heap_finish(heap);
}

void timers_finish(struct timers *timers) {
	timers_free(&timers->messages);
	timers_free(&timers->sweeps);
	tokens_finish(&timers->tokens);
	buf_finish(&timers->loaded);
}

/* ---- in and out of memory ---- */

static size_t timer_bytes(const struct timer *timer) {
	return sizeof *timer - sizeof timer->message + timer->message.size + sizeof(struct heap_node *);
}

static struct timer *timer_add(struct timers *timers, struct timer_place place, const struct message_head *message) {
	struct timer *timer = check_alloc(1, sizeof *timer - sizeof timer->message + message->size);
	timer->place = place;
	memcpy(&timer->message, message, message->size);
	heap_add(heap_of(timers, message), &timer->node);
	timers->memory += timer_bytes(timer);
	return timer;
}

static void timer_remove(struct timers *timers, struct timer *timer) {
	heap_remove(heap_of(timers, &timer->message), &timer->node);
	timers->memory -= timer_bytes(timer);
	if (timer->token != NULL)
		timer->token->timer = NULL;
	free(timer);
}

static int place_compare(const void *a, const void *b) {
	const struct heap_node *const *left = a;
	const struct heap_node *const *right = b;
	return timer_less(*left, *right) ? -1 : timer_less(*right, *left) ? 1 : 0;
}

static void heap_forget(struct timers *timers, struct heap *heap, struct timer_place place) {
	size_t kept = 0;
	for (size_t i = 0; i < heap->count; i++) {
		struct timer *timer = timer_of(heap->nodes[i]);
		if (timer_place_before(timer->place, place)) {
			heap->nodes[kept++] = &timer->node;
			continue;
		}
		timers->memory -= timer_bytes(timer);
		if (timer->token != NULL)
			tokens_detach(&timers->tokens, timer->token);
		free(timer);
	}
	heap->count = kept;
	heap_rebuild(heap);
}

/* Everything from `place` on leaves memory: it is in the journal, and will be found in the store. */
static void timers_forget(struct timers *timers, struct timer_place place) {
	heap_forget(timers, &timers->messages, place);
	heap_forget(timers, &timers->sweeps, place);
	if (timer_place_before(place, timers->keep))
		timers->keep = place;
	if (timer_place_before(place, timers->horizon))
		timers->horizon = place;
}

/* The later half of what there is more of goes once memory is full, and what is as late of the rest. */
static void timers_fit(struct shard *shard) {
	struct timers *timers = &shard->timers;
	struct heap *larger = timers->sweeps.count > timers->messages.count ? &timers->sweeps : &timers->messages;
	if (timers->memory + timers->tokens.memory <= shard->flow->timer_bytes || larger->count < 2)
		return;
	qsort(larger->nodes, larger->count, sizeof *larger->nodes, place_compare);
	timers_forget(timers, timer_of(larger->nodes[larger->count / 2])->place);
}

/* ---- effects ---- */

static void token_row(struct shard *shard, const struct key *key, struct timer_place place) {
	struct key row = {.size = 0}; /* two numbers, written as in a key */
	key_u64(&row, place.due_ms);
	key_u64(&row, place.serial);
	redo_put(&shard->redo, REDO_RUNTIME, key_bytes(key), key_bytes(&row));
	shard->epoch_bytes += key->size + row.size;
}

static void timer_row(
	struct shard *shard, struct timer_place place, struct bytes token, const struct message_head *message) {
	struct key key = key_timer(place);
	buf_reset(&shard->scratch);
	buf_append_u8(&shard->scratch, (uint8_t)token.size);
	buf_append_bytes(&shard->scratch, token);
	buf_append(&shard->scratch, message, message->size);
	redo_put(&shard->redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&shard->scratch));
	shard->epoch_bytes += key.size + shard->scratch.size;
}

void timers_set(struct shard *shard, uint64_t due_ms, struct bytes token, const struct message_head *message) {
	struct timers *timers = &shard->timers;
	struct timer_place place = {.due_ms = due_ms, .serial = atomic_fetch_add(&shard->flow->timer_next, 1)};
	struct timer *timer = NULL;
	timer_row(shard, place, token, message);
	shard->counts.timers_set++;
	if (timer_place_before(place, timers->keep))
		timer = timer_add(timers, place, message);
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
	timers_fit(shard);
}

static void token_gone(struct shard *shard, const struct key *key) {
	struct token *name = tokens_add(&shard->timers.tokens, key);
	name->gone = true;
	name->timer = NULL;
	tokens_changed(&shard->timers.tokens, name, shard->epoch);
	redo_remove(&shard->redo, REDO_RUNTIME, key_bytes(key));
	shard->epoch_bytes += key->size;
}

static void timer_row_remove(struct shard *shard, struct timer_place place) {
	struct key key = key_timer(place);
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
			timer_remove(timers, name->timer);
	}
	timer_row_remove(shard, place);
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

static void timer_fire(struct shard *shard, struct timer *timer) {
	struct flow *flow = shard->flow;
	struct message_head *head = &timer->message;
	uint32_t to = message_shard(head->hash, flow->shards_count);
	struct queue *channel = shard_channel(flow, shard->index, to);
	shard_touch(shard);
	shard_clock_look(shard); /* the epoch's time: after a crash time goes on from there */
	uint8_t sweep = head->flags & MESSAGE_SWEEP;
	if (sweep != 0)
		tally_add(&shard_type_tally(shard, head->type)->sweeps_sent, 1);
	effects_born(shard, head, shard->colour);
	head->flags |= MESSAGE_TIMED | sweep;
	memcpy(queue_reserve(channel, head->size), head, head->size);
	queue_commit(channel, head->size);
	shard->counts.channels_in++;
	shard->counts.timers_sent++;
	shard->epoch_bytes += head->size;
	shard->epoch_messages++;
	if (to == shard->index)
		queue_publish(channel);
	else
		shard->touched |= UINT64_C(1) << to;
	timer_row_remove(shard, timer->place);
	if (timer->token != NULL) {
		struct key key = {.size = timer->token->key_size};
		memcpy(key.data, timer->token->key, key.size);
		token_gone(shard, &key);
		timer->token = NULL;
	}
	timer_remove(&shard->timers, timer);
}

/* ---- loading ---- */

static bool load_wanted(const struct shard *shard, uint64_t now_ms) {
	const struct timers *timers = &shard->timers;
	return timers->horizon.due_ms != UINT64_MAX && timers_count(timers) < LOAD_BELOW &&
		timers->horizon.due_ms <= now_ms + LOAD_AHEAD_MS;
}

static void load_ask(struct shard *shard) {
	struct timers *timers = &shard->timers;
	timers->load_epoch = shard->epoch_start_us != 0 ? shard->epoch : shard->epoch - 1;
	timers->load_serial = atomic_load(&shard->flow->timer_next);
	timers->load_from = timers->horizon;
	timers->keep = TIMER_PLACE_END;
	atomic_store_explicit(&timers->load, TIMERS_LOAD_WANTED, memory_order_release);
	timers_load_wake(shard->flow);
}

/* One loaded row; the shard may have changed it since it was read. */
static void loaded_take(struct shard *shard, struct timer_place place, struct bytes token, const uint8_t *at) {
	struct timers *timers = &shard->timers;
	const struct message_head *message = (const struct message_head *)(const void *)at;
	if (place.serial >= timers->load_serial || timer_place_before(place, timers->load_from))
		return; /* it stands in memory, or it did */
	struct token *name = NULL;
	if (token.size > 0) {
		struct message parts;
		message_read(at, &parts);
		struct key key = key_token(message->caller_type, parts.caller_id, token);
		name = tokens_find(&timers->tokens, &key);
		if (name != NULL && (name->gone || !timer_place_same(name->place, place)))
			return; /* cancelled since */
		if (name == NULL)
			name = tokens_add(&timers->tokens, &key);
		name->place = place;
	}
	struct timer *timer = timer_add(timers, place, message);
	timer->token = name;
	if (name != NULL)
		name->timer = timer;
}

static void load_take(struct shard *shard) {
	struct timers *timers = &shard->timers;
	struct timer_place until = timers->loaded_until;
	if (timer_place_before(timers->keep, until))
		until = timers->keep; /* memory was full in the meantime */
	for (size_t at = 0; at < timers->loaded.size;) {
		struct timer_load_row row;
		memcpy(&row, timers->loaded.data + at, sizeof row);
		const uint8_t *message = timers->loaded.data + at + sizeof row;
		loaded_take(shard, row.place, bytes_of(message + row.message_size, row.token_size), message);
		at += row.size;
	}
	timers->horizon = until;
	timers_forget(timers, until);
	timers->keep = until;
	buf_finish(&timers->loaded);
	atomic_store_explicit(&timers->load, TIMERS_LOAD_NONE, memory_order_release);
	timers_fit(shard);
	shard_touch(shard); /* a clock move may wait to hear that nothing more is due: an epoch tells it */
}

/* ---- a turn ---- */

uint64_t timers_next_ms(const struct shard *shard) {
	const struct timers *timers = &shard->timers;
	const struct timer *first = timers_first(timers);
	if (first == NULL || timer_place_before(timers->horizon, first->place))
		return timers->horizon.due_ms; /* that of a timer in the store */
	return first->place.due_ms;
}

static struct timer *due_first(const struct timers *timers, const struct heap *heap, uint64_t now_ms) {
	struct timer *timer = heap_timer(heap);
	if (timer == NULL || timer->place.due_ms > now_ms || !timer_place_before(timer->place, timers->horizon))
		return NULL;
	return timer;
}

static bool messages_send(struct shard *shard, uint64_t now_ms, int *budget) {
	struct timer *timer;
	bool worked = false;
	for (; *budget > 0 && shard_epoch_open(shard); (*budget)--) {
		timer = due_first(&shard->timers, &shard->timers.messages, now_ms);
		if (timer == NULL)
			break;
		timer_fire(shard, timer);
		worked = true;
	}
	return worked;
}

static bool sweeps_send(struct shard *shard, uint64_t now_ms, int *budget) {
	struct timers *timers = &shard->timers;
	struct timer *timer;
	bool worked = false;
	timers->sweeps_wait = false;
	while (*budget > 0 && shard_epoch_open(shard) && (timer = due_first(timers, &timers->sweeps, now_ms)) != NULL) {
		timers->sweeps_wait = !sweep_share_take(shard);
		if (timers->sweeps_wait)
			break;
		timer_fire(shard, timer);
		(*budget)--;
		worked = true;
	}
	return worked;
}

bool timers_step(struct shard *shard, int *budget) {
	struct timers *timers = &shard->timers;
	uint64_t now_ms = flow_clock_now(&shard->flow->clock);
	bool worked = false;
	int load = atomic_load_explicit(&timers->load, memory_order_acquire);
	if (load == TIMERS_LOAD_READY) {
		load_take(shard);
		worked = true;
	}
	if (load != TIMERS_LOAD_WANTED) {
		tokens_prune(&timers->tokens, store_applied(shard->flow->store));
		if (load_wanted(shard, now_ms))
			load_ask(shard);
	}
	worked |= messages_send(shard, now_ms, budget);
	worked |= sweeps_send(shard, now_ms, budget);
	uint64_t next_ms = timers_next_ms(shard); /* 0: the store was not asked yet */
	tally_set(&shard->tally.timers_late_ms, next_ms > 0 && next_ms < now_ms ? now_ms - next_ms : 0);
	return worked;
}

uint64_t timers_due_ms(const struct shard *shard) {
	const struct timers *timers = &shard->timers;
	uint64_t due_ms = timers_next_ms(shard);
	uint64_t load_ms = timers->horizon.due_ms;
	if (load_ms == UINT64_MAX || timers_count(timers) >= LOAD_BELOW)
		return due_ms;
	load_ms = load_ms > LOAD_AHEAD_MS ? load_ms - LOAD_AHEAD_MS : 0;
	return load_ms < due_ms ? load_ms : due_ms;
}
