/* The layout of the journal, shared by its writer (write.c, segments.c) and its reader
 * (recover.c). No other code should include this file; FORMAT.md says the same for people.
 *
 * The journal is a directory of segment files `NNNNNN.segment`. A file keeps its name for life; which place of the
 * journal it holds is said by its first block, so that recycling one is one write of 4 KiB. A new file is written full
 * of zeros and synced, and only then gets its first block: an all-zero first block is a file that was never finished.
 * Numbers are little-endian. CRC is CRC-32C.
 *
 * Segment header: block 0 of the file
 *
 *   offset size
 *        0    4  CRC of bytes 4 to 4095
 *        4    4  magic "sJs1"
 *        8    4  format version: 2; 1 had no `like` in its redo
 *       12    4  block size: 4096
 *       16    8  sequence number of the segment in the journal, from 1, without holes
 *       24    8  size of the file
 *       32   16  store id
 *       48    8  generation of the process that wrote this header
 *       56       zeros
 *
 * Magic, CRC and version keep their places in every version, so that a newer format is refused by name.
 *
 * Record: starts at a block boundary, never crosses the file's end; what is left of its last block is zeros
 *
 *   offset size
 *        0    4  CRC of bytes 4 to 63 + length
 *        4    4  magic "sJr1"
 *        8    8  the first 8 bytes of the store id
 *       16    8  sequence number of the segment it was written for
 *       24    8  generation: one more at each start of the process
 *       32    8  epoch
 *       40    8  time of the epoch, milliseconds since 1970
 *       48    8  synced_through: the last epoch known to be durable when this was written
 *       56    4  CRC field of the record before; 0 for the first of a store
 *       60    4  length of the body
 *       64       body: redo (redo.h)
 *
 * Which record follows: the one behind it in the same segment, or the first one of the segment with the next sequence
 * number, with epoch + 1, the right CRC of the record before, and a generation not lower. A block that holds none is
 * the end of the journal, and what stands there may be zeros, a torn record, or a stale one of an earlier use of the
 * file (its sequence, generation or chain says so). It is a hole, and corruption, if a valid record anywhere behind it
 * says synced_through >= the epoch that is missing (rule 4). The very last record is ambiguous: damage to it looks like
 * a torn end, and no format can tell, because nothing later vouches for it. */
#ifndef HOST_STATE_JOURNAL_FORMAT_H
#define HOST_STATE_JOURNAL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state/journal/journal.h"

enum {
	JOURNAL_FORMAT = 2,
	SEGMENT_HEADER_BYTES = JOURNAL_BLOCK_BYTES,
	RECORD_HEADER_BYTES = 64,
	RECORD_STORE_BYTES = 8,
};

struct segment_header {
	uint32_t format;
	uint64_t sequence;
	uint64_t bytes;
	uint64_t generation;
	uint8_t store_id[STORE_ID_BYTES];
};

enum segment_header_kind {
	SEGMENT_HEADER_BLANK, /* zeros: the file was never finished */
	SEGMENT_HEADER_DAMAGED,
	SEGMENT_HEADER_VALID, /* of this or a newer format: look at ->format */
};

/* block: SEGMENT_HEADER_BYTES */
void segment_header_encode(const struct segment_header *header, uint8_t *block);
enum segment_header_kind segment_header_decode(const uint8_t *block, struct segment_header *ret_header);

struct record_header {
	uint32_t crc; /* set by record_seal and record_header_decode */
	uint8_t store[RECORD_STORE_BYTES];
	uint64_t sequence;
	uint64_t generation;
	uint64_t epoch;
	uint64_t time_ms;
	uint64_t synced_through;
	uint32_t previous;
	uint32_t length;
};

/* Writes the header in front of the body, which already stands at record + RECORD_HEADER_BYTES; sets header->crc. */
void record_seal(uint8_t *record, struct record_header *header);

/* False if there is no record's magic. Says nothing of the CRC: the body may not have been read yet. */
bool record_header_decode(const uint8_t *record, struct record_header *ret_header);

/* REQUIRES: the whole record in memory. */
bool record_crc_holds(const uint8_t *record, const struct record_header *header);

/* What a record with a body of that length takes in the file. */
static inline uint64_t record_bytes(uint64_t length) {
	uint64_t bytes = RECORD_HEADER_BYTES + length;
	return (bytes + JOURNAL_BLOCK_BYTES - 1) / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
}

#endif
