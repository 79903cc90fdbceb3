/* Function types: whose they are, which schemas their instances have, and the views made of them.
 * Private to host/registry. [loop thread] */
#ifndef HOST_REGISTRY_TYPE_TYPE_H
#define HOST_REGISTRY_TYPE_TYPE_H

#include <event2/util.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "plugin/manifest.h"
#include "registry/ttl/ttl.h"

struct pass; /* migrate.c */
struct plugin;
struct registry;
struct view;

/* What a schema's values are called. Never changed and never freed before registry_destroy: reads borrow it. */
struct type_schema {
	struct type_schema *older; /* the same schema before it got more values; NULL: none */
	uint32_t schema;
	uint32_t value_count;
	char **values;
	uint32_t *kinds;
};

/* A row 'T', and with `ttl` a row 't'. */
struct function_type {
	uint16_t number;
	const char *name; /* never freed before registry_destroy: views borrow it */
	char *plugin;
	uint32_t schema;        /* of the version that went live last */
	bool eager;             /* instances of other schemas are migrated in the background */
	uint64_t migrate_total; /* how many that were when it was first seen; 0: nothing is under way */
	uint64_t refused;       /* of these, by the last walk over them */
	char refused_reason[160];
	size_t schema_count;
	struct type_schema **schemas; /* all that were ever declared, that one among them */
	struct type_ttl ttl;
};

/* ---- types.c ---- */
struct function_type *type_find(const struct registry *registry, struct bytes name);
struct function_type *type_add(struct registry *registry, uint16_t number, const char *name);
void type_destroy(struct function_type *type);
/* Against the store and the other plugins: may this manifest have these types? */
bool types_admit(const struct registry *registry, const struct manifest *manifest, struct error *error);
/* Makes or updates the types of an admitted manifest; gives those whose rows are to be written (malloc'ed array). */
struct function_type **types_adopt(struct registry *registry, const struct manifest *manifest, size_t *ret_count);
/* The view of what is live and draining now. */
struct view *registry_view(struct registry *registry);
/* Returns the generation of the view that shows what is so now: it may have to wait for a fence that is on its way. */
uint64_t registry_publish(struct registry *registry);

/* ---- schemas.c ---- */
struct type_schema *type_schema_find(const struct function_type *type, uint32_t schema); /* NULL: never declared */
/* Makes it known, or gives it more values. True if that changes the row. */
bool type_schema_take(
	struct function_type *type, uint32_t schema, const struct manifest_value *values, uint32_t value_count);
struct type_schema *type_schema_create(uint32_t schema, uint32_t value_count); /* names NULL, kinds 0 */
void type_schema_put(struct function_type *type, struct type_schema *schema);  /* takes it over */
void type_schemas_destroy(struct function_type *type);
/* Whether a version that is loaded reads all that there is, with the help of those that are loaded. */
bool types_read_all(const struct registry *registry, const struct plugin *plugin, struct error *error);
/* Whether a rollback to the live version could read what this one would write; *error says what is missing. */
bool types_lead_back(const struct registry *registry, const struct manifest *manifest, struct error *error);
/* May this function have the type, given what its instances are and who could migrate them? */
bool type_schemas_admit(const struct registry *registry, const struct function_type *type,
	const struct manifest_function *function, struct error *error);

/* ---- migrate.c ---- */
void registry_migrate_look(evutil_socket_t fd, short what, void *arg);
void registry_migrate_wake(struct registry *registry); /* versions have changed */
void registry_migrate_stop(struct registry *registry);

#endif
