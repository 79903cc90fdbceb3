/* The program that the simulation runs: a record becomes a tree of messages between instances. Everything a message does
 * follows from its number, so what must come out in the end is known before the run. */
#ifndef TESTS_SIM_PROGRAM_H
#define TESTS_SIM_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "sofun/plugin.h"

enum {
	PROGRAM_DEPTH = 3,
	PROGRAM_PRODUCERS = 2,
	PROGRAM_ATTEMPTS = 5,          /* retry.attempts */
	PROGRAM_ALARM_MS = 1000000000, /* alarms are set so far ahead: no run lasts so long */
};

/* ---- what must hold at the end (model.c) ---- */

struct program_model {
	uint64_t *counts;     /* of each instance; the caller's */
	uint64_t emitted;     /* records */
	uint64_t emitted_sum; /* of their numbers, mod 2^64: tells a repeat of one and a loss of another apart from none */
	uint64_t dead;
	uint64_t messages;
	uint64_t operations;
	uint64_t idled; /* messages to instances that expire: what on_expire says of each instance adds up to it */
};

/* Adds what record `sequence` of `producer` leads to. */
void program_expect(struct program_model *model, uint64_t seed, uint32_t producer, uint64_t sequence);

/* ---- what runs ---- */

/* The function type "sim/node" (node.c). The second has another schema (node_schema.c): its counts stand above
 * PROGRAM_COUNT_2, and it migrates both ways. */
extern const sofun_function program_function;
extern const sofun_function program_function_2;
#define PROGRAM_COUNT_2 (UINT64_C(1) << 40)

/* The function type "sim/idle": it counts, and every instance ends when it is idle for too long. */
extern const sofun_function idle_function;

/* The router of ingress "sim". */
extern const sofun_router program_router;

/* plugin_data of a version. */
struct program_version {
	uint64_t generation;
	bool broken; /* some messages always fail on it */
};

/* What messages do. */
enum program_command {
	COMMAND_INCREMENT,
	COMMAND_SEND,
	COMMAND_SEND_AFTER,
	COMMAND_SEND_UNDER_TOKEN,
	COMMAND_CANCEL,
	COMMAND_OPERATION,
	COMMAND_SUCCESS, /* of one, and so on: as it was told to on_result */
	COMMAND_FAILURE,
	COMMAND_UNKNOWN,
	COMMAND_EMIT,
	COMMAND_TABLE_SET,
	COMMAND_TABLE_REMOVE,
	COMMAND_TABLE_CLEAR,
	COMMAND_LIST_APPEND,
	COMMAND_LIST_DROP,
	COMMAND_LIST_CLEAR,
	PROGRAM_COMMANDS
};
const char *program_command_name(enum program_command command);

/* Set by the world. */
struct program_hooks {
	uint64_t seed; /* the router mixes it into the numbers */
	uint32_t instances;
	uint32_t poison;           /* one message of so many kills the host, always; 0: none does */
	void (*inside)(void *arg); /* called in the middle of every invocation */
	void (*entered)(
		void *arg, const sofun_message *message, uint64_t generation, bool poison); /* does not return if it dies */
	uint64_t life;                                                                  /* of the host, rising */
	void (*working)(void *arg, uint64_t id);                                        /* work has begun */
	void (*outside)(void *arg, uint64_t id);                                        /* somebody must complete it */
	bool (*judge)(void *arg, uint64_t generation, uint64_t birth_epoch);            /* may that version handle it? */
	uint64_t (*ended)(void *arg, const sofun_context *context, int way, struct bytes id, uint64_t from_ms,
		uint64_t now_ms); /* when what was last used at from_ms ended; UINT64_MAX: not yet (terms.h) */
	void *arg;
	uint64_t commands[PROGRAM_COMMANDS]; /* how often each was given, in attempts that failed, too */
	uint64_t violations;                 /* of order, or of a state that is not what the count says */
	char what[160];                      /* the first one */
};
extern struct program_hooks program_hooks;

/* ---- its bytes ---- */

/* One record's bytes: MessagePack [producer, sequence]. */
void program_record(struct buf *record, uint32_t producer, uint64_t sequence);

/* Reads `count` out of an instance's row. */
bool program_count(struct bytes row, uint64_t *ret_count);

void program_id(char id[8], uint32_t instance);

/* A message from outside with an idempotency key: it acts as any other, goes on to `hops` instances, and the last of them
 * replies its number. */
void program_keyed_payload(struct buf *payload, uint64_t number, uint32_t hops);
void program_keyed_id(char id[8], uint64_t number);
uint64_t program_keyed_last(uint64_t number, uint32_t hops);
void program_keyed_expect(struct program_model *model, uint64_t number, uint32_t hops);

#endif
