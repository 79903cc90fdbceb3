/* Recovery of the journal, in order: walk the chain, look behind its end for damage, then (unless readonly) make the
 * tail durable, sort the segment files into used, ready, free and useless, and start a new generation. Runs on one
 * thread, before anything is appended. */
#include "state/journal/recover.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { REWRITE_BYTES = 1 << 20 };

/* The same bytes over themselves: nothing can be torn by it, and what only the page cache held is dirty again. */
static int range_rewrite(struct journal *journal, struct segment *segment, uint64_t offset, uint64_t bytes) {
	uint8_t *buffer = journal_buffer(journal, REWRITE_BYTES);
	while (bytes > 0) {
		size_t size = bytes < REWRITE_BYTES ? (size_t)bytes : REWRITE_BYTES;
		int64_t got = segment->file->ops->read(segment->file, buffer, size, offset);
		if (got <= 0)
			return (int)got;
		int result = segment->file->ops->write(segment->file, buffer, (size_t)got, offset);
		if (result < 0)
			return result;
		offset += (uint64_t)got;
		bytes -= (uint64_t)got;
	}
	return 0;
}

/* Rule 7: after a failed sync the page cache shows what the disk does not hold. */
static bool tail_rewrite(struct walk *walk, struct error *error) {
	struct journal *journal = walk->journal;
	uint64_t synced =
		walk->end.synced_through > walk->checkpoint_epoch ? walk->end.synced_through : walk->checkpoint_epoch;
	size_t first = walk->place_count;
	while (first > 0 && walk->places[first - 1].epoch > synced)
		first--;
	for (size_t i = first; i < walk->place_count; i++) {
		const struct record_place *place = &walk->places[i];
		struct segment *segment = journal->segments[place->segment];
		int result = range_rewrite(journal, segment, place->offset, place->bytes);
		bool last = i + 1 == walk->place_count || walk->places[i + 1].segment != place->segment;
		if (result == 0 && last)
			result = segment->file->ops->sync(segment->file);
		if (result < 0)
			return journal_error(journal, segment, result, "cannot rewrite the tail of", error);
	}
	return true;
}

/* The header of the segment in advance may be one whose sync failed. */
static bool ready_rewrite(struct journal *journal, struct segment *segment, struct error *error) {
	int result = range_rewrite(journal, segment, 0, SEGMENT_HEADER_BYTES);
	if (result == 0)
		result = segment->file->ops->sync(segment->file);
	return result == 0 || journal_error(journal, segment, result, "cannot rewrite", error);
}

/* Used: from the start of the walk to its end. Ready: the one right behind. Free: the ones before. The rest holds
 * nothing that counts, as damage_check has found, and must not stay: its number will be given anew. Behind a torn end
 * that goes for the next one too: its first record may be one that was never durable, and must not be met again by a
 * walk that starts there. */
static enum segment_state segment_sort(const struct walk *walk, size_t index) {
	const struct journal *journal = walk->journal;
	const struct segment *segment = journal->segments[index];
	if (!walk->started || segment->state != SEGMENT_FREE)
		return SEGMENT_LEAVING;
	size_t start = walk->places[0].segment;
	if (index >= start && index <= walk->segment)
		return SEGMENT_USED;
	if (segment->bytes != journal->segment_bytes)
		return SEGMENT_LEAVING;
	if (index < start)
		return SEGMENT_FREE;
	bool next = segment->sequence == journal->segments[walk->segment]->sequence + 1;
	return next && !walk->end.torn ? SEGMENT_READY : SEGMENT_LEAVING;
}

static bool segment_reopen(struct journal *journal, struct segment *segment, struct error *error) {
	segment->file->ops->close(segment->file);
	segment->file = NULL;
	int result = journal->disk->open(journal->disk, segment->path, DISK_READ | DISK_WRITE, &segment->file);
	return result == 0 || journal_error(journal, segment, result, "cannot open for writing", error);
}

static bool segments_adopt(struct walk *walk, struct error *error) {
	struct journal *journal = walk->journal;
	for (size_t i = 0; i < journal->segment_count; i++) {
		struct segment *segment = journal->segments[i];
		segment->state = segment_sort(walk, i);
		if (segment->state != SEGMENT_LEAVING && !segment_reopen(journal, segment, error))
			return false;
	}
	for (size_t i = 0; i < walk->place_count; i++)
		journal->segments[walk->places[i].segment]->last_epoch = walk->places[i].epoch;
	if (!walk->started)
		return true;
	journal->active = journal->segments[walk->segment];
	journal->offset = walk->offset;
	journal->previous = walk->last.crc;
	return true;
}

/* What is written from here on is of this format, into the active segment of an older one, too: whoever knows only that one
 * must refuse it. In place: the bytes that change are in one sector. */
static bool format_raise(struct journal *journal, struct segment *segment, struct error *error) {
	bool written = segment == journal->active || segment->state == SEGMENT_READY;
	int result = written && segment->format < JOURNAL_FORMAT ? journal_segment_head(journal, segment) : 0;
	return result == 0 || journal_error(journal, segment, result, "cannot write the format into", error);
}

/* Removes and makes ready, the newest first: one that dies in between leaves no gap, which would be taken for a lost file. The
 * order of segments is lost with the first removal, but for those that are still to come. */
static bool segments_settle(struct journal *journal, struct error *error) {
	for (size_t i = journal->segment_count; i-- > 0;) {
		struct segment *segment = journal->segments[i];
		if (segment->state == SEGMENT_READY && !ready_rewrite(journal, segment, error))
			return false;
		if (!format_raise(journal, segment, error))
			return false;
		if (segment->state == SEGMENT_LEAVING && !journal_segment_remove(journal, segment, error))
			return false;
	}
	return true;
}

static bool directory_settle(struct journal *journal, struct error *error) {
	int result = journal->disk->mkdir(journal->disk, journal->dir);
	if (result == 0)
		result = disk_sync_parent(journal->disk, journal->dir);
	if (result == 0)
		result = journal->disk->sync_dir(journal->disk, journal->dir);
	return result == 0 || journal_error(journal, NULL, result, "cannot make or sync", error);
}

static bool journal_resume(struct walk *walk, struct error *error) {
	struct journal *journal = walk->journal;
	if (!directory_settle(journal, error) || !segments_adopt(walk, error) || !tail_rewrite(walk, error) ||
		!segments_settle(journal, error))
		return false;
	for (size_t i = 0; i < walk->place_count; i++)
		if (walk->places[i].epoch > walk->checkpoint_epoch)
			journal_marks_add(&journal->marks, walk->places[i].epoch, walk->places[i].bytes);
	journal->generation++;
	journal->epoch = walk->last.epoch;
	journal->trimmed = walk->checkpoint_epoch;
	atomic_store(&journal->synced, walk->last.epoch);
	journal->recovered = true;
	return true;
}

bool journal_recover(struct journal *journal, uint64_t checkpoint_epoch, bool readonly,
	bool (*each)(void *arg, uint64_t epoch, uint64_t time_ms, struct bytes body, struct error *error), void *arg,
	struct journal_end *ret_end, struct error *error) {
	CHECK_OBJECT(journal, JOURNAL_MAGIC);
	check(!journal->recovered);
	struct walk walk = {.journal = journal, .checkpoint_epoch = checkpoint_epoch};
	bool good =
		walk_run(&walk, each, arg, error) && damage_check(&walk, error) && (readonly || journal_resume(&walk, error));
	if (good)
		*ret_end = walk.end;
	free(walk.places);
	return good;
}
