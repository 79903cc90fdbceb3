/* The loop's side of the sinks: rows and records in, jobs out. A sink goes through these in turn:
 *
 *   row read → opened by its thread → (the row, if it is new, durable) → records → written by its thread → row durable → … */
#include "egress/sinks.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "egress/sink_inside.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/pack.h"

struct sink {
	struct sinks *sinks;
	const struct sink_config *config;
	struct egress_reader reader;
	struct sink_thread thread;
	struct sink_job job;
	struct sink_mark mark; /* what the row says, or is to say */
	uint64_t next;
	bool over;
	/* as the reader thread saw it */
	struct buf row;
	uint64_t end;
	struct error error;
};

struct sinks {
	struct egress_hub *hub;
	struct event *done;
	int done_fd;
	int stop_fd;
	bool stopped;
	size_t count;
	struct sink items[];
};

/* ---- rows ---- */

static struct key row_key(const struct sink *sink) {
	struct key key = key_of(KEY_SINK);
	key_append(&key, bytes_text(sink->config->egress));
	return key;
}

void sink_row_put(struct buf *value, const struct sink_row *row) {
	pack_array(value, 4);
	pack_uint(value, row->next);
	pack_str(value, row->path);
	pack_uint(value, row->mark.bytes);
	pack_uint(value, row->mark.number);
}

bool sink_row_take(struct bytes value, struct sink_row *ret_row) {
	struct cursor cursor = cursor_of(value);
	uint32_t count;
	return cursor_read_array(&cursor, &count) && count == 4 && cursor_read_uint(&cursor, &ret_row->next) &&
		cursor_read_str(&cursor, &ret_row->path) && cursor_read_uint(&cursor, &ret_row->mark.bytes) &&
		cursor_read_uint(&cursor, &ret_row->mark.number) && cursor_at_end(&cursor);
}

static struct bytes sink_path(const struct sink *sink) {
	return bytes_text(sink->config->file == NULL ? "" : sink->config->file);
}

/* ---- the end of a sink ---- */

static void sink_over(struct sink *sink, const struct error *error) {
	sink->over = true;
	char line[sizeof *error];
	error_line(error, line, sizeof line);
	log_event(LOG_ERROR, "sink_over", "egress=%s next=%llu reason=\"%s\"", sink->config->egress,
		(unsigned long long)sink->next, line);
}

/* ---- records ---- */

static void records_ready(struct egress_reader *reader, const struct egress_batch *batch, size_t i) {
	struct sink *sink = (struct sink *)((char *)reader - offsetof(struct sink, reader));
	struct sink_job *job = &sink->job;
	if (sink->sinks->stopped)
		return;
	struct egress_batch *copy = &job->batch;
	copy->first = batch->first + i;
	copy->count = batch->count - i;
	if (copy->capacity < copy->count + 1) {
		copy->capacity = copy->count + 1;
		copy->places = realloc(copy->places, copy->capacity * sizeof *copy->places);
		check_memory(copy->places);
	}
	for (size_t k = 0; k <= copy->count; k++)
		copy->places[k] = batch->places[i + k] - batch->places[i];
	buf_reset(&copy->maps);
	buf_append(&copy->maps, batch->maps.data + batch->places[i], copy->places[copy->count]);
	if (reader->skipped > 0)
		log_event(LOG_WARN, "sink_skipped", "egress=%s records=%llu", sink->config->egress,
			(unsigned long long)reader->skipped);
	job->opens = false;
	job->skipped = reader->skipped;
	reader->skipped = 0;
	sink_thread_ask(&sink->thread, job);
}

static void records_failed(struct egress_reader *reader, const struct error *error) {
	sink_over((struct sink *)((char *)reader - offsetof(struct sink, reader)), error);
}

static void row_commit(struct sink *sink, request_answered *committed) {
	const struct egress_hub_options *options = &sink->sinks->hub->options;
	const struct sink_row row = {.next = sink->next, .path = sink_path(sink), .mark = sink->mark};
	struct key key = row_key(sink);
	struct buf value = {0};
	sink_row_put(&value, &row);
	const struct engine_row put = {.key = key_bytes(&key), .value = bytes_buf(&value)};
	engine_commit_rows(options->engine, request_open(options->requests, committed, sink), &put, 1);
	buf_finish(&value);
}

static bool row_is_good(struct sink *sink, const struct engine_answer *answer) {
	if (answer->code == ERROR_NONE)
		return !sink->sinks->stopped;
	sink->over = true;
	if (answer->code != ERROR_STOPPING)
		log_event(
			LOG_ERROR, "sink_over", "egress=%s reason=\"%s\"", sink->config->egress, error_code_name(answer->code));
	return false;
}

static void progress_committed(void *arg, const struct engine_answer *answer) {
	struct sink *sink = arg;
	if (!row_is_good(sink, answer))
		return;
	sink->reader.next = sink->next;
	egress_reader_want(&sink->reader);
}

static void written(struct sink *sink) {
	check(sink->job.count >= 1 && sink->job.count <= sink->job.batch.count);
	sink->next = sink->job.batch.first + sink->job.count;
	sink->mark = sink->job.mark;
	row_commit(sink, progress_committed);
}

/* ---- the beginning ---- */

static void sink_begin(void *arg) {
	struct sink *sink = arg;
	if (sink->sinks->stopped)
		return;
	sink->reader.ready = records_ready;
	sink->reader.failed = records_failed;
	egress_reader_open(sink->sinks->hub, &sink->reader, bytes_text(sink->config->egress), sink->next);
	egress_reader_want(&sink->reader);
}

static void nothing_read(void *arg, struct store *store) {
	(void)arg, (void)store;
}

/* In a weak durability the row is not synced yet; it is once it has been applied. Else a power cut could forget that the
 * file is ours, with lines of ours in it. */
static void first_committed(void *arg, const struct engine_answer *answer) {
	struct sink *sink = arg;
	if (row_is_good(sink, answer))
		engine_read(sink->sinks->hub->options.engine, nothing_read, sink_begin, sink);
}

static void opened(struct sink *sink) {
	bool as_recorded = sink->job.known && memcmp(&sink->mark, &sink->job.mark, sizeof sink->mark) == 0;
	sink->mark = sink->job.mark;
	log_event(LOG_INFO, "sink", "egress=%s %s=\"%s\" next=%llu", sink->config->egress,
		sink->config->file != NULL ? "file" : "command",
		sink->config->file != NULL ? sink->config->file : sink->config->command, (unsigned long long)sink->next);
	if (as_recorded)
		sink_begin(sink);
	else
		row_commit(sink, first_committed);
}

static void row_read(void *arg, struct store *store) {
	struct sink *sink = arg;
	struct key key = row_key(sink);
	(void)store_get(store, REDO_RUNTIME, key_bytes(&key), &sink->row, &sink->error);
	sink->end = store_egress_end(store, bytes_text(sink->config->egress));
}

/* The row of another target says where to go on, but nothing of this one. */
static void row_known(void *arg) {
	struct sink *sink = arg;
	struct sink_row row = {0};
	if (sink->error.code == ERROR_NONE && sink->row.size > 0 && !sink_row_take(bytes_buf(&sink->row), &row))
		error_set(&sink->error, ERROR_STORE_FAILED, "the row of a sink is malformed: run sofund --verify");
	if (sink->error.code != ERROR_NONE) {
		sink_over(sink, &sink->error);
		return;
	}
	if (sink->sinks->stopped)
		return;
	sink->next = row.next < sink->end ? row.next : sink->end;
	sink->job.opens = true;
	sink->job.known = sink->row.size > 0 && bytes_equal(row.path, sink_path(sink));
	sink->job.mark = sink->mark = row.mark;
	sink_thread_ask(&sink->thread, &sink->job);
}

/* ---- all of them ---- */

static void jobs_done(evutil_socket_t fd, short what, void *arg) {
	(void)what;
	struct sinks *sinks = arg;
	eventfd_t count;
	check(eventfd_read(fd, &count) == 0 || errno == EAGAIN);
	for (size_t i = 0; i < sinks->count; i++) {
		struct sink *sink = &sinks->items[i];
		struct sink_job *job = sink_thread_take(&sink->thread);
		if (job == NULL)
			continue;
		if (job->result == SINK_OVER)
			sink_over(sink, &job->error);
		else if (job->opens)
			opened(sink);
		else
			written(sink);
	}
}

struct sinks *sinks_create(struct event_base *base, struct egress_hub *hub, const struct config *config) {
	if (config->sink_count == 0)
		return NULL;
	struct sinks *sinks = check_alloc(1, sizeof *sinks + config->sink_count * sizeof sinks->items[0]);
	sinks->hub = hub;
	sinks->count = config->sink_count;
	sinks->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sinks->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	check(sinks->done_fd >= 0 && sinks->stop_fd >= 0);
	sinks->done = event_new(base, sinks->done_fd, EV_READ | EV_PERSIST, jobs_done, sinks);
	check_memory(sinks->done);
	check(event_add(sinks->done, NULL) == 0);
	for (size_t i = 0; i < sinks->count; i++) {
		struct sink *sink = &sinks->items[i];
		sink->sinks = sinks;
		sink->config = &config->sinks[i];
		sink->thread.done_fd = sinks->done_fd;
		sink->thread.target = sink->config->file != NULL ? sink_file_create(config, sink->config, sinks->stop_fd)
														 : sink_command_create(sink->config, sinks->stop_fd);
		sink_thread_start(&sink->thread);
		engine_read(hub->options.engine, row_read, row_known, sink);
	}
	return sinks;
}

void sinks_stop(struct sinks *sinks) {
	if (sinks == NULL)
		return;
	sinks->stopped = true;
	check(eventfd_write(sinks->stop_fd, 1) == 0);
	event_del(sinks->done);
	for (size_t i = 0; i < sinks->count; i++) {
		struct sink *sink = &sinks->items[i];
		sink_thread_stop(&sink->thread);
		egress_reader_close(&sink->reader);
		struct sink_job *job = sink_thread_take(&sink->thread);
		if (job != NULL && !job->opens && job->result == SINK_GOOD)
			written(sink); /* the engine still commits it */
	}
}

void sinks_destroy(struct sinks *sinks) {
	if (sinks == NULL)
		return;
	check(sinks->stopped);
	for (size_t i = 0; i < sinks->count; i++) {
		struct sink *sink = &sinks->items[i];
		buf_finish(&sink->row);
		buf_finish(&sink->job.batch.maps);
		free(sink->job.batch.places);
	}
	event_free(sinks->done);
	close(sinks->done_fd);
	close(sinks->stop_fd);
	free(sinks);
}

bool sinks_find(const struct sinks *sinks, struct bytes egress, struct sink_report *ret_report) {
	for (size_t i = 0; sinks != NULL && i < sinks->count; i++) {
		const struct sink *sink = &sinks->items[i];
		if (!bytes_equal(bytes_text(sink->config->egress), egress))
			continue;
		*ret_report = (struct sink_report){.config = sink->config, .next = sink->next, .over = sink->over};
		return true;
	}
	return false;
}
