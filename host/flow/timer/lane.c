#include "flow/timer/lane.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"

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

static struct timer *heap_timer(const struct lane *lane) {
	struct heap_node *node = heap_first(&lane->heap);
	return node == NULL ? NULL : timer_of(node);
}

void lane_init(struct lane *lane, enum timer_kind kind, struct tokens *tokens) {
	*lane = (struct lane){.kind = kind, .tokens = tokens, .heap = {.less = timer_less}};
	atomic_init(&lane->load, LANE_LOAD_NONE);
}

void lane_finish(struct lane *lane) {
	for (size_t i = 0; i < lane->heap.count; i++)
		free(timer_of(lane->heap.nodes[i]));
	heap_finish(&lane->heap);
	timer_run_finish(&lane->run);
	buf_finish(&lane->loaded);
}

/* ---- in and out of memory ---- */

static size_t timer_bytes(const struct timer *timer) {
	return sizeof *timer - sizeof timer->message + timer->message.size + sizeof(struct heap_node *);
}

static struct timer *heap_put(struct lane *lane, struct timer_place place, const struct message_head *message) {
	struct timer *timer = check_alloc(1, sizeof *timer - sizeof timer->message + message->size);
	timer->place = place;
	memcpy(&timer->message, message, message->size);
	heap_add(&lane->heap, &timer->node);
	lane->heap_bytes += timer_bytes(timer);
	return timer;
}

struct timer *lane_set(struct lane *lane, struct timer_place place, const struct message_head *message) {
	return timer_place_before(place, lane->keep) ? heap_put(lane, place, message) : NULL;
}

void lane_remove(struct lane *lane, struct timer *timer) {
	heap_remove(&lane->heap, &timer->node);
	lane->heap_bytes -= timer_bytes(timer);
	if (timer->token != NULL)
		timer->token->timer = NULL;
	free(timer);
}

static void heap_forget(struct lane *lane, struct timer_place place) {
	struct heap *heap = &lane->heap;
	size_t kept = 0;
	for (size_t i = 0; i < heap->count; i++) {
		struct timer *timer = timer_of(heap->nodes[i]);
		if (timer_place_before(timer->place, place)) {
			heap->nodes[kept++] = &timer->node;
			continue;
		}
		lane->heap_bytes -= timer_bytes(timer);
		if (timer->token != NULL)
			tokens_detach(lane->tokens, timer->token);
		free(timer);
	}
	heap->count = kept;
	heap_rebuild(heap);
}

/* Everything from `place` on leaves memory: it is in the journal, and will be found in the store. */
static void lane_forget(struct lane *lane, struct timer_place place) {
	heap_forget(lane, place);
	timer_run_cut(&lane->run, place);
	if (timer_place_before(place, lane->keep))
		lane->keep = place;
	if (timer_place_before(place, lane->horizon))
		lane->horizon = place;
}

static int place_compare(const void *a, const void *b) {
	const struct heap_node *const *left = a;
	const struct heap_node *const *right = b;
	return timer_less(*left, *right) ? -1 : timer_less(*right, *left) ? 1 : 0;
}

/* Of what there is more of; at least one stands before it, or nothing would ever be sent. REQUIRES: at least two. */
static struct timer_place lane_middle(struct lane *lane) {
	struct heap *heap = &lane->heap;
	if (lane->run.count > heap->count)
		return timer_run_middle(&lane->run);
	if (heap->count > 1) {
		qsort(heap->nodes, heap->count, sizeof *heap->nodes, place_compare);
		return timer_of(heap->nodes[heap->count / 2])->place;
	}
	const struct timer_place one = timer_run_first(&lane->run)->place, other = heap_timer(lane)->place;
	return timer_place_before(one, other) ? other : one;
}

void lane_fit(struct lane *lane, size_t bytes_max) {
	const size_t named = lane->tokens == NULL ? 0 : lane->tokens->memory;
	if (lane->heap_bytes + timer_run_bytes(&lane->run) + named > bytes_max && lane_count(lane) > 1)
		lane_forget(lane, lane_middle(lane));
}

/* ---- what is due ---- */

/* The first one is the run's. */
static bool run_leads(const struct lane *lane) {
	const struct timer_row *row = timer_run_first(&lane->run);
	const struct timer *timer = heap_timer(lane);
	return row != NULL && (timer == NULL || timer_place_before(row->place, timer->place));
}

/* TIMER_PLACE_END: memory has none. */
static struct timer_place first_place(const struct lane *lane) {
	if (run_leads(lane))
		return timer_run_first(&lane->run)->place;
	const struct timer *timer = heap_timer(lane);
	return timer == NULL ? TIMER_PLACE_END : timer->place;
}

bool lane_due(const struct lane *lane, uint64_t now_ms, struct due *ret_due) {
	const struct timer_place place = first_place(lane);
	if (place.due_ms > now_ms || !timer_place_before(place, lane->horizon))
		return false;
	if (run_leads(lane)) {
		struct message_head *message = (struct message_head *)(void *)(timer_run_first(&lane->run) + 1);
		*ret_due = (struct due){.place = place, .message = message};
	} else {
		struct timer *timer = heap_timer(lane);
		*ret_due = (struct due){.place = place, .message = &timer->message, .token = timer->token};
	}
	return true;
}

void lane_take(struct lane *lane) {
	if (run_leads(lane))
		timer_run_take(&lane->run);
	else
		lane_remove(lane, heap_timer(lane));
}

uint64_t lane_next_ms(const struct lane *lane) {
	const struct timer_place first = first_place(lane);
	return timer_place_before(lane->horizon, first) ? lane->horizon.due_ms /* that of a timer in the store */
													: first.due_ms;
}

static bool has_few(const struct lane *lane) {
	return !lane_is_whole(lane) && lane_count(lane) < LOAD_BELOW;
}

uint64_t lane_turn_ms(const struct lane *lane) {
	const uint64_t due_ms = lane_next_ms(lane);
	if (!has_few(lane))
		return due_ms;
	const uint64_t load_ms = lane->horizon.due_ms > LOAD_AHEAD_MS ? lane->horizon.due_ms - LOAD_AHEAD_MS : 0;
	return load_ms < due_ms ? load_ms : due_ms;
}

bool lane_is_due(const struct lane *lane, uint64_t now_ms) {
	const uint64_t next_ms = lane_next_ms(lane);
	return next_ms > 0 && next_ms <= now_ms;
}

uint64_t lane_late_ms(const struct lane *lane, uint64_t now_ms) {
	return lane_is_due(lane, now_ms) ? now_ms - lane_next_ms(lane) : 0;
}

/* ---- a load ---- */

bool lane_load_wanted(const struct lane *lane, uint64_t now_ms) {
	return has_few(lane) && lane->horizon.due_ms <= now_ms + LOAD_AHEAD_MS;
}

void lane_load_begin(struct lane *lane, uint64_t epoch, uint64_t serial) {
	lane->load_epoch = epoch;
	lane->load_serial = serial;
	lane->load_from = lane->horizon;
	lane->keep = TIMER_PLACE_END;
	atomic_store_explicit(&lane->load, LANE_LOAD_WANTED, memory_order_release);
}

bool lane_load_news(const struct lane *lane, struct timer_place place) {
	return place.serial < lane->load_serial && !timer_place_before(place, lane->load_from);
}

void lane_load_add(struct lane *lane, const struct timer_row *row, struct token *token) {
	if (token == NULL) {
		timer_run_append(&lane->run, row);
		return;
	}
	struct timer *timer = heap_put(lane, row->place, (const struct message_head *)(const void *)(row + 1));
	timer->token = token;
	token->timer = timer;
}

void lane_load_end(struct lane *lane) {
	struct timer_place until = lane->loaded_until;
	if (timer_place_before(lane->keep, until))
		until = lane->keep; /* memory was full in the meantime */
	lane->horizon = until;
	lane_forget(lane, until);
	lane->keep = until;
	buf_finish(&lane->loaded);
	atomic_store_explicit(&lane->load, LANE_LOAD_NONE, memory_order_release);
}
