/* Reads MessagePack where it lies: a cursor over borrowed bytes. No tree, no allocation, no recursion; never reads
 * beyond the end, whatever the bytes are. Any thread; a cursor belongs to its caller.
 *
 * Nesting counts maps and arrays: a scalar is 0 deep, [] is 1 deep, [[]] is 2 deep. An object is refused when it is
 * deeper than the limit that was given. */
#ifndef HOST_WIRE_CURSOR_H
#define HOST_WIRE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

/* The deepest nesting that anyone may ask for: the largest limits.nesting (1024) and a frame around it. The skipper's
 * stack is of this size. */
enum { CURSOR_NESTING_MAX = 1032 };

struct cursor {
	const uint8_t *at;
	const uint8_t *end;
};

enum cursor_result {
	CURSOR_GOOD,
	CURSOR_SHORT,    /* the bytes end inside the object */
	CURSOR_BAD,      /* 0xc1, which is no MessagePack */
	CURSOR_DEEP,     /* nested beyond the limit */
	CURSOR_TRAILING, /* whole, and then there is more (cursor_check only) */
};

enum cursor_kind {
	CURSOR_NIL,
	CURSOR_BOOL,
	CURSOR_UINT, /* an integer >= 0, however it was encoded */
	CURSOR_INT,  /* an integer < 0 */
	CURSOR_FLOAT,
	CURSOR_STR,
	CURSOR_BIN,
	CURSOR_EXT,
	CURSOR_ARRAY,
	CURSOR_MAP,
};

/* A scalar with its content, or the header of an array or map. */
struct cursor_item {
	enum cursor_kind kind;
	bool truth;         /* BOOL */
	bool single;        /* FLOAT: it was a float of 32 bits */
	int8_t ext_type;    /* EXT */
	uint32_t count;     /* ARRAY: elements; MAP: pairs */
	uint64_t uint;      /* UINT */
	int64_t integer;    /* INT, and UINT as far as it fits (else INT64_MAX) */
	double real;        /* FLOAT */
	struct bytes bytes; /* STR, BIN, EXT */
};

static inline struct cursor cursor_of(struct bytes bytes) {
	return (struct cursor){.at = bytes.data, .end = bytes.data == NULL ? NULL : bytes.data + bytes.size};
}

static inline struct bytes cursor_left(const struct cursor *cursor) {
	return bytes_of(cursor->at, (size_t)(cursor->end - cursor->at));
}

static inline bool cursor_at_end(const struct cursor *cursor) {
	return cursor->at == cursor->end;
}

/* What cursor_next would read, without moving. */
bool cursor_peek(const struct cursor *cursor, enum cursor_kind *ret_kind);

/* Reads one item: a scalar whole, of an array or map the header. False: cut off or bad, and the cursor has not moved. */
bool cursor_next(struct cursor *cursor, struct cursor_item *ret_item);

/* These read one item of that kind; false: it is of another kind, out of range or cut off; the cursor has not moved. */
bool cursor_read_nil(struct cursor *cursor);
bool cursor_read_bool(struct cursor *cursor, bool *ret_truth);
bool cursor_read_uint(struct cursor *cursor, uint64_t *ret_value);
bool cursor_read_int(struct cursor *cursor, int64_t *ret_value);
bool cursor_read_double(struct cursor *cursor, double *ret_value); /* of floats only, 32 or 64 bits */
bool cursor_read_bin(struct cursor *cursor, struct bytes *ret_bytes);
bool cursor_read_text_or_bin(struct cursor *cursor, struct bytes *ret_bytes);
bool cursor_read_array(struct cursor *cursor, uint32_t *ret_count);
bool cursor_read_map(struct cursor *cursor, uint32_t *ret_pairs);
bool cursor_read_str_any(struct cursor *cursor, struct bytes *ret_text); /* the slow path of: */

static inline bool cursor_read_str(struct cursor *cursor, struct bytes *ret_text) {
	const size_t left = (size_t)(cursor->end - cursor->at);
	if (left == 0 || (*cursor->at & 0xe0) != 0xa0) /* not of at most 31 bytes, as keys and names are */
		return cursor_read_str_any(cursor, ret_text);
	const size_t size = *cursor->at & 0x1f;
	if (size >= left)
		return false;
	*ret_text = bytes_of(cursor->at + 1, size);
	cursor->at += 1 + size;
	return true;
}

/* Checks the object under the cursor, with all that is in it, and moves behind it; on failure it has not moved.
 * nesting <= CURSOR_NESTING_MAX. */
enum cursor_result cursor_skip(struct cursor *cursor, uint32_t nesting);

/* As cursor_skip; *ret_object is what was passed over. */
enum cursor_result cursor_take(struct cursor *cursor, uint32_t nesting, struct bytes *ret_object);

/* By the first byte, how long a scalar is whose size that byte tells; 0: another one. */
extern const uint8_t cursor_scalar_sizes[256];

/* True: exactly one short scalar, so that cursor_check would call it good. False says nothing. */
static inline bool cursor_is_scalar(struct bytes object) {
	return object.size > 0 && cursor_scalar_sizes[object.data[0]] == object.size;
}

/* Exactly one object and nothing behind it? */
enum cursor_result cursor_check(struct bytes object, uint32_t nesting);

/* As cursor_check, with an error for the world: too_deep, else bad_request. `what` names the thing: "payload". */
bool cursor_check_error(struct bytes object, uint32_t nesting, const char *what, struct error *error);

/* ---- an object that is still arriving ---- */

/* How far the object at the front of a receive buffer has been passed over. Counts what is outstanding and keeps no
 * stack, so its nesting is not limited here. `= CURSOR_SCAN_START` before each object; the buffer may move in between. */
struct cursor_scan {
	uint64_t offset;  /* bytes passed over; more than there are while a long string arrives */
	uint64_t objects; /* still to come; 0: the object is whole and `offset` bytes long */
};
#define CURSOR_SCAN_START ((struct cursor_scan){.offset = 0, .objects = 1})

/* Goes on over the bytes received so far (from the object's first byte). GOOD: whole. SHORT: more is needed, at least up
 * to offset + objects. BAD as above. */
enum cursor_result cursor_scan(struct cursor_scan *scan, struct bytes received);

#endif
