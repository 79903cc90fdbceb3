/* What the shards know of the plugins: an immutable snapshot, made and published by the registry [loop thread], adopted
 * by each shard at a message boundary. A view and the images it names live until every shard has adopted a later one. */
#ifndef HOST_FLOW_VIEW_H
#define HOST_FLOW_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "config/config.h"
#include "flow/expiry/ttl.h"
#include "sofun/plugin.h"

struct image; /* plugin/image.h */

enum { TYPES_MAX = 4096, VALUES_MAX = 64 };
/* Versions of a plugin that are told apart in the figures: what a change goes from and to, one that stays for its way down,
 * and one that a shard may still be in. */
enum { TALLY_VERSIONS = 4 };

/* A function type as one image has it. */
struct version {
	const struct sofun_function *function; /* NULL: the image does not have the type */
	void *plugin_data;
	const struct sofun_host *host; /* the table given to this image */
	struct image *image;
	uint32_t schema; /* of its state */
	uint32_t value_count;
	uint8_t tally; /* below TALLY_VERSIONS: where its attempts are counted */
	/* On probation until then, by the flow's clock: what exhausts its attempts waits for the verdict (rule 35). 0: it is not.
	 * PROBATION_LEAVING: it goes, and what waits is for the version that comes. */
	uint64_t probation_until_ms;
};
#define PROBATION_LEAVING UINT64_MAX

/* What a change goes from and to; and versions that only take state down to a schema before theirs. */
enum { VERSIONS_MAX = 3, VERSION_NONE = -1 };

/* Who has which ids of a type: `base` has all, but for those whose hash is below `limit`, which `canary` has. */
struct split {
	int8_t base; /* index of a version; VERSION_NONE: nobody, messages wait */
	int8_t canary;
	uint64_t limit; /* of SPLIT_WHOLE; 0: no canary */
};
#define SPLIT_WHOLE (UINT64_C(1) << 32)
#define FENCE_NEXT UINT64_MAX

/* One declared function type. Numbers are durable (row 'T'), from 1, never reused. A change of versions is a fence: what
 * was born before that epoch goes by `before`, the rest by `now`, until nothing of before is left. */
struct binding {
	const struct version
		*settled;          /* the one version that has everything; NULL: none, or binding_choose. view_create sets it */
	const struct ttl *ttl; /* when state of all ids ends; NULL: never, and no times are kept. view_create sets it */
	bool ttl_differs;      /* not of all: binding_ttl_find. view_create sets it */
	uint16_t number;
	const char *name; /* "ns/name" */
	size_t name_size; /* set by view_create */
	struct version versions[VERSIONS_MAX];
	struct split now;
	struct split before;
	uint64_t fence;       /* 0: there is nothing of before; FENCE_NEXT: the epoch that engine_fence finds */
	uint8_t side;         /* of what is born at or behind the last fence (message.h) */
	uint64_t seed;        /* of the canary's hash (rule 30) */
	uint32_t value_count; /* of the version that has most */
	struct ttl_map *ttls; /* NULL: nothing expires. The view's */
};

struct route {
	const char *ingress;
	enum record_format format; /* in which records come: after configuration, never FORMAT_PLUGIN */
	enum record_format wanted; /* in which the router takes them */
	const struct sofun_router *router;
	void *plugin_data;
	const struct sofun_host *host;
	struct image *image;
	uint64_t from;  /* it has the producers whose hash is from here on, */
	uint64_t until; /* and below this; 0 to SPLIT_WHOLE: all */
	uint64_t seed;
};

struct view {
	uint64_t generation; /* rising, from 1 */
	uint64_t from_epoch; /* a shard adopts it when it opens this epoch, or later */
	size_t binding_count;
	struct binding *bindings; /* index = number; [0] unused; name NULL where unknown */
	size_t route_count;
	struct route *routes;
	uint16_t *name_slots;   /* open addressing over hash_bytes(0, name); 0 = free */
	size_t name_slot_count; /* power of two */
};

/* A deep copy of bindings and routes (names are borrowed from the registry, which never frees them; what the bindings' `ttls`
 * point at is taken over). Builds the slots. */
struct view *view_create(uint64_t generation, const struct binding *bindings, size_t binding_count,
	const struct route *routes, size_t route_count);
void view_destroy(struct view *view);

/* Every fence that is FENCE_NEXT stands at that epoch, from which the view counts. */
void view_fence(struct view *view, uint64_t epoch);

/* The type's number; 0 if no plugin ever declared it. */
uint16_t view_type(const struct view *view, struct bytes name);

/* True if messages that are born now have a version. */
bool binding_live(const struct binding *binding);

/* binding_version for a binding where birth and id matter, or that has no version. */
const struct version *binding_choose(const struct binding *binding, uint64_t birth_epoch, struct bytes id);

/* The version that a message born in that epoch goes to; NULL: there is none for it, it waits. This is the one place where
 * a version is chosen. A type that one version of a split does not have is the other one's, whatever the id. */
static inline const struct version *binding_version(
	const struct binding *binding, uint64_t birth_epoch, struct bytes id) {
	if (__builtin_expect(binding->settled != NULL, 1))
		return binding->settled;
	return binding_choose(binding, birth_epoch, id);
}

/* binding_ttl where ids differ. */
const struct ttl *binding_ttl_find(const struct binding *binding, struct bytes id);

/* When state of that id ends by itself, whichever version has its message. NULL: never, and no times are kept: of no id. */
static inline const struct ttl *binding_ttl(const struct binding *binding, struct bytes id) {
	return __builtin_expect(binding->ttl_differs, 0) ? binding_ttl_find(binding, id) : binding->ttl;
}

/* Where an id stands among those of its type (rule 30), of SPLIT_WHOLE. */
uint64_t split_hash(uint64_t seed, struct bytes id);

/* True if the route has that producer's records. */
bool route_has(const struct route *route, struct bytes producer);

/* True if some route serves the ingress, and has that producer's records: else nobody would take them. */
bool view_ingress(const struct view *view, struct bytes ingress, struct bytes producer);

#endif
