/* What the parts of recovery share: recover.c (the order of it), walk.c (reading the chain of records),
 * damage.c (is what stands behind the end a torn end or a hole?). No other code should include this file. */
#ifndef HOST_STATE_JOURNAL_RECOVER_H
#define HOST_STATE_JOURNAL_RECOVER_H

#include "state/journal/inside.h"

/* A record that counts. */
struct record_place {
	size_t segment; /* index in journal->segments, which is in order of sequence during recovery */
	uint64_t offset;
	uint64_t bytes;
	uint64_t epoch;
};

struct walk {
	struct journal *journal;
	uint64_t checkpoint_epoch;
	size_t segment; /* where the next record is looked for */
	uint64_t offset;
	bool started;              /* there is a segment to start in */
	struct record_header last; /* epoch 0: none yet */
	struct record_place *places;
	size_t place_count;
	size_t place_capacity;
	struct journal_end end;
};

/* Reads what stands at offset into the journal's buffer. 1: a whole record of this segment and store with a good CRC;
 * 0: none; else -errno. A segment without a readable header takes records of any sequence number. */
int record_read(
	struct journal *journal, const struct segment *segment, uint64_t offset, struct record_header *ret_header);

/* walk.c: from the newest segment that begins at or below checkpoint_epoch + 1 to the end. */
bool walk_run(struct walk *walk,
	bool (*each)(void *arg, uint64_t epoch, uint64_t time_ms, struct bytes body, struct error *error), void *arg,
	struct error *error);

/* damage.c: false if the end is not the end (rule 4). */
bool damage_check(struct walk *walk, struct error *error);

/* The epoch that the journal, as found, ends with. */
static inline uint64_t walk_end_epoch(const struct walk *walk) {
	return walk->last.epoch != 0 ? walk->last.epoch : walk->checkpoint_epoch;
}

#endif
