#include "sim_kv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "sim_rows.h"

/* One operation of a log: the row that it puts, or its key alone if it removes one. */
struct operation {
	struct sim_row *row;
	bool remove;
	bool ends_batch;
};

/* In order of writing. */
struct log {
	struct operation *operations;
	size_t count;
	size_t capacity;
	size_t synced; /* of the operations */
};

enum { LOGS_MAX = 8 };

struct database {
	char *path;
	struct sim_rows visible; /* what a reader sees */
	struct sim_rows tables;  /* what is durable whatever comes */
	struct log logs[LOGS_MAX];
	size_t log_count;
	bool open;
	bool broken; /* a flush failed: the next write says so */
};

struct sim_kv {
	pthread_mutex_t mutex;
	uint64_t random;
	struct database **databases;
	size_t count;
	enum fault_action (*decide)(void *arg, const struct fault_event *event);
	void *arg;
	uint64_t events;
	bool crashed;
	bool lies;
};

struct sim_kv_handle {
	struct kv kv;
	struct sim_kv *sim;
	struct database *database;
};

struct sim_factory {
	struct kv_factory factory;
	struct sim_kv *sim;
};

struct sim_cursor {
	struct kv_cursor cursor;
	struct sim_rows rows; /* as of when it was opened */
	size_t place;
	const struct sim_row *row; /* at the place; NULL: before the first seek, and behind the last */
};

static uint64_t random_below(struct sim_kv *sim, uint64_t limit) {
	sim->random = sim->random * 6364136223846793005u + 1442695040888963407u;
	return (sim->random >> 33) % limit;
}

/* ---- logs ---- */

static void log_append(struct log *log, const struct kv_op *op, struct sim_row *row) {
	if (log->count == log->capacity) {
		log->capacity = log->capacity == 0 ? 16 : log->capacity * 2;
		log->operations = realloc(log->operations, log->capacity * sizeof *log->operations);
		check_memory(log->operations);
	}
	log->operations[log->count++] = (struct operation){.row = row, .remove = op->remove};
}

static void log_clear(struct log *log) {
	for (size_t i = 0; i < log->count; i++)
		sim_row_release(log->operations[i].row);
	free(log->operations);
	*log = (struct log){0};
}

static void operation_apply(struct sim_rows *rows, const struct operation *operation) {
	if (operation->remove)
		sim_rows_remove(rows, sim_row_key(operation->row));
	else
		sim_rows_put(rows, operation->row);
}

static void log_apply(struct sim_rows *rows, const struct log *log, size_t count) {
	for (size_t i = 0; i < count; i++)
		operation_apply(rows, &log->operations[i]);
}

/* The oldest log becomes a table. */
static void log_to_table(struct database *database) {
	check(database->log_count > 0);
	struct log *oldest = &database->logs[0];
	log_apply(&database->tables, oldest, oldest->count);
	log_clear(oldest);
	database->log_count--;
	memmove(database->logs, database->logs + 1, database->log_count * sizeof *database->logs);
}

static void logs_to_tables(struct database *database) {
	while (database->log_count > 0)
		log_to_table(database);
}

static struct log *log_begin(struct database *database) {
	if (database->log_count == LOGS_MAX)
		log_to_table(database);
	database->logs[database->log_count] = (struct log){0};
	return &database->logs[database->log_count++];
}

static void log_write(struct sim_kv *sim, struct database *database, const struct kv_op *ops, size_t count, bool sync) {
	if (database->log_count > 1 && random_below(sim, 4) == 0)
		log_to_table(database);
	struct log *log = database->log_count == 0 || random_below(sim, 8) == 0 ? log_begin(database)
																			: &database->logs[database->log_count - 1];
	for (size_t i = 0; i < count; i++) {
		log_append(log, &ops[i], sim_row_create(ops[i].key, ops[i].remove ? bytes_of(NULL, 0) : ops[i].value));
		operation_apply(&database->visible, &log->operations[log->count - 1]);
	}
	log->operations[log->count - 1].ends_batch = true;
	if (sync)
		log->synced = log->count;
}

/* A whole number of batches, at least what was synced. */
static size_t log_survives(struct sim_kv *sim, const struct log *log) {
	size_t count = log->synced + random_below(sim, log->count - log->synced + 1);
	while (count > log->synced && !log->operations[count - 1].ends_batch)
		count--;
	return count;
}

static void database_settle(struct database *database) {
	for (size_t i = 0; i < database->log_count; i++)
		log_clear(&database->logs[i]);
	database->log_count = 0;
	sim_rows_clear(&database->visible);
	database->visible = sim_rows_copy(&database->tables);
	database->broken = false;
}

static void database_cut(struct sim_kv *sim, struct database *database) {
	/* A log can be torn only where it was not synced. */
	bool unsynced = false;
	for (size_t i = 0; i < database->log_count; i++)
		unsynced = unsynced || database->logs[i].synced < database->logs[i].count;
	bool torn = unsynced && random_below(sim, 4) == 0;
	for (size_t i = 0; i < database->log_count && !torn; i++)
		log_apply(&database->tables, &database->logs[i], log_survives(sim, &database->logs[i]));
	database_settle(database);
}

/* ---- the calls of kv.h ---- */

static bool fault_told(struct database *database, int system, const char *operation, struct error *error) {
	return error_system(error, ERROR_STORE_FAILED, system, "%s of %s", operation, database->path);
}

/* [mutex] 0, or the errno of the fault that is due. */
static int fault_due(struct sim_kv *sim, const char *operation, const char *path, struct bytes key) {
	struct fault_event event = {.number = ++sim->events, .operation = operation, .path = path, .data = key};
	enum fault_action action = sim->crashed ? FAULT_CRASH
		: sim->decide == NULL               ? FAULT_NONE
											: sim->decide(sim->arg, &event);
	sim->crashed = sim->crashed || action == FAULT_CRASH;
	return action == FAULT_NONE ? 0 : action == FAULT_ENOSPC ? ENOSPC : EIO;
}

static struct sim_kv_handle *handle_of(struct kv *kv) {
	return (struct sim_kv_handle *)(void *)kv;
}

static int sim_get(struct kv *kv, struct bytes key, struct buf *ret_value, struct error *error) {
	struct sim_kv_handle *handle = handle_of(kv);
	pthread_mutex_lock(&handle->sim->mutex);
	const struct sim_row *row = sim_rows_get(&handle->database->visible, key);
	int result = handle->sim->crashed ? -1 : row != NULL ? 1 : 0;
	if (result == 1)
		buf_append_bytes(ret_value, sim_row_value(row));
	if (result < 0)
		fault_told(handle->database, EIO, "kv_get", error);
	pthread_mutex_unlock(&handle->sim->mutex);
	return result;
}

static bool sim_write(struct kv *kv, const struct kv_op *ops, size_t count, bool sync, struct error *error) {
	struct sim_kv_handle *handle = handle_of(kv);
	struct database *database = handle->database;
	check(count > 0);
	pthread_mutex_lock(&handle->sim->mutex);
	const char *operation = sync ? "kv_sync" : "kv_write";
	int system = fault_due(handle->sim, operation, database->path, ops[0].key);
	if (system == 0 && database->broken)
		system = ENOSPC;
	database->broken = false;
	if (system == 0)
		log_write(handle->sim, database, ops, count, sync);
	pthread_mutex_unlock(&handle->sim->mutex);
	return system == 0 || fault_told(database, system, operation, error);
}

static bool sim_flush(struct kv *kv, struct error *error) {
	struct sim_kv_handle *handle = handle_of(kv);
	pthread_mutex_lock(&handle->sim->mutex);
	int system = fault_due(handle->sim, "kv_flush", handle->database->path, bytes_of(NULL, 0));
	if (system == 0 && !handle->sim->lies)
		logs_to_tables(handle->database);
	if (system == ENOSPC)
		handle->database->broken = true;
	bool crashed = handle->sim->crashed;
	pthread_mutex_unlock(&handle->sim->mutex);
	if (system == EIO || crashed)
		return fault_told(handle->database, EIO, "kv_flush", error);
	return true;
}

/* Space is none of the model's concern. */
static void sim_compact(struct kv *kv, struct bytes from, struct bytes to) {
	(void)kv;
	check(bytes_compare(from, to) <= 0);
}

static void sim_close(struct kv *kv) {
	struct sim_kv_handle *handle = handle_of(kv);
	pthread_mutex_lock(&handle->sim->mutex);
	handle->database->open = false;
	pthread_mutex_unlock(&handle->sim->mutex);
	free(handle);
}

/* ---- cursors ---- */

static struct sim_cursor *cursor_of(const struct kv_cursor *cursor) {
	return (struct sim_cursor *)(uintptr_t)cursor;
}

static void cursor_place(struct sim_cursor *cursor, size_t place) {
	cursor->place = place;
	cursor->row = place < sim_rows_count(&cursor->rows) ? sim_rows_at(&cursor->rows, place) : NULL;
}

static void cursor_seek(struct kv_cursor *base, struct bytes key) {
	struct sim_cursor *cursor = cursor_of(base);
	cursor_place(cursor, sim_rows_place(&cursor->rows, key));
}

static bool cursor_valid(const struct kv_cursor *base) {
	return cursor_of(base)->row != NULL;
}

static void cursor_next(struct kv_cursor *base) {
	check(cursor_valid(base));
	cursor_place(cursor_of(base), cursor_of(base)->place + 1);
}

static struct bytes cursor_key(const struct kv_cursor *base) {
	return sim_row_key(cursor_of(base)->row);
}

static struct bytes cursor_value(const struct kv_cursor *base) {
	return sim_row_value(cursor_of(base)->row);
}

static bool cursor_status(const struct kv_cursor *base, struct error *error) {
	(void)base;
	(void)error;
	return true;
}

static void cursor_close(struct kv_cursor *base) {
	struct sim_cursor *cursor = cursor_of(base);
	sim_rows_clear(&cursor->rows);
	free(cursor);
}

static const struct kv_cursor_ops sim_cursor_ops = {
	.seek = cursor_seek,
	.next = cursor_next,
	.valid = cursor_valid,
	.key = cursor_key,
	.value = cursor_value,
	.status = cursor_status,
	.close = cursor_close,
};

static struct kv_cursor *sim_cursor(struct kv *kv) {
	struct sim_kv_handle *handle = handle_of(kv);
	struct sim_cursor *cursor = check_alloc(1, sizeof *cursor);
	cursor->cursor.ops = &sim_cursor_ops;
	pthread_mutex_lock(&handle->sim->mutex);
	cursor->rows = sim_rows_copy(&handle->database->visible);
	pthread_mutex_unlock(&handle->sim->mutex);
	return &cursor->cursor;
}

/* Nothing here takes room that was removed. */
static uint64_t sim_size(struct kv *kv, struct bytes from, struct bytes to) {
	(void)kv;
	(void)from;
	(void)to;
	return 0;
}

static const struct kv_ops sim_ops = {
	.get = sim_get,
	.write = sim_write,
	.flush = sim_flush,
	.compact = sim_compact,
	.cursor = sim_cursor,
	.size = sim_size,
	.close = sim_close,
};

/* ---- the factory ---- */

static struct database *database_find(const struct sim_kv *sim, const char *path) {
	for (size_t i = 0; i < sim->count; i++)
		if (strcmp(sim->databases[i]->path, path) == 0)
			return sim->databases[i];
	return NULL;
}

static struct database *database_make(struct sim_kv *sim, const char *path) {
	sim->databases = realloc(sim->databases, (sim->count + 1) * sizeof(struct database *));
	check_memory(sim->databases);
	struct database *database = check_alloc(1, sizeof *database);
	database->path = check_strdup(path);
	sim->databases[sim->count++] = database;
	return database;
}

/* [mutex] */
static struct database *database_open(struct sim_kv *sim, const char *path, bool create, struct error *error) {
	struct database *database = database_find(sim, path);
	if (database == NULL && !create) {
		error_set(error, ERROR_STORE_FAILED, "database %s does not exist", path);
		return NULL;
	}
	int system = fault_due(sim, "kv_open", path, bytes_of(NULL, 0));
	if (system != 0) {
		error_system(error, ERROR_STORE_FAILED, system, "kv_open of %s", path);
		return NULL;
	}
	if (database == NULL)
		database = database_make(sim, path);
	check(!database->open);
	database->open = true;
	logs_to_tables(database);
	return database;
}

static struct kv *factory_open(struct kv_factory *factory, const char *path, bool create, struct error *error) {
	struct sim_kv *sim = ((struct sim_factory *)(void *)factory)->sim;
	pthread_mutex_lock(&sim->mutex);
	struct database *database = database_open(sim, path, create, error);
	pthread_mutex_unlock(&sim->mutex);
	if (database == NULL)
		return NULL;
	struct sim_kv_handle *handle = check_alloc(1, sizeof *handle);
	handle->kv.ops = &sim_ops;
	handle->sim = sim;
	handle->database = database;
	return &handle->kv;
}

static void factory_close(struct kv_factory *factory) {
	free(factory);
}

struct kv_factory *sim_kv_factory(struct sim_kv *sim) {
	struct sim_factory *factory = check_alloc(1, sizeof *factory);
	factory->factory.open = factory_open;
	factory->factory.close = factory_close;
	factory->sim = sim;
	return &factory->factory;
}

struct sim_kv *sim_kv_create(uint64_t seed) {
	struct sim_kv *sim = check_alloc(1, sizeof *sim);
	pthread_mutex_init(&sim->mutex, NULL);
	sim->random = seed;
	return sim;
}

static void database_destroy(struct database *database) {
	check(!database->open);
	sim_rows_clear(&database->tables);
	database_settle(database);
	free(database->path);
	free(database);
}

void sim_kv_destroy(struct sim_kv *sim) {
	for (size_t i = 0; i < sim->count; i++)
		database_destroy(sim->databases[i]);
	free(sim->databases);
	pthread_mutex_destroy(&sim->mutex);
	free(sim);
}

void sim_kv_decide(
	struct sim_kv *sim, enum fault_action (*decide)(void *arg, const struct fault_event *event), void *arg) {
	pthread_mutex_lock(&sim->mutex);
	sim->decide = decide;
	sim->arg = arg;
	pthread_mutex_unlock(&sim->mutex);
}

void sim_kv_lie(struct sim_kv *sim) {
	sim->lies = true;
}

void sim_kv_kill(struct sim_kv *sim) {
	for (size_t i = 0; i < sim->count; i++) {
		check(!sim->databases[i]->open);
		logs_to_tables(sim->databases[i]);
		database_settle(sim->databases[i]);
	}
	sim->crashed = false;
}

void sim_kv_cut(struct sim_kv *sim) {
	for (size_t i = 0; i < sim->count; i++) {
		check(!sim->databases[i]->open);
		database_cut(sim, sim->databases[i]);
	}
	sim->crashed = false;
}

void sim_kv_forget(struct sim_kv *sim, const char *path, const char *key) {
	struct database *database = database_find(sim, path);
	check(database != NULL && !database->open);
	logs_to_tables(database);
	if (key == NULL) {
		sim_rows_clear(&database->tables);
	} else {
		sim_rows_remove(&database->tables, bytes_text(key));
	}
	database_settle(database);
}
