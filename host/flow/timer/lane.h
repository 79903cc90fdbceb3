/* Timers of one kind on one shard. Every one is a row of `runtime`; those that are due first stand in memory, too: all before
 * `horizon`, so that what is due is known without asking the store. Behind the horizon the store alone knows (load.h brings
 * what comes next). What was brought is in order, and stays in one piece (run.h); what was set since, or has a name by which it
 * may be cancelled, stands in a heap. Belongs to whoever holds the shard. Private to host/flow/timer.
 *
 * There are two: delayed messages, and sweeps. Neither knows of the other's rows, so however many of one kind are due,
 * none of the other kind waits behind them. */
#ifndef HOST_FLOW_TIMER_LANE_H
#define HOST_FLOW_TIMER_LANE_H

#include "base/heap.h"
#include "flow/message.h"
#include "flow/timer/run.h"
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
	struct timer_run run;
	struct timer_place horizon;
	size_t heap_bytes; /* of memory: of the timers in the heap */

	/* a load under way */
	_Atomic int load;        /* enum lane_load */
	uint64_t load_epoch;     /* the store knows all that was set before once it has applied this one */
	uint64_t load_serial;    /* timers with such a serial or above were set since */
	struct timer_place keep; /* of those, the ones before it stand in memory; else the same as the horizon */
	struct timer_place load_from;
	struct buf loaded; /* struct timer_row, back to back */
	struct timer_place loaded_until;
};

/* Starts without knowing anything: the store may hold timers. */
void lane_init(struct lane *lane, enum timer_kind kind, struct tokens *tokens);
void lane_finish(struct lane *lane);

/* One whose row stands in the open epoch comes into memory if it belongs there; else NULL. */
struct timer *lane_set(struct lane *lane, struct timer_place place, const struct message_head *message);

/* Of the heap. */
void lane_remove(struct lane *lane, struct timer *timer);

/* How many stand in memory. */
static inline size_t lane_count(const struct lane *lane) {
	return lane->heap.count + lane->run.count;
}

/* They are all there are; else the store has more of them, or was not asked yet. */
static inline bool lane_is_whole(const struct lane *lane) {
	return lane->horizon.due_ms == UINT64_MAX;
}

/* The later half leaves memory if the lane takes more than so many bytes of it. */
void lane_fit(struct lane *lane, size_t bytes_max);

/* The first one that is due; false: none is, as far as memory knows. */
struct due {
	struct timer_place place;
	struct message_head *message;
	struct token *token; /* NULL: none */
};
bool lane_due(const struct lane *lane, uint64_t now_ms, struct due *ret_due);

/* Takes away what lane_due gave last. */
void lane_take(struct lane *lane);

/* When the next one is due; UINT64_MAX: there is none. */
uint64_t lane_next_ms(const struct lane *lane);

/* When a turn is needed for the next one or to ask for more, as far as it is known; UINT64_MAX: never. */
uint64_t lane_turn_ms(const struct lane *lane);

/* Some are, as far as is known: not while the store was not asked yet. */
bool lane_is_due(const struct lane *lane, uint64_t now_ms);

/* How long the first one that is due waits already; 0: none is. */
uint64_t lane_late_ms(const struct lane *lane, uint64_t now_ms);

/* ---- a load ---- */

/* The store is to be asked for more: what it has next is due before long, and little stands in memory. */
bool lane_load_wanted(const struct lane *lane, uint64_t now_ms);

/* From here on what is set stays in memory. epoch: the last in which one was set; serial: none has it or a later one. */
void lane_load_begin(struct lane *lane, uint64_t epoch, uint64_t serial);

/* True: the loaded row is news; else memory knows of it, or did. */
bool lane_load_news(const struct lane *lane, struct timer_place place);

/* It comes into memory; with a name (NULL: none). */
void lane_load_add(struct lane *lane, const struct timer_row *row, struct token *token);

/* All that was loaded was taken in. */
void lane_load_end(struct lane *lane);

#endif
