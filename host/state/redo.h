/* Redo: what an epoch changes, as absolute puts and deletes, so that applying it twice is applying it once (rule 3).
 * The body of a journal record is a run of these operations:
 *
 *   put    := 0x01 database:varint key:sized value:sized
 *   remove := 0x02 database:varint key:sized
 *   egress := 0x03 name:sized offset:u64le record:sized      offset is filled in by the committer at the cut
 *   sized  := size:varint byte*
 *
 * database 0 is `runtime`; n >= 1 is the database of the function type with that number. */
#ifndef HOST_STATE_REDO_H
#define HOST_STATE_REDO_H

#include "base/bytes.h"
#include "base/varint.h"

enum redo_kind { REDO_PUT = 1, REDO_REMOVE = 2, REDO_EGRESS = 3 };

enum { REDO_RUNTIME = 0 };

struct redo_op {
	enum redo_kind kind;
	uint32_t database;  /* put, remove */
	struct bytes key;   /* put, remove; the egress's name for egress */
	struct bytes value; /* put; the record for egress */
	uint64_t offset;    /* egress */
};

void redo_put(struct buf *redo, uint32_t database, struct bytes key, struct bytes value);
void redo_remove(struct buf *redo, uint32_t database, struct bytes key);

/* Returns where in the buffer the offset stands, to be filled in by redo_egress_offset_set. */
size_t redo_egress(struct buf *redo, struct bytes name, struct bytes record);
void redo_egress_offset_set(struct buf *redo, size_t place, uint64_t offset);

/* Reads one operation from the front of *rest; false at a malformed one. REQUIRES rest->size > 0. */
bool redo_take(struct bytes *rest, struct redo_op *ret_op);

#endif
