/* The committer's side of the journal: append, sync, close. One aligned buffer, one write and one sync an epoch. */
#include "state/journal/inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum {
	BUFFER_BYTES_FIRST = 256 << 10,
};

uint64_t journal_body_max(const struct journal *journal) {
	return journal->segment_bytes - SEGMENT_HEADER_BYTES - RECORD_HEADER_BYTES;
}

uint64_t journal_synced(const struct journal *journal) {
	return atomic_load(&journal->synced);
}

uint64_t journal_untrimmed_bytes(const struct journal *journal) {
	struct journal *shared = (struct journal *)journal; /* the lock is no part of what the reader sees */
	pthread_mutex_lock(&shared->lock);
	uint64_t bytes = shared->marks.total;
	pthread_mutex_unlock(&shared->lock);
	return bytes;
}

uint8_t *journal_buffer(struct journal *journal, size_t bytes) {
	if (bytes <= journal->buffer_bytes)
		return journal->buffer;
	size_t size = journal->buffer_bytes == 0 ? BUFFER_BYTES_FIRST : journal->buffer_bytes;
	while (size < bytes)
		size *= 2;
	free(journal->buffer);
	void *memory = NULL;
	int result = posix_memalign(&memory, JOURNAL_BLOCK_BYTES, size);
	check(result == 0);
	journal->buffer = memory;
	journal->buffer_bytes = size;
	return journal->buffer;
}

/* Two threads inside at once, or writing before recovery, is a mistake of the host. */
static void writer_enter(struct journal *journal) {
	CHECK_OBJECT(journal, JOURNAL_MAGIC);
	check(journal->recovered);
	check(!atomic_flag_test_and_set(&journal->writing));
}

static bool writer_leave(struct journal *journal, bool result) {
	atomic_flag_clear(&journal->writing);
	return result;
}

/* Out of space may pass; anything else is remembered and said again to whoever asks again. */
static bool writer_failed(struct journal *journal, const struct error *error) {
	if (error->system != ENOSPC) {
		journal->failed = true;
		journal->failure = *error;
	}
	return false;
}

static uint64_t parts_length(const struct bytes *parts, size_t count) {
	uint64_t length = 0;
	for (size_t i = 0; i < count; i++)
		length += parts[i].size;
	return length;
}

/* Header, parts and zeros up to the block's end, in the reused buffer. */
static uint8_t *record_build(
	struct journal *journal, struct record_header *header, const struct bytes *parts, size_t count) {
	size_t bytes = (size_t)record_bytes(header->length);
	uint8_t *record = journal_buffer(journal, bytes);
	uint8_t *at = record + RECORD_HEADER_BYTES;
	for (size_t i = 0; i < count; i++) {
		if (parts[i].size > 0)
			memcpy(at, parts[i].data, parts[i].size);
		at += parts[i].size;
	}
	memset(at, 0, (size_t)(record + bytes - at));
	record_seal(record, header);
	return record;
}

static void record_written(struct journal *journal, const struct record_header *header) {
	uint64_t bytes = record_bytes(header->length);
	pthread_mutex_lock(&journal->lock);
	journal->active->last_epoch = header->epoch;
	journal_marks_add(&journal->marks, header->epoch, bytes);
	pthread_mutex_unlock(&journal->lock);
	journal->active->dirty = true;
	journal->offset += bytes;
	journal->epoch = header->epoch;
	journal->previous = header->crc;
}

static bool record_write(struct journal *journal, uint64_t epoch, uint64_t time_ms, const struct bytes *parts,
	size_t count, struct error *error) {
	uint64_t length = parts_length(parts, count);
	check(length <= journal_body_max(journal));
	if (journal->active == NULL || journal->active->bytes - journal->offset < record_bytes(length))
		if (!journal_segment_take(journal, error))
			return writer_failed(journal, error);
	struct record_header header = {
		.sequence = journal->active->sequence,
		.generation = journal->generation,
		.epoch = epoch,
		.time_ms = time_ms,
		.synced_through = journal_synced(journal),
		.previous = journal->previous,
		.length = (uint32_t)length,
	};
	memcpy(header.store, journal->store_id, RECORD_STORE_BYTES);
	uint8_t *record = record_build(journal, &header, parts, count);
	struct disk_file *file = journal->active->file;
	int result = file->ops->write(file, record, (size_t)record_bytes(length), journal->offset);
	if (result < 0) {
		journal_error(journal, journal->active, result, "cannot append to", error);
		return writer_failed(journal, error);
	}
	record_written(journal, &header);
	return true;
}

bool journal_append(struct journal *journal, uint64_t epoch, uint64_t time_ms, const struct bytes *parts, size_t count,
	struct error *error) {
	writer_enter(journal);
	check(epoch > 0 && (journal->epoch == 0 || epoch == journal->epoch + 1));
	if (journal->failed) {
		*error = journal->failure;
		return writer_leave(journal, false);
	}
	return writer_leave(journal, record_write(journal, epoch, time_ms, parts, count, error));
}

/* The dirty segment of the lowest sequence number, so that what is durable never has a hole. */
static struct segment *segment_dirty_first(struct journal *journal) {
	struct segment *first = NULL;
	pthread_mutex_lock(&journal->lock);
	for (size_t i = 0; i < journal->segment_count; i++) {
		struct segment *segment = journal->segments[i];
		if (segment->state == SEGMENT_USED && segment->dirty && (first == NULL || segment->sequence < first->sequence))
			first = segment;
	}
	pthread_mutex_unlock(&journal->lock);
	return first;
}

bool journal_sync(struct journal *journal, struct error *error) {
	writer_enter(journal);
	if (journal->failed) {
		*error = journal->failure;
		return writer_leave(journal, false);
	}
	struct segment *segment;
	while ((segment = segment_dirty_first(journal)) != NULL) {
		int result = segment->file->ops->sync(segment->file);
		if (result < 0) {
			journal->failed = true; /* whatever the reason: a second sync would report nothing (rule 7) */
			journal->failure = (struct error){0};
			journal_error(journal, segment, result, "cannot sync", &journal->failure);
			*error = journal->failure;
			return writer_leave(journal, false);
		}
		segment->dirty = false;
	}
	atomic_store(&journal->synced, journal->epoch);
	return writer_leave(journal, true);
}

void journal_close(struct journal *journal) {
	if (journal == NULL)
		return;
	CHECK_OBJECT(journal, JOURNAL_MAGIC);
	check(!atomic_flag_test_and_set(&journal->writing));
	journal->active = NULL;
	while (journal->segment_count > 0)
		journal_segment_forget(journal, journal->segments[0]);
	pthread_mutex_destroy(&journal->lock);
	pthread_cond_destroy(&journal->prepared);
	free(journal->segments);
	free(journal->marks.bytes);
	free(journal->buffer);
	free(journal->dir);
	journal->magic = 0;
	free(journal);
}
