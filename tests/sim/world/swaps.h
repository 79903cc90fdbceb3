/* Versions of the simulated plugin: swaps while everything else goes on, and the judge of which version a message went to.
 * A generation is a version as a swap brought it: 0, 1, 2, ... */
#ifndef TESTS_SIM_SWAPS_H
#define TESTS_SIM_SWAPS_H

#include "flow/engine/inside.h"
#include "plugin/image.h"
#include "program.h"
#include "terms.h"

enum { SWAPS_MAX = 64 };

/* What a generation is, and what comes of its probation. */
enum promise {
	PROMISE_NONE,    /* it has no probation */
	PROMISE_BROKEN,  /* some messages always fail on it: its probation ends with the next swap, which runs them anew */
	PROMISE_TRUSTED, /* its probation ends when somebody says so, or with the next swap */
	PROMISE_TIMED,   /* after a while, or with the next swap */
};

struct swaps {
	struct engine *engine;
	struct image images[SWAPS_MAX]; /* one a generation */
	uint64_t generation;            /* of now */
	uint64_t fence;                 /* what was born before it goes to the generation before; 0: settled */
	uint8_t side;                   /* of what is born behind it */
	bool live;
	bool asked;            /* a fence is on its way: of a swap, or of the end of its drain; or the row of that end */
	bool settles;          /* the end of a drain is on its way */
	bool reshares;         /* the fence is of a canary's share */
	bool leaves_undecided; /* the generation before was on probation when it was left */
	uint64_t view;
	uint64_t fenced_view;
	uint64_t done;
	uint64_t seed;
	uint32_t one_in;    /* steps: a swap begins */
	uint64_t undecided; /* looks that found somebody waiting for a verdict */
	bool surveying;     /* somebody asked who waits */
	uint64_t surveys;   /* answered */

	/* by generation, over all lives */
	struct program_version versions[SWAPS_MAX];
	uint64_t fences[SWAPS_MAX];
	uint64_t canaries; /* changes of shares */
	struct terms terms;
	bool lax[SWAPS_MAX];              /* drain=running, or past its deadline: what was born before may go to it */
	uint64_t probation_ms[SWAPS_MAX]; /* until when; 0: over */
};

enum { TOKEN_SWAP = 500, TOKEN_SETTLED, TOKEN_SURVEY };

/* A swap begins at one of so many steps in which one could, and a canary changes at as many. */
void swaps_init(struct swaps *swaps, uint64_t seed, uint32_t one_in, uint64_t now_ms);
void swaps_finish(struct swaps *swaps);

/* What the store says, after engine_create; then the first view. False: the store could not be read. */
bool swaps_recover(struct swaps *swaps, struct engine *engine, struct store *store, struct error *error);
struct view *swaps_view(struct swaps *swaps);

/* What it is at, as a crash point. */
const char *swaps_phase(const struct swaps *swaps);

/* Now and then: begins a swap, or ends the drain of the last one. */
void swaps_step(struct swaps *swaps, uint64_t chance);
void swaps_answered(struct swaps *swaps, const struct engine_answer *answer);

/* True if a message born in that epoch may be handled by that generation. */
bool swaps_judge(struct swaps *swaps, uint64_t generation, uint64_t birth_epoch);

/* terms_ended_ms for who is called in that context. */
uint64_t swaps_ended_ms(struct swaps *swaps, const sofun_context *context, enum terms_way way, struct bytes id,
	uint64_t from_ms, uint64_t now_ms);

#endif
