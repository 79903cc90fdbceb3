/* Writing an egress log, and bringing it back to its committed end. See egress_log.h; the bytes: inside.h. */
#include "state/egress_log/egress_log.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "state/egress_log/inside.h"

/* ---- what the log's files share ---- */

bool egress_log_failed(const struct egress_log *log, int system, const char *what, struct error *error) {
	return error_system(error, ERROR_STORE_FAILED, system, "cannot %s egress log %s", what, log->dir);
}

struct egress_segment *egress_segment_last(struct egress_log *log) {
	return log->segment_count == 0 ? NULL : &log->segments[log->segment_count - 1];
}

void egress_segment_add(struct egress_log *log, uint64_t first, uint64_t time_ms, uint64_t bytes) {
	if (log->segment_count == log->segment_capacity) {
		log->segment_capacity = log->segment_capacity == 0 ? 8 : log->segment_capacity * 2;
		log->segments = realloc(log->segments, log->segment_capacity * sizeof *log->segments);
		check_memory(log->segments);
	}
	log->segments[log->segment_count++] =
		(struct egress_segment){.first = first, .time_ms = time_ms, .bytes = bytes, .written = bytes};
}

int egress_segment_open(const struct egress_log *log, uint64_t first, unsigned flags, struct disk_file **ret_file) {
	char *path = egress_segment_path(log, first);
	int result = log->disk->open(log->disk, path, flags, ret_file);
	free(path);
	return result;
}

bool egress_segment_remove(const struct egress_log *log, uint64_t first, struct error *error) {
	char *path = egress_segment_path(log, first);
	int result = log->disk->unlink(log->disk, path);
	free(path);
	return result == 0 || result == -ENOENT || egress_log_failed(log, -result, "cut back", error);
}

/* ---- the end of its life ---- */

static void file_close(struct egress_log *log) {
	if (log->file != NULL)
		log->file->ops->close(log->file);
	log->file = NULL;
}

void egress_log_close(struct egress_log *log) {
	if (log == NULL)
		return;
	CHECK_OBJECT(log, EGRESS_LOG_MAGIC);
	file_close(log);
	for (size_t i = 0; i < log->segment_count; i++)
		free(log->segments[i].marks);
	free(log->segments);
	free(log->dir);
	buf_finish(&log->name);
	buf_finish(&log->pending);
	pthread_mutex_destroy(&log->mutex);
	log->magic = 0;
	free(log);
}

/* ---- writing ---- */

/* After a failure: back to what is published, as if nothing had been appended since. */
static bool cut_back(struct egress_log *log, struct error *error) {
	file_close(log);
	buf_reset(&log->pending);
	log->write_end = log->end;
	pthread_mutex_lock(&log->mutex);
	bool good = true;
	while (good && log->segment_count > 0 && egress_segment_last(log)->bytes == 0) {
		good = egress_segment_remove(log, egress_segment_last(log)->first, error);
		if (good)
			log->segment_count--;
	}
	struct egress_segment *last = egress_segment_last(log);
	if (last != NULL)
		last->written = last->bytes;
	pthread_mutex_unlock(&log->mutex);
	if (!good || last == NULL)
		return good;
	int result = egress_segment_open(log, last->first, DISK_WRITE, &log->file);
	if (result == 0)
		result = log->file->ops->truncate(log->file, last->bytes);
	return result == 0 || egress_log_failed(log, -result, "cut back", error);
}

static bool pending_write(struct egress_log *log, struct error *error) {
	struct egress_segment *last = egress_segment_last(log);
	if (log->pending.size == 0)
		return true;
	int result = log->file->ops->write(log->file, log->pending.data, log->pending.size, last->written);
	if (result < 0)
		return egress_log_failed(log, -result, "write", error);
	last->written += log->pending.size;
	buf_reset(&log->pending);
	return true;
}

static bool segment_finish(struct egress_log *log, struct error *error) {
	if (!pending_write(log, error))
		return false;
	int result = log->file->ops->sync(log->file);
	if (result < 0)
		return egress_log_failed(log, -result, "sync", error);
	file_close(log);
	return true;
}

static bool folder_make(struct egress_log *log, struct error *error) {
	if (log->folder_made)
		return true;
	int result = log->disk->mkdir(log->disk, log->dir);
	char *parent = check_strdup(log->dir);
	*strrchr(parent, '/') = '\0';
	if (result == 0)
		result = log->disk->sync_dir(log->disk, parent);
	free(parent);
	log->folder_made = result == 0;
	return result == 0 || egress_log_failed(log, -result, "make the folder of", error);
}

static bool segment_start(struct egress_log *log, uint64_t first, struct error *error) {
	if (!folder_make(log, error))
		return false;
	int result = egress_segment_open(log, first, DISK_WRITE | DISK_CREATE, &log->file);
	if (result == 0)
		result = log->file->ops->truncate(log->file, 0);
	if (result < 0)
		return egress_log_failed(log, -result, "make a file of", error);
	log->folder_changed = true;
	pthread_mutex_lock(&log->mutex);
	egress_segment_add(log, first, log->time_ms, 0);
	pthread_mutex_unlock(&log->mutex);
	struct egress_header header = {
		.format = EGRESS_FORMAT, .first = first, .time_ms = log->time_ms, .name = bytes_buf(&log->name)};
	memcpy(header.store_id, log->store_id, STORE_ID_BYTES);
	egress_header_put(&log->pending, &header);
	return true;
}

/* The file that the next record goes to is open. */
static bool segment_ready(struct egress_log *log, uint64_t offset, struct error *error) {
	struct egress_segment *last = egress_segment_last(log);
	if (last == NULL)
		return segment_start(log, offset, error);
	if (log->file == NULL) {
		int result = egress_segment_open(log, last->first, DISK_WRITE, &log->file);
		if (result < 0)
			return egress_log_failed(log, -result, "open", error);
	}
	if (last->written + log->pending.size < log->segment_bytes)
		return true;
	return segment_finish(log, error) && segment_start(log, offset, error);
}

static bool record_append(struct egress_log *log, uint64_t offset, struct bytes record, struct error *error) {
	if (!segment_ready(log, offset, error))
		return false;
	egress_record_put(&log->pending, offset, record);
	log->write_end = offset + 1;
	return log->pending.size < EGRESS_CHUNK_BYTES || pending_write(log, error);
}

void egress_log_begin(struct egress_log *log, uint64_t time_ms, uint64_t segment_bytes) {
	CHECK_OBJECT(log, EGRESS_LOG_MAGIC);
	log->time_ms = time_ms;
	log->segment_bytes = segment_bytes;
}

bool egress_log_append(struct egress_log *log, uint64_t offset, struct bytes record, struct error *error) {
	CHECK_OBJECT(log, EGRESS_LOG_MAGIC);
	if (log->broken && !cut_back(log, error))
		return false;
	log->broken = false;
	check(offset == log->write_end);
	log->broken = !record_append(log, offset, record, error);
	return !log->broken;
}

static bool log_sync(struct egress_log *log, struct error *error) {
	if (!pending_write(log, error))
		return false;
	int result = log->file->ops->sync(log->file);
	if (result == 0 && log->folder_changed)
		result = log->disk->sync_dir(log->disk, log->dir);
	if (result < 0)
		return egress_log_failed(log, -result, "sync", error);
	log->folder_changed = false;
	return true;
}

bool egress_log_sync(struct egress_log *log, struct egress_row *ret_row, struct error *error) {
	CHECK_OBJECT(log, EGRESS_LOG_MAGIC);
	check(!log->broken);
	if (log->file != NULL && !log_sync(log, error)) {
		log->broken = true;
		return false;
	}
	pthread_mutex_lock(&log->mutex);
	for (size_t i = log->segment_count; i-- > 0 && log->segments[i].bytes != log->segments[i].written;)
		log->segments[i].bytes = log->segments[i].written;
	log->start = log->segment_count > 0 ? log->segments[0].first : log->write_end;
	log->end = log->write_end;
	*ret_row = (struct egress_row){.end = log->end, .start = log->end, .time_ms = log->time_ms};
	if (log->dropping < log->segment_count) {
		const struct egress_segment *last = egress_segment_last(log);
		ret_row->segment = last->first;
		ret_row->bytes = last->bytes;
		ret_row->start = log->segments[log->dropping].first;
	}
	pthread_mutex_unlock(&log->mutex);
	return true;
}

uint64_t egress_log_start(struct egress_log *log) {
	CHECK_OBJECT(log, EGRESS_LOG_MAGIC);
	pthread_mutex_lock(&log->mutex);
	uint64_t start = log->start;
	pthread_mutex_unlock(&log->mutex);
	return start;
}

uint64_t egress_log_end(struct egress_log *log) {
	CHECK_OBJECT(log, EGRESS_LOG_MAGIC);
	pthread_mutex_lock(&log->mutex);
	uint64_t end = log->end;
	pthread_mutex_unlock(&log->mutex);
	return end;
}

/* ---- retention ---- */

/* How many segments go, oldest first: whatever lies before a segment is not younger than its beginning. */
static size_t segments_passed(const struct egress_log *log, const struct egress_retention *retention) {
	size_t count = log->segment_count;
	size_t passed = 0;
	uint64_t bytes = 0;
	for (size_t i = 0; i < count; i++)
		bytes += log->segments[i].written;
	while (passed + 1 < count &&
		(bytes > retention->bytes ||
			(log->segments[passed + 1].time_ms != 0 && log->segments[passed + 1].time_ms <= retention->oldest_ms)))
		bytes -= log->segments[passed++].written;
	bool all = passed + 1 == count && log->time_ms != 0 && log->time_ms <= retention->oldest_ms;
	return all ? count : passed;
}

bool egress_log_due(struct egress_log *log, const struct egress_retention *retention) {
	CHECK_OBJECT(log, EGRESS_LOG_MAGIC);
	return segments_passed(log, retention) > 0;
}

void egress_log_retain(struct egress_log *log, const struct egress_retention *retention) {
	CHECK_OBJECT(log, EGRESS_LOG_MAGIC);
	check(!log->broken);
	log->dropping = segments_passed(log, retention);
}

bool egress_log_drop(struct egress_log *log, struct error *error) {
	CHECK_OBJECT(log, EGRESS_LOG_MAGIC);
	if (log->dropping > 0 && log->dropping == log->segment_count)
		file_close(log);
	while (log->dropping > 0) {
		pthread_mutex_lock(&log->mutex);
		uint64_t first = log->segments[0].first;
		free(log->segments[0].marks);
		log->segment_count--;
		memmove(log->segments, log->segments + 1, log->segment_count * sizeof *log->segments);
		log->start = log->segment_count > 0 ? log->segments[0].first : log->end;
		pthread_mutex_unlock(&log->mutex);
		log->dropping--;
		if (!egress_segment_remove(log, first, error))
			return false;
	}
	return true;
}
