/* The one table of what the control socket answers; also GET /v1, which shows it. */
#ifndef HOST_CONTROL_HTTP_ENDPOINTS_H
#define HOST_CONTROL_HTTP_ENDPOINTS_H

#include "control/http/endpoint.h"

const struct endpoint *endpoints_all(size_t *ret_count);

#endif
