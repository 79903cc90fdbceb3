/* The timers of the addresses of one shard: delayed messages (rows 'Z' of `runtime`), and the sweeps that look whether an
 * instance has expired ('z'); each in a lane of its own (lane.h), so that a message that is due goes past all sweeps: those may
 * wait (share.h). Belongs to whoever holds the shard. */
#ifndef HOST_FLOW_TIMER_TIMERS_H
#define HOST_FLOW_TIMER_TIMERS_H

#include "base/error.h"
#include "flow/timer/lane.h"

struct shard;
struct message_route;

/* How many were sent lately (share.h). */
struct swept {
	uint64_t span; /* the epoch; timed: the piece of time */
	bool timed;
	uint64_t count;
};

struct timers {
	struct lane messages;
	struct lane sweeps;
	struct tokens tokens; /* of messages */
	struct swept swept;
	bool sweeps_wait; /* as of the last turn: some are due, and there is no room for them */
};

static inline struct lane *timers_lane(struct timers *timers, enum timer_kind kind) {
	return kind == TIMER_SWEEP ? &timers->sweeps : &timers->messages;
}

/* Starts without knowing anything: the store may hold timers. */
void timers_init(struct timers *timers);
void timers_finish(struct timers *timers);

/* ---- effects, in the open epoch ---- */

/* `message` is whole, but not born yet. */
void timers_set(struct shard *shard, uint64_t due_ms, struct bytes token, const struct message_head *message);

/* The same for a sweep. */
void timers_file(struct shard *shard, uint64_t due_ms, const struct message_head *sweep);

/* The timer of (type, id) with that token, which is there. */
void timers_cancel(struct shard *shard, uint16_t type, struct bytes id, struct bytes token, struct timer_place place);

/* 1: there is one, at *ret_place; 0: none; -1: the store could not be read. */
int timers_find(struct shard *shard, uint16_t type, struct bytes id, struct bytes token, struct timer_place *ret_place,
	struct error *error);

/* ---- a turn ---- */

/* Takes in what was loaded, sends what is due; false if there was nothing to do. */
bool timers_step(struct shard *shard, int *budget);

/* When the next turn is needed, as far as it is known; UINT64_MAX: never. */
uint64_t timers_due_ms(const struct shard *shard);

/* When the next timer is due; UINT64_MAX: there is none. */
uint64_t timers_next_ms(const struct shard *shard);

#endif
