/* Errors as HTTP tells them. Pure; any thread. */
#ifndef HOST_CONTROL_HTTP_ERROR_H
#define HOST_CONTROL_HTTP_ERROR_H

#include "base/error.h"
#include "flow/engine.h"

/* The status of an error's code, as the fine print of the interface has it. */
int http_status(enum error_code code);

/* What an engine's answer that is no good means. The text of a function is cut to the size of a message. */
void error_from_answer(const struct engine_answer *answer, struct error *ret_error);

#endif
