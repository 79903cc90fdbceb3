/* What the supervisor knows of crashes, for the status. [loop thread] */
#ifndef HOST_CONTROL_CRASH_JSON_H
#define HOST_CONTROL_CRASH_JSON_H

#include <jansson.h>
#include <stdbool.h>

/* The rows of the crash table, the youngest first; only those that wait for a verdict, or all. */
json_t *crashes_json(bool suspects_only);

/* What the last worker died of, as an event. A worker's first words, unless it is the first itself. */
struct events;
void crash_tell(struct events *events);

#endif
