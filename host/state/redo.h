/* Redo: what an epoch changes, as absolute puts and deletes, so that applying it twice is applying it once (rule 3).
 * The body of a journal record is a run of these operations:
 *
 *   put    := 0x01 database:varint key:sized value:sized
 *   remove := 0x02 database:varint key:sized
 *   egress := 0x03 name:sized offset:u64le record:sized      offset is filled in by the committer at the cut
 *   follow := 0x80+shared:u7 rest:sized value:sized          a put in the database of the operation before, which is no
 *                                                            egress; the key is `shared` bytes of that one's, then rest
 *   sized  := size:varint byte*
 *
 * database 0 is `runtime`; n >= 1 is the database of the function type with that number. Instances that were touched in one
 * epoch mostly have ids that begin alike: half of the journal was that beginning. */
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

enum {
	REDO_FOLLOW = 0x80,
	REDO_SHARED_MAX = 0x7f,
	REDO_FOLLOW_KEY_BYTES_MAX = 512, /* more than an instance's key has */
};

/* Puts one behind the other into one buffer, where nothing else may write meanwhile. Zero before the first. */
struct redo_series {
	bool begun;
	uint32_t database;
	size_t key_size;
	uint8_t key[REDO_FOLLOW_KEY_BYTES_MAX]; /* of the last put */
};

/* As redo_put, but says of the key only what the one before does not. */
void redo_put_next(
	struct buf *redo, struct redo_series *series, uint32_t database, struct bytes key, struct bytes value);

/* Returns where in the buffer the offset stands, to be filled in by redo_egress_offset_set. */
size_t redo_egress(struct buf *redo, struct bytes name, struct bytes record);
void redo_egress_offset_set(struct buf *redo, size_t place, uint64_t offset);

/* Reads operations, one behind the other. */
struct redo_reader {
	struct bytes rest;
	bool begun; /* the operation before has a key to follow */
	uint32_t database;
	struct bytes key;
	uint8_t room[REDO_FOLLOW_KEY_BYTES_MAX];
};

static inline void redo_reader_init(struct redo_reader *reader, struct bytes redo) {
	reader->rest = redo;
	reader->begun = false;
}

/* The operation at the front; its key holds until the next call. False at a malformed one. REQUIRES rest.size > 0. */
bool redo_next(struct redo_reader *reader, struct redo_op *ret_op);

#endif
