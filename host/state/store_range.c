/* Reading a range of entries in order, without a look at anything else: the active table's order, the frozen table's and the
 * database, merged; the newest of a key wins, and a removal hides what is older (rule 14).
 *
 * The tables are held before the database is looked at: what a checkpoint moves meanwhile is in both. */
#include <stdlib.h>

#include "base/check.h"
#include "state/store_inside.h"

enum { RANGE_MAGIC = 0x57c07a4e };

/* Newest first. */
enum range_source { RANGE_ACTIVE, RANGE_FROZEN, RANGE_DATABASE, RANGE_SOURCES };

struct store_range {
	unsigned magic;
	struct store *store;
	struct table *tables[RANGE_DATABASE];       /* NULL: no such table */
	struct ordered_node *nodes[RANGE_DATABASE]; /* the next one; NULL: none */
	struct kv_cursor *kv;                       /* NULL: nothing in the database */
	struct buf prefix;
};

static void range_hold_tables(struct store_range *range, uint32_t database, struct bytes from) {
	struct store *store = range->store;
	pthread_rwlock_rdlock(&store->readers);
	range->tables[RANGE_ACTIVE] = store->active;
	range->tables[RANGE_FROZEN] = store->frozen;
	for (size_t i = 0; i < RANGE_DATABASE; i++)
		if (range->tables[i] != NULL)
			table_reference(range->tables[i]);
	pthread_rwlock_unlock(&store->readers);
	for (size_t i = 0; i < RANGE_DATABASE; i++) {
		const struct ordered *order = range->tables[i] == NULL ? NULL : table_order(range->tables[i], database);
		range->nodes[i] = order == NULL ? NULL : ordered_seek(order, from);
	}
}

struct store_range *store_range_open(
	struct store *store, uint32_t database, struct bytes prefix, struct bytes from, struct error *error) {
	CHECK_OBJECT(store, STORE_MAGIC);
	struct store_range *range = check_alloc(1, sizeof *range);
	range->magic = RANGE_MAGIC;
	range->store = store;
	buf_append_bytes(&range->prefix, prefix);
	range_hold_tables(range, database, from);
	struct kv *kv = database_reading(store, store_database(store, database), error);
	if (kv == NULL && error->code != ERROR_NONE) {
		store_range_close(range);
		return NULL;
	}
	if (kv != NULL) {
		range->kv = kv->ops->cursor(kv);
		range->kv->ops->seek(range->kv, from);
	}
	return range;
}

static bool prefix_of(const struct store_range *range, struct bytes key) {
	return key.size >= range->prefix.size && memcmp(key.data, range->prefix.data, range->prefix.size) == 0;
}

static bool source_key(const struct store_range *range, enum range_source source, struct bytes *ret_key) {
	if (source != RANGE_DATABASE) {
		if (range->nodes[source] == NULL)
			return false;
		*ret_key = ordered_key(range->nodes[source]);
	} else {
		if (range->kv == NULL || !range->kv->ops->valid(range->kv))
			return false;
		*ret_key = range->kv->ops->key(range->kv);
	}
	return prefix_of(range, *ret_key);
}

/* True: it is a value. */
static bool source_value(const struct store_range *range, enum range_source source, struct buf *ret_value) {
	if (source == RANGE_DATABASE) {
		buf_append_bytes(ret_value, range->kv->ops->value(range->kv));
		return true;
	}
	pthread_rwlock_rdlock(&range->store->readers);
	struct redo_op op = table_operation(ordered_what(range->nodes[source]));
	if (op.kind == REDO_PUT)
		buf_append_bytes(ret_value, op.value);
	pthread_rwlock_unlock(&range->store->readers);
	return op.kind == REDO_PUT;
}

static void source_next(struct store_range *range, enum range_source source) {
	if (source != RANGE_DATABASE) {
		range->nodes[source] = ordered_next(range->nodes[source]);
		return;
	}
	store_read_count(range->store, 1, range->kv->ops->key(range->kv).size + range->kv->ops->value(range->kv).size);
	range->kv->ops->next(range->kv);
}

/* Takes the least key; the newest source that has it tells what it is. 1: a value, 0: a removal, -1: the end. */
static int range_take(struct store_range *range, struct buf *ret_key, struct buf *ret_value) {
	struct bytes keys[RANGE_SOURCES];
	bool there[RANGE_SOURCES];
	int least = -1;
	for (int i = 0; i < RANGE_SOURCES; i++) {
		there[i] = source_key(range, (enum range_source)i, &keys[i]);
		if (there[i] && (least < 0 || bytes_compare(keys[i], keys[least]) < 0))
			least = i;
	}
	if (least < 0)
		return -1;
	buf_append_bytes(ret_key, keys[least]);
	bool value = source_value(range, (enum range_source)least, ret_value);
	for (int i = least; i < RANGE_SOURCES; i++) {
		if (there[i] &&
			bytes_equal(keys[i], bytes_of(ret_key->data + ret_key->size - keys[least].size, keys[least].size)))
			source_next(range, (enum range_source)i);
	}
	return value ? 1 : 0;
}

int store_range_next(
	struct store_range *range, struct buf *ret_key, struct buf *ret_value, uint64_t *passed, struct error *error) {
	CHECK_OBJECT(range, RANGE_MAGIC);
	size_t start = ret_key->size;
	for (;;) {
		int taken = range_take(range, ret_key, ret_value);
		if (range->kv != NULL && !range->kv->ops->status(range->kv, error))
			return -1;
		if (taken < 0)
			return 0;
		if (taken == 1)
			return 1;
		++*passed;
		ret_key->size = start;
	}
}

static bool range_each(struct store_range *range, bool (*each)(void *arg, struct bytes key, struct bytes value),
	void *arg, struct error *error) {
	struct buf key = {0};
	struct buf value = {0};
	uint64_t passed = 0;
	int found;
	do {
		buf_reset(&key);
		buf_reset(&value);
		found = store_range_next(range, &key, &value, &passed, error);
	} while (found == 1 && each(arg, bytes_buf(&key), bytes_buf(&value)));
	buf_finish(&key);
	buf_finish(&value);
	return found >= 0;
}

bool store_range_read(struct store *store, uint32_t database, struct bytes prefix, struct bytes from,
	bool (*each)(void *arg, struct bytes key, struct bytes value), void *arg, struct error *error) {
	CHECK_OBJECT(store, STORE_MAGIC);
	pthread_mutex_lock(&store->taking);
	struct store_range *range = store_range_open(store, database, prefix, from, error);
	bool good = range != NULL && range_each(range, each, arg, error);
	pthread_mutex_unlock(&store->taking);
	store_range_close(range);
	return good;
}

void store_range_close(struct store_range *range) {
	if (range == NULL)
		return;
	CHECK_OBJECT(range, RANGE_MAGIC);
	for (size_t i = 0; i < RANGE_DATABASE; i++)
		table_release(range->tables[i]);
	if (range->kv != NULL)
		range->kv->ops->close(range->kv);
	buf_finish(&range->prefix);
	range->magic = 0;
	free(range);
}
