/* Databases in memory behind the seam of host/state/kv.h, for tests and the simulation: they keep through a power cut
 * what LevelDB keeps, and no more (INVARIANTS, rule 1). Deterministic: the same seed and the same calls give the same
 * losses. Thread-safe.
 *
 * A write goes to the current log. At any write, by chance, that log may be closed unsynced and another begun, and the
 * oldest closed log may become a table. A synced write makes durable the current log up to itself, and not the closed
 * ones. A flush makes tables of all logs. A power cut keeps all tables, of each log what was synced and by chance a
 * part of the rest; and by chance a log is torn so that all logs must be set aside (rule 15). A kill keeps everything.
 * A flush tells no failure: the next write does. */
#ifndef TESTS_SIM_KV_H
#define TESTS_SIM_KV_H

#include "fault_disk.h"
#include "state/kv.h"

struct sim_kv;

struct sim_kv *sim_kv_create(uint64_t seed);
void sim_kv_destroy(struct sim_kv *sim); /* REQUIRES: no database is open */

/* A factory to be given to one store, which closes it; the databases stay. */
struct kv_factory *sim_kv_factory(struct sim_kv *sim);

/* decide() is asked before every call that changes something: operations "kv_open", "kv_write", "kv_sync" (a synced
 * write) and "kv_flush", with the database's path; its data is the first key. After FAULT_CRASH every call fails. */
void sim_kv_decide(
	struct sim_kv *sim, enum fault_action (*decide)(void *arg, const struct fault_event *event), void *arg);

/* A flush does nothing any more: the mutant that a test of rule 1 must catch. */
void sim_kv_lie(struct sim_kv *sim);

/* The process dies, or the power goes. REQUIRES: no database is open. */
void sim_kv_kill(struct sim_kv *sim);
void sim_kv_cut(struct sim_kv *sim);

/* Removes a row, or a whole database (key NULL), behind everybody's back. */
void sim_kv_forget(struct sim_kv *sim, const char *path, const char *key);

#endif
