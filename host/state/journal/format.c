/* Encoding and decoding of the journal's two headers; pure, any thread. */
#include "state/journal/format.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/little.h"

static const uint8_t segment_magic[4] = {'s', 'J', 's', '1'};
static const uint8_t record_magic[4] = {'s', 'J', 'r', '1'};

void segment_header_encode(const struct segment_header *header, uint8_t *block) {
	memset(block, 0, SEGMENT_HEADER_BYTES);
	memcpy(block + 4, segment_magic, sizeof segment_magic);
	little_u32_put(block + 8, header->format);
	little_u32_put(block + 12, JOURNAL_BLOCK_BYTES);
	little_u64_put(block + 16, header->sequence);
	little_u64_put(block + 24, header->bytes);
	memcpy(block + 32, header->store_id, STORE_ID_BYTES);
	little_u64_put(block + 48, header->generation);
	little_u32_put(block, crc32c(0, block + 4, SEGMENT_HEADER_BYTES - 4));
}

static bool block_is_zero(const uint8_t *block) {
	return block[0] == 0 && memcmp(block, block + 1, SEGMENT_HEADER_BYTES - 1) == 0;
}

enum segment_header_kind segment_header_decode(const uint8_t *block, struct segment_header *ret_header) {
	if (block_is_zero(block))
		return SEGMENT_HEADER_BLANK;
	if (memcmp(block + 4, segment_magic, sizeof segment_magic) != 0 ||
		little_u32(block) != crc32c(0, block + 4, SEGMENT_HEADER_BYTES - 4))
		return SEGMENT_HEADER_DAMAGED;
	ret_header->format = little_u32(block + 8);
	ret_header->sequence = little_u64(block + 16);
	ret_header->bytes = little_u64(block + 24);
	memcpy(ret_header->store_id, block + 32, STORE_ID_BYTES);
	ret_header->generation = little_u64(block + 48);
	return SEGMENT_HEADER_VALID;
}

static uint32_t record_crc(const uint8_t *record, uint32_t length) {
	return crc32c(0, record + 4, RECORD_HEADER_BYTES - 4 + (size_t)length);
}

void record_seal(uint8_t *record, struct record_header *header) {
	memcpy(record + 4, record_magic, sizeof record_magic);
	memcpy(record + 8, header->store, RECORD_STORE_BYTES);
	little_u64_put(record + 16, header->sequence);
	little_u64_put(record + 24, header->generation);
	little_u64_put(record + 32, header->epoch);
	little_u64_put(record + 40, header->time_ms);
	little_u64_put(record + 48, header->synced_through);
	little_u32_put(record + 56, header->previous);
	little_u32_put(record + 60, header->length);
	header->crc = record_crc(record, header->length);
	little_u32_put(record, header->crc);
}

bool record_header_decode(const uint8_t *record, struct record_header *ret_header) {
	if (memcmp(record + 4, record_magic, sizeof record_magic) != 0)
		return false;
	ret_header->crc = little_u32(record);
	memcpy(ret_header->store, record + 8, RECORD_STORE_BYTES);
	ret_header->sequence = little_u64(record + 16);
	ret_header->generation = little_u64(record + 24);
	ret_header->epoch = little_u64(record + 32);
	ret_header->time_ms = little_u64(record + 40);
	ret_header->synced_through = little_u64(record + 48);
	ret_header->previous = little_u32(record + 56);
	ret_header->length = little_u32(record + 60);
	return true;
}

bool record_crc_holds(const uint8_t *record, const struct record_header *header) {
	return record_crc(record, header->length) == header->crc;
}
