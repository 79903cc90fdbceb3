/* Timers of one kind on one shard. Every one is a row of `runtime`; those that are due first stand in memory, too: all before
 * `horizon`, so that what is due is known without asking the store. Behind the horizon the store alone knows (load.h brings
 * what comes next). Belongs to whoever holds the shard. Private to host/flow/timer.
 *
 * There are two: delayed messages, and sweeps. Neither knows of the other's rows, so however many of one kind are due,
 * none of the other kind waits behind them. */
#ifndef HOST_FLOW_TIMER_LANE_H
#define HOST_FLOW_TIMER_LANE_H

#include "base/heap.h"
#include "flow/message.h"
#include "flow/timer/token.h"

struct timer {
	struct heap_node node;
	struct timer_place place;
	struct token *token;         /* NULL: none */
	struct message_head message; /* and what follows it */
};

enum lane_load {
	LANE_LOAD_NONE,
	LANE_LOAD_WANTED, /* [shard] asked; what is set from now on stays in memory */
	LANE_LOAD_READY,  /* [loader] `loaded` and `loaded_until` are filled in */
};

struct lane {
	enum timer_kind kind;
	struct tokens *tokens; /* of its timers; NULL: they have none */
	struct heap heap;
	struct timer_place horizon;
	size_t memory;

	/* a load under way */
	_Atomic int load;        /* enum lane_load */
	uint64_t load_epoch;     /* the store knows all that was set before once it has applied this one */
	uint64_t load_serial;    /* timers with such a serial or above were set since */
	struct timer_place keep; /* of those, the ones before it stand in memory; else the same as the horizon */
	struct timer_place load_from;
	struct buf loaded; /* rows, as load.h says */
	struct timer_place loaded_until;
};

/* Starts without knowing anything: the store may hold timers. */
void lane_init(struct lane *lane, enum timer_kind kind, struct tokens *tokens);
void lane_finish(struct lane *lane);

/* Its row stands in the open epoch, or was loaded. */
struct timer *lane_add(struct lane *lane, struct timer_place place, const struct message_head *message);

/* One whose row stands in the open epoch comes into memory if it belongs there; else NULL. */
struct timer *lane_set(struct lane *lane, struct timer_place place, const struct message_head *message);

void lane_remove(struct lane *lane, struct timer *timer);

/* The later half leaves memory if the lane takes more than so many bytes of it. */
void lane_fit(struct lane *lane, size_t bytes_max);

/* The first one that is due; NULL: none is, as far as memory knows. */
struct timer *lane_due(const struct lane *lane, uint64_t now_ms);

/* When the next one is due; UINT64_MAX: there is none. */
uint64_t lane_next_ms(const struct lane *lane);

/* When a turn is needed for the next one or to ask for more, as far as it is known; UINT64_MAX: never. */
uint64_t lane_turn_ms(const struct lane *lane);

/* How long the first one that is due waits already; 0: none is, or the store was not asked yet. */
uint64_t lane_late_ms(const struct lane *lane, uint64_t now_ms);

/* ---- a load ---- */

/* It should be asked for now. */
bool lane_load_wanted(const struct lane *lane, uint64_t now_ms);

/* From here on what is set stays in memory. epoch: the last in which one was set; serial: none has it or a later one. */
void lane_load_begin(struct lane *lane, uint64_t epoch, uint64_t serial);

/* True: the loaded row is news; else memory knows of it, or did. */
bool lane_load_news(const struct lane *lane, struct timer_place place);

/* All that was loaded was taken in. */
void lane_load_end(struct lane *lane);

#endif
