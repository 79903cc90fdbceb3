/* The engine's own parts. Private to host/flow: only engine*.c include this file. */
#ifndef HOST_FLOW_ENGINE_INSIDE_H
#define HOST_FLOW_ENGINE_INSIDE_H

#include "flow/epoch/commit.h"
#include "flow/keyed/sweep.h"

/* A read for the reader thread, and on its way back. */
struct reading {
	struct reading *next;
	void (*run)(void *arg, struct store *store);
	void (*done)(void *arg);
	void *arg;
	uint64_t epoch; /* what must be applied first: what was durable when it was asked */
};

struct readings {
	struct reading *first;
	struct reading **last;
};

/* A barrier or clock move that is not placed yet. */
struct pending {
	struct pending *next;
	uint64_t token;
	bool relative;
	uint64_t ms;
};

struct old_view {
	struct old_view *next;
	struct view *view;
};

struct engine {
	struct flow flow;
	struct committer committer;
	uint16_t types; /* highest number given */
	bool layout_changed;
	bool threadless; /* the simulation steps the parts itself */

	/* [loop] */
	struct view *view;
	struct old_view *old_views;
	uint8_t colour;
	uint64_t serial;        /* of the last barrier or clock move */
	uint64_t barrier_token; /* under way; 0: none */
	uint64_t clock_token;
	uint64_t clock_to_ms;     /* where that move ends */
	struct pending *barriers; /* waiting for their turn */
	struct pending *clocks;
	bool gathers;                    /* whoever runs the loop says when a turn ends */
	uint64_t submitted;              /* shards that were given something and not woken yet */
	uint64_t submitted_bytes;        /* and how much */
	bool brought;                    /* this turn of the loop had an input */
	uint64_t calls[SHARDS_MAX];      /* how many a shard had begun at the last look */
	struct fence *fence;             /* on its way; NULL: none */
	uint64_t drain_fence[TYPES_MAX]; /* for which drain_epoch counts */
	uint64_t drain_epoch[TYPES_MAX]; /* once it is durable, `owed` speaks of the time after adoption */

	bool started;
	bool abandoned;         /* a thread of the pool did not return */
	_Atomic bool ending;    /* no shard runs any more */
	_Atomic bool committed; /* nor the committer: no epoch comes */
	pthread_t committer_thread;
	pthread_t applier_thread;
	pthread_t reader_thread;
	pthread_t reclaimer_thread;
	struct park reclaimer_park;
	struct park reader_park;
	pthread_mutex_t reading_mutex;
	_Atomic bool egress_watched;
	_Atomic bool egress_grown;
	struct sweep sweep;
	struct readings asked; /* under reading_mutex */
	struct readings read;  /* under reading_mutex */
};

/* threads.c */
void engine_threads_start(struct engine *engine);
void engine_threads_stop(struct engine *engine);

/* read.c: the store calls it when egress records have become readable. [applier] */
void engine_egress_growth(void *engine);

/* requests.c: answers what was never taken from the inputs, with ERROR_STOPPING. */
void engine_requests_refuse(struct engine *engine);

/* milestones.c: an answer went out; the next barrier or clock move may be placed. */
void engine_milestone_answered(struct engine *engine, uint64_t token);

/* A step of a clock move is done: true if another one follows, and nobody is answered yet. */
bool engine_clock_goes_on(struct engine *engine, const struct engine_answer *answer);

/* fence.c: an answer went out; if it is the fence's, its view is the engine's. */
void engine_fence_answered(struct engine *engine, uint64_t token);
void engine_fence_destroy(struct engine *engine);

/* Places an input of `size` bytes in all at shard `to`: fill it, then input_submit. */
struct input *input_reserve(struct engine *engine, uint32_t to, enum input_kind kind, size_t body);
void input_submit(struct engine *engine, uint32_t to, struct input *input);

/* Runs the done() of finished reads. */
void engine_readings_done(struct engine *engine);
void *engine_reader_main(void *arg);

#endif
