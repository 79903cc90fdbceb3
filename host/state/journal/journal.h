/* The journal: pre-written, recycled segment files of 4 KiB-aligned records, one record an epoch. The append that
 * journal_sync makes durable is the commit point of everything. Layout: FORMAT.md. One writer thread (the committer);
 * journal_prepare and journal_trim are called by the applier; nothing else of it is shared. */
#ifndef HOST_STATE_JOURNAL_JOURNAL_H
#define HOST_STATE_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "state/disk.h"

enum { STORE_ID_BYTES = 16, JOURNAL_BLOCK_BYTES = 4096 };

struct journal;

struct journal_options {
	struct disk *disk;
	const char *dir; /* <data>/journal; made if absent */
	uint8_t store_id[STORE_ID_BYTES];
	uint64_t segment_bytes; /* multiple of JOURNAL_BLOCK_BYTES; a record fits one segment */
};

/* What recovery found. */
struct journal_end {
	uint64_t epoch;          /* of the last valid record; 0: none */
	uint64_t first_epoch;    /* of the oldest retained record; 0: none */
	uint64_t time_ms;        /* of the last record */
	uint64_t synced_through; /* greatest that a valid record states */
	uint64_t bytes;          /* of all valid records */
	bool torn;               /* an invalid record stood behind the end (normal after a kill) */
};

/* Reads segment headers only; an absent directory is an empty journal, made by journal_recover. A segment of another
 * store, or of a newer format: ERROR_REFUSED. */
struct journal *journal_open(const struct journal_options *options, struct error *error);

/* Calls each() for every valid record in epoch order; stops and fails if it returns false. Then (rule 7) rewrites and
 * syncs the records past synced_through, and starts a new generation behind the end. A hole (rule 4), or a first epoch
 * beyond checkpoint_epoch + 1, is ERROR_STORE_FAILED that says which file, offset and epoch, and what to do.
 * readonly: for --verify; changes nothing, and nothing may be appended afterwards. */
bool journal_recover(struct journal *journal, uint64_t checkpoint_epoch, bool readonly,
	bool (*each)(void *arg, uint64_t epoch, uint64_t time_ms, struct bytes body, struct error *error), void *arg,
	struct journal_end *ret_end, struct error *error);

/* Writes the record of `epoch` (REQUIRES: the last one plus 1, any number for the first of a new store). Not durable
 * yet. ERROR_STORE_FAILED with error->system == ENOSPC: nothing of it counts; the same call may be made again later.
 * Any other failure is final: the caller stops the process. */
bool journal_append(struct journal *journal, uint64_t epoch, uint64_t time_ms, const struct bytes *parts, size_t count,
	struct error *error);

/* Makes all that was appended durable. A failure is final (never retried: rule 7). */
bool journal_sync(struct journal *journal, struct error *error);

/* [any thread] The last epoch that a successful journal_sync covers. */
uint64_t journal_synced(const struct journal *journal);

/* [applier] Everything up to `epoch` is in the databases: segments that hold nothing newer may be recycled. */
bool journal_trim(struct journal *journal, uint64_t epoch, struct error *error);

/* [applier] Writes the next segment in advance, if none is ready. ENOSPC is not an error here. */
bool journal_prepare(struct journal *journal, struct error *error);

/* [any thread] Bytes of records not yet trimmed. */
uint64_t journal_untrimmed_bytes(const struct journal *journal);

/* The largest body that one record can hold. */
uint64_t journal_body_max(const struct journal *journal);

void journal_close(struct journal *journal);

#endif
