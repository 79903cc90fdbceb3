/* Named subscribers: up to where each has acknowledged an egress. Row 'A' egress:sized name → [next, time_ms] of the
 * runtime database; in memory only while somebody subscribes by that name or an acknowledgement is on its way. A position
 * only rises, unless its subscriber goes back by asking for an earlier place; then its first acknowledgement writes the
 * earlier one. Positions hold nothing back (hub.h), so a name that is never seen again costs one row. [loop thread] */
#ifndef HOST_EGRESS_ACKED_H
#define HOST_EGRESS_ACKED_H

#include "egress/hub.h"
#include "state/key.h"

enum { SUBSCRIBER_NAME_MAX = 200 }; /* with the egress's name it fits a key */

struct key acked_key(struct bytes egress, struct bytes name);
void acked_put(struct buf *value, uint64_t next, uint64_t time_ms);
bool acked_take(struct bytes value, uint64_t *ret_next);

/* Who subscribes by a name; lives in what does. One at a time: a younger one takes it over. */
struct acked_holder {
	struct acked *acked;                                          /* NULL: holds nothing */
	void (*advanced)(struct acked_holder *holder, uint64_t next); /* an acknowledgement is durable */
	void (*lost)(struct acked_holder *holder);                    /* a younger one has the name now */
};

/* The subscriber begins at next. */
void acked_hold(
	struct egress_hub *hub, struct acked_holder *holder, struct bytes egress, struct bytes name, uint64_t next);
void acked_release(struct acked_holder *holder); /* one that holds nothing is fine */

/* What is known in memory of the position of a name: more than the row, while an acknowledgement is on its way. */
bool acked_known(struct egress_hub *hub, struct bytes egress, struct bytes name, uint64_t *ret_next);

/* Answers `token` of the hub's requests with number = the position, once it is durable; conflict if next is beyond the
 * egress's end. */
void acked_advance(struct egress_hub *hub, struct bytes egress, struct bytes name, uint64_t next, uint64_t token);

#endif
