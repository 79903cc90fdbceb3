/* Which dead letters are meant, as the options --type, --since and so on say it. */
#ifndef SOFUN_DEAD_FILTER_H
#define SOFUN_DEAD_FILTER_H

#include <jansson.h>

#include "base/bytes.h"
#include "command.h"

/* True if an option says which; else --all is needed to mean every one. */
bool filter_given(const struct invocation *run);

/* An object with the keys that the host knows; EXIT_OK, or what is wrong was said. --since and --before may be ages: the
 * host's clock is asked for then. */
int filter_read(const struct invocation *run, json_t **ret_filter);

/* Appends "&key=value" for each key. */
void filter_append(const json_t *filter, struct buf *target);

#endif
