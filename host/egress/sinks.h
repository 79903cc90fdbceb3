/* Sinks: an egress that the host itself writes out, as JSON lines, to a file or to a command's standard input.
 *
 *   file      exactly once: the file's length stands in the row of the sink together with the offset, in one commit behind the
 *             file's sync. A start cuts the file back to that length and goes on at that offset.
 *   command   at least once: a record counts as delivered once the command has read it from its standard input. What a
 *             command read and lost when it ended is its own affair; one that must not lose anything subscribes by a name,
 *             and acknowledges.
 *
 * One a egress, each with a thread of its own, so that a slow disk or command holds up nobody; retention passes it like any
 * other reader, and the next line says how many records are `skipped`. [loop thread] */
#ifndef HOST_EGRESS_SINKS_H
#define HOST_EGRESS_SINKS_H

#include "config/config.h"
#include "egress/hub.h"

struct event_base;
struct sinks;

/* Begins to write, once the engine runs. NULL if no sink is configured. */
struct sinks *sinks_create(struct event_base *base, struct egress_hub *hub, const struct config *config);

/* Ends the threads and records what they have written, before engine_stop. NULL is fine. */
void sinks_stop(struct sinks *sinks);

/* Before egress_hub_destroy; after sinks_stop. NULL is fine. */
void sinks_destroy(struct sinks *sinks);

/* How a sink is doing. */
struct sink_report {
	const struct sink_config *config;
	uint64_t next; /* everything before it is written, and recorded or about to be */
	bool over;     /* it writes no more until the host is started again: the log says why */
};

/* False: the egress has none. sinks may be NULL. */
bool sinks_find(const struct sinks *sinks, struct bytes egress, struct sink_report *ret_report);

#endif
