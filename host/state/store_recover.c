/* Recovery: the store's own rows say what the databases and egress logs hold; what the journal holds beyond that comes
 * into the active table, and is written back later (rule 17). */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/stopwatch.h"
#include "state/store_inside.h"

static bool row_damaged(const char *what, struct error *error) {
	error_set(error, ERROR_STORE_FAILED, "the runtime database has a damaged row of %s", what);
	error_hint(error, "restore the data directory from a backup");
	return false;
}

static bool database_restore(struct store *store, struct bytes key, struct bytes value, struct error *error) {
	struct database_row row;
	if (!database_row_take(key, value, &row) || row.number == 0 || row.number >= TABLE_DATABASES)
		return row_damaged("a database", error);
	struct database *database = check_alloc(1, sizeof *database);
	database_init(database, row.number, row.name);
	atomic_store(&database->checkpoint, row.epoch);
	atomic_store(&store->databases[row.number], database);
	return true;
}

static bool removals_restore(struct store *store, struct bytes key, struct bytes value, struct error *error) {
	uint32_t number;
	struct removals removals;
	if (!removals_row_take(key, value, &number, &removals) || number >= TABLE_DATABASES)
		return row_damaged("removals", error);
	struct database *database = number == REDO_RUNTIME ? &store->runtime : atomic_load(&store->databases[number]);
	if (database == NULL)
		return row_damaged("removals", error);
	database->removals = removals;
	return true;
}

static bool egress_row_restore(struct store *store, struct bytes key, struct bytes value, struct error *error) {
	struct egress_row row;
	if (!egress_row_take(value, &row))
		return row_damaged("an egress", error);
	return egress_restore(store, bytes_of(key.data + 1, key.size - 1), &row, error);
}

static bool rows_restore(struct store *store, enum key_kind kind,
	bool (*restore)(struct store *store, struct bytes key, struct bytes value, struct error *error),
	struct error *error) {
	struct kv *kv = atomic_load(&store->runtime.kv);
	struct kv_cursor *cursor = kv->ops->cursor(kv);
	struct key from = key_of(kind);
	bool good = true;
	for (cursor->ops->seek(cursor, key_bytes(&from)); good && cursor->ops->valid(cursor); cursor->ops->next(cursor)) {
		struct bytes key = cursor->ops->key(cursor);
		if (key.data[0] != kind)
			break;
		good = restore(store, key, cursor->ops->value(cursor), error);
	}
	good = good && cursor->ops->status(cursor, error);
	cursor->ops->close(cursor);
	return good;
}

struct replay {
	struct store *store;
	uint64_t checkpoint; /* epochs through this one are in the databases */
};

static bool replay_record(void *arg, uint64_t number, uint64_t time_ms, struct bytes body, struct error *error) {
	struct replay *replay = arg;
	if (number <= replay->checkpoint)
		return true;
	struct store_epoch *epoch = store_epoch_create(1);
	epoch->epoch = number;
	epoch->time_ms = time_ms;
	buf_append_bytes(&epoch->parts[0], body);
	if (applier_take(replay->store, epoch))
		return true;
	error_set(error, ERROR_STORE_FAILED, "the journal's record of epoch %llu does not fit what came before it",
		(unsigned long long)number);
	error_hint(error, "run sofund --verify; restore the data directory from a backup");
	return false;
}

static void file_note(void *arg, const char *name) {
	bool *any = arg;
	*any = *any || name[0] != '\0';
}

/* Its loss must not look like a store that has had no journal yet. */
static bool journal_folder_check(struct store *store, const char *dir, uint64_t checkpoint, struct error *error) {
	bool any = false;
	int result = store->disk->list(store->disk, dir, file_note, &any);
	if ((result == 0 && any) || (result < 0 && result != -ENOENT) || checkpoint == 0)
		return true; /* any other failure is journal_open's to tell */
	error_set(error, ERROR_STORE_FAILED, "the journal's folder %s is gone", dir);
	error_expected(error, "the journal from epoch %llu on", (unsigned long long)checkpoint + 1);
	error_hint(error, "put it back, or restore the whole data directory from one backup");
	return false;
}

static bool journal_replay(struct store *store, const struct store_options *options, const struct checkpoint_row *row,
	struct journal_end *ret_end, struct error *error) {
	char *dir = path_of(store->dir, "journal", bytes_of(NULL, 0));
	struct journal_options journal = {.disk = store->disk, .dir = dir, .segment_bytes = options->segment_bytes};
	memcpy(journal.store_id, store->id, STORE_ID_BYTES);
	bool good = journal_folder_check(store, dir, row->epoch, error);
	if (good)
		store->journal = journal_open(&journal, error);
	free(dir);
	struct replay replay = {.store = store, .checkpoint = row->epoch};
	return good && store->journal != NULL &&
		journal_recover(store->journal, row->epoch, false, replay_record, &replay, ret_end, error);
}

/* A checkpoint holds only what was synced in the journal first (rule 2). */
static bool journal_reaches(const struct checkpoint_row *row, const struct journal_end *end, struct error *error) {
	if (end->epoch == 0 || end->epoch >= row->epoch)
		return true;
	error_set(error, ERROR_STORE_FAILED, "the journal ends before the last checkpoint");
	error_found(error, "epoch %llu", (unsigned long long)end->epoch);
	error_expected(error, "at least %llu", (unsigned long long)row->epoch);
	error_hint(error, "restore the whole data directory from one backup");
	return false;
}

/* From the first moment on this run's end is not orderly, until it is. */
static bool clean_forget(struct store *store, const struct checkpoint_row *row, struct error *error) {
	if ((row->flags & CHECKPOINT_CLEAN) == 0)
		return true;
	struct checkpoint_row dirty = *row;
	dirty.flags &= (uint8_t)~CHECKPOINT_CLEAN;
	struct key key = key_of(KEY_CHECKPOINT);
	struct buf value = {0};
	checkpoint_row_put(&value, &dirty);
	bool good = row_put(atomic_load(&store->runtime.kv), key_bytes(&key), bytes_buf(&value), true, error);
	buf_finish(&value);
	return good;
}

/* The store's own rows, and that all they name is there. */
static bool rows_recover(struct store *store, struct checkpoint_row *ret_row, struct error *error) {
	return checkpoint_read(atomic_load(&store->runtime.kv), "the runtime database", ret_row, error) &&
		rows_restore(store, KEY_DATABASE, database_restore, error) &&
		rows_restore(store, KEY_REMOVALS, removals_restore, error) && identities_check(store, error) &&
		rows_restore(store, KEY_EGRESS, egress_row_restore, error);
}

bool store_recover(struct store *store, const struct store_options *options, uint64_t start_us,
	struct store_recovered *ret_recovered, struct error *error) {
	struct checkpoint_row row;
	struct journal_end end = {0};
	if (!rows_recover(store, &row, error))
		return false;
	ret_recovered->databases_ms = stopwatch_lap_ms(&start_us);
	if (!journal_replay(store, options, &row, &end, error) || !journal_reaches(&row, &end, error) ||
		!clean_forget(store, &row, error))
		return false;
	ret_recovered->journal_ms = stopwatch_lap_ms(&start_us);
	bool newer = end.epoch > row.epoch;
	ret_recovered->epoch = newer ? end.epoch : row.epoch;
	ret_recovered->time_ms = newer ? end.time_ms : row.time_ms;
	ret_recovered->clean = !newer && (row.flags & CHECKPOINT_CLEAN) != 0;
	ret_recovered->journal_bytes = end.bytes;
	ret_recovered->rows = table_entries(store->active);
	atomic_store(&store->applied, ret_recovered->epoch);
	store->replayed = ret_recovered->epoch;
	atomic_store(&store->checkpoint_epoch, row.epoch);
	store->checkpoint_time_ms = row.time_ms;
	return true;
}
