/* One attempt at a message: the state goes to the version's schema, the function is called, and all that it asked for happens,
 * or none of it. Private to host/flow; the holder of the shard calls. */
#ifndef HOST_FLOW_INVOCATION_ATTEMPT_H
#define HOST_FLOW_INVOCATION_ATTEMPT_H

#include "flow/invocation/enter.h"
#include "flow/shard.h"

enum outcome {
	OUTCOME_DONE,
	OUTCOME_AGAIN,     /* it failed, and is tried again */
	OUTCOME_BLOCKED,   /* its state cannot be migrated: the address waits, and that is no attempt */
	OUTCOME_UNDECIDED, /* its attempts are exhausted, by a version on probation: the address waits for the verdict */
	OUTCOME_STORE,
};

/* attempts: failed ones before. last: of a message that fails now, a dead letter. DONE: it is handled. The instance may have
 * moved: it is the invocation's then. */
enum outcome attempt_message(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, bool last);

/* The message's instance has expired: that comes first. REQUIRES that the message is no sweep. */
bool attempt_finds_idle(const struct shard *shard, const struct target *target, const struct instance *instance);

/* Then this ends it. attempts: failed ones before. DONE: it has ended, and the message may be handled. */
enum outcome attempt_expire(
	struct shard *shard, const struct target *target, struct instance *instance, uint32_t attempts);

/* The verdict on the version that exhausted the message's attempts is spoken: it is a dead letter. */
void attempt_exhausted(struct shard *shard, const struct target *target, const struct message *message,
	uint32_t attempts, struct bytes failure);

/* The message is convicted: it is not run any more, but a dead letter. Of a sweep the instance ends without it. */
void attempt_crashed(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts);

/* The same instead of attempt_expire. */
void attempt_expire_crashed(
	struct shard *shard, const struct target *target, struct instance *instance, uint32_t attempts);

/* A message is consumed for good: the counts of the open epoch say so. */
void message_handled(struct shard *shard, const struct message *message);

#endif
