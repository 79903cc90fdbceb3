/* A table's operations in the order of the databases' keys: collected and sorted in bounded runs, merged while read.
 * For the checkpoint, which does a run a step, and for cursors. One thread. */
#ifndef HOST_STATE_TABLE_RUNS_H
#define HOST_STATE_TABLE_RUNS_H

#include "state/table.h"

struct table_runs;

enum { TABLE_RUNS_ALL = -1 };

/* Keeps a reference to the table. database: the one whose operations are wanted, or TABLE_RUNS_ALL: then the function
 * types come by number, and the runtime database last, as a checkpoint needs them. */
struct table_runs *table_runs_create(struct table *table, int64_t database);
void table_runs_destroy(struct table_runs *runs); /* NULL is fine */

/* Collects one more run; false if the whole table is collected. [readers shared, and nothing is taken meanwhile; or
 * the table is frozen] */
bool table_runs_collect(struct table_runs *runs);

/* Sorts one more collected run; false if all are sorted. */
bool table_runs_sort(struct table_runs *runs);

/* After the last collect and sort. */
void table_runs_start(struct table_runs *runs);

/* The operation at the front; false at the end. */
bool table_runs_peek(const struct table_runs *runs, struct redo_op *ret_op);
void table_runs_next(struct table_runs *runs); /* REQUIRES: not at the end */

/* rewind() returns to where mark() was called last, start() being the first. */
void table_runs_mark(struct table_runs *runs);
void table_runs_rewind(struct table_runs *runs);

/* Memory. */
uint64_t table_runs_bytes(const struct table_runs *runs);

#endif
