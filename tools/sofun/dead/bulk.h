/* Many dead letters that are sent again or dropped. */
#ifndef SOFUN_DEAD_BULK_H
#define SOFUN_DEAD_BULK_H

#include "command.h"

/* Request after request until all that is meant is done. An exit code. */
int bulk_run(const struct invocation *run, bool retry);

#endif
