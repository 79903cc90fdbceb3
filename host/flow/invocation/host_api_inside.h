/* What the host tables share: that of invoke and route (host_api.c), and that of migrate (migration/host_api_migration.c).
 * No other code includes this file. */
#ifndef HOST_FLOW_INVOCATION_HOST_API_INSIDE_H
#define HOST_FLOW_INVOCATION_HOST_API_INSIDE_H

#include "flow/invocation/invocation.h"

static inline struct invocation *invocation_of(sofun_context *context) {
	return (struct invocation *)(void *)context;
}

/* One MessagePack object of at most that size: SOFUN_OK, or what is wrong. */
int payload_check(const struct invocation *invocation, struct bytes payload, uint64_t size_max);

/* Counts an effect's bytes; SOFUN_TOO_LARGE: the invocation has too many. */
int effect_account(struct invocation *invocation, size_t bytes);

/* The object that begins with that byte may stand in a value of that kind. */
bool kind_fits(uint32_t kind, uint8_t lead);

/* A large value of the instance that is not in memory. The number is one that its row names. */
int large_read(struct invocation *invocation, uint32_t value, sofun_bytes *ret_msgpack);

/* Checks the object and keeps it for when the call succeeds. REQUIRES a number below VALUES_MAX. */
int value_set(struct invocation *invocation, uint32_t value, struct bytes msgpack);

/* The same without a check; {NULL, 0} unsets. */
int value_change(struct invocation *invocation, uint32_t value, struct bytes msgpack);

#endif
