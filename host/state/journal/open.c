/* Opening the journal's directory: which segment files there are, and what their headers say. Reads only. */
#include "state/journal/inside.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum {
	SEGMENT_BYTES_MIN = 2 * JOURNAL_BLOCK_BYTES,
	SEGMENT_BYTES_MAX = 1 << 30, /* so that a length fits 32 bits with room to spare */
};

/* The slot in `NNNNNN.segment`; 0 for other names, which are nobody's business here. */
static uint32_t slot_of_name(const char *name) {
	uint32_t slot = 0;
	for (int i = 0; i < 6; i++) {
		if (!isdigit((unsigned char)name[i]))
			return 0;
		slot = slot * 10 + (uint32_t)(name[i] - '0');
	}
	return strcmp(name + 6, ".segment") == 0 ? slot : 0;
}

static void name_found(void *arg, const char *name) {
	struct journal *journal = arg;
	uint32_t slot = slot_of_name(name);
	if (slot != 0)
		journal_segment_add(journal, slot);
}

static bool header_refuse(
	const struct segment *segment, const struct segment_header *header, bool store, struct error *error) {
	error_set(error, ERROR_REFUSED, "journal: %s %s", segment->path,
		store ? "belongs to another store" : "is of a newer format");
	if (store) {
		error_found(error, "store id %02x%02x%02x%02x…", header->store_id[0], header->store_id[1], header->store_id[2],
			header->store_id[3]);
		error_expected(error, "the store id of the runtime database");
		error_hint(error, "put back the journal that belongs to these databases, or restore the whole data directory");
	} else {
		error_found(error, "format %u", (unsigned)header->format);
		error_expected(error, "at most %u", (unsigned)JOURNAL_FORMAT);
		error_hint(error, "start the sofund version that wrote it");
	}
	return false;
}

/* A header whose numbers cannot be is as good as a damaged one, CRC or not. */
static bool header_plausible(const struct segment_header *header, int64_t file_bytes) {
	return header->sequence > 0 && header->bytes >= SEGMENT_BYTES_MIN && header->bytes <= SEGMENT_BYTES_MAX &&
		header->bytes % JOURNAL_BLOCK_BYTES == 0 && (int64_t)header->bytes <= file_bytes;
}

static bool segment_judge(struct journal *journal, struct segment *segment, const uint8_t *block, struct error *error) {
	struct segment_header header;
	switch (segment_header_decode(block, &header)) {
	case SEGMENT_HEADER_BLANK:
		segment->state = SEGMENT_BLANK;
		return true;
	case SEGMENT_HEADER_VALID:
		if (header.format > JOURNAL_FORMAT)
			return header_refuse(segment, &header, false, error);
		if (memcmp(header.store_id, journal->store_id, STORE_ID_BYTES) != 0)
			return header_refuse(segment, &header, true, error);
		if (header_plausible(&header, (int64_t)segment->bytes)) {
			segment->state = SEGMENT_FREE; /* until recovery finds that it is needed */
			segment->sequence = header.sequence;
			segment->format = header.format;
			segment->bytes = header.bytes;
			if (header.generation > journal->generation)
				journal->generation = header.generation;
			return true;
		}
		break;
	case SEGMENT_HEADER_DAMAGED:
		break;
	}
	segment->state = SEGMENT_DAMAGED;
	segment->bytes = segment->bytes / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
	return true;
}

static bool segment_open(struct journal *journal, struct segment *segment, struct error *error) {
	uint8_t block[SEGMENT_HEADER_BYTES] = {0};
	int64_t result = journal->disk->open(journal->disk, segment->path, DISK_READ, &segment->file);
	if (result == 0)
		result = segment->file->ops->size(segment->file);
	if (result >= 0) {
		segment->bytes = (uint64_t)result;
		result = segment->file->ops->read(segment->file, block, sizeof block, 0);
	}
	if (result < 0)
		return journal_error(journal, segment, (int)result, "cannot read", error);
	return segment_judge(journal, segment, block, error);
}

static int segment_order(const void *a, const void *b) {
	const struct segment *left = *(struct segment *const *)a, *right = *(struct segment *const *)b;
	if (left->sequence != right->sequence)
		return left->sequence < right->sequence ? -1 : 1;
	return left->slot < right->slot ? -1 : left->slot > right->slot;
}

/* In the order of the journal: recovery relies on it. */
static bool segments_sort(struct journal *journal, struct error *error) {
	if (journal->segment_count > 0)
		qsort(journal->segments, journal->segment_count, sizeof *journal->segments, segment_order);
	for (size_t i = 1; i < journal->segment_count; i++) {
		const struct segment *before = journal->segments[i - 1], *segment = journal->segments[i];
		if (segment->sequence == 0 || segment->sequence != before->sequence)
			continue;
		error_set(
			error, ERROR_STORE_FAILED, "journal: two files are segment %llu", (unsigned long long)segment->sequence);
		error_found(error, "%s, %s", before->path, segment->path);
		error_expected(error, "one file a segment");
		error_hint(error, "a file was copied within the journal: take the copy away");
		return false;
	}
	return true;
}

static bool segments_open(struct journal *journal, struct error *error) {
	int result = journal->disk->list(journal->disk, journal->dir, name_found, journal);
	if (result < 0 && result != -ENOENT) /* recovery makes the directory */
		return journal_error(journal, NULL, result, "cannot list", error);
	for (size_t i = 0; i < journal->segment_count; i++)
		if (!segment_open(journal, journal->segments[i], error))
			return false;
	return segments_sort(journal, error);
}

struct journal *journal_open(const struct journal_options *options, struct error *error) {
	check(options->segment_bytes % JOURNAL_BLOCK_BYTES == 0);
	check(options->segment_bytes >= SEGMENT_BYTES_MIN && options->segment_bytes <= SEGMENT_BYTES_MAX);
	struct journal *journal = check_alloc(1, sizeof *journal);
	journal->magic = JOURNAL_MAGIC;
	journal->disk = options->disk;
	journal->dir = check_strdup(options->dir);
	journal->segment_bytes = options->segment_bytes;
	memcpy(journal->store_id, options->store_id, STORE_ID_BYTES);
	pthread_mutex_init(&journal->lock, NULL);
	pthread_cond_init(&journal->prepared, NULL);
	atomic_init(&journal->synced, 0);
	atomic_flag_clear(&journal->writing);
	if (segments_open(journal, error))
		return journal;
	journal_close(journal);
	return NULL;
}
