/* Writing an egress log, and bringing it back to its committed end. See egress_log.h; the bytes: egress_log_inside.h. */
#include "state/egress_log.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "state/egress_log_inside.h"

static bool log_failed(const struct egress_log *log, int system, const char *what, struct error *error) {
	return error_system(error, ERROR_STORE_FAILED, system, "cannot %s egress log %s", what, log->dir);
}

static struct egress_segment *segment_last(struct egress_log *log) {
	return log->segment_count == 0 ? NULL : &log->segments[log->segment_count - 1];
}

/* [with the mutex, or before anybody reads] */
static void segment_add(struct egress_log *log, uint64_t first, uint64_t bytes) {
	if (log->segment_count == log->segment_capacity) {
		log->segment_capacity = log->segment_capacity == 0 ? 8 : log->segment_capacity * 2;
		log->segments = realloc(log->segments, log->segment_capacity * sizeof *log->segments);
		check_memory(log->segments);
	}
	log->segments[log->segment_count++] = (struct egress_segment){.first = first, .bytes = bytes, .written = bytes};
}

static void file_close(struct egress_log *log) {
	if (log->file != NULL)
		log->file->ops->close(log->file);
	log->file = NULL;
}

/* ---- opening ---- */

static void segment_note(void *arg, const char *name) {
	struct egress_log *log = arg;
	char *end;
	uint64_t first = strtoull(name, &end, 10);
	if (end == name + 20 && strcmp(end, ".log") == 0)
		segment_add(log, first, 0);
}

static int segment_order(const void *a, const void *b) {
	const struct egress_segment *left = a;
	const struct egress_segment *right = b;
	return left->first < right->first ? -1 : left->first > right->first;
}

static int segment_open(const struct egress_log *log, uint64_t first, unsigned flags, struct disk_file **ret_file) {
	char *path = egress_segment_path(log, first);
	int result = log->disk->open(log->disk, path, flags, ret_file);
	free(path);
	return result;
}

static bool segment_remove(struct egress_log *log, uint64_t first, struct error *error) {
	char *path = egress_segment_path(log, first);
	int result = log->disk->unlink(log->disk, path);
	free(path);
	return result == 0 || result == -ENOENT || log_failed(log, -result, "cut back", error);
}

/* Made after the last checkpoint: the journal holds its records still. */
static bool segments_drop(struct egress_log *log, size_t count, bool readonly, struct error *error) {
	while (log->segment_count > count) {
		if (!readonly && !segment_remove(log, segment_last(log)->first, error))
			return false;
		log->segment_count--;
	}
	return true;
}

static bool log_short(const struct egress_log *log, const struct egress_row *row, int64_t size, struct error *error) {
	error_set(error, ERROR_STORE_FAILED, "egress log %s/%020llu.log is shorter than its last checkpoint", log->dir,
		(unsigned long long)row->segment);
	if (size < 0)
		error_found(error, "no such file");
	else
		error_found(error, "%lld bytes", (long long)size);
	error_expected(
		error, "%llu bytes, up to offset %llu", (unsigned long long)row->bytes, (unsigned long long)row->end);
	error_hint(error, "restore the data directory from a backup");
	return false;
}

/* The last segment's length is the row's, exactly. */
static bool segment_fit(struct egress_log *log, const struct egress_row *row, bool readonly, struct error *error) {
	struct disk_file *file;
	int result = segment_open(log, row->segment, readonly ? DISK_READ : DISK_READ | DISK_WRITE, &file);
	if (result < 0)
		return log_failed(log, -result, "open", error);
	uint64_t header;
	bool good = egress_segment_check(log, file, row->segment, &header, error);
	int64_t size = file->ops->size(file);
	if (good && size < (int64_t)row->bytes)
		good = log_short(log, row, size, error);
	if (good && size > (int64_t)row->bytes && !readonly) {
		result = file->ops->truncate(file, row->bytes);
		if (result < 0)
			good = log_failed(log, -result, "cut back", error);
	}
	file->ops->close(file);
	segment_last(log)->bytes = segment_last(log)->written = row->bytes;
	return good;
}

/* All but the last are whole files. */
static bool segments_measure(struct egress_log *log, struct error *error) {
	for (size_t i = 0; i + 1 < log->segment_count; i++) {
		struct disk_file *file;
		int result = segment_open(log, log->segments[i].first, DISK_READ, &file);
		if (result < 0)
			return log_failed(log, -result, "open", error);
		int64_t size = file->ops->size(file);
		file->ops->close(file);
		if (size < 0)
			return log_failed(log, (int)-size, "measure", error);
		log->segments[i].bytes = log->segments[i].written = (uint64_t)size;
	}
	return true;
}

static bool log_recover(struct egress_log *log, const struct egress_row *row, bool readonly, struct error *error) {
	int result = log->disk->list(log->disk, log->dir, segment_note, log);
	if (result < 0 && result != -ENOENT)
		return log_failed(log, -result, "list", error);
	if (log->segment_count > 0)
		qsort(log->segments, log->segment_count, sizeof *log->segments, segment_order);
	if (row->bytes == 0)
		return segments_drop(log, 0, readonly, error);
	size_t count = 0;
	while (count < log->segment_count && log->segments[count].first <= row->segment)
		count++;
	if (count == 0 || log->segments[count - 1].first != row->segment)
		return log_short(log, row, -1, error);
	log->folder_made = true;
	log->start = log->segments[0].first;
	log->end = log->write_end = row->end;
	return segments_drop(log, count, readonly, error) && segment_fit(log, row, readonly, error) &&
		segments_measure(log, error);
}

struct egress_log *egress_log_open(
	const struct egress_log_options *options, const struct egress_row *row, struct error *error) {
	struct egress_log *log = check_alloc(1, sizeof *log);
	log->magic = EGRESS_LOG_MAGIC;
	log->disk = options->disk;
	log->dir = check_strdup(options->dir);
	memcpy(log->store_id, options->store_id, STORE_ID_BYTES);
	buf_append_bytes(&log->name, options->name);
	log->segment_bytes = options->segment_bytes;
	pthread_mutex_init(&log->mutex, NULL);
	if (log_recover(log, row, options->readonly, error))
		return log;
	egress_log_close(log);
	return NULL;
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
	while (good && log->segment_count > 0 && segment_last(log)->bytes == 0) {
		good = segment_remove(log, segment_last(log)->first, error);
		if (good)
			log->segment_count--;
	}
	struct egress_segment *last = segment_last(log);
	if (last != NULL)
		last->written = last->bytes;
	pthread_mutex_unlock(&log->mutex);
	if (!good || last == NULL)
		return good;
	int result = segment_open(log, last->first, DISK_WRITE, &log->file);
	if (result == 0)
		result = log->file->ops->truncate(log->file, last->bytes);
	return result == 0 || log_failed(log, -result, "cut back", error);
}

static bool pending_write(struct egress_log *log, struct error *error) {
	struct egress_segment *last = segment_last(log);
	if (log->pending.size == 0)
		return true;
	int result = log->file->ops->write(log->file, log->pending.data, log->pending.size, last->written);
	if (result < 0)
		return log_failed(log, -result, "write", error);
	last->written += log->pending.size;
	buf_reset(&log->pending);
	return true;
}

static bool segment_finish(struct egress_log *log, struct error *error) {
	if (!pending_write(log, error))
		return false;
	int result = log->file->ops->sync(log->file);
	if (result < 0)
		return log_failed(log, -result, "sync", error);
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
	return result == 0 || log_failed(log, -result, "make the folder of", error);
}

static bool segment_start(struct egress_log *log, uint64_t first, struct error *error) {
	if (!folder_make(log, error))
		return false;
	int result = segment_open(log, first, DISK_WRITE | DISK_CREATE, &log->file);
	if (result == 0)
		result = log->file->ops->truncate(log->file, 0);
	if (result < 0)
		return log_failed(log, -result, "make a file of", error);
	log->folder_changed = true;
	pthread_mutex_lock(&log->mutex);
	segment_add(log, first, 0);
	pthread_mutex_unlock(&log->mutex);
	struct egress_header header = {.format = EGRESS_FORMAT, .first = first, .name = bytes_buf(&log->name)};
	memcpy(header.store_id, log->store_id, STORE_ID_BYTES);
	egress_header_put(&log->pending, &header);
	return true;
}

/* The file that the next record goes to is open. */
static bool segment_ready(struct egress_log *log, uint64_t offset, struct error *error) {
	struct egress_segment *last = segment_last(log);
	if (last == NULL)
		return segment_start(log, offset, error);
	if (log->file == NULL) {
		int result = segment_open(log, last->first, DISK_WRITE, &log->file);
		if (result < 0)
			return log_failed(log, -result, "open", error);
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
		return log_failed(log, -result, "sync", error);
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
	struct egress_segment *last = segment_last(log);
	*ret_row = (struct egress_row){.end = log->end};
	if (last != NULL) {
		ret_row->segment = last->first;
		ret_row->bytes = last->bytes;
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
