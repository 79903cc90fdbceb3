/* Messages that wait for the verdict on a version on probation (undecided.c). Private to host/flow. */
#ifndef HOST_FLOW_QUEUE_UNDECIDED_H
#define HOST_FLOW_QUEUE_UNDECIDED_H

#include "flow/shard.h"

struct target;

/* What tells a version from every other, in this process and later ones; never 0. */
uint64_t version_mark(const struct version *version);

/* When it is decided whatever happens, by the flow's clock; UINT64_MAX: by the next view. */
uint64_t undecided_until(const struct shard *shard, const struct wait *wait, const struct version *version);

/* Looks at the message at the head of an undecided wait again. True: it waits on, or is a dead letter now. False: it is
 * another version's, that tries it anew. */
bool undecided_look(struct shard *shard, struct wait *wait, const struct target *target, const struct message *message);

/* It is undecided no more. */
void undecided_end(struct shard *shard, struct wait *wait);

/* It is shown with those that wait: from the moment it is so, and when it came back from the store. */
void undecided_show(struct shard *shard, struct wait *wait);

#endif
