/* The histories of an egress (rule 11). An offset means a record only together with the incarnation in which it was seen: a
 * data directory that is put back from a backup, or a savepoint, goes on from an older end, and gives the same offsets to
 * other records. Each process that emits is an incarnation of its own; a row remembers where each began, so a reader that
 * comes with an older one is told whether its offset still means the same, and else from where on it does not.
 *
 * The row is written when somebody first subscribes in a process: who has seen an incarnation finds it again. Any thread. */
#ifndef HOST_EGRESS_INCARNATION_H
#define HOST_EGRESS_INCARNATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "state/key.h"

/* Older ones are forgotten: a reader that has been away for so many restarts starts over. */
enum { INCARNATIONS_MAX = 32 };

struct incarnation {
	uint64_t id;
	uint64_t first; /* offset of its first record */
};

/* Oldest first; both members rise. */
struct incarnations {
	struct incarnation entries[INCARNATIONS_MAX];
	size_t count;
};

/* A number that rises from start to start, and that no other store's start is likely to have. */
uint64_t incarnation_new(uint64_t epoch);

struct key incarnation_key(struct bytes egress);

/* Row 'G' egress: [[id, first], …]. False: damaged. */
void incarnations_put(struct buf *value, const struct incarnations *incarnations);
bool incarnations_take(struct bytes value, struct incarnations *ret_incarnations);

/* Records from `first` on are of the process `id`. True: the row has changed. While nothing was emitted since the last
 * one began, that one stays: nobody can have seen anything that differs. */
bool incarnations_begin(struct incarnations *incarnations, uint64_t id, uint64_t first);

/* True: offset `next`, seen in incarnation `id` (0: not said), still has its meaning, in an egress that now reaches from
 * start to end. False: *ret_from is the offset from which on it may not. */
bool incarnations_continue(const struct incarnations *incarnations, uint64_t id, uint64_t next, uint64_t start,
	uint64_t end, uint64_t *ret_from);

#endif
