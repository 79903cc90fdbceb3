/* Trials: a message that a worker died in is suspected, no more (INVARIANTS 34). In the next life its address waits, and
 * so does everything behind it, until its shard has little else to do; then all shards stand still at a message boundary,
 * what they did is made durable, and the message runs alone, in an epoch of its own. It lives: the suspicion is over. It
 * kills the worker again: the supervisor counts that, and the second time it convicts. A convicted message is not run: it
 * is a dead letter with the code `crashed`. A record that kills its router is tried in the same way.
 *
 * A conviction cannot loop: what is behind a convicted message at its address waits until the dead letter is durable, and an
 * equal message (another one with the same payload) runs alone only, where its death counts for itself. So each death
 * in a message whose key is in the table is one more step towards a verdict, and each verdict takes a message away.
 *
 * Each shard has the suspects of its own addresses. Without suspects none of this costs a message anything.
 * [holder of the shard] */
#ifndef HOST_FLOW_TRIAL_TRIAL_H
#define HOST_FLOW_TRIAL_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct crash_row;
struct image;
struct message;
struct shard;

enum {
	/* A suspect waits this long for its shard to run dry, then it is tried all the same. */
	TRIAL_PATIENCE_US = 500000,
	/* Messages of a suspected address that ran alone and lived, without the suspect among them: it does not come again. */
	TRIAL_OTHERS_MAX = 64,
	/* How often a step of a trial looks whether it may go on: others commit for it. */
	TRIAL_LOOK_US = 500,
};

struct suspect {
	struct crash_row *row; /* NULL: dealt with */
	uint16_t type;         /* 0: a record on its way through a router */
	bool waits;            /* something for its address is held */
	uint32_t others;       /* messages for its address that lived */
	uint64_t dead_epoch;   /* its dead letter is durable with this epoch; 0: there is none */
};

enum trial_state {
	TRIAL_NONE,
	TRIAL_GATHER, /* until every shard stands still */
	TRIAL_COMMIT, /* until what they did is durable */
	TRIAL_SETTLE, /* it ran and lived: until that is durable */
};

struct trial {
	struct suspect *suspects;
	size_t count;        /* 0: none is left */
	uint64_t waiting_us; /* since when something is held; 0: nothing is */
	enum trial_state state;
	struct suspect *on;    /* whose trial it is */
	struct suspect *asked; /* of whom it was asked last */
	bool running;          /* a message of it may pass now */
	bool itself;           /* that was the suspect, not another message for its address */
	uint64_t epoch;        /* to be durable before the next state */
};

/* What the crash table says of addresses of this shard. After its view is set, before it is stepped. */
void trial_open(struct shard *shard);
void trial_close(struct shard *shard);

enum trial_answer {
	TRIAL_FREE, /* run it */
	TRIAL_HOLD, /* let it wait, and what comes behind it */
	TRIAL_DEAD, /* it is convicted: a dead letter, then trial_sentenced */
};

/* REQUIRES trial.count > 0. image: whose code it would run. */
enum trial_answer trial_of_message(struct shard *shard, const struct image *image, const struct message *message);

/* The same for a record; text: what a router of lines would be given. */
enum trial_answer trial_of_record(struct shard *shard, struct bytes ingress, struct bytes producer, uint64_t sequence,
	struct bytes object, struct bytes text);

/* True if a message for that address is suspected in that image: nothing is done to it in passing, as by a migration in the
 * background; its next message is tried. */
bool trial_suspects(const struct shard *shard, const struct image *image, uint16_t type, struct bytes id);

/* The dead letter of the message asked for last stands in the open epoch. Its words are those of the reason. */
void trial_sentenced(struct shard *shard);
void trial_reason(const struct shard *shard, struct buf *text);

/* True while the suspect itself runs alone: what comes behind it is not part of its trial. */
static inline bool trial_of_itself(const struct trial *trial) {
	return trial->running && trial->itself;
}

/* True while some shard tries a suspect: nothing but views, cuts and the trial itself. */
bool trial_stands_still(struct shard *shard);

/* A step of the turn. */
bool trial_step(struct shard *shard, int *budget);

/* When trial_step wants to be called again; UINT64_MAX: when something comes. */
uint64_t trial_idle_us(const struct shard *shard);

#endif
