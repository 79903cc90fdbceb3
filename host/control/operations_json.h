/* Asynchronous operations as JSON. */
#ifndef HOST_CONTROL_OPERATIONS_JSON_H
#define HOST_CONTROL_OPERATIONS_JSON_H

#include <jansson.h>

#include "flow/engine/engine.h"

/* How many there are, what came of those that ended, and the oldest of them by address. [loop thread] */
json_t *operations_json(struct engine *engine, const struct engine_status *status);

/* Those of one address, as an array; NULL: it has none. [loop thread] */
json_t *operations_of_json(struct engine *engine, uint16_t type, struct bytes id);

#endif
