/* What stands in an instance's row in place of a value that is a table or a list: where its entries are. No MessagePack
 * object begins with its first byte, so nobody takes one for the other.
 *
 *   header := 0xc1 kind:u8 generation:varint [first:varint end:varint]      the last two in lists
 *
 * kind is SOFUN_KIND_TABLE or SOFUN_KIND_LIST. The entries are the rows 'M' id generation (state/key.h). A generation is
 * given once in the life of a store: clear takes the header away, and the next entry begins another. So are the number
 * of the value and the schema no part of the keys, and a header may go from value to value. Items of a list have the
 * indexes first to end - 1. */
#ifndef HOST_FLOW_ENTRIES_HEADER_H
#define HOST_FLOW_ENTRIES_HEADER_H

#include "base/bytes.h"

enum { ENTRIES_MARK = 0xc1 };

struct entries_header {
	uint32_t kind;
	uint64_t generation;
	uint64_t first;
	uint64_t end;
};

/* The value is the header of a table or list. */
static inline bool entries_header_is(struct bytes value) {
	return value.size > 0 && value.data[0] == ENTRIES_MARK;
}

/* False: malformed, or no header. */
bool entries_header_read(struct bytes value, struct entries_header *ret_header);

void entries_header_put(struct buf *value, const struct entries_header *header);

#endif
