/* The one place where plugin code is entered: give up the hold, note what runs, call, take the hold back. What a callback
 * asks for stays in the invocation. Private to host/flow; the holder of the shard calls. */
#ifndef HOST_FLOW_INVOCATION_ENTER_H
#define HOST_FLOW_INVOCATION_ENTER_H

#include "flow/message.h"
#include "flow/view.h"

struct instance;
struct migrator;
struct shard;

/* Whom a message is for. */
struct target {
	const struct binding *binding;
	const struct version *version;
	const struct ttl *ttl; /* of its id; NULL: nothing of it expires */
};

/* invoke, and for a sweep on_expire. call: filled in, and alive until note_end. */
int enter_function(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, sofun_message *call);
int enter_expire(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, sofun_message *call);

/* on_result, for the message of a result. */
int enter_result(struct shard *shard, const struct target *target, struct instance *instance,
	const struct message *message, uint32_t attempts, sofun_message *call);

/* The migrate of migrator's version, for the instance of the invocation. payload: of the message that met it, empty in the
 * background: a death in it is laid to that message's account too. */
int enter_migrate(struct shard *shard, const struct migrator *migrator, struct bytes payload);

/* A router, for one record. Its text is in the invocation. */
int enter_router(struct shard *shard, const struct route *route, const sofun_record *record);

/* Says in the log, once a second at most, that the last invocation took so long. */
void enter_slow(struct shard *shard, uint64_t took_us);

#endif
