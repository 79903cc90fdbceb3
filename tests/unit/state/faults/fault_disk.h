/* A disk in memory behind the seam of host/state/disk.h, for tests and the simulation: it loses at a power cut what a
 * real one may lose, and fails where it is told to. Deterministic: the same seed and the same calls give the same
 * losses. Thread-safe.
 *
 * What survives a power cut: of a file, what was synced, and of every page of 4 KiB written since, the old or the new
 * content, by chance; of names, what sync_dir covered, and of every create, rename, unlink and mkdir since, by chance,
 * done or not done. After a failed sync the pages look written and are not (rule 7): reads show the new bytes, a power
 * cut brings back the old ones, and a second sync says nothing of them. */
#ifndef TESTS_FAULT_DISK_H
#define TESTS_FAULT_DISK_H

#include "state/disk.h"

enum { FAULT_PAGE_BYTES = 4096 };

struct fault_disk;

enum fault_action {
	FAULT_NONE,
	FAULT_EIO,
	FAULT_ENOSPC,
	FAULT_CRASH, /* this call and all later ones fail with EIO; a write may have put some of its pages */
};

/* One call that changes something, before it is done. */
struct fault_event {
	uint64_t number;       /* from 1 */
	const char *operation; /* create write sync truncate rename unlink mkdir sync_dir */
	const char *path;
	struct bytes data; /* write */
	uint64_t offset;   /* write, truncate */
};

struct fault_disk *fault_disk_create(uint64_t seed);
void fault_disk_destroy(struct fault_disk *faults);
struct disk *fault_disk_seam(struct fault_disk *faults);

/* A second disk with the same content, as if both had been through the same. Open files stay with the first. */
struct fault_disk *fault_disk_copy(struct fault_disk *faults, uint64_t seed);

/* decide() is asked at every event; NULL: nothing fails any more. */
void fault_disk_decide(
	struct fault_disk *faults, enum fault_action (*decide)(void *arg, const struct fault_event *event), void *arg);

/* The countdown-th event from now whose name contains `name` ("" for any) gets `action`, once. 0: none. */
void fault_disk_fail(struct fault_disk *faults, const char *name, uint64_t countdown, enum fault_action action);

/* The crash point's name: "write segment record", "sync_dir journal", …: operation and role of the file. */
void fault_event_name(const struct fault_event *event, char *name, size_t size);

/* Events so far. */
uint64_t fault_disk_events(struct fault_disk *faults);

/* True after FAULT_CRASH, until the power cut or the kill. */
bool fault_disk_crashed(struct fault_disk *faults);

/* The process dies; everything written is there. Files that are open now fail from here on. */
void fault_disk_kill(struct fault_disk *faults);

/* The power goes. Files that are open now fail from here on. */
void fault_disk_cut(struct fault_disk *faults);

/* Syncs do nothing any more, and say they did: the mutant that every power-cut test must catch. */
void fault_disk_lie(struct fault_disk *faults);

/* Writes that would make all files together larger fail with ENOSPC; UINT64_MAX: no limit. */
void fault_disk_capacity(struct fault_disk *faults, uint64_t bytes);

/* The whole content, for golden bytes; until the next write. Fails the test's check if there is no such file. */
struct bytes fault_disk_peek(struct fault_disk *faults, const char *path);

/* Changes content behind everybody's back, durably: bit rot. */
void fault_disk_poke(struct fault_disk *faults, const char *path, uint64_t offset, struct bytes data);

#endif
