/* One egress: a folder of segment files of offset-numbered records. A checkpoint appends and syncs; anybody reads up to
 * the published end. Layout: FORMAT.md, "Egress logs".
 *
 * append, sync, close: [applier]. The others: [any thread]. */
#ifndef HOST_STATE_EGRESS_LOG_H
#define HOST_STATE_EGRESS_LOG_H

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
	uint64_t segment_bytes; /* a segment is left once it is longer */
	bool readonly;          /* --verify: nothing is truncated or removed */
};

/* Brings the folder to where the row says: what is behind it is cut off (rule 8), for the journal holds it still.
 * Less than the row says, or another store's: ERROR_STORE_FAILED or ERROR_REFUSED. A row of zeros: a new egress. */
struct egress_log *egress_log_open(
	const struct egress_log_options *options, const struct egress_row *row, struct error *error);
void egress_log_close(struct egress_log *log); /* NULL is fine */

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
