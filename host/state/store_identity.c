/* The small file beside the tables of a type's database that says what its row 'F' says: a start looks at it in all of
 * them, where opening a thousand databases would take seconds. What is of a newer format or of another store is refused
 * before anything is served. The row is the truth, the file is made from it. */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "state/store_inside.h"

/* So few are opened at the start: that meets damage, too, before anybody relies on the store. */
enum { OPENED_AT_START_MAX = 16 };

static char *identity_path(const char *database) {
	return path_of(database, "sofun-id", bytes_of(NULL, 0));
}

bool identity_write(struct store *store, const char *path, const struct format_row *row, struct error *error) {
	char *file = identity_path(path);
	struct buf content = {0};
	format_row_put(&content, row);
	buf_append_u32(&content, crc32c(0, content.data, content.size));
	int result = store->disk->mkdir(store->disk, path);
	if (result == 0)
		result = disk_replace(store->disk, file, bytes_buf(&content));
	bool good = result == 0 || error_system(error, ERROR_STORE_FAILED, -result, "cannot write %s", file);
	buf_finish(&content);
	free(file);
	return good;
}

bool identity_exists(struct store *store, const char *path) {
	char *file = identity_path(path);
	struct buf content = {0};
	bool there = disk_read_all(store->disk, file, &content) == 0;
	buf_finish(&content);
	free(file);
	return there;
}

static bool identity_damaged(const char *file, struct error *error) {
	error_set(error, ERROR_STORE_FAILED, "%s is damaged", file);
	error_hint(error, "delete it: it is made anew from the database beside it");
	return false;
}

static void note(void *arg, const char *name) {
	(void)arg;
	(void)name;
}

/* A database that was made before there was such a file is looked at when it is opened. */
static bool identity_check(struct store *store, const struct database *database, struct error *error) {
	char *path = database_path(store, database);
	char *file = identity_path(path);
	struct buf content = {0};
	bool good = true;
	int result = disk_read_all(store->disk, file, &content);
	if (result == -ENOENT && store->disk->list(store->disk, path, note, NULL) == -ENOENT) {
		good = error_set(error, ERROR_STORE_FAILED, "%s is gone", path);
		error_expected(error, "the database of %s as of epoch %llu", database->name,
			(unsigned long long)atomic_load(&database->checkpoint));
		error_hint(error, "put it back, or restore the whole data directory from one backup");
	} else if (result < 0 && result != -ENOENT) {
		good = error_system(error, ERROR_STORE_FAILED, -result, "cannot read %s", file);
	} else if (result == 0) {
		struct bytes row = bytes_of(content.data, content.size < 4 ? 0 : content.size - 4);
		good = content.size > 4 && crc32c(0, row.data, row.size) == little_u32(row.data + row.size)
			? format_check(path, row, store->id, database->number, database->name, error)
			: identity_damaged(file, error);
	}
	buf_finish(&content);
	free(file);
	free(path);
	return good;
}

bool identities_check(struct store *store, struct error *error) {
	size_t count = 0;
	for (size_t i = 0; i < TABLE_DATABASES; i++) {
		const struct database *database = atomic_load(&store->databases[i]);
		if (database == NULL)
			continue;
		if (!identity_check(store, database, error))
			return false;
		count++;
	}
	for (size_t i = 0; count <= OPENED_AT_START_MAX && i < TABLE_DATABASES; i++) {
		struct database *database = atomic_load(&store->databases[i]);
		if (database != NULL && database_reading(store, database, error) == NULL && error->code != ERROR_NONE)
			return false;
	}
	return true;
}
