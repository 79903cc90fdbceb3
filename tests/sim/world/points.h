/* Crash points: every change that the host makes to a disk or a database, by name ("write segment record", "kv_flush runtime"), and
 * what a swap was at ("swap: fence asked"), whatever else the host did then. Counted over all runs of a process: how often each was passed, and how often the host died there. */
#ifndef TESTS_SIM_POINTS_H
#define TESTS_SIM_POINTS_H

#include "fault_disk.h"
#include "sim_kv.h"

/* From here on their events are counted. One world at a time. */
void points_watch(struct fault_disk *disk, struct sim_kv *kv);

/* The countdown-th event from now, of both together, crashes. */
void points_plan(uint64_t countdown);

/* No crash is planned any more. */
void points_calm(void);

/* True once the planned crash has happened, until points_calm. */
bool points_crashed(void);

/* A point that is no event of a disk: it is passed, or the host dies there. */
void point_pass(const char *name, bool crashes);

void points_print(void);

/* How many points were passed and never crashed at. */
unsigned points_missed(void);

#endif
