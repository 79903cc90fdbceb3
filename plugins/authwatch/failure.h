/* The message from router to source: {count, time, user}. */
#ifndef AUTHWATCH_FAILURE_H
#define AUTHWATCH_FAILURE_H

#include "line.h"

/* To auth/source, id = the failure's source. What the host answered. */
int failure_send(sofun_context *context, const struct failure *failure);

/* True, and all but the source set, if the payload is such a message. */
bool failure_read(sofun_bytes payload, struct failure *ret_failure);

#endif
