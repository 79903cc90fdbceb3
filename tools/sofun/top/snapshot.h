/* One look at the host and the time since the look before: what `sofun top` shows, as JSON. */
#ifndef SOFUN_SNAPSHOT_H
#define SOFUN_SNAPSHOT_H

#include <jansson.h>

#include "command.h"
#include "top/figures.h"

struct look {
	uint64_t at_ms; /* of the monotonic clock */
	struct figures figures;
	json_t *status;
};

enum { LOOK_PROBLEM_BYTES = 256 };

/* False: the host does not answer, or not so, with a text in problem; nothing is owned then. */
bool look_take(const struct invocation *run, struct look *ret_look, char problem[LOOK_PROBLEM_BYTES]);
void look_finish(struct look *look);

/* {version,pid,uptime_ms,recovered,durability,epoch,interval_s, accepted_per_s,…, functions:[…], shards:[…]}; a figure that
 * the host does not give is null. */
json_t *snapshot_make(const struct look *before, const struct look *after);

#endif
