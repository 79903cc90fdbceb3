/* Takes back the space of ranges that nobody reads any more: a table that was cleared, items that a list dropped, all
 * entries of an instance that ended. Whoever drops one writes a row 'd' into the runtime database and forgets it:
 *
 *   'd' epoch:u64be serial:u64be -> database:varint from:sized to:sized      keys of that type's database, without `to` itself
 *
 * A thread of its own looks for such rows behind each checkpoint, and removes the keys straight from the database: nobody reads
 * them, no journal needs to know, and to do it twice is to do it once. The row goes last, once the removals are durable.
 *
 * Why a row may be believed as soon as it stands in the database: a checkpoint writes the types' databases before it, so all
 * that was ever put into the range is there. Only after a crash in the middle of a checkpoint may the journal bring
 * some of it again, with the row itself; so nothing is removed before a checkpoint has passed all that was replayed. */
#ifndef HOST_STATE_RECLAIM_H
#define HOST_STATE_RECLAIM_H

#include "state/redo.h"
#include "state/store.h"

struct dropped_row {
	uint32_t database;
	struct bytes from;
	struct bytes to;
};

void dropped_row_put(struct buf *value, const struct dropped_row *row);
bool dropped_row_take(struct bytes value, struct dropped_row *ret_row);

/* One bounded piece: microseconds until there may be more to do, 0: there is. It waits while the store is busy, but not for
 * ever. [reclaimer] */
uint64_t store_reclaim_step(struct store *store, uint64_t now_us);

/* For store_open.c. */
struct reclaim;
struct reclaim *reclaim_create(void);
void reclaim_destroy(struct reclaim *reclaim);

#endif
