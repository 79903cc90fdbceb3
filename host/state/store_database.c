/* One database of the store: opened at first need, and only if it is what it should be. [any thread] */
#include <stdlib.h>

#include "base/check.h"
#include "state/store_inside.h"

void database_init(struct database *database, uint32_t number, struct bytes name) {
	database->number = number;
	database->name = check_alloc(name.size + 1, 1);
	memcpy(database->name, name.data, name.size);
	pthread_mutex_init(&database->mutex, NULL);
	pthread_mutex_init(&database->removals_mutex, NULL);
}

void database_finish(struct database *database) {
	struct kv *kv = atomic_load(&database->kv);
	if (kv != NULL)
		kv->ops->close(kv);
	pthread_mutex_destroy(&database->mutex);
	pthread_mutex_destroy(&database->removals_mutex);
	free(database->name);
}

struct database *store_database(struct store *store, uint32_t number) {
	if (number == REDO_RUNTIME)
		return &store->runtime;
	check(number < TABLE_DATABASES);
	struct database *database = atomic_load_explicit(&store->databases[number], memory_order_acquire);
	check(database != NULL);
	return database;
}

char *database_path(const struct store *store, const struct database *database) {
	if (database->number == REDO_RUNTIME)
		return path_of(store->dir, "runtime", bytes_of(NULL, 0));
	return path_of(store->dir, "types", bytes_text(database->name));
}

bool row_put(struct kv *kv, struct bytes key, struct bytes value, bool sync, struct error *error) {
	struct kv_op op = {.key = key, .value = value};
	return kv->ops->write(kv, &op, 1, sync, error);
}

/* In a table, not only in a log: logs may be set aside (rule 15). */
bool format_write(struct kv *kv, const struct format_row *row, struct error *error) {
	struct buf value = {0};
	format_row_put(&value, row);
	struct key key = key_of(KEY_FORMAT);
	bool good = row_put(kv, key_bytes(&key), bytes_buf(&value), false, error) && kv->ops->flush(kv, error) &&
		row_put(kv, key_bytes(&key), bytes_buf(&value), true, error);
	buf_finish(&value);
	return good;
}

static bool format_newer(const char *path, const char *what, uint32_t found, uint32_t known, struct error *error) {
	error_set(error, ERROR_REFUSED, "%s is of a newer %s", path, what);
	error_found(error, "%s %u", what, found);
	error_expected(error, "at most %u", known);
	error_hint(error, "start it with the sofund that wrote it, or a newer one");
	return false;
}

static bool format_foreign(
	const char *path, const struct format_row *row, uint32_t database, const char *name, struct error *error) {
	error_set(error, ERROR_REFUSED, "%s is another database than its place says", path);
	error_found(error, "database %u, %.*s", row->database, (int)row->name.size, (const char *)row->name.data);
	error_expected(error, "database %u, %s", database, name);
	error_hint(error, "put back the folder that belongs to this data directory");
	return false;
}

bool format_check(const char *path, struct bytes value, const uint8_t *store_id, uint32_t database, const char *name,
	struct error *error) {
	struct format_row row;
	if (!format_row_take(value, &row)) {
		error_set(error, ERROR_STORE_FAILED, "%s has a damaged format row", path);
		error_hint(error, "restore the data directory from a backup");
		return false;
	}
	if (row.format > STORE_FORMAT)
		return format_newer(path, "format", row.format, STORE_FORMAT, error);
	if (row.hash > STORE_HASH)
		return format_newer(path, "address hash", row.hash, STORE_HASH, error);
	if (store_id != NULL && memcmp(row.store_id, store_id, STORE_ID_BYTES) != 0) {
		error_set(error, ERROR_REFUSED, "%s belongs to another store", path);
		error_found(
			error, "store id %02x%02x%02x%02x…", row.store_id[0], row.store_id[1], row.store_id[2], row.store_id[3]);
		error_expected(error, "%02x%02x%02x%02x…", store_id[0], store_id[1], store_id[2], store_id[3]);
		error_hint(error, "put back the folder that belongs to this data directory");
		return false;
	}
	if (name != NULL && (row.database != database || !bytes_equal(row.name, bytes_text(name))))
		return format_foreign(path, &row, database, name, error);
	return true;
}

bool checkpoint_read(struct kv *kv, const char *path, struct checkpoint_row *ret_row, struct error *error) {
	struct key key = key_of(KEY_CHECKPOINT);
	struct buf value = {0};
	int found = kv->ops->get(kv, key_bytes(&key), &value, error);
	bool good = found >= 0;
	*ret_row = (struct checkpoint_row){0};
	if (found == 1 && !checkpoint_row_take(bytes_buf(&value), ret_row)) {
		good = error_set(error, ERROR_STORE_FAILED, "%s has a damaged checkpoint row", path);
		error_hint(error, "restore the data directory from a backup");
	}
	buf_finish(&value);
	return good;
}

static struct format_row format_of(const struct store *store, const struct database *database) {
	struct format_row row = {
		.format = STORE_FORMAT, .hash = STORE_HASH, .database = database->number, .name = bytes_text(database->name)};
	memcpy(row.store_id, store->id, STORE_ID_BYTES);
	return row;
}

/* Written by a checkpoint of this store, and not older than that. */
static bool database_check(
	struct store *store, struct database *database, struct kv *kv, const char *path, struct error *error) {
	struct key key = key_of(KEY_FORMAT);
	struct buf value = {0};
	int found = kv->ops->get(kv, key_bytes(&key), &value, error);
	bool good = found == 1 && format_check(path, bytes_buf(&value), store->id, database->number, database->name, error);
	buf_finish(&value);
	uint64_t expected = atomic_load(&database->checkpoint);
	if (found == 0) {
		struct format_row row = format_of(store, database);
		good = expected == 0 && format_write(kv, &row, error);
		if (expected > 0) {
			error_set(error, ERROR_STORE_FAILED, "%s has no format row", path);
			error_hint(error, "restore the whole data directory from one backup");
		}
	}
	struct checkpoint_row row;
	if (!good || !checkpoint_read(kv, path, &row, error))
		return false;
	if (row.epoch >= expected)
		return true;
	error_set(error, ERROR_STORE_FAILED, "%s is older than the store", path);
	error_found(error, "checkpoint of epoch %llu", (unsigned long long)row.epoch);
	error_expected(error, "at least %llu", (unsigned long long)expected);
	error_hint(error, "restore the whole data directory from one backup");
	return false;
}

static bool types_folder_make(struct store *store, struct error *error) {
	char *path = path_of(store->dir, "types", bytes_of(NULL, 0));
	int result = store->disk->mkdir(store->disk, path);
	if (result == 0)
		result = store->disk->sync_dir(store->disk, store->dir);
	bool good = result == 0 || error_system(error, ERROR_STORE_FAILED, -result, "cannot make %s", path);
	free(path);
	return good;
}

/* The folder of a new database is as durable as what is in it. */
static bool types_folder_sync(struct store *store, struct error *error) {
	char *path = path_of(store->dir, "types", bytes_of(NULL, 0));
	int result = store->disk->sync_dir(store->disk, path);
	bool good = result == 0 || error_system(error, ERROR_STORE_FAILED, -result, "cannot sync %s", path);
	free(path);
	return good;
}

/* [with the database's mutex] */
static struct kv *database_open(struct store *store, struct database *database, struct error *error) {
	bool create = atomic_load(&database->checkpoint) == 0;
	if (create && !types_folder_make(store, error))
		return NULL;
	char *path = database_path(store, database);
	struct kv *kv = store->factory->open(store->factory, path, create, error);
	struct format_row row = format_of(store, database);
	bool good = kv != NULL && database_check(store, database, kv, path, error) &&
		(identity_exists(store, path) || identity_write(store, path, &row, error)) &&
		(!create || types_folder_sync(store, error));
	free(path);
	if (kv != NULL && !good) {
		kv->ops->close(kv);
		return NULL;
	}
	return kv;
}

struct kv *database_writing(struct store *store, struct database *database, struct error *error) {
	struct kv *kv = atomic_load_explicit(&database->kv, memory_order_acquire);
	if (kv != NULL)
		return kv;
	pthread_mutex_lock(&database->mutex);
	kv = atomic_load(&database->kv);
	if (kv == NULL) {
		kv = database_open(store, database, error);
		atomic_store_explicit(&database->kv, kv, memory_order_release);
	}
	pthread_mutex_unlock(&database->mutex);
	return kv;
}

/* What no checkpoint has sealed is in the journal, so in the tables; a half-written database is not looked at. */
struct kv *database_reading(struct store *store, struct database *database, struct error *error) {
	error->code = ERROR_NONE;
	if (atomic_load(&database->checkpoint) == 0 && database->number != REDO_RUNTIME)
		return NULL;
	return database_writing(store, database, error);
}
