/* Bringing an egress log back to what its row says: the end is cut back, a retention that was begun is finished. See
 * egress_log.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "state/egress_log/inside.h"

static void segment_note(void *arg, const char *name) {
	struct egress_log *log = arg;
	char *end;
	uint64_t first = strtoull(name, &end, 10);
	if (end == name + 20 && strcmp(end, ".log") == 0)
		egress_segment_add(log, first, 0, 0);
}

static int segment_order(const void *a, const void *b) {
	const struct egress_segment *left = a;
	const struct egress_segment *right = b;
	return left->first < right->first ? -1 : left->first > right->first;
}

/* Retention had taken it, and the crash came before the file was gone. */
static bool segments_behind_drop(struct egress_log *log, uint64_t start, bool readonly, struct error *error) {
	size_t count = 0;
	while (count < log->segment_count && log->segments[count].first < start) {
		if (!readonly && !egress_segment_remove(log, log->segments[count].first, error))
			return false;
		count++;
	}
	log->segment_count -= count;
	if (count > 0)
		memmove(log->segments, log->segments + count, log->segment_count * sizeof *log->segments);
	return true;
}

/* Made after the last checkpoint: the journal holds its records still. */
static bool segments_drop(struct egress_log *log, size_t count, bool readonly, struct error *error) {
	while (log->segment_count > count) {
		if (!readonly && !egress_segment_remove(log, egress_segment_last(log)->first, error))
			return false;
		log->segment_count--;
	}
	return true;
}

static bool log_headless(const struct egress_log *log, const struct egress_row *row, struct error *error) {
	error_set(error, ERROR_STORE_FAILED, "egress log %s does not begin where its last checkpoint says", log->dir);
	if (log->segment_count == 0)
		error_found(error, "no file");
	else
		error_found(error, "%020llu.log", (unsigned long long)log->segments[0].first);
	error_expected(error, "%020llu.log", (unsigned long long)row->start);
	error_hint(error, "restore the data directory from a backup");
	return false;
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
	int result = egress_segment_open(log, row->segment, readonly ? DISK_READ : DISK_READ | DISK_WRITE, &file);
	if (result < 0)
		return egress_log_failed(log, -result, "open", error);
	struct egress_header header;
	bool good = egress_segment_check(log, file, row->segment, &header, error);
	int64_t size = file->ops->size(file);
	if (good && size < (int64_t)row->bytes)
		good = log_short(log, row, size, error);
	if (good && size > (int64_t)row->bytes && !readonly) {
		result = file->ops->truncate(file, row->bytes);
		if (result < 0)
			good = egress_log_failed(log, -result, "cut back", error);
	}
	file->ops->close(file);
	struct egress_segment *last = egress_segment_last(log);
	last->bytes = last->written = row->bytes;
	last->time_ms = good ? header.time_ms : 0;
	return good;
}

/* All but the last are whole files. */
static bool segments_measure(struct egress_log *log, struct error *error) {
	for (size_t i = 0; i + 1 < log->segment_count; i++) {
		struct disk_file *file;
		int result = egress_segment_open(log, log->segments[i].first, DISK_READ, &file);
		if (result < 0)
			return egress_log_failed(log, -result, "open", error);
		struct egress_header header;
		bool good = egress_segment_check(log, file, log->segments[i].first, &header, error);
		int64_t size = file->ops->size(file);
		file->ops->close(file);
		if (!good)
			return false;
		if (size < 0)
			return egress_log_failed(log, (int)-size, "measure", error);
		log->segments[i].bytes = log->segments[i].written = (uint64_t)size;
		log->segments[i].time_ms = header.time_ms;
	}
	return true;
}

static bool log_recover(struct egress_log *log, const struct egress_row *row, bool readonly, struct error *error) {
	int result = log->disk->list(log->disk, log->dir, segment_note, log);
	if (result < 0 && result != -ENOENT)
		return egress_log_failed(log, -result, "list", error);
	if (log->segment_count > 0)
		qsort(log->segments, log->segment_count, sizeof *log->segments, segment_order);
	log->start = log->end = log->write_end = row->end;
	log->time_ms = row->time_ms;
	if (row->bytes == 0)
		return segments_drop(log, 0, readonly, error);
	if (!segments_behind_drop(log, row->start, readonly, error))
		return false;
	size_t count = 0;
	while (count < log->segment_count && log->segments[count].first <= row->segment)
		count++;
	if (count == 0 || log->segments[count - 1].first != row->segment)
		return log_short(log, row, -1, error);
	if (log->segments[0].first != row->start)
		return log_headless(log, row, error);
	log->folder_made = true;
	log->start = row->start;
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
