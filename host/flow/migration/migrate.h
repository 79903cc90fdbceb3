/* An instance's state on its way from the schema that wrote it to that of the version that handles it now: at the first
 * message that meets it, or in the background. Belongs to whoever holds the shard.
 *
 * The new values are effects like any other: they stay in the invocation (rule 24), the function is called on top of them,
 * and both become durable together or not at all. So nothing is migrated by a message that fails. */
#ifndef HOST_FLOW_MIGRATION_MIGRATE_H
#define HOST_FLOW_MIGRATION_MIGRATE_H

#include "flow/invocation/invocation.h"

struct shard;

/* Who takes state from a schema to another, and what its values are called on both sides. */
struct migrator {
	const struct version *version; /* NULL: nobody in this binding */
	uint32_t from;
	uint32_t to;
	const struct sofun_value *in;
	uint32_t in_count;
	const struct sofun_value *out;
	uint32_t out_count;
};

/* Upwards by the version of schema `to`; downwards by one of schema `from`, which stays loaded for it. */
struct migrator migrator_find(const struct binding *binding, uint32_t from, uint32_t to);

enum migrated {
	MIGRATED,
	MIGRATE_REFUSED, /* nobody can, or migrate failed: the reason is in the invocation's `failure` */
	MIGRATE_STORE,   /* the store could not be read: the error is in the invocation */
};

/* Migrates into the invocation, for the call that follows or for effects_apply. REQUIRES: instance->schema is not `to`.
 * payload: of the message that met it; empty: none did. *instance may move: it is made wide enough for both schemas. */
enum migrated migrate_begin(
	struct shard *shard, const struct binding *binding, uint32_t to, struct bytes payload, struct instance **instance);

/* The call on top of it succeeded, or there was none: the instance has the schema from here on. */
void migrate_keep(struct shard *shard, const struct binding *binding, struct instance *instance, uint32_t to);

/* In the background, by an input: the instances that it names and that are not in the schema of their type's only version.
 * True once all are done. */
struct input;
bool migrate_batch(struct shard *shard, const struct input *input, int *budget);

/* The table that migrate is given: state by the numbers of two schemas, and nothing that has an effect. */
void host_api_migration_fill(sofun_host *table);

#endif
