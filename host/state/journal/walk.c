/* Recovery's reading: record after record along the chain (format.h says which one follows). */
#include "state/journal/recover.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { READ_AHEAD_BYTES = 128 << 10 }; /* most records are whole in the first read */

static bool header_belongs(
	const struct journal *journal, const struct segment *segment, uint64_t offset, const struct record_header *header) {
	return memcmp(header->store, journal->store_id, RECORD_STORE_BYTES) == 0 &&
		(segment->sequence == 0 || header->sequence == segment->sequence) && header->epoch > 0 &&
		RECORD_HEADER_BYTES + (uint64_t)header->length <= segment->bytes - offset;
}

int record_read(
	struct journal *journal, const struct segment *segment, uint64_t offset, struct record_header *ret_header) {
	if (offset >= segment->bytes)
		return 0;
	struct disk_file *file = segment->file;
	uint64_t room = segment->bytes - offset;
	size_t first = room < READ_AHEAD_BYTES ? (size_t)room : READ_AHEAD_BYTES;
	uint8_t *record = journal_buffer(journal, READ_AHEAD_BYTES);
	int64_t got = file->ops->read(file, record, first, offset);
	if (got < 0)
		return (int)got;
	if (got < RECORD_HEADER_BYTES || !record_header_decode(record, ret_header) ||
		!header_belongs(journal, segment, offset, ret_header))
		return 0;
	size_t size = RECORD_HEADER_BYTES + (size_t)ret_header->length;
	if (size > (size_t)got) {
		record = journal_buffer(journal, size);
		got = file->ops->read(file, record, size, offset);
		if (got < 0)
			return (int)got;
	}
	return (size_t)got >= size && record_crc_holds(record, ret_header);
}

static void place_add(struct walk *walk, const struct record_header *header) {
	if (walk->place_count == walk->place_capacity) {
		walk->place_capacity = walk->place_capacity == 0 ? 1024 : walk->place_capacity * 2;
		walk->places = realloc(walk->places, walk->place_capacity * sizeof *walk->places);
		check_memory(walk->places);
	}
	walk->places[walk->place_count++] = (struct record_place){
		.segment = walk->segment,
		.offset = walk->offset,
		.bytes = record_bytes(header->length),
		.epoch = header->epoch,
	};
}

/* The newest segment whose first record is not beyond the checkpoint: older ones hold nothing that is needed. There may
 * be none, though there are records: damage_check tells whether that matters. */
static bool walk_start(struct walk *walk, struct error *error) {
	struct journal *journal = walk->journal;
	struct record_header header;
	for (size_t i = journal->segment_count; i-- > 0;) {
		const struct segment *segment = journal->segments[i];
		if (segment->state != SEGMENT_FREE)
			continue;
		int result = record_read(journal, segment, SEGMENT_HEADER_BYTES, &header);
		if (result < 0)
			return journal_error(journal, segment, result, "cannot read", error);
		if (result == 1 && header.epoch <= walk->checkpoint_epoch + 1) {
			walk->started = true;
			walk->segment = i;
			walk->offset = SEGMENT_HEADER_BYTES;
			return true;
		}
	}
	return true;
}

static bool record_follows(const struct walk *walk, const struct record_header *header) {
	if (walk->last.epoch == 0)
		return header->epoch <= walk->checkpoint_epoch + 1;
	return header->epoch == walk->last.epoch + 1 && header->previous == walk->last.crc &&
		header->generation >= walk->last.generation;
}

/* 1: the next record is in the buffer, and walk->segment and ->offset are its place; 0: the end; else -errno. */
static int walk_next(struct walk *walk, struct record_header *ret_header) {
	struct journal *journal = walk->journal;
	const struct segment *segment = journal->segments[walk->segment];
	int result = record_read(journal, segment, walk->offset, ret_header);
	if (result < 0 || (result == 1 && record_follows(walk, ret_header)))
		return result;
	if (walk->segment + 1 == journal->segment_count)
		return 0;
	const struct segment *next = journal->segments[walk->segment + 1];
	if (next->sequence != segment->sequence + 1)
		return 0;
	result = record_read(journal, next, SEGMENT_HEADER_BYTES, ret_header);
	if (result < 0 || (result == 1 && !record_follows(walk, ret_header)))
		return result < 0 ? result : 0;
	if (result == 1) {
		walk->segment++;
		walk->offset = SEGMENT_HEADER_BYTES;
	}
	return result;
}

static void walk_take(struct walk *walk, const struct record_header *header) {
	place_add(walk, header);
	walk->offset += record_bytes(header->length);
	walk->last = *header;
	walk->end.epoch = header->epoch;
	walk->end.time_ms = header->time_ms;
	walk->end.bytes += record_bytes(header->length);
	if (walk->end.first_epoch == 0)
		walk->end.first_epoch = header->epoch;
	if (header->synced_through > walk->end.synced_through)
		walk->end.synced_through = header->synced_through;
	if (header->generation > walk->journal->generation)
		walk->journal->generation = header->generation;
}

bool walk_run(struct walk *walk,
	bool (*each)(void *arg, uint64_t epoch, uint64_t time_ms, struct bytes body, struct error *error), void *arg,
	struct error *error) {
	if (!walk_start(walk, error))
		return false;
	struct record_header header;
	int result = 0;
	while (walk->started && (result = walk_next(walk, &header)) == 1) {
		walk_take(walk, &header);
		struct bytes body = bytes_of(walk->journal->buffer + RECORD_HEADER_BYTES, header.length);
		if (!each(arg, header.epoch, header.time_ms, body, error))
			return false;
	}
	if (result < 0)
		return journal_error(walk->journal, walk->journal->segments[walk->segment], result, "cannot read", error);
	return true;
}
