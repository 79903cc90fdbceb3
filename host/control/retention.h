/* Lets retention act on an idle host: old records go at a checkpoint, and without traffic there is none. Looks every few
 * seconds; a host without egresses, or without old records, does nothing for it. [loop thread] */
#ifndef HOST_CONTROL_RETENTION_H
#define HOST_CONTROL_RETENTION_H

#include "flow/engine/engine.h"
#include "flow/request/request.h"
#include "state/store.h"

struct event_base;
struct retention;

/* Between engine_start and engine_stop. */
struct retention *retention_start(
	struct event_base *base, struct engine *engine, struct requests *requests, struct store *store);
void retention_stop(struct retention *retention); /* NULL is fine */

#endif
