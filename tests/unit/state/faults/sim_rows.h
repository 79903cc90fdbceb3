/* Rows in order of their keys, in memory; a copy costs nothing, since what two maps have in common they share. A map may be
 * changed by one thread while others read copies of it. */
#ifndef TESTS_SIM_ROWS_H
#define TESTS_SIM_ROWS_H

#include "base/bytes.h"

/* Never changes; whoever keeps one holds a reference. */
struct sim_row;

struct sim_row *sim_row_create(struct bytes key, struct bytes value);
void sim_row_release(struct sim_row *row);
struct bytes sim_row_key(const struct sim_row *row);
struct bytes sim_row_value(const struct sim_row *row);

/* {NULL}: empty. A treap: a node is copied before it changes if another map has it, too. */
struct sim_rows {
	struct sim_node *root;
};

struct sim_rows sim_rows_copy(const struct sim_rows *rows);
void sim_rows_clear(struct sim_rows *rows);

size_t sim_rows_count(const struct sim_rows *rows);

/* The row of that key, borrowed; NULL: there is none. */
const struct sim_row *sim_rows_get(const struct sim_rows *rows, struct bytes key);

/* Takes the place of a row of its key; the caller keeps its own reference. */
void sim_rows_put(struct sim_rows *rows, struct sim_row *row);
void sim_rows_remove(struct sim_rows *rows, struct bytes key);

/* How many rows have smaller keys: the place of this key's row, or of the next one. */
size_t sim_rows_place(const struct sim_rows *rows, struct bytes key);

/* The row at a place, borrowed. REQUIRES: place < count. */
const struct sim_row *sim_rows_at(const struct sim_rows *rows, size_t place);

#endif
