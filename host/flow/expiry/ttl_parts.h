/* One way in which state of a type ends by itself, over all its ids and all that was: what a registry must remember so that
 * nothing that has ended is ever seen again, and nothing ends by a time that was not its own.
 *
 * An id goes from version to version: base, canary, base, the next one. In each reign it has one time, so it has ended iff in some
 * reign its last touch, and the time of that reign, came to lie before the end of the reign. Of all reigns that are over the
 * one with the greatest (end - time) decides alone: what was touched by then has ended, what was touched later had not ended in any
 * of them. So one past an id is exact, however long its history is.
 *
 * Ids that went the same way have the same past, and the way of an id is decided by its hash alone, as long as all canaries of the
 * plugin cut by one hash: the registry takes no new seed while parts differ. Then the parts are intervals between shares, of which
 * there are as many as percents. A past is forgotten, and neighbours become one, as soon as the time that holds now would have
 * ended the same things: what that ended stays so by the next change.
 *
 * What is forgotten is only *when* something ended that nobody has swept yet: it is told as later than it was, but as no later than
 * the change by which that was forgotten (`vague_ms`). */
#ifndef HOST_FLOW_EXPIRY_TTL_PARTS_H
#define HOST_FLOW_EXPIRY_TTL_PARTS_H

#include "flow/expiry/ttl.h"

enum { TTL_PARTS_MAX = 100 }; /* shares are whole percents */

/* The ids whose hash is below `until`, and in no part before. */
struct ttl_part {
	uint64_t until;       /* of SPLIT_WHOLE */
	uint64_t declared_ms; /* by the version that has them, or had them last; 0: never */
	uint64_t ms;          /* what holds: that, or what stands above it; 0: never */
	uint64_t from_ms;
	uint64_t vague_ms;
	struct ttl_past past;
};

struct ttl_parts {
	struct ttl_part *items; /* in order of their hash; the last one ends at SPLIT_WHOLE */
	size_t count;           /* 0: nothing was ever said of it */
};

void ttl_parts_finish(struct ttl_parts *parts);

/* Room for one more, at the end. */
struct ttl_part *ttl_parts_add(struct ttl_parts *parts);

/* From now on the ids are divided so, and have these times: `until`, `declared_ms` and `ms` of each count. True if some id has
 * another time than before. wishes: from 1, in order; not of `parts`. */
bool ttl_parts_change(struct ttl_parts *parts, const struct ttl_part *wishes, size_t count, uint64_t now_ms);

/* Forgets what makes no difference any more. True if that was anything. */
bool ttl_parts_rest(struct ttl_parts *parts, uint64_t since_ms, uint64_t now_ms);

/* What holds for an id with that hash; never, if nothing was ever said. */
struct ttl_term ttl_parts_term(const struct ttl_parts *parts, uint64_t since_ms, uint64_t hash);

#endif
