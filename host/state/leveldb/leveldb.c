/* LevelDB behind kv.h; the only file that includes leveldb/c.h. [any thread]
 *
 * A kv stays while its database is open or not: which ones are is the pool's matter. A database whose last write failed
 * is opened again before the next one, since LevelDB's background error is sticky (rule 16). */
#include <errno.h>
#include <leveldb/c.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "state/kv.h"
#include "state/leveldb/dir.h"
#include "state/leveldb/pool.h"

enum {
	FACTORY_MAGIC = 0x1e5e1db0,
	BLOOM_BITS = 10,
	/* Fewer and larger tables: each costs a sync. */
	TABLE_FILE_BYTES = 8 * 1024 * 1024,
	/* Of a table, what is read and has its checksum taken for one row: with LevelDB's 4,096 bytes that is about half of what it
	 * costs to bring an instance that is not in memory. Yet smaller ones make an index that takes more memory than it saves. */
	BLOCK_BYTES = 2048,
	/* Tables whose index and filter stay in memory, in one database. */
	OPEN_TABLES_MAX = 128,
};

struct leveldb_kv {
	struct kv kv;
	struct pooled pooled;
	struct leveldb_factory *factory;
	char *path;
	char *shadow; /* where it is really opened; NULL: at path */
};

struct leveldb_factory {
	struct kv_factory factory;
	unsigned magic;
	bool shadows;
	struct pool pool;
	leveldb_cache_t *cache;
	leveldb_filterpolicy_t *filter;
	leveldb_options_t *options;        /* of what must exist */
	leveldb_options_t *options_create; /* of what may be new */
	leveldb_readoptions_t *reading;
	leveldb_readoptions_t *scanning; /* leaves the cache as it is */
	leveldb_writeoptions_t *writing;
	leveldb_writeoptions_t *syncing;
};

struct leveldb_cursor {
	struct kv_cursor cursor;
	struct leveldb_kv *kv;
	leveldb_iterator_t *iterator; /* NULL: the database did not open */
	struct error error;           /* then why */
};

/* ---- errors ---- */

static int text_system(const char *text) {
	if (strstr(text, strerror(ENOSPC)) != NULL || strstr(text, strerror(EDQUOT)) != NULL)
		return ENOSPC;
	return strstr(text, strerror(EIO)) != NULL ? EIO : 0;
}

/* Takes LevelDB's text over. */
static bool leveldb_failed(const struct leveldb_kv *kv, const char *what, char *text, struct error *error) {
	error_set(error, ERROR_STORE_FAILED, "cannot %s database %s: %s", what, kv->path, text);
	error->system = text_system(text);
	if (strncmp(text, "IO error: lock ", strlen("IO error: lock ")) == 0) {
		error->code = ERROR_REFUSED;
		error_hint(error, "another process uses it: stop that one first");
	} else if (error->system == ENOSPC) {
		error_hint(error, "free space on that disk: sofund goes on by itself");
	} else {
		error_hint(error, "look at it with sofund --verify, or restore the data directory from a backup");
	}
	leveldb_free(text);
	return false;
}

/* ---- opening and closing ---- */

static leveldb_t *db_try(const struct leveldb_kv *kv, bool create, char **ret_text) {
	const struct leveldb_factory *factory = kv->factory;
	*ret_text = NULL;
	return leveldb_open(
		create ? factory->options_create : factory->options, kv->shadow != NULL ? kv->shadow : kv->path, ret_text);
}

/* What a power cut may leave that LevelDB does not open: logs (rule 15), or the last record of the MANIFEST (see
 * manifest.h). By rule 1 everything through the last checkpoint is in tables that an earlier record names,
 * and the rest is in the journal. That it was indeed no more which was lost the store sees by its row 'C'. */
static leveldb_t *db_after_cut(const struct leveldb_kv *kv, char **text) {
	const char *dir = kv->shadow != NULL ? kv->shadow : kv->path;
	unsigned logs;
	char *again = NULL;
	if (strncmp(*text, "Corruption", strlen("Corruption")) != 0 || leveldb_dir_set_aside(dir, &logs) < 0)
		return NULL;
	leveldb_t *db = logs > 0 ? db_try(kv, false, &again) : NULL;
	bool shortened = db == NULL && leveldb_dir_manifest_cut(dir) == 0;
	if (shortened) {
		leveldb_free(again);
		db = db_try(kv, false, &again);
	}
	leveldb_free(again);
	if (db == NULL) {
		leveldb_dir_put_back(dir);
		return NULL;
	}
	log_event(LOG_WARN, shortened ? "manifest_cut" : "log_set_aside", "database=\"%s\" logs=%u reason=\"%s\"", kv->path,
		logs, *text);
	leveldb_dir_opened(dir);
	leveldb_free(*text);
	*text = NULL;
	return db;
}

static bool headless_report(const struct leveldb_kv *kv, struct error *error) {
	error_set(error, ERROR_STORE_FAILED, "cannot open database %s: its file CURRENT is missing", kv->path);
	error_found(error, "tables without it");
	error_expected(error, "a file CURRENT that names the MANIFEST");
	error_hint(error, "nothing was changed: put it back, or restore the whole data directory from one backup");
	return false;
}

/* The pool's open(). */
static void *db_open(struct pooled *pooled, bool create, bool first, struct error *error) {
	const struct leveldb_kv *kv =
		(const struct leveldb_kv *)(const void *)((const char *)pooled - offsetof(struct leveldb_kv, pooled));
	char *text;
	if (create && kv->shadow == NULL && leveldb_dir_headless(kv->path)) {
		headless_report(kv, error);
		return NULL;
	}
	leveldb_t *db = db_try(kv, create, &text);
	if (db == NULL && first)
		db = db_after_cut(kv, &text);
	if (db == NULL)
		leveldb_failed(kv, "open", text, error);
	return db;
}

/* The pool's close(). */
static void db_close(void *db) {
	leveldb_close(db);
}

/* Opens a broken database again if there is room for it: closed, it could not even be read. */
static bool kv_mend(struct leveldb_kv *kv, struct error *error) {
	uint64_t bytes = pool_broken_bytes(&kv->pooled);
	if (bytes == 0)
		return true;
	int result = leveldb_dir_space(kv->path, bytes);
	if (result < 0)
		return error_system(error, ERROR_STORE_FAILED, -result, "cannot open database %s again", kv->path);
	return pool_mend(&kv->pooled, error);
}

/* ---- the calls of kv.h ---- */

static struct leveldb_kv *kv_of(struct kv *kv) {
	return (struct leveldb_kv *)(void *)kv;
}

static int leveldb_kv_get(struct kv *base, struct bytes key, struct buf *ret_value, struct error *error) {
	struct leveldb_kv *kv = kv_of(base);
	leveldb_t *db = pool_pin(&kv->pooled, error);
	if (db == NULL)
		return -1;
	char *text = NULL;
	size_t size;
	char *value = leveldb_get(db, kv->factory->reading, (const char *)key.data, key.size, &size, &text);
	pool_unpin(&kv->pooled);
	if (text != NULL) {
		leveldb_failed(kv, "read", text, error);
		return -1;
	}
	if (value == NULL)
		return 0;
	buf_append(ret_value, value, size);
	leveldb_free(value);
	return 1;
}

static leveldb_writebatch_t *batch_of(const struct kv_op *ops, size_t count, size_t *ret_bytes) {
	leveldb_writebatch_t *batch = leveldb_writebatch_create();
	*ret_bytes = 0;
	for (size_t i = 0; i < count; i++) {
		const struct kv_op *op = &ops[i];
		const char *value = op->value.size > 0 ? (const char *)op->value.data : "";
		if (op->remove)
			leveldb_writebatch_delete(batch, (const char *)op->key.data, op->key.size);
		else
			leveldb_writebatch_put(batch, (const char *)op->key.data, op->key.size, value, op->value.size);
		*ret_bytes += op->key.size + op->value.size;
	}
	return batch;
}

static bool leveldb_kv_write(struct kv *base, const struct kv_op *ops, size_t count, bool sync, struct error *error) {
	struct leveldb_kv *kv = kv_of(base);
	if (!kv_mend(kv, error))
		return false;
	leveldb_t *db = pool_pin(&kv->pooled, error);
	if (db == NULL)
		return false;
	size_t bytes;
	leveldb_writebatch_t *batch = batch_of(ops, count, &bytes);
	char *text = NULL;
	leveldb_write(db, sync ? kv->factory->syncing : kv->factory->writing, batch, &text);
	leveldb_writebatch_destroy(batch);
	pool_unpin(&kv->pooled);
	pool_written(&kv->pooled, bytes, text != NULL);
	return text == NULL || leveldb_failed(kv, "write", text, error);
}

/* A compaction of a range that holds no key flushes what is in memory, and does nothing else. It tells no error: the
 * next write does. */
static bool leveldb_kv_flush(struct kv *base, struct error *error) {
	struct leveldb_kv *kv = kv_of(base);
	leveldb_t *db = pool_pin(&kv->pooled, error);
	if (db == NULL)
		return false;
	if (!mutant_is(MUTANT_NAIVE_TRIM))
		leveldb_compact_range(db, "\xff", 1, "\xff", 1);
	pool_unpin(&kv->pooled);
	pool_flushed(&kv->pooled);
	return true;
}

static uint64_t leveldb_kv_size(struct kv *base, struct bytes from, struct bytes to) {
	struct leveldb_kv *kv = kv_of(base);
	struct error error;
	leveldb_t *db = pool_pin(&kv->pooled, &error);
	const char *starts[] = {(const char *)from.data}, *ends[] = {(const char *)to.data};
	uint64_t size = 0;
	if (db == NULL)
		return 0;
	leveldb_approximate_sizes(db, 1, starts, &from.size, ends, &to.size, &size);
	pool_unpin(&kv->pooled);
	return size;
}

static void leveldb_kv_compact(struct kv *base, struct bytes from, struct bytes to) {
	struct leveldb_kv *kv = kv_of(base);
	struct error ignored;
	leveldb_t *db = pool_pin(&kv->pooled, &ignored);
	if (db == NULL)
		return;
	leveldb_compact_range(db, (const char *)from.data, from.size, (const char *)to.data, to.size);
	pool_unpin(&kv->pooled);
}

static void kv_free(struct leveldb_kv *kv) {
	if (kv->shadow != NULL)
		leveldb_dir_shadow_remove(kv->shadow);
	free(kv->path);
	free(kv);
}

static void leveldb_kv_close(struct kv *base) {
	struct leveldb_kv *kv = kv_of(base);
	pool_remove(&kv->pooled);
	kv_free(kv);
}

/* ---- cursors ---- */

static struct leveldb_cursor *cursor_of(const struct kv_cursor *cursor) {
	return (struct leveldb_cursor *)(uintptr_t)cursor;
}

static void cursor_seek(struct kv_cursor *base, struct bytes key) {
	struct leveldb_cursor *cursor = cursor_of(base);
	if (cursor->iterator != NULL)
		leveldb_iter_seek(cursor->iterator, key.size > 0 ? (const char *)key.data : "", key.size);
}

static void cursor_next(struct kv_cursor *base) {
	leveldb_iter_next(cursor_of(base)->iterator);
}

static bool cursor_valid(const struct kv_cursor *base) {
	struct leveldb_cursor *cursor = cursor_of(base);
	return cursor->iterator != NULL && leveldb_iter_valid(cursor->iterator) != 0;
}

static struct bytes cursor_key(const struct kv_cursor *base) {
	size_t size;
	const char *key = leveldb_iter_key(cursor_of(base)->iterator, &size);
	return bytes_of(key, size);
}

static struct bytes cursor_value(const struct kv_cursor *base) {
	size_t size;
	const char *value = leveldb_iter_value(cursor_of(base)->iterator, &size);
	return bytes_of(value, size);
}

static bool cursor_status(const struct kv_cursor *base, struct error *error) {
	struct leveldb_cursor *cursor = cursor_of(base);
	if (cursor->iterator == NULL) {
		*error = cursor->error;
		return false;
	}
	char *text = NULL;
	leveldb_iter_get_error(cursor->iterator, &text);
	return text == NULL || leveldb_failed(cursor->kv, "read", text, error);
}

static void cursor_close(struct kv_cursor *base) {
	struct leveldb_cursor *cursor = cursor_of(base);
	if (cursor->iterator != NULL) {
		leveldb_iter_destroy(cursor->iterator);
		pool_unpin(&cursor->kv->pooled);
	}
	free(cursor);
}

static const struct kv_cursor_ops cursor_ops = {
	.seek = cursor_seek,
	.next = cursor_next,
	.valid = cursor_valid,
	.key = cursor_key,
	.value = cursor_value,
	.status = cursor_status,
	.close = cursor_close,
};

static struct kv_cursor *leveldb_kv_cursor(struct kv *base) {
	struct leveldb_kv *kv = kv_of(base);
	struct leveldb_cursor *cursor = check_alloc(1, sizeof *cursor);
	cursor->cursor.ops = &cursor_ops;
	cursor->kv = kv;
	leveldb_t *db = pool_pin(&kv->pooled, &cursor->error);
	if (db != NULL)
		cursor->iterator = leveldb_create_iterator(db, kv->factory->scanning);
	return &cursor->cursor;
}

static const struct kv_ops leveldb_kv_ops = {
	.get = leveldb_kv_get,
	.write = leveldb_kv_write,
	.flush = leveldb_kv_flush,
	.compact = leveldb_kv_compact,
	.cursor = leveldb_kv_cursor,
	.size = leveldb_kv_size,
	.close = leveldb_kv_close,
};

/* ---- the factory ---- */

static struct kv *factory_open(struct kv_factory *base, const char *path, bool create, struct error *error) {
	struct leveldb_factory *factory = (struct leveldb_factory *)(void *)base;
	CHECK_OBJECT(factory, FACTORY_MAGIC);
	struct leveldb_kv *kv = check_alloc(1, sizeof *kv);
	kv->kv.ops = &leveldb_kv_ops;
	kv->factory = factory;
	kv->path = check_strdup(path);
	int result = factory->shadows ? leveldb_dir_shadow(path, &kv->shadow) : 0;
	if (result < 0)
		error_system(error, ERROR_STORE_FAILED, -result, "cannot make a shadow of database %s", path);
	if (result == 0 && pool_add(&factory->pool, &kv->pooled, create, error))
		return &kv->kv;
	kv_free(kv);
	return NULL;
}

static void factory_close(struct kv_factory *base) {
	struct leveldb_factory *factory = (struct leveldb_factory *)(void *)base;
	CHECK_OBJECT(factory, FACTORY_MAGIC);
	pool_finish(&factory->pool);
	leveldb_options_destroy(factory->options);
	leveldb_options_destroy(factory->options_create);
	leveldb_readoptions_destroy(factory->reading);
	leveldb_readoptions_destroy(factory->scanning);
	leveldb_writeoptions_destroy(factory->writing);
	leveldb_writeoptions_destroy(factory->syncing);
	leveldb_cache_destroy(factory->cache);
	leveldb_filterpolicy_destroy(factory->filter);
	factory->magic = 0;
	free(factory);
}

static leveldb_options_t *options_make(const struct leveldb_factory *factory, bool create) {
	leveldb_options_t *options = leveldb_options_create();
	size_t buffer = factory->pool.budget / 4 < WRITE_BUFFER_BYTES ? factory->pool.budget / 4 : WRITE_BUFFER_BYTES;
	leveldb_options_set_create_if_missing(options, create);
	leveldb_options_set_paranoid_checks(options, 1);
	leveldb_options_set_write_buffer_size(options, buffer);
	leveldb_options_set_max_file_size(options, TABLE_FILE_BYTES);
	leveldb_options_set_block_size(options, BLOCK_BYTES);
	leveldb_options_set_max_open_files(options, OPEN_TABLES_MAX);
	leveldb_options_set_cache(options, factory->cache);
	leveldb_options_set_filter_policy(options, factory->filter);
	leveldb_options_set_compression(options, leveldb_no_compression);
	return options;
}

static leveldb_readoptions_t *reading_make(bool fill_cache) {
	leveldb_readoptions_t *options = leveldb_readoptions_create();
	leveldb_readoptions_set_verify_checksums(options, 1);
	leveldb_readoptions_set_fill_cache(options, fill_cache);
	return options;
}

static struct kv_factory *factory_make(size_t cache_bytes, size_t write_buffer_bytes, bool shadows) {
	struct leveldb_factory *factory = check_alloc(1, sizeof *factory);
	factory->factory.open = factory_open;
	factory->factory.close = factory_close;
	factory->magic = FACTORY_MAGIC;
	factory->shadows = shadows;
	pool_init(&factory->pool, write_buffer_bytes);
	factory->pool.open = db_open;
	factory->pool.close = db_close;
	factory->cache = leveldb_cache_create_lru(cache_bytes);
	factory->filter = leveldb_filterpolicy_create_bloom(BLOOM_BITS);
	factory->options = options_make(factory, false);
	factory->options_create = options_make(factory, true);
	factory->reading = reading_make(true);
	factory->scanning = reading_make(false);
	factory->writing = leveldb_writeoptions_create();
	factory->syncing = leveldb_writeoptions_create();
	leveldb_writeoptions_set_sync(factory->syncing, 1);
	return &factory->factory;
}

struct kv_factory *kv_leveldb(size_t cache_bytes, size_t write_buffer_bytes) {
	return factory_make(cache_bytes, write_buffer_bytes, false);
}

struct kv_factory *kv_leveldb_shadow(size_t cache_bytes) {
	return factory_make(cache_bytes, 4 * (size_t)WRITE_BUFFER_BYTES, true);
}
