/* State that ends by itself: single values, and whole instances that no message came to for long. What has expired is gone
 * for everyone who looks, from that millisecond on; a timer of the instance itself (a "sweep", one for each instance, not
 * moved when it is touched) comes later and takes it off the disk. Private to host/flow; the holder of the shard calls. */
#ifndef HOST_FLOW_EXPIRY_EXPIRY_H
#define HOST_FLOW_EXPIRY_EXPIRY_H

#include "flow/shard.h"

struct input;
struct migrator;

/* What an instance of a type with these times is made with; NULL is fine. */
enum instance_room expiry_room(const struct ttl *ttl);

/* The whole instance is gone, but for on_expire: it has state, and its time has passed. */
bool expiry_idle(const struct instance *instance, const struct ttl *ttl, uint64_t now_ms);

/* As on_expire is told it: when time began to count, if no touch is known. */
uint64_t expiry_last_touch_ms(const struct instance *instance, const struct ttl *ttl);

/* As what had ended by when on_expire sees the rest: by its end, however late this comes. If times have changed so often since that
 * this is not known any more, by now. REQUIRES expiry_idle. */
uint64_t expiry_seen_ms(const struct instance *instance, const struct ttl *ttl, uint64_t now_ms);

/* Some value is set, whether its time has passed or not. */
bool expiry_has_state(const struct instance *instance);

/* Unsets the values that had expired by then, whichever schema wrote them. */
void expiry_values_drop(struct shard *shard, const struct ttl *ttl, struct instance *instance, uint64_t until_ms);

/* A message was handled: the instance was touched, and those of its values written that `written` names. REQUIRES that its
 * effects were applied. */
void expiry_touch(struct shard *shard, const struct ttl *ttl, struct instance *instance, uint64_t written);

/* Sees to it that a sweep comes when the next thing of the instance ends, unless it has an entry of that generation or a
 * later one already. True: a new entry was made. */
enum { EXPIRY_UNFILED = 1 }; /* below: whoever has none */
bool expiry_file(struct shard *shard, const struct ttl *ttl, struct instance *instance, uint64_t below);

/* Its values came from another schema: those of the same name keep their times. That is no touch. */
void expiry_migrated(struct shard *shard, const struct migrator *migrator, struct instance *instance);

/* In the background, by an input: expiry_file for the instances that it names. True once all are done. */
bool expiry_batch(struct shard *shard, const struct input *input, int *budget);

/* Nothing of the instance is left. */
void expiry_end(struct shard *shard, struct instance *instance);

/* A sweep came: true if it is this instance's, and the instance is idle for too long. Else there is nothing more to do with
 * it: the next one is set, if anything is left to expire. */
bool expiry_sweep(struct shard *shard, const struct ttl *ttl, struct instance *instance, const struct message *message);

/* A sweep of the instance for now; valid until the next one is put together. */
const uint8_t *expiry_message(struct shard *shard, const struct instance *instance);

/* The one that was put together last comes to stand in the open epoch. */
const uint8_t *expiry_message_born(struct shard *shard);

#endif
