/* What the databases of sim_kv.h consist of. A row is written once and never changed: a log, the map that readers see, the
 * tables and every cursor hold the same one, so that a write costs one allocation and a snapshot none. Nothing here locks:
 * who holds rows serialises all calls but the reading ones. */
#ifndef TESTS_SIM_ROWS_H
#define TESTS_SIM_ROWS_H

#include "state/kv.h"

/* One operation of a batch. */
struct row {
	unsigned references;
	bool remove;
	bool ends_batch;
	size_t key_size;
	size_t value_size;
	uint8_t bytes[]; /* key, then value */
};

struct row *row_create(const struct kv_op *op, bool ends_batch);
void row_release(struct row *row);
struct bytes row_key(const struct row *row);
struct bytes row_value(const struct row *row);

/* By key in a map; in order of writing in a log. */
struct rows {
	unsigned references;
	size_t count;
	size_t capacity;
	struct row **rows;
};

struct rows *rows_create(void);
struct rows *rows_hold(struct rows *rows);
void rows_release(struct rows *rows); /* NULL is fine */

/* Takes over the caller's reference. REQUIRES: nobody else holds these rows. */
void rows_append(struct rows *rows, struct row *row);

/* Where the key stands in a map, or would stand. */
size_t rows_find(const struct rows *map, struct bytes key, bool *ret_found);

/* The row takes effect in *map, which is copied first where others hold it, too; what they hold stays as it is. */
void rows_apply(struct rows **map, struct row *row);

/* The same with the first `count` rows of a log. */
void rows_apply_log(struct rows **map, const struct rows *log, size_t count);

#endif
