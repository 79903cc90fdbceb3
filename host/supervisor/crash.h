/* What the workers of a data directory died of: a short table of rows, counted by key (image, address, payload). The
 * supervisor alone writes rows, between two workers, and keeps them in a file; the worker reads them, and turns a row's
 * outcome when it has dealt with it.
 *
 * The life of a row (INVARIANTS 34):
 *
 *   death in a call ─▶ SUSPECT ── ran alone and lived ─▶ CLEARED
 *                         │  └── its image was convicted ─▶ SPARED
 *                         └── died alone twice ─▶ CONVICTED ── its dead letter is durable ─▶ DEAD
 *   an equal of the convicted one died alone ─▶ SUSPECT: that one is judged now
 *   death of an image, in no message  ─▶ IMAGE         death that nobody can explain ─▶ UNATTRIBUTED
 *   a signal from outside, SIGKILL, OOM ─▶ OUTSIDE      death while loading ─▶ LOADING
 *
 * Whatever the verdict on an image is (LOADING: one death; IMAGE, SUSPECT: two of them in its probation): once the image is
 * quarantined or rolled back for good, its rows are SPARED. */
#ifndef HOST_SUPERVISOR_CRASH_H
#define HOST_SUPERVISOR_CRASH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "supervisor/fault.h"

enum {
	CRASH_MESSAGES_CONVICT = 2, /* different ones, within the probation of their image */
	CRASH_ROWS_MAX = 64,        /* more keys than that at once are no longer the work of single messages */
	CRASH_CAUSE_BYTES = 64,
	CRASH_ALONE_CONVICTS = 2, /* deaths of a message that ran alone, each in a process of its own */
};

enum crash_outcome {
	CRASH_UNATTRIBUTED,
	CRASH_OUTSIDE,
	CRASH_LOADING,
	CRASH_IMAGE,
	CRASH_SUSPECT,
	CRASH_CONVICTED,
	CRASH_CLEARED,
	CRASH_SPARED,
	CRASH_DEAD,
};

struct crash_row {
	_Atomic uint32_t outcome; /* enum crash_outcome */
	uint32_t kind;            /* enum note_kind, without NOTE_LEFT */
	uint8_t hash[NOTE_HASH_BYTES];
	char plugin[NOTE_NAME_BYTES]; /* "" if no image is known */
	char version[NOTE_NAME_BYTES];
	char name[FAULT_NAME_BYTES]; /* function type or ingress; "" if no message is known */
	uint8_t id[FAULT_ID_BYTES];
	uint32_t id_size;
	uint64_t payload_hash;
	uint64_t place; /* of the message that died alone: its birth epoch, of a record its sequence number; 0: none has */
	uint64_t count; /* deaths */
	uint64_t alone; /* of these, when nothing else ran */
	uint64_t first_ms; /* since 1970 */
	uint64_t last_ms;
	char cause[CRASH_CAUSE_BYTES]; /* of the last one: "SIGSEGV", "10000 ms of CPU time" */
};

struct crash_table {
	_Atomic uint32_t count; /* rows[0..count), the youngest first */
	struct crash_row rows[CRASH_ROWS_MAX];
};

const char *crash_outcome_name(enum crash_outcome outcome);
const char *crash_kind_name(uint32_t kind);

static inline struct bytes crash_row_id(const struct crash_row *row) {
	return bytes_of(row->id, row->id_size);
}

static inline bool crash_row_is(const struct crash_row *row, enum crash_outcome outcome) {
	return atomic_load(&row->outcome) == (uint32_t)outcome;
}

/* Enters a death: a row of its key if there is one, else a new one, at the front; the oldest that nobody waits for goes.
 * The row that it became. */
struct crash_row *crash_enter(struct crash_table *table, const struct crash_row *death);

/* How many different messages died in code of that image between those times, every death of the image in no message being
 * one more; what was spared is not counted again. *ret_last: the youngest of them, NULL if there is none. */
uint32_t crash_of_image(const struct crash_table *table, const uint8_t hash[NOTE_HASH_BYTES], uint64_t from_ms,
	uint64_t until_ms, const struct crash_row **ret_last);

/* ---- in the worker ---- */

/* The table is in shared memory from here on, and a write to notice_fd has the supervisor save it. Before any thread. */
void crash_open(struct crash_table *table, int notice_fd);

/* Without a supervisor: one that is empty. [any thread] */
struct crash_table *crash_current(void);

/* Has been dealt with: the row's outcome becomes that, here and, soon, in the file. [any thread] */
void crash_turn(struct crash_row *row, enum crash_outcome outcome);

/* The image is convicted, and that is durable: its messages are not charged. */
void crash_spare(struct crash_table *table, const uint8_t hash[NOTE_HASH_BYTES]);

/* The row that speaks of a death while that image was loaded, and that nobody has dealt with; NULL: none. */
struct crash_row *crash_of_load(struct crash_table *table, const uint8_t hash[NOTE_HASH_BYTES]);

#endif
