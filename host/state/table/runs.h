/* One database's operations in a table, in the order of its keys: collected and sorted in bounded runs, merged while
 * read. For the checkpoint, which does a run a step, and for cursors. One thread. */
#ifndef HOST_STATE_TABLE_RUNS_H
#define HOST_STATE_TABLE_RUNS_H

#include "state/table/table.h"

struct table_runs;

/* Keeps a reference to the table. Only keys of the kind that `from` begins with, from it on; if it is empty, all of them. It must
 * stay until all is collected. */
struct table_runs *table_runs_create(struct table *table, uint32_t database, struct bytes from);
void table_runs_destroy(struct table_runs *runs); /* NULL is fine */

/* Collects one more run; false if the whole index is collected. [readers shared, and nothing is taken meanwhile; or
 * the table is frozen] */
bool table_runs_collect(struct table_runs *runs);

/* Sorts one more run; false if all are sorted. REQUIRES that all is collected. */
bool table_runs_sort(struct table_runs *runs);

/* To the first operation; after the last collect and sort, and again to start over. */
void table_runs_start(struct table_runs *runs);

/* To the first operation whose key is not before that one. */
void table_runs_seek(struct table_runs *runs, struct bytes key);

/* The operation at the front; false at the end. */
bool table_runs_peek(const struct table_runs *runs, struct redo_op *ret_op);
void table_runs_next(struct table_runs *runs); /* REQUIRES: not at the end */

/* Memory. */
uint64_t table_runs_bytes(const struct table_runs *runs);

#endif
