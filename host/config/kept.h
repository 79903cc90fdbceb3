/* What requests have changed, in memory that outlives the worker: one that crashes must not take the operator's settings
 * along. Made before the first worker; each worker finds what the one before left. What the file says is read again by
 * whoever comes up, so it need not be kept.
 *
 * A worker may die at any instruction, so a change is written beside the last one and then takes its place. */
#ifndef HOST_CONFIG_KEPT_H
#define HOST_CONFIG_KEPT_H

#include "config/config.h"

struct config_kept;

struct config_kept *config_kept_create(void);
void config_kept_destroy(struct config_kept *kept); /* NULL is fine */

/* Keeps what stands in config by request, and nothing else. */
void config_kept_put(struct config_kept *kept, const struct config *config);

/* Sets in config what was kept; how many settings that were. 0 also if what is there is damaged: then it is forgotten. */
size_t config_kept_take(const struct config_kept *kept, struct config *config);

#endif
