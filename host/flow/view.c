#include "flow/view.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"

static void slot_add(struct view *view, uint16_t number) {
	const char *name = view->bindings[number].name;
	size_t mask = view->name_slot_count - 1;
	size_t i = (size_t)hash_bytes(0, name, strlen(name)) & mask;
	while (view->name_slots[i] != 0)
		i = (i + 1) & mask;
	view->name_slots[i] = number;
}

static const struct version *version_at(const struct binding *binding, int8_t index) {
	if (index == VERSION_NONE || binding->versions[index].function == NULL)
		return NULL;
	return &binding->versions[index];
}

/* Canaries have a hash of their own: the shard's would put a small share of the ids on one shard. */
uint64_t split_hash(uint64_t seed, struct bytes id) {
	return hash_bytes(seed, id.data, id.size) >> 32;
}

static const struct version *split_choose(const struct binding *binding, const struct split *split, struct bytes id) {
	const struct version *base = version_at(binding, split->base);
	if (split->limit == 0)
		return base;
	const struct version *canary = version_at(binding, split->canary);
	if (base == NULL || canary == NULL)
		return base == NULL ? canary : base;
	return split_hash(binding->seed, id) < split->limit ? canary : base;
}

const struct version *binding_choose(const struct binding *binding, uint64_t birth_epoch, struct bytes id) {
	const struct version *version = birth_epoch < binding->fence ? split_choose(binding, &binding->before, id) : NULL;
	return version != NULL ? version : split_choose(binding, &binding->now, id);
}

bool binding_live(const struct binding *binding) {
	return version_at(binding, binding->now.base) != NULL ||
		(binding->now.limit > 0 && version_at(binding, binding->now.canary) != NULL);
}

static void binding_settle(struct binding *binding) {
	binding->settled = NULL;
	if (binding->fence == 0 && binding->now.limit == 0)
		binding->settled = version_at(binding, binding->now.base);
	binding->ttl = binding->ttls == NULL ? NULL : binding->ttls->ranges[0].ttl;
	binding->ttl_differs = binding->ttls != NULL && binding->ttls->count > 1;
}

const struct ttl *binding_ttl_find(const struct binding *binding, struct bytes id) {
	return ttl_map_find(binding->ttls, split_hash(binding->seed, id));
}

struct view *view_create(uint64_t generation, const struct binding *bindings, size_t binding_count,
	const struct route *routes, size_t route_count) {
	check(generation > 0 && binding_count <= TYPES_MAX);
	struct view *view = check_alloc(1, sizeof *view);
	view->generation = generation;
	view->binding_count = binding_count;
	view->bindings = check_alloc(binding_count, sizeof *bindings);
	if (binding_count > 0)
		memcpy(view->bindings, bindings, binding_count * sizeof *bindings);
	view->route_count = route_count;
	view->routes = check_alloc(route_count, sizeof *routes);
	if (route_count > 0)
		memcpy(view->routes, routes, route_count * sizeof *routes);
	view->name_slot_count = 16;
	while (view->name_slot_count < binding_count * 2)
		view->name_slot_count *= 2;
	view->name_slots = check_alloc(view->name_slot_count, sizeof *view->name_slots);
	for (size_t number = 1; number < binding_count; number++) {
		binding_settle(&view->bindings[number]);
		check(view->bindings[number].number == number || view->bindings[number].name == NULL);
		if (view->bindings[number].name == NULL)
			continue;
		view->bindings[number].name_size = strlen(view->bindings[number].name);
		slot_add(view, (uint16_t)number);
	}
	return view;
}

void view_fence(struct view *view, uint64_t epoch) {
	view->from_epoch = epoch;
	for (size_t number = 1; number < view->binding_count; number++)
		if (view->bindings[number].fence == FENCE_NEXT)
			view->bindings[number].fence = epoch;
}

void view_destroy(struct view *view) {
	if (view == NULL)
		return;
	for (size_t number = 1; number < view->binding_count; number++)
		ttl_map_destroy(view->bindings[number].ttls);
	free(view->bindings);
	free(view->routes);
	free(view->name_slots);
	free(view);
}

uint16_t view_type(const struct view *view, struct bytes name) {
	size_t mask = view->name_slot_count - 1;
	size_t i = (size_t)hash_bytes(0, name.data, name.size) & mask;
	for (; view->name_slots[i] != 0; i = (i + 1) & mask) {
		uint16_t number = view->name_slots[i];
		if (bytes_equal(bytes_text(view->bindings[number].name), name))
			return number;
	}
	return 0;
}

bool route_has(const struct route *route, struct bytes producer) {
	if (route->from == 0 && route->until == SPLIT_WHOLE)
		return true;
	uint64_t hash = split_hash(route->seed, producer);
	return hash >= route->from && hash < route->until;
}

bool view_ingress(const struct view *view, struct bytes ingress, struct bytes producer) {
	for (size_t i = 0; i < view->route_count; i++) {
		if (bytes_equal(bytes_text(view->routes[i].ingress), ingress) && route_has(&view->routes[i], producer))
			return true;
	}
	return false;
}
