/* Reading an egress log: in pieces, from the last known place before the wanted offset. [any thread] */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "state/egress_log/inside.h"

/* What a reader needs of a segment; taken under the mutex, used without it. */
struct reader {
	struct egress_log *log;
	struct disk_file *file;
	uint64_t first;    /* of the segment */
	uint64_t bytes;    /* of the segment, published */
	uint64_t position; /* of the first byte in content */
	struct buf content;
	size_t taken;  /* of content */
	uint64_t next; /* offset of the record at position + taken */
	uint64_t mark; /* position from which on the next mark is due */
};

static bool read_failed(const struct reader *reader, const char *what, struct error *error) {
	error_set(error, ERROR_STORE_FAILED, "egress log %s/%020llu.log has %s at byte %llu, offset %llu", reader->log->dir,
		(unsigned long long)reader->first, what, (unsigned long long)(reader->position + reader->taken),
		(unsigned long long)reader->next);
	error_hint(error, "restore the data directory from a backup");
	return false;
}

/* Finds the segment of an offset and the nearest mark; false at the end. Retention may have passed the offset. */
static bool segment_find(struct reader *reader, uint64_t *offset_now) {
	struct egress_log *log = reader->log;
	pthread_mutex_lock(&log->mutex);
	if (*offset_now < log->start)
		*offset_now = log->start;
	uint64_t offset = *offset_now;
	bool found = offset < log->end;
	if (found) {
		size_t i = log->segment_count;
		while (i-- > 1 && (log->segments[i].bytes == 0 || log->segments[i].first > offset))
			;
		struct egress_segment *segment = &log->segments[i];
		reader->first = reader->next = segment->first;
		reader->bytes = segment->bytes;
		reader->position = 0; /* the header first */
		for (size_t m = 0; m < segment->mark_count && segment->marks[m].offset <= offset; m++) {
			reader->next = segment->marks[m].offset;
			reader->position = segment->marks[m].position;
		}
	}
	pthread_mutex_unlock(&log->mutex);
	return found;
}

static void mark_here(struct reader *reader) {
	struct egress_log *log = reader->log;
	if (reader->position + reader->taken < reader->mark)
		return;
	reader->mark = reader->position + reader->taken + EGRESS_INDEX_STEP_BYTES;
	pthread_mutex_lock(&log->mutex);
	for (size_t i = log->segment_count; i-- > 0;)
		if (log->segments[i].first == reader->first)
			egress_mark_add(&log->segments[i], reader->next, reader->position + reader->taken);
	pthread_mutex_unlock(&log->mutex);
}

static bool segment_enter(struct reader *reader, struct error *error) {
	char *path = egress_segment_path(reader->log, reader->first);
	int result = reader->log->disk->open(reader->log->disk, path, DISK_READ, &reader->file);
	free(path);
	if (result < 0) {
		reader->file = NULL;
		return error_system(error, ERROR_STORE_FAILED, -result, "cannot open egress log %s/%020llu.log",
			reader->log->dir, (unsigned long long)reader->first);
	}
	buf_reset(&reader->content);
	reader->taken = 0;
	reader->mark = 0;
	if (reader->position > 0)
		return true;
	struct egress_header header;
	if (!egress_segment_check(reader->log, reader->file, reader->first, &header, error))
		return false;
	reader->position = header.bytes;
	return true;
}

static void segment_leave(struct reader *reader) {
	if (reader->file != NULL)
		reader->file->ops->close(reader->file);
	reader->file = NULL;
}

/* At least `size` bytes stand behind what is taken. */
static bool content_fill(struct reader *reader, size_t size, struct error *error) {
	size_t kept = reader->content.size - reader->taken;
	if (kept > 0)
		memmove(reader->content.data, reader->content.data + reader->taken, kept);
	reader->position += reader->taken;
	reader->taken = 0;
	reader->content.size = kept;
	uint64_t left = reader->bytes - reader->position - kept;
	if (size > kept + left)
		return read_failed(reader, "a record that is cut off", error);
	size_t want = size - kept > EGRESS_CHUNK_BYTES ? size - kept : EGRESS_CHUNK_BYTES;
	want = want > left ? (size_t)left : want;
	int64_t got =
		reader->file->ops->read(reader->file, buf_reserve(&reader->content, want), want, reader->position + kept);
	if (got < 0)
		return error_system(error, ERROR_STORE_FAILED, (int)-got, "cannot read egress log %s/%020llu.log",
			reader->log->dir, (unsigned long long)reader->first);
	reader->content.size += (size_t)got;
	return (size_t)got == want || read_failed(reader, "less than was written", error);
}

static bool segment_at_end(const struct reader *reader) {
	return reader->position + reader->taken == reader->bytes;
}

static bool record_next(struct reader *reader, struct bytes *ret_record, struct error *error) {
	mark_here(reader);
	for (;;) {
		uint64_t offset;
		size_t size;
		struct bytes rest = bytes_of(reader->content.data + reader->taken, reader->content.size - reader->taken);
		switch (egress_record_take(rest, &offset, ret_record, &size)) {
		case EGRESS_DAMAGED:
			return read_failed(reader, "a damaged record", error);
		case EGRESS_SHORT:
			if (!content_fill(reader, size, error))
				return false;
			break;
		case EGRESS_RECORD:
			if (offset != reader->next)
				return read_failed(reader, "a record of another offset", error);
			reader->taken += size;
			reader->next++;
			return true;
		}
	}
}

/* One segment, from its mark on. *ret_more: each() wants the next one too. */
static bool segment_read(struct reader *reader, uint64_t from,
	bool (*each)(void *arg, uint64_t offset, struct bytes record), void *arg, bool *ret_more, struct error *error) {
	while (!segment_at_end(reader)) {
		struct bytes record;
		if (!record_next(reader, &record, error))
			return false;
		if (reader->next > from && !each(arg, reader->next - 1, record)) {
			*ret_more = false;
			return true;
		}
	}
	return true;
}

bool egress_log_read(struct egress_log *log, uint64_t from,
	bool (*each)(void *arg, uint64_t offset, struct bytes record), void *arg, uint64_t *ret_next, struct error *error) {
	CHECK_OBJECT(log, EGRESS_LOG_MAGIC);
	struct reader reader = {.log = log};
	uint64_t next = from;
	bool good = true;
	for (bool more = true; good && more && segment_find(&reader, &next);) {
		good = segment_enter(&reader, error);
		if (!good && error->system == ENOENT && reader.first < egress_log_start(log)) {
			good = true; /* retention took it meanwhile */
			continue;
		}
		good = good && segment_read(&reader, next, each, arg, &more, error);
		if (good && reader.next <= next)
			good = read_failed(&reader, "no record", error);
		next = good ? reader.next : next;
		segment_leave(&reader);
	}
	segment_leave(&reader);
	buf_finish(&reader.content);
	*ret_next = next;
	return good;
}
