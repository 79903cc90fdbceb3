/* How many instances of each function type stand in the store with each schema: what a stage is judged by, and what a
 * migration has left to do. Each shard notes the changes of its open epoch, the committer adds them up at the cut and puts
 * the new counts into the same record, so that after any crash they are those of the rows.
 *
 *   'S'                             [1]: the counts are kept (a store of before has none: they are counted once)
 *   'S' type:u16be schema:u32be     [instances]; absent: none */
#ifndef HOST_FLOW_MIGRATION_SCHEMA_COUNTS_H
#define HOST_FLOW_MIGRATION_SCHEMA_COUNTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

struct store;

/* ---- what changes in an epoch of a shard; belongs to its holder, then with the seal to the committer ---- */

struct schema_change {
	uint16_t type;
	uint32_t schema;
	int64_t change;
	uint32_t next; /* of the same type: index + 1; 0: none */
};

struct schema_changes {
	struct schema_change *changes;
	size_t count;
	size_t capacity;
	uint32_t *first; /* by type: index + 1 */
	size_t type_count;
};

void schema_changes_add(struct schema_changes *changes, uint16_t type, uint32_t schema, int64_t change);
void schema_changes_reset(struct schema_changes *changes);
void schema_changes_finish(struct schema_changes *changes);

/* ---- the sum; written by the committer, read by the loop thread ---- */

struct schema_count {
	uint16_t type;
	uint32_t schema;
	uint64_t instances;
	bool dirty;
};

struct schema_counts {
	pthread_mutex_t mutex; /* over what follows */
	struct schema_count *counts;
	size_t count;
	size_t capacity;
	bool kept;   /* the store has them, or will with the next record */
	bool marked; /* the row that says so is written */
};

void schema_counts_init(struct schema_counts *counts);
void schema_counts_finish(struct schema_counts *counts);

/* Reads the rows. created: a new store, where there is nothing to count. */
bool schema_counts_load(struct schema_counts *counts, struct store *store, bool created, struct error *error);

/* Once, for a store that was written before there were counts: reads every instance of the types 1 to `types`, whose
 * databases are named. Only while no thread runs yet. */
bool schema_counts_scan(struct schema_counts *counts, struct store *store, uint16_t types, struct error *error);

/* [committer] Takes the changes of a seal in, and empties them. */
void schema_counts_apply(struct schema_counts *counts, struct schema_changes *changes);

/* [committer] Appends the rows that changed. */
void schema_counts_redo(struct schema_counts *counts, struct buf *redo);

/* Calls each() for every schema that has instances, as of the last cut. [any thread] */
void schema_counts_each(struct schema_counts *counts,
	void (*each)(void *arg, uint16_t type, uint32_t schema, uint64_t instances), void *arg);

#endif
