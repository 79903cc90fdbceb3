#include "flow/epoch/commit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "flow/dead/letter.h"
#include "flow/epoch/commit_inside.h"
#include "flow/keyed/keyed_rows.h"

enum {
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
	if (!cut_seals(committer))
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
	committer_release(committer);
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
