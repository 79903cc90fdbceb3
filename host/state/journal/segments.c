/* The life of a segment file: made or recycled (READY) by the applier, written (USED) by the committer, freed by a trim.
 *
 *   new file: zeros, sync, directory sync → FREE → header with the next sequence number, sync → READY → USED → FREE …
 *
 * A segment is freed only when a later one holds a synced record: so there is always a record that tells where the
 * journal ends. */
#include "state/journal/inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum {
	PREWRITE_BYTES = 1 << 20,
	/* Synced this often while a file is pre-written, so that a commit's sync never stands behind a whole segment. */
	PREWRITE_SYNC_BYTES = 4 << 20,
	/* Free files kept for recycling; more are left only by an unusually long journal. */
	FREE_SEGMENTS_MAX = 2,
};

bool journal_error(
	const struct journal *journal, const struct segment *segment, int result, const char *doing, struct error *error) {
	return error_system(
		error, ERROR_STORE_FAILED, -result, "journal: %s %s", doing, segment != NULL ? segment->path : journal->dir);
}

struct segment *journal_segment_add(struct journal *journal, uint32_t slot) {
	if (journal->segment_count == journal->segment_capacity) {
		journal->segment_capacity = journal->segment_capacity == 0 ? 8 : journal->segment_capacity * 2;
		journal->segments = realloc(journal->segments, journal->segment_capacity * sizeof *journal->segments);
		check_memory(journal->segments);
	}
	struct buf path = {0};
	buf_printf(&path, "%s/%06u.segment", journal->dir, (unsigned)slot);
	struct segment *segment = check_alloc(1, sizeof *segment);
	segment->path = (char *)path.data;
	segment->slot = slot;
	journal->segments[journal->segment_count++] = segment;
	return segment;
}

void journal_segment_forget(struct journal *journal, struct segment *segment) {
	check(segment != journal->active);
	size_t place = 0;
	while (place < journal->segment_count && journal->segments[place] != segment)
		place++;
	check(place < journal->segment_count);
	journal->segments[place] = journal->segments[--journal->segment_count];
	if (segment->file != NULL)
		segment->file->ops->close(segment->file);
	free(segment->path);
	free(segment);
}

bool journal_segment_remove(struct journal *journal, struct segment *segment, struct error *error) {
	int result = journal->disk->unlink(journal->disk, segment->path);
	if (result == -ENOENT)
		result = 0;
	if (result == 0)
		result = journal->disk->sync_dir(journal->disk, journal->dir);
	if (result < 0)
		return journal_error(journal, segment, result, "cannot remove", error);
	pthread_mutex_lock(&journal->lock);
	journal_segment_forget(journal, segment);
	pthread_cond_broadcast(&journal->prepared);
	pthread_mutex_unlock(&journal->lock);
	return true;
}

uint64_t journal_sequence_last(const struct journal *journal) {
	uint64_t last = 0;
	for (size_t i = 0; i < journal->segment_count; i++) {
		const struct segment *segment = journal->segments[i];
		if (segment->state != SEGMENT_FREE && segment->sequence > last)
			last = segment->sequence;
	}
	return last;
}

int journal_segment_head(struct journal *journal, struct segment *segment) {
	uint8_t block[SEGMENT_HEADER_BYTES];
	struct segment_header header = {
		.format = JOURNAL_FORMAT,
		.sequence = segment->sequence,
		.bytes = segment->bytes,
		.generation = journal->generation,
	};
	memcpy(header.store_id, journal->store_id, STORE_ID_BYTES);
	segment_header_encode(&header, block);
	int result = segment->file->ops->write(segment->file, block, sizeof block, 0);
	return result < 0 ? result : segment->file->ops->sync(segment->file);
}

/* Real zeros, not fallocate: an extent that was only reserved must be converted at the first write into it, and that
 * conversion is what the sync of an append would pay for. */
static int segment_prewrite(struct segment *segment) {
	uint8_t *zeros = check_alloc(1, PREWRITE_BYTES);
	int result = 0;
	for (uint64_t at = 0; result == 0 && at < segment->bytes; at += PREWRITE_BYTES) {
		uint64_t rest = segment->bytes - at;
		result =
			segment->file->ops->write(segment->file, zeros, rest < PREWRITE_BYTES ? (size_t)rest : PREWRITE_BYTES, at);
		if (result == 0 && (at + PREWRITE_BYTES) % PREWRITE_SYNC_BYTES == 0)
			result = segment->file->ops->sync(segment->file);
	}
	free(zeros);
	return result < 0 ? result : segment->file->ops->sync(segment->file);
}

static int segment_create(struct journal *journal, struct segment *segment) {
	segment->bytes = journal->segment_bytes;
	int result = journal->disk->open(
		journal->disk, segment->path, DISK_READ | DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &segment->file);
	if (result == 0)
		result = segment_prewrite(segment);
	return result < 0 ? result : journal->disk->sync_dir(journal->disk, journal->dir);
}

/* REQUIRES lock. A name that no known file has. */
static uint32_t slot_unused(const struct journal *journal) {
	uint32_t slot = 1;
	for (size_t i = 0; i < journal->segment_count; i++)
		if (journal->segments[i]->slot >= slot)
			slot = journal->segments[i]->slot + 1;
	check(slot <= JOURNAL_SLOT_MAX);
	return slot;
}

static struct segment *segment_in_state(const struct journal *journal, enum segment_state state) {
	struct segment *found = NULL;
	for (size_t i = 0; i < journal->segment_count; i++) {
		struct segment *segment = journal->segments[i];
		if (segment->state == state && (found == NULL || segment->sequence < found->sequence))
			found = segment;
	}
	return found;
}

/* REQUIRES lock. The free segment to be recycled, or a new one without file; PREPARING, and numbered. */
static struct segment *segment_choose(struct journal *journal) {
	uint64_t sequence = journal_sequence_last(journal) + 1;
	struct segment *segment = segment_in_state(journal, SEGMENT_FREE);
	if (segment == NULL)
		segment = journal_segment_add(journal, slot_unused(journal));
	segment->state = SEGMENT_PREPARING;
	segment->sequence = sequence;
	segment->last_epoch = 0;
	return segment;
}

/* Without lock: writes what segment_choose chose. A segment that could not be made is removed whole, so that no second
 * file with its number can ever be found. */
static bool segment_make(struct journal *journal, struct segment *segment, struct error *error) {
	int result = segment->file == NULL ? segment_create(journal, segment) : 0;
	if (result == 0)
		result = journal_segment_head(journal, segment);
	if (result < 0) {
		struct error removing;
		journal_error(journal, segment, result, "cannot write", error);
		if (!journal_segment_remove(journal, segment, &removing))
			*error = removing;
		return false;
	}
	pthread_mutex_lock(&journal->lock);
	segment->state = SEGMENT_READY;
	pthread_cond_broadcast(&journal->prepared);
	pthread_mutex_unlock(&journal->lock);
	return true;
}

bool journal_prepare(struct journal *journal, struct error *error) {
	CHECK_OBJECT(journal, JOURNAL_MAGIC);
	check(journal->recovered);
	struct segment *chosen = NULL;
	pthread_mutex_lock(&journal->lock);
	if (segment_in_state(journal, SEGMENT_READY) == NULL && segment_in_state(journal, SEGMENT_PREPARING) == NULL)
		chosen = segment_choose(journal);
	pthread_mutex_unlock(&journal->lock);
	return chosen == NULL || segment_make(journal, chosen, error) || error->system == ENOSPC;
}

/* The READY segment, now USED and active; or the one chosen to be made, if there is none. */
static struct segment *segment_take_or_choose(struct journal *journal) {
	struct segment *chosen = NULL;
	pthread_mutex_lock(&journal->lock);
	while (segment_in_state(journal, SEGMENT_PREPARING) != NULL)
		pthread_cond_wait(&journal->prepared, &journal->lock);
	struct segment *ready = segment_in_state(journal, SEGMENT_READY);
	if (ready != NULL) {
		ready->state = SEGMENT_USED;
		journal->active = ready;
		journal->offset = SEGMENT_HEADER_BYTES;
	} else {
		chosen = segment_choose(journal);
	}
	pthread_mutex_unlock(&journal->lock);
	return chosen;
}

bool journal_segment_take(struct journal *journal, struct error *error) {
	struct segment *chosen;
	while ((chosen = segment_take_or_choose(journal)) != NULL)
		if (!segment_make(journal, chosen, error))
			return false;
	return true;
}

/* REQUIRES lock. Frees what is trimmed; a file of another size than is wanted now, or one too many, is to be removed:
 * returned, one a call. */
static struct segment *segments_free(struct journal *journal) {
	size_t kept = 0;
	uint64_t synced = atomic_load(&journal->synced);
	for (size_t i = 0; i < journal->segment_count; i++) {
		struct segment *segment = journal->segments[i];
		if (segment->state == SEGMENT_USED && segment != journal->active && segment->last_epoch <= journal->trimmed &&
			segment->last_epoch < synced)
			segment->state = SEGMENT_FREE;
		if (segment->state != SEGMENT_FREE)
			continue;
		if (segment->bytes != journal->segment_bytes || kept == FREE_SEGMENTS_MAX) {
			segment->state = SEGMENT_LEAVING;
			return segment;
		}
		kept++;
	}
	return NULL;
}

bool journal_trim(struct journal *journal, uint64_t epoch, struct error *error) {
	CHECK_OBJECT(journal, JOURNAL_MAGIC);
	check(journal->recovered);
	check(epoch <= journal_synced(journal)); /* rule 2 */
	struct segment *surplus;
	do {
		pthread_mutex_lock(&journal->lock);
		if (epoch > journal->trimmed)
			journal->trimmed = epoch;
		journal_marks_trim(&journal->marks, journal->trimmed);
		surplus = segments_free(journal);
		pthread_mutex_unlock(&journal->lock);
		if (surplus != NULL && !journal_segment_remove(journal, surplus, error))
			return false;
	} while (surplus != NULL);
	return true;
}
