/* A checkpoint: the frozen table goes to the databases and the egress logs, then the journal is trimmed. [applier]
 *
 * For each type database: batches in key order; row 'C'; flush; row 'C' again, synced (rule 1: a synced write alone does
 * not make durable what was written before it, and a flush alone does not tell its failure). Then the egress logs,
 * synced. Then the runtime database, with rows that tell how far all others are, and its row 'C' only behind the flush:
 * whoever sees it may rely on everything through that epoch. What a power cut leaves of an unfinished checkpoint is
 * harmless, since the journal holds it all and redo may be applied twice. */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/stopwatch.h"
#include "state/store_inside.h"

/* A row for the runtime database's last batch. */
static void own_row_add(struct checkpoint *checkpoint, struct bytes key, const struct buf *value) {
	buf_append_sized(&checkpoint->own_rows, key);
	buf_append_sized(&checkpoint->own_rows, bytes_buf(value));
	checkpoint->own_row_count++;
}

/* ---- beginning ---- */

static struct egress_retention retention_now(const struct store *store, uint64_t time_ms) {
	struct egress_retention retention = {.bytes = UINT64_MAX};
	if (store->retention_bytes != NULL)
		retention.bytes = atomic_load(store->retention_bytes);
	uint64_t kept_s = store->retention_s == NULL ? UINT64_MAX : atomic_load(store->retention_s);
	if (kept_s < time_ms / 1000)
		retention.oldest_ms = time_ms - kept_s * 1000;
	return retention;
}

/* Looks once whenever it is told the time. That may be later than the last epoch's: an idle host has old records, too. */
static void retention_look(struct store *store) {
	if (atomic_load_explicit(&store->retain_ms, memory_order_relaxed) == 0)
		return;
	uint64_t now_ms = atomic_exchange(&store->retain_ms, 0);
	store->retained_ms = now_ms;
	struct egress_retention retention = retention_now(store, now_ms);
	bool table_old = store->active_bytes > 0 && store->active_since_ms <= retention.oldest_ms;
	store->retention_due = false;
	for (size_t i = 0; i < store->egress_count && !store->retention_due; i++) {
		const struct egress *egress = store->egresses[i];
		store->retention_due = (egress->log != NULL && egress_log_due(egress->log, &retention)) ||
			(table_old && egress->record_count > egress->frozen_count);
	}
	atomic_store(&store->retention_waits, store->retention_due && store->active_bytes == 0);
}

/* Only the applier adds egresses; the lock is for the others' list of them. */
static void egresses_list(struct store *store, struct checkpoint *checkpoint) {
	uint64_t now_ms = store->retained_ms > checkpoint->time_ms ? store->retained_ms : checkpoint->time_ms;
	checkpoint->retention = retention_now(store, now_ms);
	store->retention_due = false;
	atomic_store(&store->retention_waits, false);
	checkpoint->egresses = check_alloc(store->egress_count + 1, sizeof *checkpoint->egresses);
	for (size_t i = 0; i < store->egress_count; i++) {
		struct egress *egress = store->egresses[i];
		if (egress->frozen_count > 0 || (egress->log != NULL && egress_log_due(egress->log, &checkpoint->retention)))
			checkpoint->egresses[checkpoint->egress_count++] = egress;
	}
}

static void tables_freeze(struct store *store) {
	struct table *fresh = table_create(&store->readers);
	pthread_mutex_lock(&store->egress_mutex);
	pthread_rwlock_wrlock(&store->readers);
	store->frozen = store->active;
	store->active = fresh;
	pthread_rwlock_unlock(&store->readers);
	egress_freeze(store);
	pthread_mutex_unlock(&store->egress_mutex);
	store->active_bytes = 0;
}

static void checkpoint_begin(struct store *store) {
	struct checkpoint *checkpoint = &store->checkpoint;
	atomic_store(&store->checkpoint_asked, false);
	tables_freeze(store);
	check(table_epoch(store->frozen) <= journal_synced(store->journal)); /* rule 2 */
	*checkpoint = (struct checkpoint){
		.phase = CHECKPOINT_TYPES,
		.number = REDO_RUNTIME,
		.epoch = table_epoch(store->frozen),
		.time_ms = table_time_ms(store->frozen),
		.start_us = stopwatch_us(),
	};
	egresses_list(store, checkpoint);
}

/* Small rows weigh more in the table than in the journal: its memory counts, too. */
static bool checkpoint_due(const struct store *store) {
	bool asked =
		store->draining || store->retention_due || atomic_load_explicit(&store->checkpoint_asked, memory_order_relaxed);
	uint64_t wanted = asked ? 1 : store->checkpoint_bytes;
	return store->active_bytes >= wanted ||
		(store->active_bytes > 0 && table_bytes(store->active) >= wanted + wanted / 2);
}

/* ---- databases ---- */

static void database_enter(struct store *store, struct checkpoint *checkpoint, uint32_t number) {
	checkpoint->number = number;
	checkpoint->database = store_database(store, number);
	checkpoint->runs = table_runs_create(store->frozen, number, bytes_of(NULL, 0));
	checkpoint->sorted = false;
}

static void database_leave(struct store *store, struct checkpoint *checkpoint) {
	table_runs_destroy(checkpoint->runs);
	checkpoint->runs = NULL;
	checkpoint->database = NULL;
	atomic_store(&store->runs_bytes, 0);
}

static void sort_step(struct store *store, struct checkpoint *checkpoint) {
	if (table_runs_collect(checkpoint->runs)) {
		atomic_store(&store->runs_bytes, table_runs_bytes(checkpoint->runs));
		return;
	}
	if (table_runs_sort(checkpoint->runs))
		return;
	table_runs_start(checkpoint->runs);
	checkpoint->sorted = true;
}

/* One batch of the current database from the front of the runs. */
static bool batch_write(struct checkpoint *checkpoint, struct kv *kv, struct error *error) {
	struct kv_op ops[BATCH_KEYS_MAX];
	size_t count = 0;
	size_t bytes = 0;
	struct redo_op op;
	struct removals removals = {0};
	while (count < BATCH_KEYS_MAX && bytes < BATCH_BYTES_MAX && table_runs_peek(checkpoint->runs, &op)) {
		ops[count++] = (struct kv_op){.key = op.key, .value = op.value, .remove = op.kind == REDO_REMOVE};
		bytes += op.key.size + op.value.size;
		if (op.kind == REDO_REMOVE) {
			removals.rows++;
		} else {
			removals.put_rows++;
			removals.put_bytes += op.key.size + op.value.size;
		}
		table_runs_next(checkpoint->runs);
	}
	removals_note(checkpoint->database, &removals);
	return count == 0 || kv->ops->write(kv, ops, count, false, error);
}

static bool checkpoint_put(const struct checkpoint *checkpoint, struct kv *kv, bool sync, struct error *error) {
	struct checkpoint_row row = {.epoch = checkpoint->epoch, .time_ms = checkpoint->time_ms};
	struct key key = key_of(KEY_CHECKPOINT);
	struct buf value = {0};
	checkpoint_row_put(&value, &row);
	bool good = row_put(kv, key_bytes(&key), bytes_buf(&value), sync, error);
	buf_finish(&value);
	return good;
}

static bool flush_and_put(const struct checkpoint *checkpoint, struct kv *kv, struct error *error) {
	return kv->ops->flush(kv, error) && checkpoint_put(checkpoint, kv, true, error);
}

/* Rule 1. The row goes before the flush too, so that it is in a table: logs may be set aside (rule 15). What it says
 * counts only once the runtime database says so too. */
static bool type_seal(const struct checkpoint *checkpoint, struct kv *kv, struct error *error) {
	return checkpoint_put(checkpoint, kv, false, error) && flush_and_put(checkpoint, kv, error);
}

/* Here the row must not be seen before all else is durable, and must be in a table before the journal is trimmed. */
static bool runtime_seal(const struct checkpoint *checkpoint, struct kv *kv, struct error *error) {
	return flush_and_put(checkpoint, kv, error) && flush_and_put(checkpoint, kv, error);
}

/* So that a compaction behind the next start knows, too. */
static void removals_row_add(struct checkpoint *checkpoint, struct database *database) {
	const struct removals removals = removals_now(database);
	struct key key = key_removals(database->number);
	struct buf value = {0};
	removals_row_put(&value, &removals);
	own_row_add(checkpoint, key_bytes(&key), &value);
	buf_finish(&value);
}

static void database_written(struct checkpoint *checkpoint, struct database *database) {
	if (checkpoint->written_count == checkpoint->written_capacity) {
		checkpoint->written_capacity = checkpoint->written_capacity == 0 ? 64 : checkpoint->written_capacity * 2;
		checkpoint->written = realloc(checkpoint->written, checkpoint->written_capacity * sizeof(struct database *));
		check_memory(checkpoint->written);
	}
	checkpoint->written[checkpoint->written_count++] = database;
	struct database_row row = {.epoch = checkpoint->epoch, .name = bytes_text(database->name)};
	struct key key = key_database(database->number);
	struct buf value = {0};
	database_row_put(&value, &row);
	own_row_add(checkpoint, key_bytes(&key), &value);
	buf_finish(&value);
	removals_row_add(checkpoint, database);
}

/* Towards the end of the database's operations; *ret_end: there. */
static bool database_step(
	struct store *store, struct checkpoint *checkpoint, struct kv **ret_kv, bool *ret_end, struct error *error) {
	struct redo_op op;
	*ret_end = false;
	if (!checkpoint->sorted) {
		sort_step(store, checkpoint);
		return true;
	}
	*ret_kv = database_writing(store, checkpoint->database, error);
	if (*ret_kv == NULL)
		return false;
	*ret_end = !table_runs_peek(checkpoint->runs, &op);
	return *ret_end || batch_write(checkpoint, *ret_kv, error);
}

static bool types_step(struct store *store, struct checkpoint *checkpoint, struct error *error) {
	if (checkpoint->database == NULL) {
		uint32_t number = table_database_next(store->frozen, checkpoint->number);
		if (number == UINT32_MAX)
			checkpoint->phase = CHECKPOINT_EGRESS;
		else
			database_enter(store, checkpoint, number);
		return true;
	}
	struct kv *kv;
	bool end;
	if (!database_step(store, checkpoint, &kv, &end, error))
		return false;
	if (!end)
		return true;
	if (!type_seal(checkpoint, kv, error))
		return false;
	database_written(checkpoint, checkpoint->database);
	database_leave(store, checkpoint);
	return true;
}

/* ---- egress logs ---- */

static void egress_written(struct checkpoint *checkpoint, const struct egress *egress, const struct egress_row *row) {
	struct buf key = {0};
	struct buf value = {0};
	buf_append_u8(&key, KEY_EGRESS);
	buf_append_bytes(&key, bytes_buf(&egress->name));
	egress_row_put(&value, row);
	own_row_add(checkpoint, bytes_buf(&key), &value);
	buf_finish(&key);
	buf_finish(&value);
}

/* No record that is written now is younger than the last of them, nor than the checkpoint. */
static bool egress_append(struct checkpoint *checkpoint, struct egress *egress, struct error *error) {
	uint64_t segment_bytes = checkpoint->retention.bytes / EGRESS_SEGMENT_PART;
	uint64_t time_ms = egress->time_ms < checkpoint->time_ms ? egress->time_ms : checkpoint->time_ms;
	egress_log_begin(egress->log, time_ms, segment_bytes < EGRESS_SEGMENT_BYTES ? segment_bytes : EGRESS_SEGMENT_BYTES);
	for (size_t bytes = 0; checkpoint->egress_record < egress->frozen_count && bytes < BATCH_BYTES_MAX;) {
		struct redo_op op = table_operation(egress->records[checkpoint->egress_record]);
		if (!egress_log_append(egress->log, op.offset, op.value, error))
			return false;
		checkpoint->egress_record++;
		bytes += op.value.size + 1;
	}
	return true;
}

static bool egress_step(struct store *store, struct checkpoint *checkpoint, struct error *error) {
	if (checkpoint->egress == checkpoint->egress_count) {
		checkpoint->phase = CHECKPOINT_RUNTIME;
		database_enter(store, checkpoint, REDO_RUNTIME);
		removals_row_add(checkpoint, &store->runtime); /* as of before its own rows of this one */
		return true;
	}
	struct egress *egress = checkpoint->egresses[checkpoint->egress];
	if (egress->log == NULL && !egress_log_make(store, egress, error))
		return false;
	if (checkpoint->egress_record < egress->frozen_count)
		return egress_append(checkpoint, egress, error);
	struct egress_row row;
	egress_log_retain(egress->log, &checkpoint->retention);
	if (!egress_log_sync(egress->log, &row, error))
		return false;
	egress_written(checkpoint, egress, &row);
	checkpoint->egress++;
	checkpoint->egress_record = 0;
	return true;
}

/* ---- the runtime database ---- */

/* Rows 'B', 'E' and 'r': what they tell is durable already. */
static bool own_rows_write(const struct checkpoint *checkpoint, struct kv *kv, struct error *error) {
	size_t count = 0;
	struct kv_op *ops = check_alloc(checkpoint->own_row_count + 1, sizeof *ops);
	for (struct bytes rest = bytes_buf(&checkpoint->own_rows); rest.size > 0; count++) {
		bool good = sized_take(&rest, &ops[count].key) && sized_take(&rest, &ops[count].value);
		check(good);
	}
	check(count == checkpoint->own_row_count);
	bool good = count == 0 || kv->ops->write(kv, ops, count, false, error);
	free(ops);
	return good;
}

static bool runtime_step(struct store *store, struct checkpoint *checkpoint, struct error *error) {
	struct kv *kv;
	bool end;
	if (!database_step(store, checkpoint, &kv, &end, error))
		return false;
	if (!end)
		return true;
	if (!own_rows_write(checkpoint, kv, error) || !runtime_seal(checkpoint, kv, error))
		return false;
	database_leave(store, checkpoint);
	checkpoint->phase = CHECKPOINT_TRIM;
	return true;
}

/* ---- the end ---- */

void checkpoint_abandon(struct checkpoint *checkpoint) {
	table_runs_destroy(checkpoint->runs);
	free(checkpoint->written);
	free(checkpoint->egresses);
	buf_finish(&checkpoint->own_rows);
	*checkpoint = (struct checkpoint){0};
}

/* From here on the databases answer for what the frozen table held. */
static void tables_thaw(struct store *store) {
	pthread_mutex_lock(&store->egress_mutex);
	egress_thaw(store);
	pthread_rwlock_wrlock(&store->readers);
	struct table *frozen = store->frozen;
	store->frozen = NULL;
	pthread_rwlock_unlock(&store->readers);
	pthread_mutex_unlock(&store->egress_mutex);
	table_release(frozen);
}

static bool trim_step(struct store *store, struct checkpoint *checkpoint, struct error *error) {
	for (size_t i = 0; i < checkpoint->egress_count; i++)
		if (!egress_log_drop(checkpoint->egresses[i]->log, error))
			return false;
	if (!journal_trim(store->journal, checkpoint->epoch, error))
		return false;
	for (size_t i = 0; i < checkpoint->written_count; i++)
		atomic_store(&checkpoint->written[i]->checkpoint, checkpoint->epoch);
	histogram_add(&store->checkpoint_seconds, stopwatch_us() - checkpoint->start_us);
	store->checkpoint_time_ms = checkpoint->time_ms;
	atomic_store(&store->checkpoint_epoch, checkpoint->epoch);
	checkpoint_abandon(checkpoint);
	tables_thaw(store);
	atomic_fetch_add(&store->checkpoints, 1);
	return true;
}

/* Rule 16: what was being written starts over when there is space; anything else ends the store. */
static void step_failed(struct store *store, struct checkpoint *checkpoint, const struct error *error) {
	if (error->system != ENOSPC) {
		store_fail(store, error);
		return;
	}
	atomic_store(&store->database_full, true);
	checkpoint->egress_record = 0;
	if (checkpoint->database != NULL && checkpoint->sorted)
		table_runs_start(checkpoint->runs);
}

bool checkpoint_step(struct store *store) {
	struct checkpoint *checkpoint = &store->checkpoint;
	if (checkpoint->phase == CHECKPOINT_IDLE) {
		retention_look(store);
		if (!checkpoint_due(store))
			return false;
		checkpoint_begin(store);
		return true;
	}
	struct error error;
	bool good = false;
	switch (checkpoint->phase) {
	case CHECKPOINT_IDLE:
		break;
	case CHECKPOINT_TYPES:
		good = types_step(store, checkpoint, &error);
		break;
	case CHECKPOINT_EGRESS:
		good = egress_step(store, checkpoint, &error);
		break;
	case CHECKPOINT_RUNTIME:
		good = runtime_step(store, checkpoint, &error);
		break;
	case CHECKPOINT_TRIM:
		good = trim_step(store, checkpoint, &error);
		break;
	}
	if (!good)
		step_failed(store, checkpoint, &error);
	else if (checkpoint->phase == CHECKPOINT_IDLE) /* not at the first step that fits: the next may not */
		atomic_store(&store->database_full, false);
	return good;
}
