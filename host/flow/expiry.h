/* State that ends by itself: single values, and whole instances that no message came to for long. What has expired is gone
 * for everyone who looks, from that millisecond on; a timer of the instance itself (a "sweep", one for each instance, not
 * moved when it is touched) comes later and takes it off the disk. Private to host/flow; the holder of the shard calls. */
#ifndef HOST_FLOW_EXPIRY_H
#define HOST_FLOW_EXPIRY_H

#include "flow/shard.h"

/* The time of one value's end, UINT64_MAX: none. Also for whoever reads rows. [any thread] */
uint64_t expiry_value_due_ms(const struct sofun_value *value, uint64_t written_ms, uint64_t last_touch_ms);

/* The whole instance is gone, but for on_expire. */
bool expiry_idle(const struct instance *instance, const struct version *version, uint64_t now_ms);

/* Unsets the values that have expired. */
void expiry_values_drop(struct shard *shard, const struct version *version, struct instance *instance);

/* A message was handled: the instance was touched, and those of its values written that `changed` names. REQUIRES that its
 * effects were applied. */
void expiry_touch(struct shard *shard, const struct version *version, struct instance *instance, uint64_t changed);

/* Nothing of the instance is left. */
void expiry_end(struct shard *shard, struct instance *instance);

/* A sweep came: true if it is this instance's, and the instance is idle for too long. Else there is nothing more to do with
 * it: the next one is set, if anything is left to expire. */
bool expiry_sweep(
	struct shard *shard, const struct version *version, struct instance *instance, const struct message *message);

/* A sweep of the instance for now; valid until the next one is put together. */
const uint8_t *expiry_message(struct shard *shard, const struct instance *instance);

/* The one that was put together last comes to stand in the open epoch. */
const uint8_t *expiry_message_born(struct shard *shard);

#endif
