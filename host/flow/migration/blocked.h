/* Addresses that wait because their state cannot be migrated: who, since when, why. Shown in /v1/status until another
 * version is live, or the operator repairs what it is about. [any thread] */
#ifndef HOST_FLOW_MIGRATION_BLOCKED_H
#define HOST_FLOW_MIGRATION_BLOCKED_H

#include <pthread.h>
#include <stdint.h>

#include "base/bytes.h"

/* More than these are counted only: who must act needs an example of each kind, not a list of a million. */
enum { BLOCKED_SHOWN_MAX = 100, BLOCKED_REASON_BYTES = 256 };

struct blocked_address {
	uint16_t type;
	uint8_t id_size;
	uint8_t id[255];
	uint64_t since_ms; /* time of the flow */
	char reason[BLOCKED_REASON_BYTES];
};

struct blocked {
	pthread_mutex_t mutex; /* over what follows */
	uint64_t count;
	size_t shown;
	struct blocked_address *addresses; /* BLOCKED_SHOWN_MAX, made at first need */
};

void blocked_init(struct blocked *blocked);
void blocked_finish(struct blocked *blocked);

void blocked_add(struct blocked *blocked, uint16_t type, struct bytes id, uint64_t since_ms, struct bytes reason);
void blocked_remove(struct blocked *blocked, uint16_t type, struct bytes id);

/* Calls each() for those that are kept by name; how many there are in all. */
uint64_t blocked_each(
	struct blocked *blocked, void (*each)(void *arg, const struct blocked_address *address), void *arg);

#endif
