/* The timers of the addresses of one shard. Every one is a row 'Z' of `runtime`; those that are due first stand in memory, too:
 * all before `horizon`, so that what is due is known without asking the store. Behind the horizon the store alone knows
 * (load.h brings what comes next). Belongs to whoever holds the shard. */
#ifndef HOST_FLOW_TIMER_TIMERS_H
#define HOST_FLOW_TIMER_TIMERS_H

#include "base/error.h"
#include "base/heap.h"
#include "flow/message.h"
#include "flow/timer/token.h"

struct shard;
struct message_route;

struct timer {
	struct heap_node node;
	struct timer_place place;
	struct token *token;         /* NULL: none */
	struct message_head message; /* and what follows it */
};

enum timers_load {
	TIMERS_LOAD_NONE,
	TIMERS_LOAD_WANTED, /* [shard] asked; what is set from now on stays in memory */
	TIMERS_LOAD_READY,  /* [loader] `loaded` and `loaded_until` are filled in */
};

struct timers {
	/* apart, so that a message that is due goes past sweeps: those may wait (share.h) */
	struct heap messages;
	struct heap sweeps;
	uint64_t swept_epoch; /* in this epoch `swept` were sent */
	uint64_t swept;
	bool sweeps_wait; /* as of the last turn: some are due, and the epoch has no room for them */
	struct timer_place horizon;
	struct tokens tokens;
	size_t memory; /* of timers and tokens */

	/* a load under way */
	_Atomic int load;        /* enum timers_load */
	uint64_t load_epoch;     /* the store knows all that was set before once it has applied this one */
	uint64_t load_serial;    /* timers with such a serial or above were set since */
	struct timer_place keep; /* of those, the ones before it stand in memory; else the same as the horizon */
	struct timer_place load_from;
	struct buf loaded; /* rows: struct timer_place, u32 token size, u32 message size, token, message */
	struct timer_place loaded_until;
};

/* Starts without knowing anything: the store may hold timers. */
void timers_init(struct timers *timers);
void timers_finish(struct timers *timers);

/* ---- effects, in the open epoch ---- */

/* `message` is whole, but not born yet. */
void timers_set(struct shard *shard, uint64_t due_ms, struct bytes token, const struct message_head *message);

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
