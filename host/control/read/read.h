/* Answers that are read from the store: the work is done on the engine's reader thread, the answer is sent on the loop
 * thread. A handler embeds struct read_job as the first member of what its work needs, in one calloc'd piece. */
#ifndef HOST_CONTROL_READ_READ_H
#define HOST_CONTROL_READ_READ_H

#include "control/http/exchange.h"

enum {
	PAGE_ENTRIES_DEFAULT = 100,
	/* More are given page by page: a page is built in memory, and the reader thread serves all. A larger limit is
	 * no error, the page is only shorter. */
	PAGE_ENTRIES_MAX = 10000,
	/* A page ends early at this size of what was read, so that large payloads do not multiply with the limit. */
	PAGE_BYTES_MAX = 4 << 20,
};

struct read_job {
	struct exchange *exchange;
	/* [reader thread] Sets body (200), or error. Of the exchange it may read the parameters only. */
	void (*work)(struct read_job *job, struct store *store);
	/* What the job owns besides; NULL: nothing. */
	void (*finish)(struct read_job *job);
	json_t *body;
	struct buf text; /* of the body, made on the reader thread: megabytes of JSON would hold up everybody's loop */
	struct error error;
};

/* Owns the job from here, and frees it. [loop thread] */
void read_start(struct read_job *job);

/* The number of the dead letter that the path names; false: it is none, and that was answered. */
bool read_dead_number(struct exchange *exchange, uint64_t *ret_number);

/* The query's limit, 1 to PAGE_ENTRIES_MAX. */
bool read_limit(const struct exchange *exchange, uint64_t *ret_limit, struct error *error);

/* A row of ours that cannot be read: the database is damaged in a way that its checksums do not see. */
void read_damaged(struct read_job *job, const char *what);

#endif
