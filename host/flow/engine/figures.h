/* Figures of the engine for the metrics: counts since the start, and what is now. They do not wait for an epoch (a named
 * exception to "nothing leaves early"). [loop thread] */
#ifndef HOST_FLOW_ENGINE_FIGURES_H
#define HOST_FLOW_ENGINE_FIGURES_H

#include <stdint.h>

#include "base/histogram.h"

struct engine;

struct engine_function_figures {
	uint64_t in;                      /* attempts to handle a message */
	uint64_t again;                   /* of these, at messages that were tried before */
	uint64_t out;                     /* messages sent */
	uint64_t egress;                  /* records emitted */
	uint64_t failed;                  /* attempts that failed */
	uint64_t failed_first;            /* of these, the first ones of their messages */
	uint64_t retried;                 /* of those that failed, to be tried again */
	uint64_t exhausted;               /* of those that failed, the last ones of their messages */
	uint64_t expired;                 /* instances that ended by themselves */
	uint64_t values_expired;          /* single values */
	uint64_t sweeps_sent;             /* entries of expiry that came due */
	uint64_t sweeps_done;             /* looked at, those that an earlier process sent too */
	uint64_t sweeps;                  /* came due and were not looked at yet (timer/backlog.h); not by version */
	uint64_t waiting;                 /* messages that wait for a live version; not by version */
	struct histogram_figures seconds; /* of one attempt in 64 (flow/counts/tally.h) */
};

/* Every function type that has a name, in order of its number. */
void engine_functions_each(struct engine *engine,
	void (*each)(void *arg, const char *type, const struct engine_function_figures *figures), void *arg);

/* Adds what a version of a type has counted, of whatever image had that place before, too: see version->tally. */
void engine_version_figures(
	struct engine *engine, uint16_t type, uint8_t tally, struct engine_function_figures *figures);

struct engine_shard_figures {
	uint64_t backlog_bytes; /* memory of messages that wait */
	uint64_t input_bytes;   /* of requests that the shard has not taken */
	uint64_t spilled_bytes; /* of waiting messages, that went from memory to the store */
	uint64_t cache_instances;
	uint64_t cache_bytes;
	uint64_t cache_missed; /* instances that had to be looked for in the store */
	uint64_t cache_evicted;
	uint64_t epoch_messages; /* of the last epoch */
	uint64_t epoch_bytes;
	uint64_t timers_late_ms; /* how long the first delayed message that is due waits already */
	uint64_t sweeps_late_ms; /* the same for sweeps */
};

/* index: below engine_status's shards. */
void engine_shard_figures(struct engine *engine, uint32_t index, struct engine_shard_figures *ret_figures);

struct engine_commit_figures {
	uint64_t epochs;
	struct histogram_figures commit;     /* from the wish to cut to the release */
	struct histogram_figures append;     /* of this, the journal's write and sync */
	struct histogram_figures operations; /* from the start of an operation to its result; of all shards */
};
void engine_commit_figures(struct engine *engine, struct engine_commit_figures *ret_figures);

#endif
