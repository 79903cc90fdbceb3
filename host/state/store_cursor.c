/* Ordered reading: the merge of active table, frozen table and database; the newest of a key wins, and a removal hides
 * what is older (rule 14). */
#include <stdlib.h>

#include "base/check.h"
#include "state/store_inside.h"

enum { CURSOR_MAGIC = 0x57c07507 };

/* Newest first. */
enum cursor_source { SOURCE_ACTIVE, SOURCE_FROZEN, SOURCE_DATABASE, SOURCES };

struct store_cursor {
	unsigned magic;
	struct table_runs *runs[SOURCE_DATABASE]; /* NULL: no such table */
	struct kv_cursor *kv;                     /* NULL: nothing in the database */
	bool kv_moves;                            /* the row given last was the database's: on from it at the next call */
	uint8_t kind;                             /* of all rows: the first byte of their keys */
};

/* A state as of one moment: between two epochs, and with whatever part of the frozen table the database has by then,
 * which is the same. */
static void cursor_collect(
	struct store_cursor *cursor, struct store *store, uint32_t database, struct bytes from, struct kv *kv) {
	struct table *tables[] = {[SOURCE_ACTIVE] = store->active, [SOURCE_FROZEN] = store->frozen};
	for (size_t i = 0; i < SOURCE_DATABASE; i++) {
		if (tables[i] == NULL)
			continue;
		cursor->runs[i] = table_runs_create(tables[i], database, from);
		while (table_runs_collect(cursor->runs[i]))
			;
	}
	if (kv != NULL)
		cursor->kv = kv->ops->cursor(kv);
}

/* False: the database got its first checkpoint after it was found to hold nothing. */
static bool cursor_fill(
	struct store_cursor *cursor, struct store *store, struct database *database, struct bytes from, struct kv *kv) {
	pthread_mutex_lock(&store->taking);
	pthread_rwlock_rdlock(&store->readers);
	bool good = kv != NULL || atomic_load(&database->checkpoint) == 0;
	if (good)
		cursor_collect(cursor, store, database->number, from, kv);
	pthread_rwlock_unlock(&store->readers);
	pthread_mutex_unlock(&store->taking);
	return good;
}

static void runs_order(struct table_runs *runs) {
	while (table_runs_sort(runs))
		;
	table_runs_start(runs);
}

struct store_cursor *store_cursor_open(struct store *store, uint32_t database, struct bytes from, struct error *error) {
	CHECK_OBJECT(store, STORE_MAGIC);
	check(from.size > 0);
	struct database *wanted = store_database(store, database);
	struct store_cursor *cursor = check_alloc(1, sizeof *cursor);
	cursor->magic = CURSOR_MAGIC;
	cursor->kind = from.data[0];
	struct kv *kv;
	do {
		kv = database_reading(store, wanted, error);
		if (kv == NULL && error->code != ERROR_NONE) {
			free(cursor);
			return NULL;
		}
	} while (!cursor_fill(cursor, store, wanted, from, kv));
	for (size_t i = 0; i < SOURCE_DATABASE; i++)
		if (cursor->runs[i] != NULL)
			runs_order(cursor->runs[i]);
	if (cursor->kv != NULL)
		cursor->kv->ops->seek(cursor->kv, from);
	return cursor;
}

void store_cursor_seek(struct store_cursor *cursor, struct bytes key) {
	CHECK_OBJECT(cursor, CURSOR_MAGIC);
	check(key.size > 0 && key.data[0] == cursor->kind);
	for (size_t i = 0; i < SOURCE_DATABASE; i++)
		if (cursor->runs[i] != NULL)
			table_runs_seek(cursor->runs[i], key);
	if (cursor->kv != NULL)
		cursor->kv->ops->seek(cursor->kv, key);
	cursor->kv_moves = false;
}

static bool source_peek(struct store_cursor *cursor, enum cursor_source source, struct redo_op *ret_op) {
	if (source != SOURCE_DATABASE)
		return cursor->runs[source] != NULL && table_runs_peek(cursor->runs[source], ret_op);
	struct kv_cursor *kv = cursor->kv;
	if (kv == NULL || !kv->ops->valid(kv))
		return false;
	*ret_op = (struct redo_op){.kind = REDO_PUT, .key = kv->ops->key(kv), .value = kv->ops->value(kv)};
	return ret_op->key.size > 0 && ret_op->key.data[0] == cursor->kind;
}

/* The views of a row are the caller's until the next call: so the database's cursor moves only then. */
static void source_next(struct store_cursor *cursor, enum cursor_source source, bool given) {
	if (source != SOURCE_DATABASE)
		table_runs_next(cursor->runs[source]);
	else if (given)
		cursor->kv_moves = true;
	else
		cursor->kv->ops->next(cursor->kv);
}

/* Takes the least key from all sources; the newest source's operation is the one that counts. */
static bool cursor_take(struct store_cursor *cursor, struct redo_op *ret_op) {
	struct redo_op ops[SOURCES];
	bool there[SOURCES];
	int least = -1;
	for (int i = 0; i < SOURCES; i++) {
		there[i] = source_peek(cursor, (enum cursor_source)i, &ops[i]);
		if (there[i] && (least < 0 || bytes_compare(ops[i].key, ops[least].key) < 0))
			least = i;
	}
	if (least < 0)
		return false;
	*ret_op = ops[least];
	for (int i = SOURCES - 1; i >= least; i--)
		if (there[i] && (i == least || bytes_equal(ops[i].key, ret_op->key)))
			source_next(cursor, (enum cursor_source)i, i == least);
	return true;
}

bool store_cursor_next(struct store_cursor *cursor, struct bytes *ret_key, struct bytes *ret_value) {
	CHECK_OBJECT(cursor, CURSOR_MAGIC);
	if (cursor->kv_moves)
		cursor->kv->ops->next(cursor->kv);
	cursor->kv_moves = false;
	struct redo_op op;
	struct error ignored;
	do {
		/* A failed database must not look like one without rows. */
		if (!store_cursor_status(cursor, &ignored) || !cursor_take(cursor, &op))
			return false;
	} while (op.kind == REDO_REMOVE);
	*ret_key = op.key;
	*ret_value = op.value;
	return true;
}

bool store_cursor_status(const struct store_cursor *cursor, struct error *error) {
	CHECK_OBJECT(cursor, CURSOR_MAGIC);
	return cursor->kv == NULL || cursor->kv->ops->status(cursor->kv, error);
}

void store_cursor_close(struct store_cursor *cursor) {
	if (cursor == NULL)
		return;
	CHECK_OBJECT(cursor, CURSOR_MAGIC);
	for (size_t i = 0; i < SOURCE_DATABASE; i++)
		table_runs_destroy(cursor->runs[i]);
	if (cursor->kv != NULL)
		cursor->kv->ops->close(cursor->kv);
	cursor->magic = 0;
	free(cursor);
}
