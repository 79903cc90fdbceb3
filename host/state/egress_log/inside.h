/* What the files of this folder share. No other code should include this file.
 *
 * segment := header record*
 * header  := "sofuneg" 0x00 format:u32le header_bytes:u32le store_id[16] first:u64le time_ms:u64le name:sized crc:u32le
 * record  := length:u32le crc:u32le offset:u64le byte[length]
 *
 * The header's crc is over all before it; a record's is over length, offset and the bytes. */
#ifndef HOST_STATE_EGRESS_LOG_INSIDE_H
#define HOST_STATE_EGRESS_LOG_INSIDE_H

#include <pthread.h>

#include "state/egress_log/egress_log.h"

enum {
	EGRESS_LOG_MAGIC = 0x66e55106,
	EGRESS_FORMAT = 2,
	EGRESS_FORMAT_TIMELESS = 1, /* had no time_ms */
	EGRESS_HEADER_BYTES_MIN = 8 + 4 + 4 + STORE_ID_BYTES + 8 + 1 + 4,
	EGRESS_HEADER_BYTES_MAX = 4096,
	EGRESS_RECORD_HEADER_BYTES = 4 + 4 + 8,
	/* A reader that seeks skips this much at most. */
	EGRESS_INDEX_STEP_BYTES = 65536,
	/* Records are written in pieces of about this size, and read so too. */
	EGRESS_CHUNK_BYTES = 256 * 1024,
};

struct egress_mark {
	uint64_t offset;
	uint64_t position;
};

struct egress_segment {
	uint64_t first;
	uint64_t time_ms;          /* nothing before it is younger; 0: not known */
	uint64_t bytes;            /* published: what readers may read; 0: nothing yet */
	uint64_t written;          /* [applier] not all of it published */
	struct egress_mark *marks; /* rising; where readers have been */
	size_t mark_count;
	size_t mark_capacity;
};

struct egress_log {
	unsigned magic;
	struct disk *disk;
	char *dir;
	uint8_t store_id[STORE_ID_BYTES];
	struct buf name;
	uint64_t segment_bytes;

	pthread_mutex_t mutex;           /* guards the next five */
	struct egress_segment *segments; /* by first offset */
	size_t segment_count;
	size_t segment_capacity;
	uint64_t start;
	uint64_t end; /* published */

	/* The writer's own. */
	uint64_t time_ms;       /* no record is younger; 0: not known */
	size_t dropping;        /* segments that the row no longer counts */
	struct disk_file *file; /* of the last segment; NULL until needed */
	uint64_t write_end;     /* offset after what was appended */
	struct buf pending;     /* goes behind what is written of the last segment */
	bool folder_made;       /* the folder itself is known to be durable */
	bool folder_changed;    /* a file was made in it since the last sync */
	bool broken;            /* an append failed: cut back before the next one */
};

struct egress_header {
	uint32_t format;
	uint32_t bytes;
	uint8_t store_id[STORE_ID_BYTES];
	uint64_t first;
	uint64_t time_ms;
	struct bytes name;
};

void egress_header_put(struct buf *buf, const struct egress_header *header);
/* False if it is no whole header of ours; a newer format is true with only `format` set. */
bool egress_header_take(struct bytes content, struct egress_header *ret_header);

void egress_record_put(struct buf *buf, uint64_t offset, struct bytes record);

enum egress_taken { EGRESS_RECORD, EGRESS_SHORT, EGRESS_DAMAGED };
/* SHORT: more bytes are needed, *ret_size says how many for this record. */
enum egress_taken egress_record_take(
	struct bytes content, uint64_t *ret_offset, struct bytes *ret_record, size_t *ret_size);

/* <dir>/<first, 20 digits>.log; the caller frees it. */
char *egress_segment_path(const struct egress_log *log, uint64_t first);

/* Reads and checks a segment's header, of which only its size and its time are news. */
bool egress_segment_check(const struct egress_log *log, struct disk_file *file, uint64_t first,
	struct egress_header *ret_header, struct error *error);

/* ---- egress_log.c ---- */

bool egress_log_failed(const struct egress_log *log, int system, const char *what, struct error *error);

/* NULL: there is none. */
struct egress_segment *egress_segment_last(struct egress_log *log);

/* [with the mutex, or before anybody reads] */
void egress_segment_add(struct egress_log *log, uint64_t first, uint64_t time_ms, uint64_t bytes);

/* As disk->open and disk->unlink; a file that is gone already is no error. */
int egress_segment_open(const struct egress_log *log, uint64_t first, unsigned flags, struct disk_file **ret_file);
bool egress_segment_remove(const struct egress_log *log, uint64_t first, struct error *error);

/* ---- read.c ---- */

/* Notes where a record stands, if it is far enough from the last note. */
void egress_mark_add(struct egress_segment *segment, uint64_t offset, uint64_t position);

#endif
