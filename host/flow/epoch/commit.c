#include "flow/epoch/commit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "flow/counts/owed.h"
#include "flow/dead/letter.h"
#include "flow/keyed/keyed_rows.h"

enum {
	/* A shard that runs is given this long to close by itself before the committer does it on its behalf. */
	CUT_PATIENCE_US = 200,
	/* How often a full disk is tried again. */
	SPACE_RETRY_US = 100000,
};

void committer_init(struct committer *committer, struct flow *flow, uint64_t epoch) {
	*committer = (struct committer){.flow = flow, .epoch = epoch};
	pthread_mutex_init(&committer->release_mutex, NULL);
	committer_rows_init(&committer->rows);
	committer->release_last = &committer->release_first;
	committer->release_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	check(committer->release_fd >= 0);
}

void committer_finish(struct committer *committer) {
	struct release *release = committer_take(committer);
	while (release != NULL) {
		struct release *next = release->next;
		release_destroy(release);
		release = next;
	}
	store_epoch_destroy(committer->part);
	buf_finish(&committer->answers);
	committer_rows_finish(&committer->rows);
	close(committer->release_fd);
	pthread_mutex_destroy(&committer->release_mutex);
}

/* ---- the cut ---- */

/* Closes on behalf of a shard that sleeps or is inside a plugin; one that runs does it itself. */
static void shard_cut(struct committer *committer, struct shard *shard, bool patient) {
	enum hold from = HOLD_IDLE;
	if (!hold_borrow(shard, HOLD_IDLE)) {
		if (patient || !hold_borrow(shard, HOLD_PLUGIN))
			return;
		from = HOLD_PLUGIN;
	}
	if (shard->epoch == committer->epoch && shard->recording == 0)
		epoch_close(shard);
	epoch_complete(shard);
	bool wake = atomic_exchange(&shard->stalled, false);
	wake |= shard->view != atomic_load_explicit(&shard->flow->view, memory_order_relaxed);
	atomic_store_explicit(&shard->hold, from, memory_order_release);
	if (wake)
		park_wake(&shard->park);
}

static bool shards_sealed(const struct committer *committer) {
	const struct flow *flow = committer->flow;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		if (atomic_load_explicit(&flow->shards[i]->sealed, memory_order_acquire) < committer->epoch)
			return false;
	}
	return true;
}

static bool cut_wanted(const struct committer *committer) {
	if (atomic_load(&committer->flow->fence_asked) != NULL || atomic_load(&committer->rows.asked))
		return true;
	for (uint32_t i = 0; i < committer->flow->shards_count; i++) {
		if (atomic_load(&committer->flow->shards[i]->wants) >= committer->epoch)
			return true;
	}
	return false;
}

static uint64_t handed_behind(const struct committer *committer, uint64_t applied) {
	return committer->handed_bytes - committer->handed_at[applied % EPOCHS_BEHIND_MAX];
}

static bool must_wait(const struct committer *committer, const struct store_figures *figures) {
	const struct flow *flow = committer->flow;
	uint64_t applied = store_applied(flow->store);
	if (committer->epoch > applied + EPOCHS_BEHIND_MAX || store_pressed(flow->store))
		return true;
	if (figures->table_bytes > flow->config->memory_bytes / TABLES_MEMORY_PART)
		return true;
	return committer->epoch > applied + 1 &&
		handed_behind(committer, applied) > flow->config->memory_bytes / BEHIND_MEMORY_PART;
}

bool committer_must_wait(const struct committer *committer) {
	struct store_figures figures;
	store_figures(committer->flow->store, &figures);
	return must_wait(committer, &figures);
}

/* Three quarters of what would make everybody wait. */
static bool store_strained(const struct committer *committer, const struct store_figures *figures) {
	const struct flow *flow = committer->flow;
	const uint64_t memory = flow->config->memory_bytes / 4 * 3;
	return figures->journal_untrimmed_bytes > figures->journal_bytes_max / 4 * 3 ||
		figures->table_bytes > memory / TABLES_MEMORY_PART ||
		handed_behind(committer, store_applied(flow->store)) > memory / BEHIND_MEMORY_PART;
}

/* A fence stands at the epoch behind this one. Its view is published before the cut is asked for, so whoever opens the
 * epoch finds it; its rows go into this record, so nothing of that epoch is durable without them (rule 29). */
static void fence_place(struct committer *committer) {
	struct flow *flow = committer->flow;
	struct fence *fence = atomic_exchange(&flow->fence_asked, NULL);
	if (fence == NULL)
		return;
	check(committer->fence == NULL);
	fence->epoch = committer->epoch + 1;
	view_fence(fence->view, fence->epoch);
	for (size_t i = 0; fence->place != FENCE_NOWHERE && i < 8; i++)
		fence->redo.data[fence->place + i] = (uint8_t)(fence->epoch >> (56 - 8 * i));
	committer->fence = fence;
	atomic_store(&flow->view, fence->view);
}

static bool cut_begin(struct committer *committer) {
	struct flow *flow = committer->flow;
	struct store_figures figures;
	if (atomic_load(&flow->failed) || !cut_wanted(committer) || gather_holds(&flow->gather))
		return false;
	store_figures(flow->store, &figures);
	if (must_wait(committer, &figures))
		return false;
	atomic_store_explicit(&flow->strained, store_strained(committer, &figures), memory_order_relaxed);
	fence_place(committer);
	atomic_store(&flow->cut, committer->epoch);
	committer->cut_us = monotonic_us();
	committer->state = COMMITTER_CUTTING;
	return true;
}

/* ---- the record ---- */

/* Numbers the egress records by (shard, order) and takes over the redo. */
static void part_take(struct flow *flow, struct seal *seal, struct buf *ret_redo) {
	for (size_t at = 0; at < seal->places.size; at += sizeof(struct egress_place)) {
		struct egress_place place;
		memcpy(&place, seal->places.data + at, sizeof place);
		redo_egress_offset_set(&seal->redo, place.place, flow->egresses[place.egress].next++);
	}
	buf_reset(&seal->places);
	*ret_redo = seal->redo;
	seal->redo = (struct buf){0};
	buf_reserve(&seal->redo, ret_redo->size); /* the next epoch will be about as large */
}

/* Row 'N': how many idempotency keys there are. */
static void keys_redo(struct flow *flow, int64_t change, struct buf *redo) {
	if (change == 0)
		return;
	int64_t keys = atomic_load(&flow->keys) + change;
	check(keys >= 0);
	struct key key = key_of(KEY_NUMBERS);
	struct buf row = {0};
	keyed_number_write(&row, (uint64_t)keys);
	redo_put(redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&row));
	buf_finish(&row);
	atomic_store(&flow->keys, keys);
}

/* Row 'D' without a number, where a greater one than ever has gone. */
static void dead_redo(struct flow *flow, uint64_t gone, struct buf *redo) {
	if (gone <= flow->dead_removed)
		return;
	struct key key = key_of(KEY_DEAD);
	struct buf row = {0};
	dead_removed_write(&row, gone);
	redo_put(redo, REDO_RUNTIME, key_bytes(&key), bytes_buf(&row));
	buf_finish(&row);
	flow->dead_removed = gone;
}

static void record_build(struct committer *committer) {
	struct flow *flow = committer->flow;
	int64_t keys = 0;
	uint64_t dead_gone = 0;
	struct buf rows = {0};
	committer_rows_take(committer, &rows);
	if (committer->fence != NULL)
		buf_append_bytes(&rows, bytes_buf(&committer->fence->redo));
	struct store_epoch *part = store_epoch_create(flow->shards_count + (rows.size > 0 ? 1 : 0));
	part->epoch = committer->epoch;
	if (rows.size > 0) { /* they may tell of when they were made: time must not begin before that again */
		part->parts[flow->shards_count] = rows;
		part->time_ms = flow_clock_now(&flow->clock);
	}
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		struct seal *seal = &flow->shards[i]->seal;
		check(seal->epoch == committer->epoch);
		part->emits = part->emits || seal->places.size > 0;
		part_take(flow, seal, &part->parts[i]);
		tally_epoch(committer, flow->shards[i], part->parts[i].size);
		if (seal->time_ms > part->time_ms)
			part->time_ms = seal->time_ms;
		schema_counts_apply(&flow->schemas, &seal->schemas);
		keys += seal->keys;
		dead_gone = seal->dead_gone > dead_gone ? seal->dead_gone : dead_gone;
	}
	keys_redo(flow, keys, &part->parts[0]);
	dead_redo(flow, dead_gone, &part->parts[0]);
	schema_counts_redo(&flow->schemas, &part->parts[0]);
	if (part->time_ms < committer->time_ms)
		part->time_ms = committer->time_ms;
	if (committer->fence != NULL)
		flow_clock_let_go(&flow->clock); /* every shard goes by its view from here on */
	committer->part = part;
	committer->state = COMMITTER_WRITING;
}

/* ---- what leaves ---- */

static void release_add(struct committer *committer, struct release *release) {
	pthread_mutex_lock(&committer->release_mutex);
	*committer->release_last = release;
	committer->release_last = &release->next;
	pthread_mutex_unlock(&committer->release_mutex);
	uint64_t one = 1;
	ssize_t written = write(committer->release_fd, &one, sizeof one);
	check(written == sizeof one || errno == EAGAIN);
}

static void counts_add(struct counts *sum, const struct counts *counts) {
	sum->born += counts->born;
	sum->handled += counts->handled;
	sum->retried += counts->retried;
	sum->dead += counts->dead;
	sum->records += counts->records;
	sum->replies_stale += counts->replies_stale;
	sum->migrated += counts->migrated;
	sum->colour[0] += counts->colour[0];
	sum->colour[1] += counts->colour[1];
	sum->due += counts->due;
	if (counts->due_next_ms < sum->due_next_ms)
		sum->due_next_ms = counts->due_next_ms;
	sum->channels_in += counts->channels_in;
	sum->channels_out += counts->channels_out;
	sum->timers_set += counts->timers_set;
	sum->timers_sent += counts->timers_sent;
	sum->timers_cancelled += counts->timers_cancelled;
	sum->expired += counts->expired;
	sum->values_expired += counts->values_expired;
	sum->operations_started += counts->operations_started;
	sum->operations_succeeded += counts->operations_succeeded;
	sum->operations_failed += counts->operations_failed;
	sum->operations_unknown += counts->operations_unknown;
	sum->operations_late += counts->operations_late;
	sum->retrying += counts->retrying;
	sum->undecided += counts->undecided;
	sum->cache_bytes += counts->cache_bytes;
	if (counts->barrier_seen < sum->barrier_seen)
		sum->barrier_seen = counts->barrier_seen;
	if (counts->clock_seen < sum->clock_seen)
		sum->clock_seen = counts->clock_seen;
}

static struct counts counts_sum(const struct flow *flow) {
	struct counts sum = {.barrier_seen = UINT64_MAX, .clock_seen = UINT64_MAX, .due_next_ms = UINT64_MAX};
	for (uint32_t i = 0; i < flow->shards_count; i++)
		counts_add(&sum, &flow->shards[i]->seal.counts);
	return sum;
}

void committer_counts_update(struct committer *committer) {
	struct counts sum = counts_sum(committer->flow);
	pthread_mutex_lock(&committer->release_mutex);
	committer->counts = sum;
	pthread_mutex_unlock(&committer->release_mutex);
}

static void fence_answer(struct committer *committer) {
	if (committer->fence == NULL)
		return;
	struct engine_answer answer = {.token = committer->fence->token, .number = committer->fence->epoch};
	buf_finish(&committer->fence->redo);
	output_put(&committer->answers, &answer);
	committer->fence = NULL;
}

/* Unless the loop thread has given it up. */
static void milestone_answer(
	struct committer *committer, struct milestone *milestone, uint64_t serial, uint64_t number, uint64_t due_ms) {
	struct engine_answer answer = {.token = milestone->token, .number = number, .accepted = due_ms};
	if (atomic_compare_exchange_strong(&milestone->serial, &serial, 0))
		output_put(&committer->answers, &answer);
}

static void milestones_check(struct committer *committer, const struct counts *sum) {
	uint64_t serial = atomic_load(&committer->barrier.serial);
	if (serial != 0 && sum->barrier_seen >= serial && sum->colour[committer->barrier.colour] == 0 &&
		(!committer->barrier.both || sum->colour[1 - committer->barrier.colour] == 0))
		milestone_answer(committer, &committer->barrier, serial, committer->epoch, 0);
	serial = atomic_load(&committer->clock.serial);
	if (serial != 0 && sum->clock_seen >= serial && sum->due == 0 && sum->channels_in == sum->channels_out)
		milestone_answer(
			committer, &committer->clock, serial, flow_clock_now(&committer->flow->clock), sum->due_next_ms);
}

/* Work that the epoch asked for begins, now that it is durable (rule 41). */
static void jobs_release(struct flow *flow) {
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		struct seal *seal = &flow->shards[i]->seal;
		work_pool_submit(&flow->pool, seal->jobs);
		seal->jobs = NULL;
	}
}

static void epoch_release(struct committer *committer) {
	struct flow *flow = committer->flow;
	struct counts sum = counts_sum(flow);
	owed_publish(flow);
	fence_answer(committer);
	committer_rows_answer(committer);
	milestones_check(committer, &sum);
	bool any = committer->answers.size > 0;
	for (uint32_t i = 0; i < flow->shards_count; i++)
		any |= flow->shards[i]->seal.outputs.size > 0;
	pthread_mutex_lock(&committer->release_mutex);
	committer->counts = sum;
	committer->time_ms = committer->part->time_ms;
	pthread_mutex_unlock(&committer->release_mutex);
	atomic_store(&flow->durable, committer->epoch);
	jobs_release(flow);
	if (!any)
		return;
	struct release *release = check_alloc(1, sizeof *release + (flow->shards_count + 1) * sizeof(struct buf));
	release->count = flow->shards_count + 1;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		release->outputs[i] = flow->shards[i]->seal.outputs;
		flow->shards[i]->seal.outputs = (struct buf){0};
	}
	release->outputs[flow->shards_count] = committer->answers;
	committer->answers = (struct buf){0};
	release_add(committer, release);
}

/* ---- steps ---- */

static bool journal_write(struct committer *committer) {
	struct flow *flow = committer->flow;
	struct error error;
	if (!store_append(flow->store, committer->part, &error)) {
		if (error.system != ENOSPC) {
			flow_fail(flow, &error);
		} else if (!atomic_exchange(&committer->waiting_for_space, true)) {
			log_event(
				LOG_ERROR, "no_space", "epoch=%llu reason=\"%s\"", (unsigned long long)committer->epoch, error.message);
		}
		return false;
	}
	if (atomic_exchange(&committer->waiting_for_space, false))
		log_event(LOG_INFO, "space_again", "epoch=%llu", (unsigned long long)committer->epoch);
	committer->unsynced = true;
	if (flow->config->durability != DURABILITY_SYNC || mutant_is(MUTANT_ACK_BEFORE_SYNC))
		return true;
	if (!store_sync(flow->store, &error)) {
		flow_fail(flow, &error);
		return false;
	}
	committer->unsynced = false;
	return true;
}

static bool interval_sync(struct committer *committer) {
	struct flow *flow = committer->flow;
	if (flow->config->durability != DURABILITY_INTERVAL || !committer->unsynced)
		return false;
	uint64_t now_us = monotonic_us();
	if (now_us - committer->synced_us < flow->config->durability_interval_ms * 1000)
		return false;
	struct error error;
	if (!store_sync(flow->store, &error)) {
		flow_fail(flow, &error);
		return false;
	}
	committer->synced_us = now_us;
	committer->unsynced = false;
	return true;
}

static bool step_cutting(struct committer *committer) {
	struct flow *flow = committer->flow;
	bool patient = monotonic_us() - committer->cut_us < CUT_PATIENCE_US;
	for (uint32_t i = 0; i < flow->shards_count; i++) {
		if (atomic_load_explicit(&flow->shards[i]->sealed, memory_order_acquire) < committer->epoch)
			shard_cut(committer, flow->shards[i], patient);
	}
	if (!shards_sealed(committer))
		return false;
	record_build(committer);
	return true;
}

static bool step_writing(struct committer *committer) {
	struct flow *flow = committer->flow;
	uint64_t start_us = monotonic_us();
	if (atomic_load(&flow->failed) || !journal_write(committer))
		return false;
	uint64_t written_us = monotonic_us();
	epoch_release(committer);
	tally_commit(committer, start_us, written_us);
	for (size_t i = 0; i < committer->part->part_count; i++)
		committer->handed_bytes += committer->part->parts[i].size;
	committer->handed_at[committer->epoch % EPOCHS_BEHIND_MAX] = committer->handed_bytes;
	store_hand(flow->store, committer->part);
	committer->part = NULL;
	committer->epoch++;
	committer->state = COMMITTER_IDLE;
	return true;
}

bool committer_step(struct committer *committer) {
	if (interval_sync(committer) || surveys_step(committer))
		return true;
	switch (committer->state) {
	case COMMITTER_IDLE:
		return cut_begin(committer);
	case COMMITTER_CUTTING:
		return step_cutting(committer);
	default:
		return step_writing(committer);
	}
}

uint64_t committer_idle_us(const struct committer *committer) {
	if (surveys_wanted(committer))
		return CUT_PATIENCE_US;
	switch (committer->state) {
	case COMMITTER_CUTTING:
		return CUT_PATIENCE_US;
	case COMMITTER_WRITING:
		return SPACE_RETRY_US;
	default:
		if (committer->flow->gather.until_us != 0)
			return gather_left_us(&committer->flow->gather);
		if (committer->unsynced && committer->flow->config->durability == DURABILITY_INTERVAL)
			return committer->flow->config->durability_interval_ms * 1000;
		return cut_wanted(committer) ? CUT_PATIENCE_US : UINT64_MAX;
	}
}

bool committer_settled(const struct committer *committer) {
	return committer->state == COMMITTER_IDLE && !cut_wanted(committer);
}

bool committer_commit_now(struct committer *committer, struct buf *redo, struct error *error) {
	struct flow *flow = committer->flow;
	struct store_epoch *part = store_epoch_create(1);
	part->epoch = committer->epoch;
	part->time_ms = flow_clock_now(&flow->clock);
	part->parts[0] = *redo;
	*redo = (struct buf){0};
	if (!store_append(flow->store, part, error) || !store_sync(flow->store, error)) {
		store_epoch_destroy(part);
		return false;
	}
	store_hand(flow->store, part);
	committer->handed_at[committer->epoch % EPOCHS_BEHIND_MAX] = committer->handed_bytes;
	atomic_store(&flow->cut, committer->epoch);
	atomic_store(&flow->durable, committer->epoch++);
	return true;
}

struct release *committer_take(struct committer *committer) {
	uint64_t count;
	ssize_t got = read(committer->release_fd, &count, sizeof count);
	check(got == sizeof count || errno == EAGAIN);
	pthread_mutex_lock(&committer->release_mutex);
	struct release *first = committer->release_first;
	committer->release_first = NULL;
	committer->release_last = &committer->release_first;
	pthread_mutex_unlock(&committer->release_mutex);
	return first;
}

void release_destroy(struct release *release) {
	for (size_t i = 0; i < release->count; i++)
		buf_finish(&release->outputs[i]);
	free(release);
}

void committer_release_now(struct committer *committer, struct buf *outputs) {
	struct release *release = check_alloc(1, sizeof *release + sizeof(struct buf));
	release->count = 1;
	release->outputs[0] = *outputs;
	*outputs = (struct buf){0};
	release_add(committer, release);
}
