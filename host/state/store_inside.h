/* What the files store*.c and applier*.c share. No other code should include this file.
 *
 * Locks, in the order in which they may be taken: taking, egress_mutex, readers; the others are leaves. */
#ifndef HOST_STATE_STORE_INSIDE_H
#define HOST_STATE_STORE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/park.h"
#include "state/egress_log/egress_log.h"
#include "state/store.h"
#include "state/store_format.h"
#include "state/table/runs.h"
#include "state/table/table.h"

enum {
	STORE_MAGIC = 0x57073a11,
	/* Keys and bytes of one batch: large enough to pay for the call, small enough for a bounded step. */
	BATCH_KEYS_MAX = 1024,
	BATCH_BYTES_MAX = 1024 * 1024,
	/* Redo that is taken into the table in one step, beyond which the next epoch waits for the next step. */
	TAKE_BYTES_MAX = 1024 * 1024,
	/* Under `interval` and `none` the applier syncs the journal itself when epochs have waited for that for so many of
	 * its short sleeps, or a part of checkpoint_bytes has gathered: what is not synced is not applied (rule 2). */
	UNSYNCED_WAITS_MAX = 50,
	UNSYNCED_CHECKPOINT_PART = 8,
	/* While there is work that nobody announces the applier looks again so often; waking it costs more. */
	APPLIER_POLL_US = 2000,
	/* So many short sleeps without work come before a long one: under load nobody pays for waking the applier. */
	IDLE_POLLS_MAX = 50,
	/* While a disk is full it looks for space so often. */
	APPLIER_SPACE_POLL_US = 100000,
};

/* Retention takes whole segments, so one is at most this part of what is kept. */
#define EGRESS_SEGMENT_BYTES ((uint64_t)64 << 20)
#define EGRESS_SEGMENT_PART 8

struct database {
	uint32_t number;
	char *name;
	pthread_mutex_t mutex;   /* held while it is opened */
	_Atomic(struct kv *) kv; /* NULL until needed */
	_Atomic uint64_t
		checkpoint; /* row 'B': epoch of its last checkpoint; 0: it holds nothing that is not in the journal */
	pthread_mutex_t removals_mutex;
	struct removals removals;
};

/* Guarded by egress_mutex, but for `log`, which stays once it is set. */
struct egress {
	struct buf name;
	struct egress_log *log;  /* NULL: nothing checkpointed yet */
	const uint8_t **records; /* places of the records in the tables, oldest first */
	size_t record_count;
	size_t record_capacity;
	size_t frozen_count; /* of these, in the frozen table */
	uint64_t first;      /* offset of records[0] */
	uint64_t time_ms;    /* of the epoch of the last of them */
};

enum checkpoint_phase {
	CHECKPOINT_IDLE,
	CHECKPOINT_TYPES,   /* each: sort, batches, flush and seal */
	CHECKPOINT_EGRESS,  /* append and sync */
	CHECKPOINT_RUNTIME, /* sort, batches, the store's own rows; flush and seal: the checkpoint stands */
	CHECKPOINT_TRIM,    /* the egress logs, the journal; the frozen table goes */
};

/* A checkpoint in progress. [applier] */
struct checkpoint {
	enum checkpoint_phase phase;
	struct database *database; /* being written; NULL between two */
	struct table_runs *runs;   /* its operations */
	bool sorted;               /* they are in order */
	uint32_t number;           /* of the last one begun */
	struct database **written; /* databases whose part is done */
	size_t written_count;
	size_t written_capacity;
	struct egress **egresses; /* those with frozen records, or with segments that retention takes */
	size_t egress_count;
	size_t egress;        /* next of them to be appended */
	size_t egress_record; /* next of its records */
	struct buf own_rows;  /* key:sized value:sized: rows 'B' and 'E', for the runtime database */
	size_t own_row_count;
	uint64_t epoch;
	uint64_t time_ms;
	uint64_t start_us; /* real time */
	struct egress_retention retention;
};

/* A compaction in progress. [reclaimer] */
struct compaction {
	struct database *database; /* NULL: none */
	struct buf from;           /* the next piece begins at this key */
	uint64_t removed_rows;     /* that it was begun for */
	uint64_t rest_until_us;
};

struct store {
	unsigned magic;
	struct disk *disk;
	struct kv_factory *factory;
	char *dir;
	uint64_t checkpoint_bytes;
	uint64_t journal_bytes_max;
	const _Atomic uint64_t *retention_bytes;
	const _Atomic uint64_t *retention_s;
	_Atomic uint64_t retain_ms;   /* the time, as store_retain told it; 0: the applier has seen it */
	uint64_t retained_ms;         /* [applier] it has looked by that time last */
	_Atomic bool retention_waits; /* the applier wants to, and has no epoch for a checkpoint */
	bool retention_due;           /* [applier] a checkpoint is due because of it */
	uint8_t id[STORE_ID_BYTES];
	const uint8_t *new_id; /* during store_open only */

	struct journal *journal;
	pthread_mutex_t journal_mutex; /* append and sync, which the applier may call too */
	_Atomic bool journal_full;     /* the last append found no space */

	/* Handed epochs, a ring. */
	pthread_mutex_t handed_mutex;
	struct store_epoch **handed;
	size_t handed_first;
	size_t handed_count;
	size_t handed_capacity; /* a power of two */
	_Atomic uint64_t handed_bytes;
	unsigned unsynced_waits;  /* [applier] */
	unsigned idle_polls;      /* [applier] short sleeps since there was work */
	_Atomic bool sleeps_long; /* the applier must be woken */
	struct park park;

	pthread_mutex_t taking;   /* held while an epoch enters the active table: cursors see whole epochs */
	pthread_rwlock_t readers; /* of the tables: shared to look up, exclusive to change which they are */
	struct table *active;
	struct table *frozen;     /* NULL: no checkpoint in progress */
	uint64_t active_bytes;    /* [applier] of journal, about */
	uint64_t taking_ms;       /* [applier] time of the epoch that is being taken */
	uint64_t active_since_ms; /* [applier] time of its first epoch; valid while there is one */
	_Atomic uint64_t applied;
	bool draining; /* [applier] store_close: a checkpoint is due however little there is */

	struct checkpoint checkpoint;
	_Atomic uint64_t checkpoint_epoch; /* of the last whole one */
	uint64_t checkpoint_time_ms;
	_Atomic bool database_full; /* the checkpoint waits for space */
	_Atomic uint64_t checkpoints;
	struct histogram checkpoint_seconds; /* [applier] writes */
	_Atomic uint64_t runs_bytes;
	struct compaction compaction;
	_Atomic uint64_t compactions;
	_Atomic uint64_t journal_bytes_written;
	_Atomic uint64_t read_rows; /* of databases, looked for or stepped over */
	_Atomic uint64_t read_bytes;

	struct reclaim *reclaim;       /* [reclaimer] */
	uint64_t replayed;             /* the last epoch that recovery took from the journal; constant */
	_Atomic bool checkpoint_asked; /* one is due, however little there is */
	_Atomic uint64_t reclaimed;    /* keys */

	struct database runtime;
	_Atomic(struct database *) databases[TABLE_DATABASES];

	pthread_mutex_t egress_mutex;
	struct egress **egresses; /* by name */
	size_t egress_count;
	size_t egress_capacity;
	struct egress *egress_last; /* the one taken last, for the next record is mostly its too */
	_Atomic bool egress_hurry;
	bool egress_grown; /* [applier] something was taken since egress_growth() was told */
	void (*egress_growth)(void *arg);
	void *egress_growth_arg;

	pthread_mutex_t failure_mutex;
	_Atomic bool failed;
	struct error failure;
};

/* Keeps the first reason. */
void store_fail(struct store *store, const struct error *error);

/* ---- store.c ---- */

/* What a reader found in a database. */
void store_read_count(struct store *store, uint64_t rows, uint64_t bytes);

/* ---- store_database.c ---- */

void database_init(struct database *database, uint32_t number, struct bytes name);
void database_finish(struct database *database);

/* The database of a number, which must have been named. */
struct database *store_database(struct store *store, uint32_t number);

/* For reading: NULL with ERROR_NONE in *error if it holds nothing yet. */
struct kv *database_reading(struct store *store, struct database *database, struct error *error);
/* For a checkpoint: makes it if it is not there. */
struct kv *database_writing(struct store *store, struct database *database, struct error *error);

char *database_path(const struct store *store, const struct database *database);

/* The row's value is whole, ours and not newer. name NULL: not compared. */
bool format_check(const char *path, struct bytes value, const uint8_t *store_id, uint32_t database, const char *name,
	struct error *error);
/* Writes row 'F' so that it survives from here on. */
bool format_write(struct kv *kv, const struct format_row *row, struct error *error);

/* The row 'C' of a database; epoch 0 if there is none. */
bool checkpoint_read(struct kv *kv, const char *path, struct checkpoint_row *ret_row, struct error *error);

bool row_put(struct kv *kv, struct bytes key, struct bytes value, bool sync, struct error *error);

/* ---- store_identity.c ---- */

/* Says in a small file in the database's folder what its row 'F' says. */
bool identity_write(struct store *store, const char *path, const struct format_row *row, struct error *error);
bool identity_exists(struct store *store, const char *path);

/* At the start: every database that holds a checkpoint is there, of this store and of a known format. */
bool identities_check(struct store *store, struct error *error);

/* ---- store_recover.c ---- */

/* The store's own rows, then the journal. start_us: when opening began. */
bool store_recover(struct store *store, const struct store_options *options, uint64_t start_us,
	struct store_recovered *ret_recovered, struct error *error);

/* ---- store_egress.c ---- */

/* An egress record of an epoch that is being taken; table_take's egress(). */
bool egress_take(void *store, const uint8_t *place);

/* Tells whoever watches that there is more to read, if there is. [applier] */
void egress_growth_tell(struct store *store);

/* Opens the log of an egress that a checkpoint row names. */
bool egress_restore(struct store *store, struct bytes name, const struct egress_row *row, struct error *error);

/* Opens a log that does not exist yet. [applier] */
bool egress_log_make(struct store *store, struct egress *egress, struct error *error);

void egress_freeze(struct store *store); /* with egress_mutex */
void egress_thaw(struct store *store);   /* with egress_mutex: what was frozen is in the logs */
void egress_destroy(struct egress *egress);

/* ---- applier.c ---- */

/* Takes an epoch into the active table, which owns it from here. False: malformed. */
bool applier_take(struct store *store, struct store_epoch *epoch);

/* ---- compact.c ---- */

/* A batch has been written. [applier] */
void removals_note(struct database *database, const struct removals *batch);

/* What row 'r' of the database is to say. [any thread] */
struct removals removals_now(struct database *database);

/* ---- applier_checkpoint.c ---- */

/* One bounded piece of a checkpoint; begins one if it is due. False: nothing to do, or no space to do it. */
bool checkpoint_step(struct store *store);

/* Lets go what a checkpoint in progress holds. */
void checkpoint_abandon(struct checkpoint *checkpoint);

#endif
