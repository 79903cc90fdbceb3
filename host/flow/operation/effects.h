/* What an invocation asked of operations, in the order in which it asked: a run in invocation.operations. Private to
 * host/flow. */
#ifndef HOST_FLOW_OPERATION_EFFECTS_H
#define HOST_FLOW_OPERATION_EFFECTS_H

#include <stdint.h>

struct cause;
struct message_route;
struct shard;

/* Followed by the metadata, padded to 8. */
struct operation_op {
	uint32_t size; /* of all of it */
	uint32_t metadata_size;
	uint64_t id;
	uint32_t flags; /* SOFUN_OPERATION_... */
	uint32_t reserved;
};

/* The table of the extension "sofun.operation/1". */
const void *operation_api_table(void);

/* Everything happens, in the open epoch. route: of whoever still waits for a reply; NULL: nobody does. REQUIRES that the
 * invocation succeeded. */
void operation_effects_apply(struct shard *shard, const struct cause *cause, const struct message_route *route);

#endif
