/* Errors as HTTP tells them. Pure; any thread. */
#ifndef HOST_CONTROL_HTTP_HTTP_ERROR_H
#define HOST_CONTROL_HTTP_HTTP_ERROR_H

#include "base/error.h"

/* The status of an error's code, as the fine print of the interface has it. */
int http_status(enum error_code code);

#endif
