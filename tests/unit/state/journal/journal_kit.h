/* What the journal's tests share: a journal on a fault disk, records whose bodies can be told from each other, and a
 * recovery that checks every body it is given. */
#ifndef TESTS_JOURNAL_KIT_H
#define TESTS_JOURNAL_KIT_H

#include "faults/fault_disk.h"
#include "state/journal/journal.h"

enum { KIT_SEGMENT_BYTES = 64 << 10, KIT_EPOCHS_MAX = 4096 };

#define KIT_DIR "data/journal"
#define KIT_FIRST_SEGMENT KIT_DIR "/000001.segment"

struct kit {
	struct fault_disk *faults;
	struct journal *journal;
	uint64_t segment_bytes;
	uint8_t store_id[STORE_ID_BYTES];
	uint64_t next;                  /* epoch of the next append */
	uint64_t salt[KIT_EPOCHS_MAX];  /* which of several records of an epoch was written last */
	uint64_t found[KIT_EPOCHS_MAX]; /* salt that recovery found; 0: epoch was not given */
	uint64_t body_bytes;            /* of every body; 0: varies with the epoch */
	struct journal_end end;
	struct error error;
};

void kit_start(struct kit *kit, uint64_t seed);
void kit_stop(struct kit *kit);

/* Opens and recovers; false with kit->error. Continues behind what was found. */
bool kit_recover(struct kit *kit, uint64_t checkpoint_epoch, bool readonly);

/* As kit_recover, which must succeed. */
void kit_open(struct kit *kit, uint64_t checkpoint_epoch);

/* The process ends (or is killed), another starts: kit_open on the same disk. */
void kit_reopen(struct kit *kit, uint64_t checkpoint_epoch);
void kit_close(struct kit *kit);

/* One record, not synced; false with kit->error, and then kit->next stays. */
bool kit_append(struct kit *kit);
bool kit_sync(struct kit *kit);

/* That many records, each synced; all must succeed. */
void kit_fill(struct kit *kit, unsigned records);

/* The body of an epoch: epoch, salt, then bytes that follow from both. */
void kit_body(const struct kit *kit, uint64_t epoch, uint64_t salt, struct buf *ret_body);

/* What a record of that epoch takes in a segment. */
uint64_t kit_record_bytes(const struct kit *kit, uint64_t epoch);

#endif
