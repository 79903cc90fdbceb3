/* The row of an instance ('I' id) in the database of its function type:
 *
 *   row    := schema:varint generation:varint last_touch_ms:varint value*
 *   value  := tag:varint size:varint [written_ms:varint] byte*      tag = number * 4 + timed * 2 + large
 *
 * Values stand in the order of their numbers; an unset value is absent. A large value (over VALUE_INLINE_BYTES) has
 * large = 1 (timed: when it was last set stands there, since it expires after that), its size here and no bytes: they are in the row 'X' of the same database, so that touching the small
 * values of an instance does not rewrite the large ones. An instance without values has no row. */
#ifndef HOST_FLOW_INSTANCE_RECORD_H
#define HOST_FLOW_INSTANCE_RECORD_H

#include <stdbool.h>

#include "base/bytes.h"
#include "flow/view.h"

enum { VALUE_INLINE_BYTES = 1024 };

struct instance_header {
	uint64_t schema;
	uint64_t generation;
	uint64_t last_touch_ms; /* 0: not kept for this type */
};

struct instance_value {
	uint32_t number;
	bool large;
	uint64_t size;
	uint64_t written_ms;  /* 0: not kept */
	struct bytes msgpack; /* empty if large */
};

/* Reads the header from the front of *rest. */
bool instance_header_take(struct bytes *rest, struct instance_header *ret_header);

/* Reads the next value from the front of *rest; false if malformed. REQUIRES rest->size > 0. */
bool instance_value_take(struct bytes *rest, struct instance_value *ret_value);

void instance_header_put(struct buf *row, const struct instance_header *header);
/* written_ms 0: it is not kept. */
void instance_value_put(struct buf *row, uint32_t number, uint64_t written_ms, struct bytes msgpack);
void instance_large_put(struct buf *row, uint32_t number, uint64_t written_ms, uint64_t size);

#endif
