#include "sim_rows.h"

#include <stdlib.h>

#include "base/check.h"

/* ---- one row ---- */

struct row *row_create(const struct kv_op *op, bool ends_batch) {
	struct row *row = malloc(sizeof *row + op->key.size + op->value.size);
	check_memory(row);
	*row = (struct row){
		.references = 1,
		.remove = op->remove,
		.ends_batch = ends_batch,
		.key_size = op->key.size,
		.value_size = op->value.size,
	};
	bytes_copy(row->bytes, op->key.data, op->key.size);
	bytes_copy(row->bytes + op->key.size, op->value.data, op->value.size);
	return row;
}

static struct row *row_hold(struct row *row) {
	row->references++;
	return row;
}

void row_release(struct row *row) {
	check(row->references > 0);
	if (--row->references == 0)
		free(row);
}

struct bytes row_key(const struct row *row) {
	return bytes_of(row->bytes, row->key_size);
}

struct bytes row_value(const struct row *row) {
	return bytes_of(row->bytes + row->key_size, row->value_size);
}

/* ---- many ---- */

struct rows *rows_create(void) {
	struct rows *rows = check_alloc(1, sizeof *rows);
	rows->references = 1;
	return rows;
}

struct rows *rows_hold(struct rows *rows) {
	rows->references++;
	return rows;
}

void rows_release(struct rows *rows) {
	if (rows == NULL)
		return;
	check(rows->references > 0);
	if (--rows->references > 0)
		return;
	for (size_t i = 0; i < rows->count; i++)
		row_release(rows->rows[i]);
	free(rows->rows);
	free(rows);
}

static void rows_room(struct rows *rows, size_t count) {
	if (count <= rows->capacity)
		return;
	rows->capacity = count < 16 ? 16 : count * 2;
	rows->rows = realloc(rows->rows, rows->capacity * sizeof(struct row *));
	check_memory(rows->rows);
}

static void rows_insert(struct rows *rows, size_t at, struct row *row) {
	rows_room(rows, rows->count + 1);
	memmove(rows->rows + at + 1, rows->rows + at, (rows->count - at) * sizeof(struct row *));
	rows->rows[at] = row;
	rows->count++;
}

static void rows_remove(struct rows *rows, size_t at) {
	row_release(rows->rows[at]);
	rows->count--;
	memmove(rows->rows + at, rows->rows + at + 1, (rows->count - at) * sizeof(struct row *));
}

void rows_append(struct rows *rows, struct row *row) {
	check(rows->references == 1);
	rows_insert(rows, rows->count, row);
}

size_t rows_find(const struct rows *map, struct bytes key, bool *ret_found) {
	size_t low = 0;
	size_t high = map->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (bytes_compare(row_key(map->rows[middle]), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = low < map->count && bytes_equal(row_key(map->rows[low]), key);
	return low;
}

/* *rows becomes the caller's alone. */
static void rows_own(struct rows **rows) {
	struct rows *shared = *rows;
	if (shared->references == 1)
		return;
	struct rows *own = rows_create();
	rows_room(own, shared->count);
	for (size_t i = 0; i < shared->count; i++)
		own->rows[i] = row_hold(shared->rows[i]);
	own->count = shared->count;
	rows_release(shared);
	*rows = own;
}

void rows_apply(struct rows **map, struct row *row) {
	bool found;
	size_t at = rows_find(*map, row_key(row), &found);
	if (!found && row->remove)
		return;
	rows_own(map);
	if (row->remove) {
		rows_remove(*map, at);
	} else if (found) {
		row_release((*map)->rows[at]);
		(*map)->rows[at] = row_hold(row);
	} else {
		rows_insert(*map, at, row_hold(row));
	}
}

void rows_apply_log(struct rows **map, const struct rows *log, size_t count) {
	check(count <= log->count);
	for (size_t i = 0; i < count; i++)
		rows_apply(map, log->rows[i]);
}
