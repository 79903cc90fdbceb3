/* What the store's tests share: a store on a fault disk and simulated databases, random epochs, and a model that knows
 * what must be there after each of them. */
#ifndef TESTS_STORE_KIT_H
#define TESTS_STORE_KIT_H

#include "faults/fault_disk.h"
#include "faults/sim_kv.h"
#include "state/store.h"

enum {
	STORE_KIT_EPOCHS = 512,
	STORE_KIT_DATABASES = 4, /* runtime and three types */
	STORE_KIT_KEYS = 48,
	STORE_KIT_EGRESSES = 2,
	STORE_KIT_SEGMENT_BYTES = 64 << 10,
	STORE_KIT_CHECKPOINT_BYTES = 48 << 10,
};

/* What stands after an epoch. A value is the number that was put; 0: absent. */
struct store_model {
	uint32_t values[STORE_KIT_DATABASES][STORE_KIT_KEYS];
	uint32_t ends[STORE_KIT_EGRESSES];
};

struct store_kit {
	struct fault_disk *faults;
	struct sim_kv *sim;
	struct store *store;
	struct store_recovered recovered;
	struct error error;
	uint64_t checkpoint_bytes;
	_Atomic uint64_t retention_bytes; /* of an egress; 0: everything is kept */
	uint64_t random;
	uint64_t epoch;  /* last appended */
	uint64_t synced; /* last synced */
	uint32_t puts;
	struct store_model models[STORE_KIT_EPOCHS + 1];

	/* The event at which everything crashes; 0: never. And what has happened so far, over disk and databases. */
	uint64_t crash_at;
	uint64_t events;
	bool crashed;
	enum fault_action space; /* FAULT_ENOSPC: what the databases' writes meet */
};

void store_kit_start(struct store_kit *kit, uint64_t seed);
void store_kit_stop(struct store_kit *kit);

struct store_options store_kit_options(struct store_kit *kit);

/* Opens and names the types; false with kit->error. */
bool store_kit_open(struct store_kit *kit);

/* The process ends as it is, or in order. */
void store_kit_drop(struct store_kit *kit);
bool store_kit_close(struct store_kit *kit);

/* After a drop: what was not durable may go. */
void store_kit_power(struct store_kit *kit, bool cut);

uint64_t store_kit_random(struct store_kit *kit, uint64_t limit);

/* A random epoch, appended, perhaps synced, handed. False with kit->error. */
bool store_kit_epoch(struct store_kit *kit, bool sync);

/* Runs the applier until it has nothing to do. */
void store_kit_apply(struct store_kit *kit);

/* True if gets, cursors and egress reads give exactly what stood after that epoch; says on stderr what does not. */
bool store_kit_holds(struct store_kit *kit, uint64_t epoch);

/* A key of the kit's, into `key` (at most 16 bytes). */
struct bytes store_kit_key(uint32_t database, uint32_t number, char *key);
struct bytes store_kit_egress(uint32_t number);

#endif
