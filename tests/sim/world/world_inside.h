/* What the files of a simulated world share. No code outside of this folder should include this file. */
#ifndef TESTS_SIM_WORLD_INSIDE_H
#define TESTS_SIM_WORLD_INSIDE_H

#include <setjmp.h>

#include "fault_disk.h"
#include "flow/engine/inside.h"
#include "keys.h"
#include "sim_kv.h"
#include "swaps.h"
#include "world.h"

enum {
	THREADS = 4, /* of the pool: a call of work begins and ends in one step, but in any order */
	OUTSIDE_MAX = 65536,
};

/* Tokens of requests: of a swap from TOKEN_SWAP on, of a key from KEYS_TOKEN on. */
enum { TOKEN_BARRIER = 1, TOKEN_ROWS = 2, TOKEN_PRODUCERS = 1000 };

struct producer_client {
	uint64_t durable; /* the host said so: it may never be less again */
	uint64_t next;    /* first record not yet sent on this connection; 0: the position must be asked */
	uint32_t in_flight;
};

struct world {
	const struct world_options *options;
	struct world_result *result;
	uint64_t random;
	uint64_t now_us;
	jmp_buf death;            /* out of the call that the host dies in */
	uint64_t crash_countdown; /* in world steps; 0: none is planned */

	/* the host, and what it stands on */
	struct fault_disk *disk;
	struct sim_kv *kv;
	struct config config;
	struct store *store;
	struct engine *engine;

	/* its threads */
	bool inside; /* somebody is in the middle of a turn */
	bool running[SHARDS_MAX];
	bool shards_asleep[SHARDS_MAX];
	bool committer_asleep;
	struct job *jobs[THREADS]; /* taken, and not run yet */

	/* who uses it */
	uint64_t session;
	struct producer_client producers[PROGRAM_PRODUCERS];
	struct keys keys;
	struct swaps swaps;
	uint64_t outside[OUTSIDE_MAX]; /* operations that somebody must complete */
	size_t outside_count;
	bool swapping;
	bool parked;      /* the first view has no live version */
	bool asked_early; /* an ingest, while it was */
	bool barrier_asked;
	bool barrier_done;
	uint64_t timers_before; /* set before it was asked, and none left; UINT64_MAX: some were left */
};

/* ---- world.c ---- */

uint64_t world_random(struct world *world);
uint64_t world_below(struct world *world, uint64_t limit);

/* Keeps the first thing that is wrong. */
void world_wrong(struct world *world, const char *what, uint64_t found, uint64_t expected);
void world_wrong_error(struct world *world, const char *what, const struct error *error);

/* The host could not do something: that is wrong, unless it is dead. */
void world_unable(struct world *world, const char *what, const struct error *error);

/* True while nothing has crashed on purpose: only then an error is a defect. */
bool world_alive(void);

/* ---- life.c ---- */

/* False: it crashed while starting, or something is wrong. */
bool host_start(struct world *world);

/* The process dies, or the power goes. */
void host_crash(struct world *world);
void host_drop(struct world *world);

/* What a swap is at, as a crash point. */
const char *host_swap_phase(const struct world *world);

/* ---- steps.c ---- */

void world_step(struct world *world);

/* The last barrier was answered, and nothing can come any more. */
bool world_done(struct world *world);

/* Steps until everything that was handled is in the tables. */
void world_settle(struct world *world);

void world_inside_hook(void *arg);
void world_entered_hook(void *arg, const sofun_message *message, uint64_t generation, bool poison);

/* ---- producers.c ---- */

void producers_step(struct world *world);
void producers_answered(struct world *world, const struct engine_answer *answer);
void producers_disconnect(struct world *world);
bool producers_done(const struct world *world);

/* ---- work.c ---- */

void work_step(struct world *world);
void work_begun_hook(void *arg, uint64_t id);
void work_outside_hook(void *arg, uint64_t id);

/* ---- verdict.c, verdict_rows.c ---- */

/* Holds everything against the model, then lets a year pass and looks whether what should end has. */
void world_judge(struct world *world);

/* How many rows of that kind a database has. */
uint64_t rows_count(struct world *world, uint32_t database, enum key_kind kind);
void rows_are(struct world *world, const char *what, enum key_kind kind, uint64_t expected);

/* Instances by schema are counted as the rows say. */
void schemas_compare(struct world *world);

/* Everything that was dropped is taken back, and no row of an entry is left that nobody tells of. */
void entries_compare(struct world *world);

#endif
