#include "flow/shard.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "flow/counts/owed.h"
#include "flow/dead/letter.h"
#include "flow/expiry/expiry.h"
#include "flow/invocation/enter.h"
#include "flow/migration/migrate.h"
#include "state/key.h"

enum {
	STEP_MESSAGES =
		64, /* a turn: long enough that its fixed costs vanish, short enough that a cut is not kept waiting */
};

struct queue *shard_channel(struct flow *flow, uint32_t from, uint32_t to) {
	return &flow->channels[(size_t)from * flow->shards_count + to];
}

/* ---- life ---- */

struct shard *shard_create(struct flow *flow, uint32_t index, uint64_t epoch) {
	struct shard *shard = check_alloc(1, sizeof *shard);
	shard->flow = flow;
	shard->index = index;
	atomic_init(&shard->hold, HOLD_IDLE);
	shard->epoch = epoch;
	atomic_init(&shard->sealed, epoch - 1);
	queue_init(&shard->input, 0, 0, &shard->input_bytes);
	cache_init(&shard->cache, flow->cache_bytes);
	shard->waits.less = retry_less;
	timers_init(&shard->timers);
	operations_init(&shard->operations, flow->incarnation, index);
	keyed_init(&shard->keyed);
	shard->invocation = invocation_create(flow);
	shard->invocation->shard = shard;
	shard->note = note_of(index);
	shard->functions = check_alloc((size_t)TYPES_MAX * TALLY_VERSIONS, sizeof *shard->functions);
	return shard;
}

void shard_destroy(struct shard *shard) {
	if (shard == NULL)
		return;
	queue_finish(&shard->input);
	retry_finish(shard);
	parks_finish(shard);
	producers_finish(shard);
	trial_close(shard);
	timers_finish(&shard->timers);
	operations_finish(&shard->operations);
	jobs_free(shard->seal.jobs);
	keyed_finish(&shard->keyed);
	buf_finish(&shard->dead_gone.gone);
	cache_finish(&shard->cache);
	entries_finish(&shard->entries);
	free(shard->functions);
	invocation_destroy(shard->invocation);
	free(shard->dirty);
	free(shard->restored);
	free(shard->survey);
	owed_finish(&shard->owed);
	owed_finish(&shard->seal.owed);
	buf_finish(&shard->batch_reason);
	schema_changes_finish(&shard->schemas);
	schema_changes_finish(&shard->seal.schemas);
	buf_finish(&shard->scratch);
	buf_finish(&shard->record);
	buf_finish(&shard->sweep);
	buf_finish(&shard->redo);
	buf_finish(&shard->outputs);
	buf_finish(&shard->places);
	buf_finish(&shard->seal.redo);
	buf_finish(&shard->seal.outputs);
	buf_finish(&shard->seal.places);
	free(shard);
}

void shard_store_error(struct shard *shard, const struct error *error) {
	if (error->system != ENOSPC) {
		flow_fail(shard->flow, error);
		return;
	}
	shard->starved = true;
}

/* ---- the open epoch ---- */

bool shard_epoch_open(const struct shard *shard) {
	return shard->epoch == shard->view_epoch && shard->epoch_messages < EPOCH_MESSAGES_MAX &&
		shard->epoch_bytes < shard->flow->epoch_bytes_max &&
		atomic_load_explicit(&shard->flow->cut, memory_order_relaxed) < shard->epoch &&
		!atomic_load_explicit(&shard->flow->failed, memory_order_relaxed);
}

void shard_touch(struct shard *shard) {
	if (shard->epoch_start_us != 0)
		return;
	shard->epoch_start_us = monotonic_us();
	uint64_t now_ms = flow_clock_update(&shard->flow->clock);
	if (now_ms > shard->epoch_time_ms)
		shard->epoch_time_ms = now_ms;
}

void shard_clock_look(struct shard *shard) {
	uint64_t now_ms = flow_clock_now(&shard->flow->clock);
	if (now_ms > shard->epoch_time_ms)
		shard->epoch_time_ms = now_ms;
}

bool shard_binding_live(const struct shard *shard, uint16_t type) {
	return type < shard->view->binding_count && binding_live(&shard->view->bindings[type]);
}

bool shard_fence_passed(struct shard *shard, uint64_t fence) {
	struct error error;
	bool failed = false;
	if (shard->fence_passed >= fence)
		return true;
	/* sealed: the marks of that epoch have come, and with them all that was sent before */
	if (atomic_load_explicit(&shard->sealed, memory_order_relaxed) + 1 < fence)
		return false;
	for (uint32_t source = 0; source < shard->flow->shards_count; source++) {
		const uint8_t *at =
			queue_peek(shard_channel(shard->flow, source, shard->index), shard->flow->store, &failed, &error);
		if (failed) {
			shard_store_error(shard, &error);
			return false;
		}
		if (at != NULL && ((const struct message_head *)(const void *)at)->birth_epoch < fence)
			return false;
	}
	shard->fence_passed = fence;
	return true;
}

/* ---- the steps of a turn, in order ---- */

static bool step_view(struct shard *shard, int *budget) {
	(void)budget;
	const struct view *view = atomic_load_explicit(&shard->flow->view, memory_order_acquire);
	shard->view_epoch = shard->epoch;
	if (view == shard->view || view->from_epoch > shard->epoch)
		return false;
	shard->view = view;
	shard->parks_live = true;
	retry_view_changed(shard);
	atomic_store_explicit(&shard->view_generation, view->generation, memory_order_release);
	return true;
}

static bool step_cut(struct shard *shard, int *budget) {
	(void)budget;
	epoch_complete(shard);
	if (atomic_load_explicit(&shard->flow->cut, memory_order_acquire) < shard->epoch || shard->recording != 0)
		return false;
	epoch_close(shard);
	return true;
}

static bool step_retries(struct shard *shard, int *budget) {
	return shard->waits.count > 0 && retry_step(shard, budget);
}

static bool step_timers(struct shard *shard, int *budget) {
	return timers_step(shard, budget);
}

static bool step_operations(struct shard *shard, int *budget) {
	return operations_step(shard, budget);
}

static bool step_parks(struct shard *shard, int *budget) {
	return shard->parks_live && parks_step(shard, budget);
}

/* The next message of a channel that may be consumed in the open epoch. */
static const uint8_t *channel_peek(struct shard *shard, struct queue *channel, uint32_t source) {
	struct error error;
	bool failed = false;
	const uint8_t *at = queue_peek(channel, shard->flow->store, &failed, &error);
	if (failed)
		shard_store_error(shard, &error);
	if (at == NULL || source == shard->index)
		return at;
	if (channel->head.number >= queue_limit(channel, shard->epoch)) {
		shard->behind_mark = true; /* this shard has not reached it yet */
		return NULL;
	}
	if ((shard->recording & UINT64_C(1) << source) != 0 && channel->head.number >= channel->logged.number) {
		epoch_record(shard, source);
		at = queue_peek(channel, shard->flow->store, &failed, &error);
	}
	return at;
}

/* With a million instances most messages wait for memory twice: for the slot and for the instance. */
static void channel_prefetch(struct shard *shard, const struct queue *channel) {
	const struct message_head *heads[STEP_MESSAGES];
	uint32_t hashes[STEP_MESSAGES];
	if (cache_near(&shard->cache))
		return;
	size_t count = queue_ahead(channel, heads, STEP_MESSAGES);
	for (size_t i = 0; i < count; i++)
		hashes[i] = heads[i]->hash;
	cache_prefetch(&shard->cache, hashes, count);
}

static bool channel_step(struct shard *shard, uint32_t source, int *budget) {
	struct queue *channel = shard_channel(shard->flow, source, shard->index);
	channel_prefetch(shard, channel);
	int left = STEP_MESSAGES;
	for (; left > 0 && shard_epoch_open(shard); left--) {
		const uint8_t *at = channel_peek(shard, channel, source);
		if (at == NULL)
			break;
		const struct message_head *head = (const struct message_head *)(const void *)at;
		if (head->type >= shard->view->binding_count) /* declared after the adopted view */
			break;
		if (!dispatch_message(shard, at))
			break;
		queue_consume(channel);
		(*budget)--;
	}
	shard->counts.channels_out += (uint64_t)(STEP_MESSAGES - left);
	return left < STEP_MESSAGES;
}

static bool step_channels(struct shard *shard, int *budget) {
	bool worked = false;
	for (uint32_t source = 0; source < shard->flow->shards_count; source++)
		worked |= channel_step(shard, source, budget);
	return worked;
}

static bool input_dispatch(struct shard *shard, const struct input *input, uint8_t *at) {
	struct message_head *head = (struct message_head *)(void *)at;
	if (head->birth_epoch == 0) /* else it was taken before, and the store could not be read */
		effects_born(shard, head, input->colour);
	return dispatch_message(shard, at);
}

static bool input_message(struct shard *shard, const struct input *input) {
	uint8_t *at = (uint8_t *)(uintptr_t)(input + 1);
	struct message_head *head = (struct message_head *)(void *)at;
	if (head->type >= shard->view->binding_count)
		return false;
	shard_touch(shard);
	bool called = (head->flags & MESSAGE_ROUTE) != 0;
	if (head->birth_epoch == 0 && keyed_waits(shard))
		keyed_queue(shard, input, at);
	else if (!input_dispatch(shard, input, at))
		return false;
	if (!called) { /* only now: the epoch may have been cut while the function ran */
		struct engine_answer answer = {.token = input->token, .number = shard->epoch};
		output_put(&shard->outputs, &answer);
	}
	return true;
}

static void input_unknown(struct shard *shard, const struct input *input) {
	struct stray stray;
	const uint8_t *at = (const uint8_t *)(input + 1);
	memcpy(&stray, at, sizeof stray);
	at += sizeof stray;
	shard_touch(shard);
	struct dead_letter letter = {.code = bytes_text("unknown_type"), .time_ms = shard->epoch_time_ms};
	letter.to = bytes_of(at, stray.to_size);
	letter.id = bytes_of(letter.to.data + stray.to_size, stray.id_size);
	letter.type = bytes_of(letter.id.data + stray.id_size, stray.type_size);
	letter.payload = bytes_of(letter.type.data + stray.type_size, stray.payload_size);
	letter.reason = bytes_text("no plugin ever declared this type");
	struct message_route route = {.incarnation = shard->flow->incarnation, .token = input->token};
	effects_dead(shard, &letter, &route, ERROR_UNKNOWN_TYPE);
}

/* A row that may have expired. */
static bool input_sweep(struct shard *shard, const struct input *input) {
	struct bytes row = bytes_of(input + 1, (size_t)input->body_size);
	bool done =
		row.data[0] == KEY_KEYED ? keyed_expire(shard, row, input->first) : producer_sweep(shard, row, input->first);
	if (done && atomic_fetch_sub(&shard->flow->sweeping, 1) == 1 && shard->flow->reader_park != NULL)
		park_wake(shard->flow->reader_park); /* it looks for more */
	return done;
}

/* Somebody outside waits for it. */
static bool input_serves(const struct input *input) {
	return input->kind <= INPUT_KEYED;
}

/* Takes the input at the head; false if it is not done yet. */
static bool input_take(struct shard *shard, const struct input *input, int *budget) {
	switch (input->kind) {
	case INPUT_INGEST:
		return route_ingest(shard, input, budget);
	case INPUT_MESSAGE:
		return input_message(shard, input);
	case INPUT_KEYED:
		return keyed_take(shard, input);
	case INPUT_DEAD:
		return dead_take(shard, input);
	case INPUT_SWEEP:
		return input_sweep(shard, input);
	case INPUT_UNKNOWN:
		input_unknown(shard, input);
		return true;
	case INPUT_BARRIER:
		shard_touch(shard);
		shard->counts.barrier_seen = input->first;
		shard->colour = input->colour;
		return true;
	case INPUT_MIGRATE:
		return migrate_batch(shard, input, budget);
	case INPUT_FILE:
		return expiry_batch(shard, input, budget);
	default:
		check(input->kind == INPUT_CLOCK);
		shard_touch(shard);
		shard_clock_look(shard);
		shard->counts.clock_seen = input->first;
		return true;
	}
}

/* Accepted work first: inputs are taken while little waits in the mailboxes. Of what others send, only they know the number. */
static uint64_t mailbox_from_others(const struct shard *shard) {
	uint64_t waiting = 0;
	for (uint32_t source = 0; source < shard->flow->shards_count; source++) {
		if (source != shard->index && !queue_empty(shard_channel(shard->flow, source, shard->index)))
			waiting += MAILBOX_BEFORE_INPUT_MAX / SHARDS_MAX;
	}
	return waiting;
}

static uint64_t mailbox_from_itself(const struct shard *shard) {
	const struct queue *channel = shard_channel(shard->flow, shard->index, shard->index);
	return channel->tail.number - channel->head.number;
}

static bool step_input(struct shard *shard, int *budget) {
	struct error error;
	bool failed = false;
	bool worked = false;
	if (atomic_load_explicit(&shard->flow->stopping, memory_order_relaxed) ||
		atomic_load_explicit(&shard->flow->restoring, memory_order_acquire) != 0)
		return false;
	const uint64_t others = mailbox_from_others(shard); /* a turn is short: once will do */
	while (*budget > 0 && shard_epoch_open(shard) && others + mailbox_from_itself(shard) < MAILBOX_BEFORE_INPUT_MAX) {
		const uint8_t *at = queue_peek(&shard->input, shard->flow->store, &failed, &error);
		if (at == NULL)
			break;
		int before = *budget;
		bool done = input_take(shard, (const struct input *)(const void *)at, budget);
		worked |= done || *budget < before;
		if (input_serves((const struct input *)(const void *)at))
			shard->served_epoch = shard->epoch;
		if (!done)
			break;
		atomic_fetch_sub_explicit(
			&shard->input_pending, ((const struct input *)(const void *)at)->size, memory_order_relaxed);
		queue_consume(&shard->input);
		(*budget)--;
	}
	return worked;
}

void shard_input_step(struct shard *shard) {
	int budget = 1;
	step_input(shard, &budget);
}

/* The way of a message through a shard, in the order in which a turn takes it. Only the marked steps are taken while some
 * shard tries a suspect. */
static const struct shard_turn {
	const char *name;
	bool (*step)(struct shard *shard, int *budget);
	bool always;
} SHARD_STEPS[] = {
	{"cut: close the epoch where the committer asks for it", step_cut, true},
	{"view: adopt what the registry published, before anything happens in an epoch", step_view, true},
	{"retries: what failed and is due", step_retries, false},
	{"timers: messages that are due", step_timers, false},
	{"operations: results that have come", step_operations, false},
	{"parks: what waited for a version that now lives", step_parks, false},
	{"channels: what shards sent to this one", step_channels, false},
	{"input: records, messages and control from outside", step_input, false},
	{"trial: who is suspected of a crash runs alone", trial_step, true},
};

static void others_wake(struct shard *shard) {
	struct flow *flow = shard->flow;
	while (shard->touched != 0) {
		uint32_t to = (uint32_t)__builtin_ctzll(shard->touched);
		shard->touched &= shard->touched - 1;
		queue_publish(shard_channel(flow, shard->index, to));
		park_wake(&flow->shards[to]->park);
	}
}

static void commit_want(struct shard *shard, bool worked) {
	if (shard->epoch_start_us == 0)
		return;
	if (atomic_load_explicit(&shard->wants, memory_order_relaxed) == shard->epoch)
		return;
	if (!worked || !shard_epoch_open(shard) || monotonic_us() - shard->epoch_start_us >= EPOCH_US_MAX) {
		atomic_store(&shard->wants, shard->epoch);
		park_wake(&shard->flow->committer_park);
	}
}

/* Producers of an older layout may now send on other channels: what they sent before is consumed first (recover/move.c). */
static void restored_check(struct shard *shard) {
	for (uint32_t source = 0; source < shard->flow->shards_count; source++) {
		if (shard_channel(shard->flow, source, shard->index)->head.number < shard->restored[source])
			return;
	}
	free(shard->restored);
	shard->restored = NULL;
	atomic_fetch_sub(&shard->flow->restoring, 1);
	for (uint32_t i = 0; i < shard->flow->shards_count; i++)
		park_wake(&shard->flow->shards[i]->park);
}

/* A clock read around each invocation would cost more than many functions: a slow turn asks for it. */
static void turn_measure(struct shard *shard, uint64_t took_us, uint64_t calls) {
	enum { MEASURED_TURNS = 256 };
	if (shard->measured_turns > 0)
		shard->measured_turns--;
	if (took_us < shard->flow->config->invocation_warn_ms * 1000)
		return;
	if (calls == 1)
		enter_slow(shard, took_us);
	shard->measured_turns = MEASURED_TURNS;
}

bool shard_step(struct shard *shard) {
	bool worked = false;
	uint64_t start_us = monotonic_us();
	uint64_t entries = atomic_load_explicit(&shard->note->entries, memory_order_relaxed);
	bool still = trial_stands_still(shard);
	shard->behind_mark = false;
	shard->turn_us = start_us;
	if (shard->entries.change_count > 0)
		entries_prune(&shard->entries, store_applied(shard->flow->store));
	for (size_t i = 0; i < sizeof SHARD_STEPS / sizeof *SHARD_STEPS; i++) {
		int budget = STEP_MESSAGES; /* each its own, so that none starves another */
		if (shard->flow->interleave != NULL)
			shard->flow->interleave(shard->flow->interleave_arg);
		if (still && !SHARD_STEPS[i].always)
			continue;
		worked |= SHARD_STEPS[i].step(shard, &budget);
	}
	survey_look(shard, false);
	turn_measure(
		shard, monotonic_us() - start_us, atomic_load_explicit(&shard->note->entries, memory_order_relaxed) - entries);
	others_wake(shard);
	if (shard->restored != NULL)
		restored_check(shard);
	commit_want(shard, worked);
	bool strained = atomic_load_explicit(&shard->flow->strained, memory_order_relaxed);
	bool stalled = shard->behind_mark || !shard_epoch_open(shard) || (shard->timers.sweeps_wait && !strained);
	atomic_store_explicit(&shard->stalled, stalled, memory_order_relaxed);
	return worked;
}

uint64_t shard_due_ms(const struct shard *shard) {
	uint64_t retry_ms = retry_due_ms(shard);
	uint64_t timer_ms = timers_due_ms(shard);
	return retry_ms < timer_ms ? retry_ms : timer_ms;
}

uint64_t shard_idle_us(struct shard *shard) {
	/* However far away it is: the system's clock may be set forward meanwhile, and then it is due (rule 38). */
	enum { STARVED_US = 100000, CLOCK_LOOK_MS = 1000, UNREAD_US = 1000, SWEEP_REST_US = 1000 };
	if (shard->starved) {
		shard->starved = false;
		return STARVED_US;
	}
	if (shard->operations.unread) {
		shard->operations.unread = false;
		return UNREAD_US;
	}
	if (shard->timers.sweeps_wait)
		return SWEEP_REST_US;
	uint64_t trial_us = trial_idle_us(shard);
	uint64_t due_ms = shard_due_ms(shard);
	if (due_ms == UINT64_MAX || shard->flow->clock.test || trial_us != UINT64_MAX)
		return trial_us;
	uint64_t now_ms = flow_clock_update(&shard->flow->clock);
	if (due_ms <= now_ms)
		return 1000;
	return (due_ms - now_ms < CLOCK_LOOK_MS ? due_ms - now_ms : CLOCK_LOOK_MS) * 1000;
}
