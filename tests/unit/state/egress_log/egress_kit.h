/* What the tests of an egress log share: one log on a fault disk, and records that are told apart by their offset. */
#ifndef TESTS_EGRESS_KIT_H
#define TESTS_EGRESS_KIT_H

#include "faults/fault_disk.h"
#include "state/egress_log/egress_log.h"

enum { EGRESS_KIT_SEGMENT_BYTES = 4096 };

struct egress_kit {
	struct fault_disk *faults;
	struct egress_log *log;
	struct egress_row row;
	struct error error;
};

/* A disk of that seed with an empty log, which is open. */
void egress_kit_start(struct egress_kit *kit, uint64_t seed);
void egress_kit_stop(struct egress_kit *kit);

struct egress_log_options egress_kit_options(const struct egress_kit *kit);
bool egress_kit_open_as(struct egress_kit *kit, struct egress_log_options options);
void egress_kit_open(struct egress_kit *kit); /* must succeed */
void egress_kit_close(struct egress_kit *kit);

/* The records [from, to), of 0 to 300 bytes each. */
bool egress_kit_append(struct egress_kit *kit, uint64_t from, uint64_t to);
void egress_kit_append_synced(struct egress_kit *kit, uint64_t from, uint64_t to); /* must succeed */

struct egress_kit_expected {
	uint64_t next;
	uint64_t stop; /* no more are wanted; 0: all */
};
/* Given to egress_log_read: each record is the one that was appended. */
bool egress_kit_check(void *expected, uint64_t offset, struct bytes record);
/* Reads [from, end) and checks each record. */
void egress_kit_holds(struct egress_kit *kit, uint64_t from, uint64_t end);

unsigned egress_kit_files(struct egress_kit *kit);

#endif
