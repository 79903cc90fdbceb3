/* Surveys: who waits on each shard, by single address, and for what; and the delayed messages. Taken when somebody asks, at a message boundary: by the
 * shard at the end of its turn, or by the committer on its behalf while it sleeps or is inside a plugin, so a call that does
 * not end is seen, too. Nothing on the way of a message is counted for it. Figures, like the metrics: they do not wait for an
 * epoch. Private to host/flow. */
#ifndef HOST_FLOW_COUNTS_SURVEY_H
#define HOST_FLOW_COUNTS_SURVEY_H

#include <pthread.h>

#include "base/bytes.h"

enum {
	/* The oldest of a shard that are kept by name, of those that a version which leaves still owes, and of the others. */
	SURVEY_SHOWN_MAX = 100,
	/* Images whose addresses are counted apart; there are two or three of each plugin that changes. */
	SURVEY_IMAGES_MAX = 64,
	/* A call is shown once it takes this long: the others end before anybody has read of them. */
	SURVEY_CALL_US = 10000,
};

struct committer;
struct flow;
struct shard;

struct survey_address {
	const char *reason; /* see engine_wait */
	uint32_t image;     /* note of the image that is to handle it; 0: none is there */
	uint16_t type;      /* 0: a record in a router */
	uint8_t id_size;
	uint8_t id[255];
	uint64_t since_ms; /* time of the flow; 0: not known, it was accepted before the fence */
	uint64_t messages; /* that wait for this address, as far as they have been counted apart */
};

struct survey_list {
	size_t shown;
	struct survey_address addresses[SURVEY_SHOWN_MAX];
};

struct survey_image {
	uint32_t image;
	uint64_t addresses;
};

struct survey_timers {
	uint64_t count;   /* delayed messages that stand in memory */
	bool whole;       /* that is all of them */
	uint64_t next_ms; /* when the first one is due, as lane_next_ms says it */
};

/* Of one shard; under surveys.mutex, but for what its holder alone looks at. */
struct survey {
	struct survey_list leaving; /* for a version that leaves */
	struct survey_list others;
	struct survey_timers timers;
	size_t image_count;
	struct survey_image images[SURVEY_IMAGES_MAX];
	uint64_t entries; /* of the note when it was last looked at, */
	uint64_t seen_us; /* and when: a call that runs on began before */
};

struct survey_token {
	uint64_t serial;
	uint64_t token;
};

struct surveys {
	pthread_mutex_t mutex;
	struct buf tokens;      /* under mutex: who waits for which serial, struct survey_token */
	_Atomic uint64_t asked; /* [loop] serial of the last one */
	uint64_t answered;      /* [committer] */
};

void surveys_init(struct surveys *surveys);
void surveys_finish(struct surveys *surveys);

/* Looks at the shard if that was asked for. `calls`: it is inside a plugin. [holder of the shard] */
void survey_look(struct shard *shard, bool calls);

/* True if a shard was surveyed or somebody answered. [committer] */
bool surveys_step(struct committer *committer);
/* True while one is under way: a shard that runs may enter a plugin before its turn ends. [committer] */
bool surveys_wanted(const struct committer *committer);

#endif
