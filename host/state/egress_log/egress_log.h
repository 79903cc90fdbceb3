/* One egress: a folder of segment files of offset-numbered records. A checkpoint appends and syncs; anybody reads up to
 * the published end. Layout: FORMAT.md, "Egress logs".
 *
 * begin, append, due, retain, sync, drop, close: [applier]. The others: [any thread]. */
#ifndef HOST_STATE_EGRESS_LOG_EGRESS_LOG_H
#define HOST_STATE_EGRESS_LOG_EGRESS_LOG_H

#include "base/bytes.h"
#include "base/error.h"
#include "state/disk.h"
#include "state/store_format.h"

struct egress_log;

struct egress_log_options {
	struct disk *disk;
	const char *dir; /* of this egress; made at the first append */
	uint8_t store_id[STORE_ID_BYTES];
	struct bytes name;
	uint64_t segment_bytes; /* a segment is left once it is longer, until egress_log_begin says otherwise */
	bool readonly;          /* --verify: nothing is truncated or removed */
};

/* Brings the folder to where the row says: what is behind it is cut off (rule 8), for the journal holds it still.
 * Less than the row says, or another store's: ERROR_STORE_FAILED or ERROR_REFUSED. A row of zeros: a new egress. */
struct egress_log *egress_log_open(
	const struct egress_log_options *options, const struct egress_row *row, struct error *error);
void egress_log_close(struct egress_log *log); /* NULL is fine */

/* What is kept of a log. */
struct egress_retention {
	uint64_t bytes;     /* whole segments go while all together are larger, the last excepted */
	uint64_t oldest_ms; /* and those whose records are all older */
};

/* Before a checkpoint's records are appended: the time that none of them is younger than, and when to leave a segment. */
void egress_log_begin(struct egress_log *log, uint64_t time_ms, uint64_t segment_bytes);

/* True: retention would take something. */
bool egress_log_due(struct egress_log *log, const struct egress_retention *retention);

/* Behind the appends and before egress_log_sync: what retention takes is no longer counted by the row. The files stay until
 * egress_log_drop, and what they hold can be read. */
void egress_log_retain(struct egress_log *log, const struct egress_retention *retention);

/* Removes them. REQUIRES that the row is durable: a start finishes what was begun. */
bool egress_log_drop(struct egress_log *log, struct error *error);

/* REQUIRES offset is the end of what was appended. Not read before egress_log_sync. After an error nothing counts that
 * was appended since the last sync: it starts over from egress_log_end. ENOSPC may pass: see error->system. */
bool egress_log_append(struct egress_log *log, uint64_t offset, struct bytes record, struct error *error);

/* Makes durable and visible what was appended; what to write into the row. */
bool egress_log_sync(struct egress_log *log, struct egress_row *ret_row, struct error *error);

/* Offset of the oldest record, and the one after the last synced one. */
uint64_t egress_log_start(struct egress_log *log);
uint64_t egress_log_end(struct egress_log *log);

/* Calls each() for the records from `from` on, until it returns false (that record counts as read) or the end; gives
 * the next offset. A `from` before the start begins at the start. */
bool egress_log_read(struct egress_log *log, uint64_t from,
	bool (*each)(void *arg, uint64_t offset, struct bytes record), void *arg, uint64_t *ret_next, struct error *error);

#endif
