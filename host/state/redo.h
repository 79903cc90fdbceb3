/* Redo: what an epoch changes, as absolute puts and deletes, so that applying it twice is applying it once (rule 3).
 * The body of a journal record is a run of these operations:
 *
 *   put    := 0x01 database:varint key:sized value:sized
 *   remove := 0x02 database:varint key:sized
 *   egress := 0x03 name:sized offset:u64le record:sized      offset is filled in by the committer at the cut
 *   follow := 0x80+shared:u7 rest:sized value:sized          a put in the database of the operation before, which is no
 *                                                            egress; the key is `shared` bytes of that one's, then rest
 *   like   := 0x40+place:u2+same:u4 shared:u7+given:u1       a follow whose value is `same` bytes of the value at that
 *             [size:varint size:varint] rest                 place, then the end of rest; its beginning is of the key
 *   sized  := size:varint byte*
 *
 * database 0 is `runtime`; n >= 1 is the database of the function type with that number. Instances that were touched in one
 * epoch mostly have ids that begin alike, and rows: schema, sweep and time of the touch. Three quarters of the journal were
 * those beginnings.
 *
 * A like with given = 0 has a key as long as the one before, and a value as long as the one at its place; else the two sizes
 * say how much of rest is the key's and how much the value's. There are four places, for values of 1 to 64 bytes: a put
 * clears them, and its value takes the first; that of a follow takes the next one in turn, that of a like the one it names. */
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
	REDO_LIKE = 0x40,
	REDO_SAME_MAX = 15, /* what a row has before its first value, and a little */
	REDO_SIZES_GIVEN = 0x80,
	REDO_PLACES = 4, /* sweeps of this many ages stand in one epoch, and seldom more */
	REDO_PLACE_BYTES_MAX = 64,
};

/* Values of the operations before, as far as a like may name them. Writer and reader keep the same ones. */
struct redo_places {
	unsigned next; /* which a follow takes */
	struct redo_place {
		uint8_t size; /* 0: there is none */
		uint8_t bytes[REDO_PLACE_BYTES_MAX];
	} places[REDO_PLACES];
};

/* Puts one behind the other into one buffer, where nothing else may write meanwhile. Zero before the first. */
struct redo_series {
	bool begun;
	uint32_t database;
	size_t key_size;
	uint8_t key[REDO_FOLLOW_KEY_BYTES_MAX]; /* of the last put */
	struct redo_places values;
};

/* As redo_put, but says of key and value only what those before do not. */
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
	struct redo_places values;
};

static inline void redo_reader_init(struct redo_reader *reader, struct bytes redo) {
	reader->rest = redo;
	reader->begun = false;
	reader->values.next = 0;
	for (unsigned i = 0; i < REDO_PLACES; i++)
		reader->values.places[i].size = 0;
}

/* The operation at the front; its key and value hold until the next call. False at a malformed one. REQUIRES rest.size > 0. */
bool redo_next(struct redo_reader *reader, struct redo_op *ret_op);

#endif
