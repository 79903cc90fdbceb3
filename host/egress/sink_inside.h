/* What the files sink*.c share. No other code should include this file. */
#ifndef HOST_EGRESS_SINK_INSIDE_H
#define HOST_EGRESS_SINK_INSIDE_H

#include <pthread.h>

#include "egress/hub_inside.h"
#include "egress/sinks.h"

enum {
	/* Between two attempts after a failure: soon enough for people, rare enough for the log. */
	SINK_RETRY_MS = 1000,
	/* At the stop a command has this long to end by itself after its standard input has. */
	SINK_COMMAND_END_MS = 2000,
};

/* Where a file stands. Row 'K' egress → [next, path, bytes, number]; a command's has "", 0, 0. */
struct sink_mark {
	uint64_t bytes;  /* of the file */
	uint64_t number; /* that it gets when it is rotated */
};

struct sink_row {
	uint64_t next; /* offset of the first record that was not written */
	struct bytes path;
	struct sink_mark mark;
};

void sink_row_put(struct buf *value, const struct sink_row *row);
bool sink_row_take(struct bytes value, struct sink_row *ret_row);

/* ---- where the lines go: all [the sink's thread], and may block until stop_fd is readable ---- */

enum sink_result {
	SINK_GOOD,
	SINK_AGAIN, /* may pass: try again later */
	SINK_OVER,  /* never again in this process */
	SINK_STOP,  /* stop_fd became readable */
};

struct sink_target;
struct sink_target_ops {
	/* recorded NULL: nothing was ever written here. */
	enum sink_result (*open)(
		struct sink_target *target, const struct sink_mark *recorded, struct sink_mark *ret_mark, struct error *error);
	/* Writes records from the front of the batch on, at least one; durably, where there is such a thing. Everything before
	 * them is recorded. */
	enum sink_result (*write)(struct sink_target *target, const struct egress_batch *batch, uint64_t skipped,
		size_t *ret_count, struct sink_mark *ret_mark, struct error *error);
	void (*close)(struct sink_target *target);
};

struct sink_target {
	const struct sink_target_ops *ops;
	const char *egress; /* for the log */
	int stop_fd;
};

struct sink_target *sink_file_create(const struct config *config, const struct sink_config *sink, int stop_fd);
struct sink_target *sink_command_create(const struct sink_config *sink, int stop_fd);

/* One record as a line of JSON. */
void sink_line(struct buf *lines, const struct egress_batch *batch, size_t i, uint64_t skipped);

/* ---- a sink's thread: one job at a time ---- */

struct sink_job {
	bool opens; /* else it writes */
	bool known; /* opens: `mark` is what the row says */
	struct egress_batch batch;
	uint64_t skipped;
	/* results */
	enum sink_result result; /* GOOD or OVER */
	struct error error;
	size_t count;
	struct sink_mark mark;
};

struct sink_thread {
	struct sink_target *target;
	int done_fd; /* eventfd, written when a job is done */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t asked;
	/* under the mutex */
	struct sink_job *job;  /* to be done */
	struct sink_job *done; /* to be taken */
	bool stopping;
};

void sink_thread_start(struct sink_thread *thread);
void sink_thread_ask(struct sink_thread *thread, struct sink_job *job);
struct sink_job *sink_thread_take(struct sink_thread *thread); /* NULL: nothing is done yet */
/* stop_fd is readable already. */
void sink_thread_stop(struct sink_thread *thread);

#endif
