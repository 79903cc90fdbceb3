/* What the files of the simulated program share. No code outside of this folder should include this file. */
#ifndef TESTS_SIM_PROGRAM_INSIDE_H
#define TESTS_SIM_PROGRAM_INSIDE_H

#include "deed.h"
#include "program.h"
#include "sofun/operation.h"

/* The first one is kept with its two numbers, for the verdict. */
void program_violation(const char *what, uint64_t a, uint64_t b);

/* The birth epoch in the head of the message whose id and payload these are; payload {NULL, 0}: of a result. */
uint64_t program_birth_of(sofun_bytes id, sofun_bytes payload);

/* An integer of the context's instance; unset: 0. */
uint64_t program_value_uint(sofun_context *context, uint32_t value);
void program_value_set(sofun_context *context, uint32_t value, uint64_t number);

/* One record to an egress. */
void program_emit(sofun_context *context, const char *egress, uint64_t number);

/* For the count of what a run has in it. */
void program_did(enum program_command command);

/* The middle of an invocation: the world may let others run now. */
void program_inside(void);

/* Every second version has another schema. */
static inline uint32_t program_schema(const struct program_version *version) {
	return version->generation % 2 == 1 ? 2 : 1;
}

/* ---- "sim/node": node.c ---- */

enum {
	VALUE_COUNT,
	VALUE_SENT,
	VALUE_SEEN,
	VALUE_BLOB,
	VALUE_VERSION,
	VALUE_WAITING,
	VALUE_TABLE, /* in schema 1; in schema 2 it is VALUE_TABLE_2 */
	VALUE_LIST,
	VALUE_TABLE_2,
	VALUE_SCRAP, /* a table that a migration does not carry */
	PROGRAM_VALUES
};

/* A message that is no child of another says by its depth what it is. */
enum { DEPTH_CANCEL = 100, DEPTH_NOTHING = 101, DEPTH_NEVER = 102 };

/* Who sent a message: a producer by its number, an instance behind PARTY_INSTANCE, or none of these. */
enum {
	PARTY_TIMER = PROGRAM_PRODUCERS, /* its order is the time before which it may not come */
	PARTY_KEYED,                     /* its order is the number of hops to come */
	PARTY_INSTANCE,
};

/* MessagePack [number, depth, party, order]. */
struct node_payload {
	uint64_t number;
	uint64_t depth;
	uint64_t party;
	uint64_t order;
};

/* Which version handles what was born in that epoch is no matter of chance (rule 29), and an address never goes back. */
void node_version_check(sofun_context *context, const struct program_version *version, uint64_t birth_epoch);

int node_invoke(sofun_context *context, void *plugin_data, const sofun_message *message);

/* ---- node_values.c ---- */

extern const sofun_value node_values[PROGRAM_VALUES];

/* Counts one more, with all that follows from the count; false: the store could not be read. */
bool node_count_more(sofun_context *context, uint32_t schema);

/* ---- node_messages.c: where false is returned the store could not be read ---- */

void node_payload_read(sofun_bytes payload, struct node_payload *ret_message);

void node_send(sofun_context *context, const struct node_payload *message);

/* What a message sends and sets as its deed says. */
bool node_children_send(sofun_context *context, const struct node_payload *parent, const struct deed *deed);
bool node_timers_act(sofun_context *context, uint64_t number, const struct deed *deed);
void node_idle_send(sofun_context *context, uint64_t number);

/* Takes back the alarm that the message of this number set. */
bool node_alarm_cancel(sofun_context *context, uint64_t number);

/* A message of PARTY_KEYED goes on, or is replied to. */
void node_keyed_go_on(sofun_context *context, uint64_t number, uint64_t hops);

/* A sender's messages come in their order, a timer's not before its time. */
void node_order_check(sofun_context *context, uint64_t party, uint64_t order);

/* ---- node_operations.c ---- */

/* How many operations a message of that number starts, and whether one of them makes its address wait. */
uint32_t node_operations_of(uint64_t number);
void node_operations_start(sofun_context *context, uint64_t number);

/* Nobody may be called while the address waits. */
void node_waiting_check(sofun_context *context);

int node_work(sofun_work *work, void *plugin_data);
int node_result(sofun_context *context, void *plugin_data, const sofun_result *result);

#endif
