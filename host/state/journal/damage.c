/* Recovery's doubt: is what stands behind the end of the journal a torn end, which is normal, or a hole (rule 4)?
 * Everything behind the end is looked through, block by block, for a valid record that says otherwise. */
#include "state/journal/recover.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { SCAN_BYTES = 1 << 20 };

struct scan {
	struct walk *walk;
	const struct segment *segment;
	uint64_t missing; /* the epoch that follows the end */
	uint8_t *chunk;
};

/* Where it is damaged, and what is missing there. */
static void hole_say(const struct scan *scan, struct error *error) {
	const struct walk *walk = scan->walk;
	unsigned long long missing = scan->missing;
	if (scan->segment->sequence == 0)
		error_set(error, ERROR_STORE_FAILED,
			"journal: %s is damaged at offset 0: its header hides epoch %llu, which was durable", scan->segment->path,
			missing);
	else if (walk->started)
		error_set(error, ERROR_STORE_FAILED,
			"journal: %s is damaged at offset %llu: missing is the record of epoch %llu, which was durable",
			walk->journal->segments[walk->segment]->path, (unsigned long long)walk->offset, missing);
	else
		error_set(error, ERROR_STORE_FAILED,
			"journal: %s begins after the databases' checkpoint: missing is the record of epoch %llu, which was "
			"durable",
			walk->journal->dir, missing);
}

static bool hole_report(
	const struct scan *scan, uint64_t offset, const struct record_header *header, struct error *error) {
	hole_say(scan, error);
	error_found(error, "epoch %llu, synced through %llu, in %s at offset %llu", (unsigned long long)header->epoch,
		(unsigned long long)header->synced_through, scan->segment->path, (unsigned long long)offset);
	error_expected(error, "an unbroken chain of records up to it");
	error_hint(error, "nothing was changed: restore the data directory from a backup, or look with sofund --verify");
	return false;
}

/* A record behind the end that was valid when it was written and is not of an earlier use of the file. */
static bool record_is_later(const struct scan *scan, const struct record_header *header) {
	const struct walk *walk = scan->walk;
	return header->epoch >= scan->missing && header->generation >= walk->last.generation &&
		(!walk->started || header->sequence >= walk->journal->segments[walk->segment]->sequence);
}

/* 1: there is one, and it proves no hole; 0: none; -1: error set. */
static int block_check(struct scan *scan, uint64_t offset, uint64_t *ret_bytes, struct error *error) {
	struct walk *walk = scan->walk;
	struct record_header header;
	int result = record_read(walk->journal, scan->segment, offset, &header);
	if (result < 0) {
		journal_error(walk->journal, scan->segment, result, "cannot read", error);
		return -1;
	}
	if (result == 0 || !record_is_later(scan, &header))
		return 0;
	bool hidden = scan->segment->sequence == 0 && header.epoch == scan->missing &&
		(walk->last.epoch == 0 || header.previous == walk->last.crc);
	if (header.synced_through >= scan->missing || hidden) {
		hole_report(scan, offset, &header, error);
		return -1;
	}
	if (header.generation > walk->journal->generation)
		walk->journal->generation = header.generation;
	walk->end.torn = true;
	*ret_bytes = record_bytes(header.length);
	return 1;
}

/* Only blocks with a record's magic are worth a second look. */
static bool chunk_check(struct scan *scan, uint64_t *offset, size_t size, struct error *error) {
	struct record_header header;
	uint64_t start = *offset;
	while (*offset < start + size) {
		uint64_t step = JOURNAL_BLOCK_BYTES;
		if (record_header_decode(scan->chunk + (*offset - start), &header) &&
			block_check(scan, *offset, &step, error) < 0)
			return false;
		*offset += step;
	}
	return true;
}

static bool segment_check(struct scan *scan, uint64_t offset, struct error *error) {
	const struct segment *segment = scan->segment;
	while (offset < segment->bytes) {
		uint64_t rest = segment->bytes - offset;
		size_t size = rest < SCAN_BYTES ? (size_t)rest : SCAN_BYTES;
		memset(scan->chunk, 0, size);
		int64_t got = segment->file->ops->read(segment->file, scan->chunk, size, offset);
		if (got < 0)
			return journal_error(scan->walk->journal, segment, (int)got, "cannot read", error);
		if (!chunk_check(scan, &offset, size, error))
			return false;
	}
	return true;
}

/* Something that was meant to be a record stands right behind the end. */
static bool end_is_torn(struct walk *walk) {
	uint8_t block[JOURNAL_BLOCK_BYTES];
	const struct segment *segment = walk->journal->segments[walk->segment];
	struct record_header header;
	int64_t got = segment->file->ops->read(segment->file, block, sizeof block, walk->offset);
	return got == sizeof block && record_header_decode(block, &header) && header.sequence == segment->sequence &&
		header.generation >= walk->last.generation;
}

static bool segments_check(struct scan *scan, struct error *error) {
	const struct walk *walk = scan->walk;
	const struct journal *journal = walk->journal;
	uint64_t end_sequence = walk->started ? journal->segments[walk->segment]->sequence : 0;
	for (size_t i = 0; i < journal->segment_count; i++) {
		scan->segment = journal->segments[i];
		if (scan->segment->sequence != 0 && scan->segment->sequence < end_sequence)
			continue;
		bool end_here = walk->started && i == walk->segment;
		if (!segment_check(scan, end_here ? walk->offset : SEGMENT_HEADER_BYTES, error))
			return false;
	}
	return true;
}

static bool gap_report(const struct journal *journal, const struct segment *behind, struct error *error) {
	error_set(error, ERROR_STORE_FAILED, "journal: a segment is missing in %s", journal->dir);
	error_found(error, "segment %llu in %s, and none before it", (unsigned long long)behind->sequence, behind->path);
	error_expected(error, "segment %llu", (unsigned long long)behind->sequence - 1);
	error_hint(error, "nothing was changed: put the file back, or restore the whole data directory from one backup");
	return false;
}

/* Segments are numbered one by one, and one has a durable header before the next is begun: so a file is gone where a number behind
 * the end is, though no record vouches for it. What a file with a damaged header may have been was looked at before. */
static bool gap_check(const struct walk *walk, struct error *error) {
	const struct journal *journal = walk->journal;
	const uint64_t end_sequence = walk->started ? journal->segments[walk->segment]->sequence : 1;
	for (size_t i = 0; i < journal->segment_count; i++) {
		const struct segment *segment = journal->segments[i];
		if (segment->state == SEGMENT_DAMAGED)
			return true;
		if (segment->sequence > end_sequence && (i == 0 || journal->segments[i - 1]->sequence + 1 != segment->sequence))
			return gap_report(journal, segment, error);
	}
	return true;
}

static bool end_report(const struct walk *walk, struct error *error) {
	error_set(error, ERROR_STORE_FAILED, "journal: %s ends before the databases' checkpoint", walk->journal->dir);
	error_found(error, "last epoch %llu", (unsigned long long)walk->last.epoch);
	error_expected(error, "at least epoch %llu", (unsigned long long)walk->checkpoint_epoch);
	error_hint(error, "segment files are missing or damaged: restore the whole data directory");
	return false;
}

bool damage_check(struct walk *walk, struct error *error) {
	struct scan scan = {.walk = walk, .missing = walk_end_epoch(walk) + 1, .chunk = check_alloc(1, SCAN_BYTES)};
	if (walk->started)
		walk->end.torn = end_is_torn(walk);
	bool whole = segments_check(&scan, error);
	free(scan.chunk);
	if (whole && walk->last.epoch < walk->checkpoint_epoch)
		return end_report(walk, error);
	return whole && gap_check(walk, error);
}
