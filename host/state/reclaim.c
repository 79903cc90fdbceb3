#include "state/reclaim.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "state/key.h"
#include "state/store_inside.h"

enum {
	LOOK_US = 1000000, /* between looks for rows */
	YIELD_US = 10000,  /* what it waits for whoever needs the disk now, */
	YIELDS_MAX = 50,   /* so often before one more piece */
	/* A range that was dropped comes to the databases with a checkpoint; a host that has little to do is asked for one. */
	CHECKPOINT_US = 5000000,
	/* So do rows that were removed one by one, mostly by a sweep. While it goes on there are more of them at each look, and the
	 * tables fill up; behind its end nobody may ask for long. A few are not worth a checkpoint every other moment. */
	REMOVED_MIN = 256,
	CHECKPOINT_FEW_US = 60000000,
	BUSY_BYTES = 1 << 20, /* of epochs that the applier has not taken yet */
	ROWS_MAX = 256,       /* ranges for one flush of the databases that they are in */
	/* Keys between two compactions: what they give back is worth one, and it takes some tenths of a second. */
	COMPACT_KEYS = 32768,
	COMPACT_KEYS_MIN = 4096,
};

struct reclaim {
	uint64_t looked; /* the checkpoint behind which it looked last, and found nothing more */
	bool looked_once;
	uint64_t dropped_us; /* since when the tables have rows that no checkpoint has written; 0: they have none */
	uint64_t removed;    /* rows that the tables know to be removed, as it looked last */
	uint64_t removed_us; /* since when there are as many */
	unsigned yields;
	struct key from; /* rows before are gone: to look over what was removed costs; size 0: from the first on */
	struct buf rows; /* key:sized value:sized, of those in work */
	size_t row_count;
	size_t at;        /* of the one in work, in bytes; the end: all keys are removed */
	struct buf next;  /* where its range goes on; empty: at its start */
	struct buf slice; /* the first key that was removed since the last compaction */
	uint64_t slice_keys;
	uint32_t databases[ROWS_MAX]; /* in which something was removed, and not flushed yet */
	size_t database_count;
};

void dropped_row_put(struct buf *value, const struct dropped_row *row) {
	buf_append_varint(value, row->database);
	buf_append_sized(value, row->from);
	buf_append_sized(value, row->to);
}

bool dropped_row_take(struct bytes value, struct dropped_row *ret_row) {
	uint64_t database;
	if (!varint_take(&value, &database) || database == REDO_RUNTIME || database >= TABLE_DATABASES ||
		!sized_take(&value, &ret_row->from) || !sized_take(&value, &ret_row->to))
		return false;
	ret_row->database = (uint32_t)database;
	return value.size == 0 && bytes_compare(ret_row->from, ret_row->to) < 0;
}

struct reclaim *reclaim_create(void) {
	return check_alloc(1, sizeof(struct reclaim));
}

void reclaim_destroy(struct reclaim *reclaim) {
	if (reclaim == NULL)
		return;
	buf_finish(&reclaim->rows);
	buf_finish(&reclaim->next);
	buf_finish(&reclaim->slice);
	free(reclaim);
}

/* ---- looking ---- */

/* No row was removed for so long that there may be no more to come. */
static bool removals_rest(struct reclaim *reclaim, uint64_t removed, uint64_t now_us) {
	if (removed == 0 || removed != reclaim->removed) {
		reclaim->removed = removed;
		reclaim->removed_us = now_us;
		return false;
	}
	return now_us - reclaim->removed_us >= (removed < REMOVED_MIN ? CHECKPOINT_FEW_US : CHECKPOINT_US);
}

/* Asks for a checkpoint if rows have waited for one long enough. */
static void checkpoint_ask(struct store *store, struct reclaim *reclaim, uint64_t now_us) {
	pthread_rwlock_rdlock(&store->readers);
	bool dropped = table_dropped(store->active) > 0;
	uint64_t removed = table_removed(store->active);
	pthread_rwlock_unlock(&store->readers);
	if (removals_rest(reclaim, removed, now_us))
		atomic_store(&store->checkpoint_asked, true);
	if (!dropped)
		reclaim->dropped_us = 0;
	else if (reclaim->dropped_us == 0)
		reclaim->dropped_us = now_us;
	else if (now_us - reclaim->dropped_us >= CHECKPOINT_US)
		atomic_store(&store->checkpoint_asked, true);
}

static bool rows_read(struct store *store, struct reclaim *reclaim, struct error *error) {
	struct kv *kv = database_reading(store, &store->runtime, error);
	if (kv == NULL)
		return error->code == ERROR_NONE;
	struct kv_cursor *cursor = kv->ops->cursor(kv);
	struct key from = reclaim->from.size > 0 ? reclaim->from : key_of(KEY_DROPPED);
	cursor->ops->seek(cursor, key_bytes(&from));
	while (reclaim->row_count < ROWS_MAX && cursor->ops->valid(cursor)) {
		struct bytes key = cursor->ops->key(cursor);
		if (key.data[0] != KEY_DROPPED)
			break;
		buf_append_sized(&reclaim->rows, key);
		buf_append_sized(&reclaim->rows, cursor->ops->value(cursor));
		reclaim->row_count++;
		cursor->ops->next(cursor);
	}
	bool good = cursor->ops->status(cursor, error);
	cursor->ops->close(cursor);
	return good;
}

/* ---- removing ---- */

/* Keys of one database on their way out, in one write. */
struct batch {
	struct kv *kv;
	struct buf keys; /* sized */
	size_t count;
	bool compacts; /* behind it, from the slice's first key to the last one here */
};

static bool row_at(const struct reclaim *reclaim, struct dropped_row *ret_row, size_t *ret_end, struct error *error) {
	struct bytes rest = bytes_of(reclaim->rows.data + reclaim->at, reclaim->rows.size - reclaim->at);
	struct bytes key, value;
	bool whole = sized_take(&rest, &key) && sized_take(&rest, &value);
	check(whole);
	*ret_end = reclaim->rows.size - rest.size;
	return dropped_row_take(value, ret_row) ||
		error_set(error, ERROR_STORE_FAILED, "the row of a dropped range is malformed: run sofund --verify");
}

static void database_note(struct reclaim *reclaim, uint32_t database) {
	for (size_t i = 0; i < reclaim->database_count; i++)
		if (reclaim->databases[i] == database)
			return;
	reclaim->databases[reclaim->database_count++] = database; /* a row names one, and there are ROWS_MAX of them */
}

/* The keys of one range, from where it was left. True: to its end. */
static bool range_collect(
	struct reclaim *reclaim, struct kv_cursor *cursor, const struct dropped_row *row, struct batch *batch) {
	cursor->ops->seek(cursor, reclaim->next.size > 0 ? bytes_buf(&reclaim->next) : row->from);
	for (; cursor->ops->valid(cursor); cursor->ops->next(cursor)) {
		struct bytes key = cursor->ops->key(cursor);
		if (bytes_compare(key, row->to) >= 0)
			break;
		if (batch->count == BATCH_KEYS_MAX) {
			buf_reset(&reclaim->next);
			buf_append_bytes(&reclaim->next, key);
			return false;
		}
		if (reclaim->slice_keys++ == 0)
			buf_append_bytes(&reclaim->slice, key);
		buf_append_sized(&batch->keys, key);
		batch->count++;
	}
	return true;
}

static void range_leave(struct reclaim *reclaim, size_t end) {
	reclaim->at = end;
	buf_reset(&reclaim->next);
	buf_reset(&reclaim->slice);
	reclaim->slice_keys = 0;
}

/* Of as many ranges of one database as fit; a long one ends the batch, since it is compacted behind it. */
static bool batch_collect(struct reclaim *reclaim, struct kv_cursor *cursor, uint32_t database, struct batch *batch,
	size_t *ret_end, struct error *error) {
	struct dropped_row row;
	while (reclaim->at < reclaim->rows.size) {
		size_t end;
		if (!row_at(reclaim, &row, &end, error))
			return false;
		if (row.database != database)
			break;
		bool whole = range_collect(reclaim, cursor, &row, batch);
		batch->compacts = reclaim->slice_keys >= (whole ? COMPACT_KEYS_MIN : COMPACT_KEYS);
		*ret_end = whole ? end : 0;
		if (!whole || batch->compacts)
			break;
		range_leave(reclaim, end);
	}
	return cursor->ops->status(cursor, error);
}

static bool batch_write(const struct batch *batch, struct bytes *ret_last, struct error *error) {
	struct kv_op ops[BATCH_KEYS_MAX];
	struct bytes rest = bytes_buf(&batch->keys);
	for (size_t i = 0; i < batch->count; i++) {
		ops[i] = (struct kv_op){.remove = true};
		bool whole = sized_take(&rest, &ops[i].key);
		check(whole);
	}
	*ret_last = ops[batch->count - 1].key;
	return batch->kv->ops->write(batch->kv, ops, batch->count, false, error);
}

/* A long range is compacted at once, where it was; many short ones when they have become a good part of the database. */
static void batch_written(
	struct store *store, struct reclaim *reclaim, uint32_t database, struct batch *batch, struct bytes last) {
	atomic_fetch_add_explicit(&store->reclaimed, batch->count, memory_order_relaxed);
	if (!batch->compacts) {
		removals_note(store_database(store, database), &(struct removals){.rows = batch->count});
		return;
	}
	batch->kv->ops->compact(batch->kv, bytes_buf(&reclaim->slice), last);
	buf_reset(&reclaim->slice);
	reclaim->slice_keys = 0;
}

static bool batch_run(
	struct store *store, struct reclaim *reclaim, uint32_t database, struct batch *batch, struct error *error) {
	struct kv_cursor *cursor = batch->kv->ops->cursor(batch->kv);
	struct bytes last;
	size_t end = 0;
	bool good = batch_collect(reclaim, cursor, database, batch, &end, error);
	cursor->ops->close(cursor);
	if (!good)
		return false;
	if (batch->count > 0) {
		database_note(reclaim, database);
		if (!batch_write(batch, &last, error))
			return false;
		batch_written(store, reclaim, database, batch, last);
	}
	if (batch->compacts && end > 0)
		range_leave(reclaim, end);
	return true;
}

/* A batch from the range in work on. What fails is begun again from the first row: then there is less to do. */
static bool ranges_step(struct store *store, struct reclaim *reclaim, struct error *error) {
	struct dropped_row row;
	size_t end;
	if (!row_at(reclaim, &row, &end, error))
		return false;
	struct batch batch = {.kv = database_reading(store, store_database(store, row.database), error)};
	if (batch.kv == NULL && error->code != ERROR_NONE)
		return false;
	if (batch.kv == NULL) {
		range_leave(reclaim, end); /* nothing is in the database */
		return true;
	}
	bool good = batch_run(store, reclaim, row.database, &batch, error);
	buf_finish(&batch.keys);
	if (!good)
		range_leave(reclaim, 0);
	return good;
}

/* ---- the end of some rows ---- */

/* Rule 1: the flush is told by a synced write behind it. There is no such key. */
static bool database_seal(struct kv *kv, struct error *error) {
	struct key none = key_of(KEY_ENTRY);
	const struct kv_op op = {.key = key_bytes(&none), .remove = true};
	return kv->ops->flush(kv, error) && kv->ops->write(kv, &op, 1, true, error);
}

static bool rows_remove(struct store *store, struct reclaim *reclaim, struct error *error) {
	struct kv_op *ops = check_alloc(reclaim->row_count, sizeof *ops);
	struct bytes rest = bytes_buf(&reclaim->rows);
	for (size_t i = 0; i < reclaim->row_count; i++) {
		struct bytes value;
		ops[i].remove = true;
		bool whole = sized_take(&rest, &ops[i].key) && sized_take(&rest, &value);
		check(whole);
	}
	struct kv *kv = atomic_load(&store->runtime.kv);
	bool good = kv->ops->write(kv, ops, reclaim->row_count, false, error);
	if (good) {
		reclaim->from.size = 0;
		key_append(&reclaim->from, ops[reclaim->row_count - 1].key);
	}
	free(ops);
	return good;
}

static bool rows_end(struct store *store, struct reclaim *reclaim, struct error *error) {
	while (reclaim->database_count > 0) {
		uint32_t number = reclaim->databases[reclaim->database_count - 1];
		struct kv *kv = database_reading(store, store_database(store, number), error);
		if (kv == NULL || !database_seal(kv, error))
			return false;
		reclaim->database_count--;
	}
	if (!rows_remove(store, reclaim, error))
		return false;
	buf_reset(&reclaim->rows);
	reclaim->row_count = 0;
	reclaim->at = 0;
	return true;
}

/* ---- steps ---- */

static bool checkpoint_runs(struct store *store) {
	pthread_rwlock_rdlock(&store->readers);
	bool runs = store->frozen != NULL;
	pthread_rwlock_unlock(&store->readers);
	return runs;
}

static bool store_busy(struct store *store) {
	return checkpoint_runs(store) || atomic_load(&store->handed_bytes) > BUSY_BYTES ||
		atomic_load(&store->database_full);
}

/* True: there are rows to work on. */
static bool rows_look(struct store *store, struct reclaim *reclaim, struct error *error) {
	uint64_t checkpoint = atomic_load(&store->checkpoint_epoch);
	if (reclaim->looked_once && reclaim->looked == checkpoint)
		return true;
	if (!rows_read(store, reclaim, error))
		return false;
	if (reclaim->row_count > 0 && checkpoint < store->replayed) {
		atomic_store(&store->checkpoint_asked, true); /* what was replayed may belong to them */
		buf_reset(&reclaim->rows);
		reclaim->row_count = 0;
		return true;
	}
	if (reclaim->row_count == 0) {
		reclaim->looked = checkpoint;
		reclaim->looked_once = true;
	}
	return true;
}

/* No space may pass; what else goes wrong is the store's end. */
static uint64_t step_failed(struct store *store, const struct error *error) {
	if (error->system != ENOSPC)
		store_fail(store, error);
	return LOOK_US;
}

uint64_t store_reclaim_step(struct store *store, uint64_t now_us) {
	CHECK_OBJECT(store, STORE_MAGIC);
	struct reclaim *reclaim = store->reclaim;
	struct error error = {.code = ERROR_NONE};
	if (atomic_load(&store->failed))
		return LOOK_US;
	checkpoint_ask(store, reclaim, now_us);
	if (reclaim->row_count == 0) {
		if (checkpoint_runs(store))
			return YIELD_US; /* its rows count when it stands */
		if (!rows_look(store, reclaim, &error))
			return step_failed(store, &error);
		return reclaim->row_count > 0 ? 0 : LOOK_US;
	}
	if (store_busy(store) && reclaim->yields < YIELDS_MAX) {
		reclaim->yields++;
		return YIELD_US;
	}
	reclaim->yields = 0;
	bool more = reclaim->at < reclaim->rows.size;
	if (more ? ranges_step(store, reclaim, &error) : rows_end(store, reclaim, &error))
		return 0;
	return step_failed(store, &error);
}
