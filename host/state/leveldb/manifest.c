/* The format is that of LevelDB's logs (its doc/log_format.md): blocks of 32 KiB with pieces of records,
 *
 *   piece := crc:u32le size:u16le kind:u8 byte[size]     the crc, masked, is over kind and bytes
 *
 * and zeros where a block's rest is too short for a piece. */
#include "state/leveldb/manifest.h"

#include "base/crc32c.h"
#include "base/little.h"

enum { BLOCK_BYTES = 32768, PIECE_HEADER_BYTES = 7 };
enum piece_kind { PIECE_FULL = 1, PIECE_FIRST = 2, PIECE_MIDDLE = 3, PIECE_LAST = 4 };

struct piece {
	enum piece_kind kind;
	size_t size; /* with its header */
};

static uint32_t crc_masked(struct bytes bytes) {
	uint32_t crc = crc32c(0, bytes.data, bytes.size);
	return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* The piece at offset, if a whole one stands there. */
static bool piece_read(struct bytes content, size_t offset, struct piece *ret_piece) {
	size_t room = BLOCK_BYTES - offset % BLOCK_BYTES;
	if (room > content.size - offset)
		room = content.size - offset;
	if (room < PIECE_HEADER_BYTES)
		return false;
	const uint8_t *at = content.data + offset;
	size_t size = (size_t)at[4] | (size_t)at[5] << 8;
	if (at[6] < PIECE_FULL || at[6] > PIECE_LAST || size > room - PIECE_HEADER_BYTES ||
		crc_masked(bytes_of(at + 6, size + 1)) != little_u32(at))
		return false;
	*ret_piece = (struct piece){.kind = (enum piece_kind)at[6], .size = PIECE_HEADER_BYTES + size};
	return true;
}

/* A record that begins behind a place that holds none: then that place is a damage, not a torn end. */
static bool record_begins_behind(struct bytes content, size_t offset) {
	struct piece piece;
	for (size_t at = offset + 1; at < content.size; at++) {
		if (piece_read(content, at, &piece) && (piece.kind == PIECE_FULL || piece.kind == PIECE_FIRST))
			return true;
	}
	return false;
}

bool manifest_last_record(struct bytes content, uint64_t *ret_offset) {
	size_t last = 0;
	size_t offset = 0;
	bool within = false; /* a record has begun and not ended */
	bool torn = false;
	while (offset < content.size && !torn) {
		struct piece piece = {0};
		size_t room = BLOCK_BYTES - offset % BLOCK_BYTES;
		if (room < PIECE_HEADER_BYTES) {
			offset += room;
			continue;
		}
		torn = !piece_read(content, offset, &piece);
		if (!within)
			last = offset;
		within = piece.kind == PIECE_FIRST || piece.kind == PIECE_MIDDLE;
		offset += piece.size;
	}
	*ret_offset = last;
	return last > 0 && !(torn && record_begins_behind(content, offset));
}
