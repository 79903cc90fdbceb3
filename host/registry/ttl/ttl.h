/* When the state of a function type ends by itself: who has which word on it, and what a change of that comes to.
 * Private to host/registry. [loop thread] */
#ifndef HOST_REGISTRY_TTL_TTL_H
#define HOST_REGISTRY_TTL_TTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "config/config.h"
#include "flow/expiry/ttl_parts.h"
#include "sofun/plugin.h"

struct function_type;
struct image;
struct registry;
struct ttl_waiter; /* ttl.c */

/* One way in which state of a type ends by itself. */
struct type_term {
	char *value; /* "": whole instances */
	enum ttl_kind kind;
	uint64_t command_ms;    /* TTL_UNSET: the command says nothing */
	uint64_t since_ms;      /* when it was introduced first; 0: never yet */
	uint64_t filed_ms;      /* entries of the sweep stand where this says, or before; 0: there need not be any */
	struct ttl_parts parts; /* by the hash of the plugin's canaries */
};

/* A row 't'. */
struct type_ttl {
	struct type_term *terms;
	size_t count;
	bool files;           /* entries of before may stand too late, or be missing */
	uint64_t files_below; /* their generations; 0: not known yet */
	bool dirty;           /* the row is to be written */
};

/* ---- ttl.c ---- */
struct type_term *type_term_find(const struct function_type *type, struct bytes value, enum ttl_kind kind);
struct type_term *type_term_get(struct function_type *type, struct bytes value, enum ttl_kind kind); /* found or new */
void type_ttl_finish(struct function_type *type);
/* The command, else the settings, else what is declared. */
uint64_t type_effective_ms(const struct registry *registry, const struct function_type *type, struct bytes value,
	enum ttl_kind kind, uint64_t declared_ms);
/* What the version declares that has most ids, or had them last. */
uint64_t type_term_declared_ms(const struct type_term *term);
/* The times of all its ids; NULL: nothing expires. The caller's. */
struct ttl_map *type_ttl_map(const struct function_type *type);
const sofun_function *image_function(const struct image *image, const char *type); /* NULL: it has none */
bool type_value_declared(const struct function_type *type, struct bytes name);     /* by some version */

/* A change of rules. */
void ttl_fence_ask(struct registry *registry); /* if one is due, and none is on its way */
void ttl_waiters_stop(struct registry *registry);

/* ---- change.c ---- */
/* Before a view is made: what the versions that have a share now come to, at that time; of a fence it is engine_fence_time_ms. */
void types_ttl_update(struct registry *registry, uint64_t now_ms);
/* True if some ids of the plugin have other times than others, or had: by the seed that stands. */
bool types_ttl_differ(struct registry *registry, const char *plugin);

/* ---- unknown.c ---- */
void ttl_undeclared_tell(const struct registry *registry); /* in the log */

#endif
