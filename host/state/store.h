/* The store: journal, runtime database, one database a function type, egress logs; and the applier's tables between
 * the journal and the databases. What the flow knows of durability is this page.
 *
 *   committer:  store_append → store_sync → store_hand           (one epoch after the other)
 *   applier:    store_applier_step, again and again: takes handed epochs into the active table; when it is full,
 *               freezes it and writes it out as a checkpoint (rules 1, 2), then trims the journal
 *   any thread: store_get, store_cursor, store_egress_read: newest wins over active table, frozen table, database
 */
#ifndef HOST_STATE_STORE_H
#define HOST_STATE_STORE_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/histogram.h"
#include "state/disk.h"
#include "state/journal/journal.h"
#include "state/kv.h"
#include "state/redo.h"

struct store;

struct store_options {
	struct disk *disk;
	struct kv_factory *factory; /* closed by store_close */
	const char *dir;            /* the data directory; made if absent */
	uint64_t checkpoint_bytes;  /* of journal between checkpoints */
	uint64_t segment_bytes;     /* of a journal segment */
	uint64_t journal_bytes_max; /* untrimmed; beyond it store_pressed() (rule 17) */
	/* Of each egress: read at every checkpoint, so they may change. NULL: everything is kept. */
	const _Atomic uint64_t *retention_bytes;
	const _Atomic uint64_t *retention_s;
	bool readonly;         /* --verify */
	const uint8_t *new_id; /* STORE_ID_BYTES: the id of a store that is made; NULL: a random one */
};

struct store_recovered {
	uint8_t store_id[STORE_ID_BYTES];
	bool created;           /* a new store */
	bool clean;             /* the last stop was orderly (store_close_clean) */
	uint64_t epoch;         /* last durable epoch; 0 in a new store */
	uint64_t time_ms;       /* its time; 0 in a new store */
	uint64_t journal_bytes; /* replayed */
	uint64_t rows;          /* that this left in the table */
	uint64_t databases_ms;  /* how long it took to open the databases, and to see that they are what they should be; */
	uint64_t journal_ms;    /* and to replay the journal */
};

/* Opens or creates, and replays the journal into the active table; serves at once, writes back later (rule 17).
 * Newer format, other store, damage: ERROR_REFUSED or ERROR_STORE_FAILED with found, expected and hint. The caller
 * holds the directory's lock. */
struct store *store_open(
	const struct store_options *options, struct store_recovered *ret_recovered, struct error *error);

/* Names the database of function type `number`, which is opened at first need. [any thread], before its first use. */
void store_type_name(struct store *store, uint32_t number, const char *name);

/* One epoch's redo, handed from thread to thread; the store frees it after its checkpoint. */
struct store_epoch {
	uint64_t epoch;
	uint64_t time_ms;
	bool emits; /* has egress records, so whoever watches egresses waits for it */
	size_t part_count;
	struct buf parts[]; /* redo, one a shard */
};

struct store_epoch *store_epoch_create(size_t part_count);
void store_epoch_destroy(struct store_epoch *epoch);

/* [committer] As journal_append and journal_sync. */
bool store_append(struct store *store, const struct store_epoch *epoch, struct error *error);
bool store_sync(struct store *store, struct error *error);

/* [committer] Gives an appended epoch to the applier, which owns it from here; wakes it if it sleeps. */
void store_hand(struct store *store, struct store_epoch *epoch);

/* [any thread] The last epoch that is in the applier's tables: what is dirty since then must stay cached (rule 14). */
uint64_t store_applied(const struct store *store);

/* [any thread] The journal is too far ahead of the checkpoints, or a database waits for space: stop reading sockets. */
bool store_pressed(const struct store *store);

/* [any thread] The time is time_ms now: if records of an egress are older than they are kept, or more, the applier makes a
 * checkpoint, at which they go, however little else there is for one. */
void store_retain(struct store *store, uint64_t time_ms);

/* [any thread] That checkpoint waits for an epoch behind the last one. */
bool store_retention_waits(const struct store *store);

/* [applier] Does one bounded piece of work; false if there was nothing to do. A database that is out of space is
 * reopened and tried again later (rule 16); any other failure is final, is kept in *error of the store, and
 * store_failed() tells it. */
bool store_applier_step(struct store *store);

/* [applier] Sleeps until handed something or timeout. */
void store_applier_wait(struct store *store, uint64_t timeout_us);

/* [reclaimer] Compacts a piece of a database from which much was removed, if there is one. In so many microseconds there may be
 * something to do again: rests keep most of LevelDB's one background thread for writers. */
uint64_t store_compact_step(struct store *store, uint64_t now_us);

/* [any thread] Ends that sleep: the applier's owner wants it to stop. */
void store_applier_wake(struct store *store);

/* [any thread] True once the store has failed for good; the reason then. */
bool store_failed(const struct store *store, struct error *ret_error);

/* 1 found (appended to ret_value), 0 absent, -1 error. [any thread] An error with system == ENOSPC may pass: a database
 * that was closed for want of memory does not open on a full disk. */
int store_get(struct store *store, uint32_t database, struct bytes key, struct buf *ret_value, struct error *error);

/* Ordered reading of one database from a key on, of rows of that key's kind: the merge of tables and database as of now. [any
 * thread], but not a shard's: it looks over a table, and sorts what it wants of it. */
struct store_cursor;
struct store_cursor *store_cursor_open(struct store *store, uint32_t database, struct bytes from, struct error *error);
/* To the first row that is not before the key, which is of that kind, and not before the one that it was opened with. */
void store_cursor_seek(struct store_cursor *cursor, struct bytes key);
bool store_cursor_next(
	struct store_cursor *cursor, struct bytes *ret_key, struct bytes *ret_value); /* false at the end */
bool store_cursor_status(const struct store_cursor *cursor, struct error *error); /* false: failed */
void store_cursor_close(struct store_cursor *cursor);

/* Entries of tables and lists ('M' rows) whose key begins with prefix, in order, from a key on: what tables and database hold of
 * them. It reads no more than is asked for, and may miss epochs that enter the active table meanwhile: for a shard that
 * knows by itself what it has changed since store_applied. [any thread] */
struct store_range;
struct store_range *store_range_open(
	struct store *store, uint32_t database, struct bytes prefix, struct bytes from, struct error *error);
/* 1: the next one, appended to both; 0: there is none; -1: error. *passed grows by the removals before it. */
int store_range_next(
	struct store_range *range, struct buf *ret_key, struct buf *ret_value, uint64_t *passed, struct error *error);
void store_range_close(struct store_range *range); /* NULL is fine */

/* The same for anybody: calls each() until it returns false or the end, for entries as of one moment between two epochs. The
 * applier takes no epoch meanwhile, so a page is to be small. [any thread but a shard's] */
bool store_range_read(struct store *store, uint32_t database, struct bytes prefix, struct bytes from,
	bool (*each)(void *arg, struct bytes key, struct bytes value), void *arg, struct error *error);

/* The offset after the last durable record of an egress; 0 if it was never used. [any thread] */
uint64_t store_egress_end(struct store *store, struct bytes name);

/* The oldest offset that is still there. [any thread] */
uint64_t store_egress_start(struct store *store, struct bytes name);

/* Calls each() for records from `from` on until it returns false or the end; gives the next offset. The store does not
 * look into records. [any thread but a shard's] */
bool store_egress_read(struct store *store, struct bytes name, uint64_t from,
	bool (*each)(void *arg, uint64_t offset, struct bytes record), void *arg, uint64_t *ret_next, struct error *error);

/* grown() is called whenever records of any egress have become readable: once for many, [applier]. Set, or taken back
 * with NULL, while no applier runs. */
void store_egress_watch(struct store *store, void (*grown)(void *arg), void *arg);

/* While somebody waits for records, an epoch that has some wakes the applier at once. [any thread] */
void store_egress_hurry(struct store *store, bool hurry);

/* Names of all egresses ever used, in order. [any thread but a shard's] */
void store_egress_names(
	struct store *store, void (*each)(void *arg, struct bytes name, uint64_t start, uint64_t end), void *arg);

/* [any thread] */
struct store_figures {
	uint64_t journal_untrimmed_bytes;
	uint64_t journal_bytes_max; /* above it store_pressed() */
	uint64_t checkpoints;
	uint64_t compactions;                /* of databases from which much was removed */
	struct histogram_figures checkpoint; /* how long they took */
	uint64_t table_bytes;                /* memory of both tables */
	uint64_t table_entries;
	uint64_t journal_bytes_written;
	uint64_t read_rows;     /* of the databases: looked for, or stepped over by a cursor of a range */
	uint64_t read_bytes;    /* keys and values of those that were there */
	uint64_t reclaimed;     /* rows of dropped ranges that are gone */
	bool waiting_for_space; /* an append or a checkpoint found the disk full, and is tried again */
};
void store_figures(const struct store *store, struct store_figures *ret_figures);

/* After the applier thread has ended. clean: everything handed is checkpointed first and the stop is marked orderly.
 * Otherwise everything is let go as it is. */
bool store_close(struct store *store, bool clean, struct error *error);

/* sofund --verify: reads everything, changes nothing; calls line() for each finding or progress. True: sound. */
bool store_verify(
	const struct store_options *options, void (*line)(void *arg, const char *text), void *arg, struct error *error);

#endif
