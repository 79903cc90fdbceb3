/* What the shards know of the plugins: an immutable snapshot, made and published by the registry [loop thread], adopted
 * by each shard at a message boundary. A view and the images it names live until every shard has adopted a later one. */
#ifndef HOST_FLOW_VIEW_H
#define HOST_FLOW_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "config.h"
#include "sofun/plugin.h"

struct image; /* plugin/image.h */

enum { TYPES_MAX = 4096, VALUES_MAX = 64 };

/* One declared function type. Numbers are durable (row 'T'), from 1, never reused. */
struct binding {
	uint16_t number;
	const char *name;                      /* "ns/name" */
	const struct sofun_function *function; /* NULL: no live version, messages wait */
	void *plugin_data;
	const struct sofun_host *host; /* the table given to this image */
	struct image *image;
	uint64_t fence_epoch; /* messages born at or after it wait; UINT64_MAX while live */
	uint32_t value_count;
};

struct route {
	const char *ingress;
	enum record_format format; /* after configuration; never FORMAT_PLUGIN */
	const struct sofun_router *router;
	void *plugin_data;
	const struct sofun_host *host;
	struct image *image;
};

struct view {
	uint64_t generation; /* rising, from 1 */
	size_t binding_count;
	struct binding *bindings; /* index = number; [0] unused; name NULL where unknown */
	size_t route_count;
	struct route *routes;
	uint16_t *name_slots;   /* open addressing over hash_bytes(0, name); 0 = free */
	size_t name_slot_count; /* power of two */
};

/* A deep copy of bindings and routes (names are borrowed from the registry, which never frees them). Builds the slots. */
struct view *view_create(uint64_t generation, const struct binding *bindings, size_t binding_count,
	const struct route *routes, size_t route_count);
void view_destroy(struct view *view);

/* The type's number; 0 if no plugin ever declared it. */
uint16_t view_type(const struct view *view, struct bytes name);

/* True if some route serves the ingress. */
bool view_ingress(const struct view *view, struct bytes ingress);

#endif
