/* Opening and closing a store: folders, format row, then recovery (store_recover.c). */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/stopwatch.h"
#include "state/reclaim.h"
#include "state/store_inside.h"

static bool dir_failed(const char *dir, int system, const char *what, struct error *error) {
	error_system(error, ERROR_REFUSED, system, "cannot %s the data directory %s", what, dir);
	error_expected(error, "a directory that this user may write to");
	if (system == EROFS)
		error_hint(error, "it is on a read-only file system; give another one with --data");
	else if (system == EACCES || system == EPERM)
		error_hint(error, "give this user the right to write there, or another directory with --data");
	else if (system == ENOENT)
		error_hint(error, "make the directory above it first");
	else
		error_hint(error, "give a directory that can be written with --data");
	return false;
}

/* Says at once, in words, what would otherwise fail at the first commit. */
static bool dir_check_writable(struct disk *disk, const char *dir, struct error *error) {
	char *path = path_of(dir, "write-test", bytes_of(NULL, 0));
	struct disk_file *file;
	int result = disk->open(disk, path, DISK_WRITE | DISK_CREATE, &file);
	if (result == 0) {
		file->ops->close(file);
		result = disk->unlink(disk, path);
	}
	free(path);
	return result == 0 || dir_failed(dir, -result, "write in", error);
}

static bool folder_make(struct store *store, const char *name, struct error *error) {
	char *path = path_of(store->dir, name, bytes_of(NULL, 0));
	int result = store->disk->mkdir(store->disk, path);
	free(path);
	return result == 0 || dir_failed(store->dir, -result, "make folders in", error);
}

static bool dir_make(struct store *store, struct error *error) {
	int result = store->disk->mkdir(store->disk, store->dir);
	if (result < 0)
		return dir_failed(store->dir, -result, "make", error);
	result = disk_sync_parent(store->disk, store->dir);
	if (result < 0 && result != -EACCES) /* where we may not read, somebody else has made it long ago */
		return dir_failed(store->dir, -result, "sync what holds", error);
	if (!dir_check_writable(store->disk, store->dir, error))
		return false;
	if (!folder_make(store, "egress", error) || !folder_make(store, "types", error))
		return false;
	result = store->disk->sync_dir(store->disk, store->dir);
	return result == 0 || dir_failed(store->dir, -result, "sync", error);
}

static bool id_make(const struct store *store, uint8_t *id, struct error *error) {
	if (store->new_id != NULL) {
		memcpy(id, store->new_id, STORE_ID_BYTES);
		return true;
	}
	ssize_t got = getrandom(id, STORE_ID_BYTES, 0);
	if (got == STORE_ID_BYTES)
		return true;
	error_system(error, ERROR_INTERNAL, errno, "cannot make a store id");
	return error_advise(error, "random bytes of the kernel", "start the host again");
}

static void file_note(void *arg, const char *name) {
	bool *any = arg;
	*any = *any || name[0] != '\0';
}

/* A store has a journal only once its runtime database has the format row: one that lost it is no new store. */
static bool journal_check(struct store *store, const char *path, struct error *error) {
	char *journal = path_of(store->dir, "journal", bytes_of(NULL, 0));
	bool any = false;
	int result = store->disk->list(store->disk, journal, file_note, &any);
	if (result == 0 && any) {
		error_set(error, ERROR_STORE_FAILED, "%s has lost its rows", path);
		error_found(error, "a journal in %s", journal);
		error_hint(error, "restore the whole data directory from one backup");
	}
	free(journal);
	return !(result == 0 && any);
}

/* A store begins with the format row of its runtime database. */
static bool format_begin(struct store *store, struct kv *kv, const char *path, struct error *error) {
	struct kv_cursor *cursor = kv->ops->cursor(kv);
	cursor->ops->seek(cursor, bytes_of(NULL, 0));
	bool empty = !cursor->ops->valid(cursor);
	bool good = cursor->ops->status(cursor, error);
	cursor->ops->close(cursor);
	if (good && !empty) {
		error_set(error, ERROR_REFUSED, "%s holds rows but no format row: it is no database of sofun", path);
		error_found(error, "no row 'F'");
		error_advise(error, "an empty database, or one of sofun", "give another directory with --data");
		return false;
	}
	struct format_row row = {.format = STORE_FORMAT, .hash = STORE_HASH, .name = bytes_text(store->runtime.name)};
	if (!good || !journal_check(store, path, error) || !id_make(store, store->id, error))
		return false;
	memcpy(row.store_id, store->id, STORE_ID_BYTES);
	return format_write(kv, &row, error);
}

static bool runtime_check(
	struct store *store, struct kv *kv, const char *path, bool *ret_created, struct error *error) {
	struct key key = key_of(KEY_FORMAT);
	struct buf value = {0};
	int found = kv->ops->get(kv, key_bytes(&key), &value, error);
	bool good = found >= 0;
	if (found == 1) {
		good = format_check(path, bytes_buf(&value), NULL, REDO_RUNTIME, store->runtime.name, error);
		struct format_row row;
		if (good && format_row_take(bytes_buf(&value), &row))
			memcpy(store->id, row.store_id, STORE_ID_BYTES);
	}
	if (found == 0)
		good = format_begin(store, kv, path, error);
	*ret_created = found == 0;
	buf_finish(&value);
	return good;
}

static bool runtime_open(struct store *store, bool *ret_created, struct error *error) {
	char *path = database_path(store, &store->runtime);
	struct kv *kv = store->factory->open(store->factory, path, true, error);
	atomic_store(&store->runtime.kv, kv);
	bool good = kv != NULL && runtime_check(store, kv, path, ret_created, error);
	free(path);
	if (!good)
		return false;
	int result = store->disk->sync_dir(store->disk, store->dir);
	return result == 0 || dir_failed(store->dir, -result, "sync", error);
}

/* The applier asks for the lock when a table must move or go; lookups that come later wait behind it. */
static void readers_init(pthread_rwlock_t *readers) {
	pthread_rwlockattr_t attributes;
	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(readers, &attributes);
	pthread_rwlockattr_destroy(&attributes);
}

static struct store *store_create(const struct store_options *options) {
	struct store *store = check_alloc(1, sizeof *store);
	store->magic = STORE_MAGIC;
	store->disk = options->disk;
	store->factory = options->factory;
	store->dir = check_strdup(options->dir);
	store->new_id = options->new_id;
	store->checkpoint_bytes = options->checkpoint_bytes;
	store->journal_bytes_max = options->journal_bytes_max;
	store->retention_bytes = options->retention_bytes;
	store->retention_s = options->retention_s;
	pthread_mutex_init(&store->journal_mutex, NULL);
	pthread_mutex_init(&store->handed_mutex, NULL);
	pthread_mutex_init(&store->taking, NULL);
	pthread_mutex_init(&store->egress_mutex, NULL);
	pthread_mutex_init(&store->failure_mutex, NULL);
	readers_init(&store->readers);
	database_init(&store->runtime, REDO_RUNTIME, bytes_text("runtime"));
	store->active = table_create(&store->readers);
	store->reclaim = reclaim_create();
	return store;
}

static void databases_destroy(struct store *store) {
	for (size_t i = 0; i < TABLE_DATABASES; i++) {
		struct database *database = atomic_load(&store->databases[i]);
		if (database != NULL)
			database_finish(database);
		free(database);
	}
	database_finish(&store->runtime);
}

static void store_destroy(struct store *store) {
	checkpoint_abandon(&store->checkpoint);
	buf_finish(&store->compaction.from);
	for (size_t i = 0; i < store->handed_count; i++)
		store_epoch_destroy(store->handed[(store->handed_first + i) & (store->handed_capacity - 1)]);
	free(store->handed);
	table_release(store->active);
	table_release(store->frozen);
	for (size_t i = 0; i < store->egress_count; i++)
		egress_destroy(store->egresses[i]);
	free(store->egresses);
	databases_destroy(store);
	if (store->journal != NULL)
		journal_close(store->journal);
	if (store->factory != NULL)
		store->factory->close(store->factory);
	pthread_mutex_destroy(&store->journal_mutex);
	pthread_mutex_destroy(&store->handed_mutex);
	pthread_mutex_destroy(&store->taking);
	pthread_mutex_destroy(&store->egress_mutex);
	pthread_mutex_destroy(&store->failure_mutex);
	pthread_rwlock_destroy(&store->readers);
	reclaim_destroy(store->reclaim);
	free(store->dir);
	store->magic = 0;
	free(store);
}

struct store *store_open(
	const struct store_options *options, struct store_recovered *ret_recovered, struct error *error) {
	check(!options->readonly && options->checkpoint_bytes > 0);
	const uint64_t start_us = stopwatch_us();
	struct store *store = store_create(options);
	*ret_recovered = (struct store_recovered){0};
	if (dir_make(store, error) && runtime_open(store, &ret_recovered->created, error) &&
		store_recover(store, options, start_us, ret_recovered, error)) {
		memcpy(ret_recovered->store_id, store->id, STORE_ID_BYTES);
		return store;
	}
	store_destroy(store);
	return NULL;
}

static size_t handed_left(struct store *store) {
	pthread_mutex_lock(&store->handed_mutex);
	size_t count = store->handed_count;
	pthread_mutex_unlock(&store->handed_mutex);
	return count;
}

static bool drained(struct store *store) {
	return handed_left(store) == 0 && store->checkpoint.phase == CHECKPOINT_IDLE && store->active_bytes == 0;
}

static bool drain(struct store *store, struct error *error) {
	store->draining = true;
	while (!drained(store)) {
		if (store_applier_step(store))
			continue;
		if (store_failed(store, error))
			return false;
		return error_system(
			error, ERROR_STORE_FAILED, ENOSPC, "cannot write the last checkpoint; the journal keeps it");
	}
	return true;
}

static bool clean_mark(struct store *store, struct error *error) {
	struct checkpoint_row row = {.epoch = atomic_load(&store->checkpoint_epoch),
		.time_ms = store->checkpoint_time_ms,
		.flags = CHECKPOINT_CLEAN};
	struct key key = key_of(KEY_CHECKPOINT);
	struct buf value = {0};
	checkpoint_row_put(&value, &row);
	struct kv *kv = atomic_load(&store->runtime.kv);
	bool good = row_put(kv, key_bytes(&key), bytes_buf(&value), true, error);
	buf_finish(&value);
	return good;
}

bool store_close(struct store *store, bool clean, struct error *error) {
	CHECK_OBJECT(store, STORE_MAGIC);
	bool good = !clean || (drain(store, error) && clean_mark(store, error));
	store_destroy(store);
	return good;
}
