/* Gives the disk back what was removed. LevelDB keeps removed rows, and the marks that remove them, until a compaction happens to
 * come by: after a million instances have expired that may be never. Once what was removed from a database weighs a good part of
 * what it is on disk, its keys are compacted by the reclaimer, piece by piece, with rests between them: writers and readers go on,
 * and most of LevelDB's one background thread stays theirs. */
#include <stdlib.h>

#include "base/check.h"
#include "base/stopwatch.h"
#include "state/store_inside.h"

enum {
	/* Fewer removals are not worth a compaction; the runtime database always has some, and cleans up behind itself. */
	REMOVALS_MIN = 4096,
	REMOVALS_MIN_RUNTIME = 256 * 1024,
	/* Worth it when so much of the database, at least, is what was removed: a quarter. */
	REMOVED_PART = 4,
	/* A row weighs so much at least, with its mark; and of a database that was written by a host which did not count, about. */
	ROW_BYTES = 64,
	/* A piece is this large, about: some hundred milliseconds, and nobody waits longer for the host to stop. */
	PIECE_BYTES = 8 << 20,
	/* Each piece is followed by so many times its own length of rest. */
	REST_TIMES = 4,
	REST_US_MIN = 20000,
	LOOK_US = 500000,
};

void removals_note(struct database *database, const struct removals *batch) {
	struct removals *removals = &database->removals;
	if (batch->rows == 0 && batch->put_rows == 0)
		return;
	pthread_mutex_lock(&database->removals_mutex);
	removals->rows += batch->rows;
	removals->put_rows += batch->put_rows;
	removals->put_bytes += batch->put_bytes;
	pthread_mutex_unlock(&database->removals_mutex);
}

struct removals removals_now(struct database *database) {
	pthread_mutex_lock(&database->removals_mutex);
	struct removals removals = database->removals;
	pthread_mutex_unlock(&database->removals_mutex);
	return removals;
}

/* What was removed, as bytes on disk: a row and its mark. */
static uint64_t removed_bytes(const struct removals *removals) {
	uint64_t row_bytes = removals->put_rows == 0 ? ROW_BYTES : removals->put_bytes / removals->put_rows;
	return removals->rows * (row_bytes < ROW_BYTES ? ROW_BYTES : row_bytes);
}

static struct bytes key_first(void) {
	return bytes_of("\x00", 1);
}

static struct bytes key_last(void) {
	return bytes_of("\xff", 1); /* rule 1: no key is beyond it */
}

/* It is worth it. */
static bool compaction_due(struct database *database) {
	struct kv *kv = atomic_load(&database->kv);
	uint64_t least = database->number == REDO_RUNTIME ? REMOVALS_MIN_RUNTIME : REMOVALS_MIN;
	if (kv == NULL)
		return false;
	const struct removals removals = removals_now(database);
	return removals.rows >= least &&
		removed_bytes(&removals) >= kv->ops->size(kv, key_first(), key_last()) / REMOVED_PART;
}

static struct database *database_due(struct store *store) {
	if (compaction_due(&store->runtime))
		return &store->runtime;
	for (uint32_t number = 1; number < TABLE_DATABASES; number++) {
		struct database *database = atomic_load_explicit(&store->databases[number], memory_order_acquire);
		if (database != NULL && compaction_due(database))
			return database;
	}
	return NULL;
}

/* ---- pieces ---- */

/* Where a piece ends that begins at `from`: behind so many bytes of what is there. False: it goes to the end. */
static bool piece_end(struct kv *kv, struct bytes from, struct buf *ret_end) {
	size_t bytes = 0;
	struct kv_cursor *cursor = kv->ops->cursor(kv);
	cursor->ops->seek(cursor, from);
	for (; bytes < PIECE_BYTES && cursor->ops->valid(cursor); cursor->ops->next(cursor))
		bytes += cursor->ops->key(cursor).size + cursor->ops->value(cursor).size;
	bool more = cursor->ops->valid(cursor);
	buf_reset(ret_end);
	buf_append_bytes(ret_end, more ? cursor->ops->key(cursor) : key_last());
	cursor->ops->close(cursor);
	return more;
}

static void compaction_begin(struct compaction *compaction, struct database *database) {
	compaction->database = database;
	compaction->removed_rows = removals_now(database).rows;
	buf_reset(&compaction->from);
	buf_append_bytes(&compaction->from, key_first());
}

/* Only now are they gone: one that a stop or a crash cuts short is begun again. */
static void compaction_end(struct compaction *compaction) {
	struct database *database = compaction->database;
	pthread_mutex_lock(&database->removals_mutex);
	database->removals.rows -= compaction->removed_rows;
	pthread_mutex_unlock(&database->removals_mutex);
	compaction->database = NULL;
}

/* Returns how long it took, at least 1. */
static uint64_t piece_compact(struct compaction *compaction, struct kv *kv) {
	uint64_t start_us = stopwatch_us();
	struct buf end = {0};
	bool more = piece_end(kv, bytes_buf(&compaction->from), &end);
	kv->ops->compact(kv, bytes_buf(&compaction->from), bytes_buf(&end));
	buf_reset(&compaction->from);
	buf_append_bytes(&compaction->from, bytes_buf(&end));
	buf_finish(&end);
	if (!more)
		compaction_end(compaction);
	return stopwatch_us() - start_us + 1;
}

uint64_t store_compact_step(struct store *store, uint64_t now_us) {
	CHECK_OBJECT(store, STORE_MAGIC);
	struct compaction *compaction = &store->compaction;
	if (now_us < compaction->rest_until_us)
		return compaction->rest_until_us - now_us;
	struct database *due = compaction->database == NULL ? database_due(store) : NULL;
	if (due != NULL)
		compaction_begin(compaction, due);
	uint64_t took_us = 0;
	if (compaction->database != NULL)
		took_us = piece_compact(compaction, atomic_load(&compaction->database->kv));
	uint64_t rest_us = took_us == 0 ? LOOK_US : took_us * REST_TIMES + REST_US_MIN;
	compaction->rest_until_us = now_us + took_us + rest_us;
	atomic_fetch_add(&store->compactions, took_us > 0 && compaction->database == NULL);
	return rest_us;
}
