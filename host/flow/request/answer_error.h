/* What an engine's answer that is no good means to whoever asked: the same words at every door. Pure; any thread. */
#ifndef HOST_FLOW_REQUEST_ANSWER_ERROR_H
#define HOST_FLOW_REQUEST_ANSWER_ERROR_H

#include "base/error.h"
#include "flow/engine/engine.h"

/* The text of a function is cut to the size of a message. */
void answer_error(const struct engine_answer *answer, struct error *ret_error);

#endif
