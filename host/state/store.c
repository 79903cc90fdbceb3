/* The store's face: what any thread may call. Opening: store_open.c; the applier's part: applier.c. */
#include "state/store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "state/store_inside.h"

struct store_epoch *store_epoch_create(size_t part_count) {
	struct store_epoch *epoch = check_alloc(1, sizeof *epoch + part_count * sizeof epoch->parts[0]);
	epoch->part_count = part_count;
	return epoch;
}

void store_epoch_destroy(struct store_epoch *epoch) {
	if (epoch == NULL)
		return;
	for (size_t i = 0; i < epoch->part_count; i++)
		buf_finish(&epoch->parts[i]);
	free(epoch);
}

void store_fail(struct store *store, const struct error *error) {
	pthread_mutex_lock(&store->failure_mutex);
	if (!atomic_load(&store->failed))
		store->failure = *error;
	atomic_store(&store->failed, true);
	pthread_mutex_unlock(&store->failure_mutex);
}

bool store_failed(const struct store *store, struct error *ret_error) {
	CHECK_OBJECT(store, STORE_MAGIC);
	if (!atomic_load(&store->failed))
		return false;
	/* The mutex is no part of what the caller sees as constant. */
	pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&store->failure_mutex;
	pthread_mutex_lock(mutex);
	if (ret_error != NULL)
		*ret_error = store->failure;
	pthread_mutex_unlock(mutex);
	return true;
}

void store_type_name(struct store *store, uint32_t number, const char *name) {
	CHECK_OBJECT(store, STORE_MAGIC);
	check(number > 0 && number < TABLE_DATABASES);
	struct database *database = atomic_load(&store->databases[number]);
	if (database != NULL) {
		check(strcmp(database->name, name) == 0); /* a number is for ever */
		return;
	}
	database = check_alloc(1, sizeof *database);
	database_init(database, number, bytes_text(name));
	atomic_store_explicit(&store->databases[number], database, memory_order_release);
}

bool store_append(struct store *store, const struct store_epoch *epoch, struct error *error) {
	CHECK_OBJECT(store, STORE_MAGIC);
	struct bytes *parts = check_alloc(epoch->part_count + 1, sizeof *parts);
	uint64_t bytes = 0;
	for (size_t i = 0; i < epoch->part_count; i++) {
		parts[i] = bytes_buf(&epoch->parts[i]);
		bytes += parts[i].size;
	}
	pthread_mutex_lock(&store->journal_mutex);
	bool good = journal_append(store->journal, epoch->epoch, epoch->time_ms, parts, epoch->part_count, error);
	pthread_mutex_unlock(&store->journal_mutex);
	free(parts);
	atomic_store(&store->journal_full, !good && error->system == ENOSPC);
	if (good)
		atomic_fetch_add(&store->journal_bytes_written, bytes);
	else if (error->system != ENOSPC)
		store_fail(store, error);
	return good;
}

bool store_sync(struct store *store, struct error *error) {
	CHECK_OBJECT(store, STORE_MAGIC);
	pthread_mutex_lock(&store->journal_mutex);
	bool good = journal_sync(store->journal, error);
	pthread_mutex_unlock(&store->journal_mutex);
	if (!good)
		store_fail(store, error);
	return good;
}

uint64_t store_applied(const struct store *store) {
	CHECK_OBJECT(store, STORE_MAGIC);
	return atomic_load(&store->applied);
}

bool store_pressed(const struct store *store) {
	CHECK_OBJECT(store, STORE_MAGIC);
	return atomic_load(&store->journal_full) || atomic_load(&store->database_full) ||
		journal_untrimmed_bytes(store->journal) > store->journal_bytes_max;
}

static enum table_found tables_get(struct store *store, uint32_t database, struct bytes key, struct buf *ret_value) {
	struct bytes value = {0};
	pthread_rwlock_rdlock(&store->readers);
	enum table_found found = table_get(store->active, database, key, &value);
	if (found == TABLE_ABSENT && store->frozen != NULL)
		found = table_get(store->frozen, database, key, &value);
	if (found == TABLE_VALUE)
		buf_append_bytes(ret_value, value);
	pthread_rwlock_unlock(&store->readers);
	return found;
}

/* What is in neither table by then is in the database, as new or newer: a table goes only after its checkpoint. */
int store_get(struct store *store, uint32_t database, struct bytes key, struct buf *ret_value, struct error *error) {
	CHECK_OBJECT(store, STORE_MAGIC);
	enum table_found found = tables_get(store, database, key, ret_value);
	if (found != TABLE_ABSENT)
		return found == TABLE_VALUE ? 1 : 0;
	struct kv *kv = database_reading(store, store_database(store, database), error);
	if (kv == NULL)
		return error->code == ERROR_NONE ? 0 : -1;
	size_t before = ret_value->size;
	int got = kv->ops->get(kv, key, ret_value, error);
	store_read_count(store, 1, got == 1 ? key.size + ret_value->size - before : 0);
	return got;
}

void store_read_count(struct store *store, uint64_t rows, uint64_t bytes) {
	atomic_fetch_add_explicit(&store->read_rows, rows, memory_order_relaxed);
	atomic_fetch_add_explicit(&store->read_bytes, bytes, memory_order_relaxed);
}

void store_figures(const struct store *store, struct store_figures *ret_figures) {
	CHECK_OBJECT(store, STORE_MAGIC);
	pthread_rwlock_t *readers = (pthread_rwlock_t *)(uintptr_t)&store->readers;
	*ret_figures = (struct store_figures){
		.journal_untrimmed_bytes = journal_untrimmed_bytes(store->journal),
		.journal_bytes_max = store->journal_bytes_max,
		.checkpoints = atomic_load(&store->checkpoints),
		.compactions = atomic_load(&store->compactions),
		.table_bytes = atomic_load(&store->runs_bytes) + atomic_load(&store->handed_bytes),
		.journal_bytes_written = atomic_load(&store->journal_bytes_written),
		.read_rows = atomic_load_explicit(&store->read_rows, memory_order_relaxed),
		.read_bytes = atomic_load_explicit(&store->read_bytes, memory_order_relaxed),
		.reclaimed = atomic_load_explicit(&store->reclaimed, memory_order_relaxed),
		.waiting_for_space = atomic_load(&store->journal_full) || atomic_load(&store->database_full),
	};
	histogram_read(&store->checkpoint_seconds, &ret_figures->checkpoint);
	pthread_rwlock_rdlock(readers);
	const struct table *tables[] = {store->active, store->frozen};
	for (size_t i = 0; i < 2; i++) {
		if (tables[i] == NULL)
			continue;
		ret_figures->table_bytes += table_bytes(tables[i]);
		ret_figures->table_entries += table_entries(tables[i]);
	}
	pthread_rwlock_unlock(readers);
}
