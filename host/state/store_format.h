/* The rows that the store itself writes, and the names of its folders. Layout: FORMAT.md, "Databases". */
#ifndef HOST_STATE_STORE_FORMAT_H
#define HOST_STATE_STORE_FORMAT_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/little.h"
#include "state/journal/journal.h"
#include "state/key.h"

enum {
	STORE_FORMAT = 1,     /* of the rows of every database; greater ones are refused */
	STORE_HASH = 1,       /* version of the address hash (base/hash.h) */
	CHECKPOINT_CLEAN = 1, /* flags: an orderly stop; nothing came after */
};

/* 'F' in every database. */
struct format_row {
	uint32_t format;
	uint32_t hash;
	uint8_t store_id[STORE_ID_BYTES];
	uint32_t database; /* 0: runtime, else the function type's number */
	struct bytes name; /* "runtime", or the function type */
};

void format_row_put(struct buf *value, const struct format_row *row);
bool format_row_take(struct bytes value, struct format_row *ret_row);

/* 'C' in every database. */
struct checkpoint_row {
	uint64_t epoch;
	uint64_t time_ms;
	uint8_t flags;
};

void checkpoint_row_put(struct buf *value, const struct checkpoint_row *row);
bool checkpoint_row_take(struct bytes value, struct checkpoint_row *ret_row);

/* 'B' number:u32be in runtime: that database holds a checkpoint of this epoch. */
struct database_row {
	uint32_t number;
	uint64_t epoch;
	struct bytes name;
};

struct key key_database(uint32_t number);
void database_row_put(struct buf *value, const struct database_row *row);
bool database_row_take(struct bytes key, struct bytes value, struct database_row *ret_row);

/* 'r' number:u32be in runtime: what was written to that database. */
struct removals {
	uint64_t rows;      /* removed since it was last compacted */
	uint64_t put_rows;  /* ever: with their bytes, what a row weighs */
	uint64_t put_bytes; /* of keys and values */
};

struct key key_removals(uint32_t number);
void removals_row_put(struct buf *value, const struct removals *removals);
bool removals_row_take(struct bytes key, struct bytes value, uint32_t *ret_number, struct removals *ret_removals);

/* 'E' name in runtime: how far an egress log was written and synced by the last checkpoint. */
struct egress_row {
	uint64_t end;     /* offset after the last record */
	uint64_t segment; /* first offset of the last segment file */
	uint64_t bytes;   /* of that file, its header included; 0: there is no file */
	uint64_t start;   /* first offset that is kept */
	uint64_t time_ms; /* no record is younger; 0: not known */
};

void egress_row_put(struct buf *value, const struct egress_row *row);
bool egress_row_take(struct bytes value, struct egress_row *ret_row);

/* A folder's name for the name of a type or an egress: letters, digits, '.', '-' and '_' stand for themselves, all else
 * is %XX. One that would be too long for a file system is cut and ends in '~' and its hash. */
void path_name(struct buf *path, struct bytes name);

/* dir / sub / encoded name, NUL-terminated; name may be empty. The caller frees it. */
char *path_of(const char *dir, const char *sub, struct bytes name);

/* Little-endian numbers, as everywhere but in keys. */
static inline void buf_append_u32(struct buf *buf, uint32_t value) {
	little_u32_put(buf_reserve(buf, 4), value);
	buf->size += 4;
}

static inline void buf_append_u64(struct buf *buf, uint64_t value) {
	little_u64_put(buf_reserve(buf, 8), value);
	buf->size += 8;
}

#endif
