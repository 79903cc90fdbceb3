/* What the parts of the journal share. No other code should include this file.
 *
 * Threads: the committer owns everything marked [committer]; `lock` guards what committer and applier share: the list
 * of segments, their states and last epochs, and the marks. File contents need no lock: the committer writes only the
 * segment in use, the applier only the one it prepares. */
#ifndef HOST_STATE_JOURNAL_INSIDE_H
#define HOST_STATE_JOURNAL_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "state/journal/format.h"

enum {
	JOURNAL_MAGIC = 0x4a524e4c,
	JOURNAL_SLOT_MAX = 999999, /* six digits in a file's name */
};

enum segment_state {
	SEGMENT_BLANK,     /* found unfinished at open; recovery removes it */
	SEGMENT_DAMAGED,   /* found without a readable header; recovery looks into it, then frees it */
	SEGMENT_USED,      /* holds records that are needed, or is the one being written */
	SEGMENT_READY,     /* its header holds the next sequence number, durably */
	SEGMENT_FREE,      /* written full once; may be made the next */
	SEGMENT_PREPARING, /* being made READY by whoever set this; one at most, and only while none is READY */
	SEGMENT_LEAVING,   /* being removed by whoever set this */
};

struct segment {
	char *path;
	uint32_t slot; /* the number in its name */
	struct disk_file *file;
	uint64_t bytes;    /* of the file, header included */
	uint64_t sequence; /* 0 while the header says none */
	uint32_t format;   /* that the header says */
	enum segment_state state;
	uint64_t last_epoch; /* of its records; 0: none */
	bool dirty;          /* [committer] written since its last sync */
};

/* Untrimmed records: epochs first .. first + count - 1 and what each takes. */
struct journal_marks {
	uint64_t first;
	uint64_t *bytes;
	size_t start; /* of the first in bytes[] */
	size_t count;
	size_t capacity;
	uint64_t total;
};

struct journal {
	unsigned magic;
	struct disk *disk;
	char *dir;
	uint8_t store_id[STORE_ID_BYTES];
	uint64_t segment_bytes;
	bool recovered; /* appending is allowed: recovered, and not readonly */

	pthread_mutex_t lock;
	pthread_cond_t prepared; /* the PREPARING segment became READY or went */
	struct segment **segments;
	size_t segment_count;
	size_t segment_capacity;
	struct journal_marks marks;
	uint64_t trimmed;       /* epoch */
	struct segment *active; /* the one written to; NULL before the first record. Changed by the committer only */

	_Atomic uint64_t synced; /* epoch */
	atomic_flag writing;     /* set while a writer is inside: two at once are a mistake */

	/* [committer] */
	uint64_t offset; /* where the next record goes in the active segment */
	uint64_t generation;
	uint64_t epoch;    /* of the last record; 0: none */
	uint32_t previous; /* its CRC field */
	uint8_t *buffer;   /* block-aligned, reused */
	size_t buffer_bytes;
	bool failed; /* a write or sync failed for good */
	struct error failure;
};

/* segments.c; all REQUIRE lock unless said otherwise. */
struct segment *journal_segment_add(struct journal *journal, uint32_t slot);
void journal_segment_forget(struct journal *journal, struct segment *segment);
uint64_t journal_sequence_last(const struct journal *journal);

/* [committer], without lock: the next segment becomes the active one; made here if the applier has not, waited for if
 * the applier is just at it. */
bool journal_segment_take(struct journal *journal, struct error *error);

/* Without lock. Removes the file, durably, and forgets it. */
bool journal_segment_remove(struct journal *journal, struct segment *segment, struct error *error);

/* Without lock. Writes and syncs the header that gives the segment its sequence number. */
int journal_segment_head(struct journal *journal, struct segment *segment);

/* marks.c; REQUIRE lock. */
void journal_marks_add(struct journal_marks *marks, uint64_t epoch, uint64_t bytes);
void journal_marks_trim(struct journal_marks *marks, uint64_t epoch);

/* recover.c uses these of write.c: room for a record of that many bytes in the reused buffer. */
uint8_t *journal_buffer(struct journal *journal, size_t bytes);

/* Sets an ERROR_STORE_FAILED that names the file. */
bool journal_error(
	const struct journal *journal, const struct segment *segment, int result, const char *doing, struct error *error);

#endif
