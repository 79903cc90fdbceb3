/* What every version keeps of a source, whatever the numbers of its values: failures, users, first, last, names; and the
 * ban. */
#ifndef AUTHWATCH_KEEP_H
#define AUTHWATCH_KEEP_H

#include "line.h"

/* The numbers of the values. */
struct keep {
	uint32_t failures;
	uint32_t users;
	uint32_t first;
	uint32_t last;
	uint32_t names;
};

/* Adds the failure; emits the ban when it is due. 0, or SOFUN_FAILED with the reason told. */
int keep_failure(sofun_context *context, const struct keep *keep, sofun_bytes source, const struct failure *failure);

/* "the payload must be ...": what invoke answers to a message that failure_read does not take. */
int keep_refuse(sofun_context *context);

#endif
