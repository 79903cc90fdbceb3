/* Tables and lists as an invocation sees them: its own writes, over what the shard has not handed to the applier, over the
 * store; the newest wins, and a removal hides what is older (rule 14). On the shard's thread, inside a function. Private to
 * host/flow. */
#ifndef HOST_FLOW_ENTRIES_READ_H
#define HOST_FLOW_ENTRIES_READ_H

#include "flow/entries/header.h"
#include "sofun/list.h"

struct invocation;

enum { ENTRIES_CURSORS_MAX = 16 }; /* of one invocation (invocation.h): each may hold a database open */

/* The header of the value as it is now; generation 0: there is none, it is empty. SOFUN_OK, or why it may not be touched. */
int entries_header_of(
	const struct invocation *invocation, uint32_t number, uint32_t kind, struct entries_header *ret_header);

/* The key of an entry among the invocation's own. */
struct key entries_own_key(uint64_t generation, struct bytes key);

/* One entry; a view until the next read. {NULL, 0}: there is none. */
int entries_get(struct invocation *invocation, const struct entries_header *header, struct bytes key, sofun_bytes *ret);

/* A cursor before the first key that begins with prefix and is not below from. */
int entries_open(struct invocation *invocation, uint32_t number, const struct entries_header *header,
	struct bytes prefix, struct bytes from, sofun_cursor **ret_cursor);

/* The next entry of a cursor of that kind of value; key {NULL, 0}: there is none. Views until the next read. */
int entries_next(
	struct invocation *invocation, sofun_cursor *cursor, uint32_t kind, sofun_bytes *ret_key, sofun_bytes *ret_value);

/* The callback has returned: its cursors are gone. */
void entries_cursors_close(struct invocation *invocation);

#endif
