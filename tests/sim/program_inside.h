/* What the files of the simulated program share. No other code should include this file. */
#ifndef TESTS_SIM_PROGRAM_INSIDE_H
#define TESTS_SIM_PROGRAM_INSIDE_H

#include "program.h"
#include "sofun/operation.h"

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

void program_violation(const char *what, uint64_t a, uint64_t b);

/* Counts one more, with all that follows from the count; false: the store could not be read. */
bool program_count_more(sofun_context *context, uint32_t schema);

/* Which version handles what was born in that epoch is no matter of chance (rule 29). */
void program_version_check(sofun_context *context, const struct program_version *version, uint64_t birth_epoch);

/* The birth epoch in the head of the message whose id and payload these are; payload {NULL, 0}: of a result. */
uint64_t program_birth_of(sofun_bytes id, sofun_bytes payload);

uint64_t program_value_uint(sofun_context *context, uint32_t value); /* unset: 0 */
void program_value_set(sofun_context *context, uint32_t value, uint64_t number);

/* ---- program_operations.c ---- */

/* How many operations a message of that number starts, and whether one of them makes its address wait. */
uint32_t program_operations_of(uint64_t number);
void program_operations_start(sofun_context *context, uint64_t number);

/* Nobody may be called while the address waits. */
void program_waiting_check(sofun_context *context);

int program_work(sofun_work *work, void *plugin_data);
int program_result(sofun_context *context, void *plugin_data, const sofun_result *result);

#endif
