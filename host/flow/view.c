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
		check(view->bindings[number].number == number || view->bindings[number].name == NULL);
		if (view->bindings[number].name != NULL)
			slot_add(view, (uint16_t)number);
	}
	return view;
}

void view_destroy(struct view *view) {
	if (view == NULL)
		return;
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

bool view_ingress(const struct view *view, struct bytes ingress) {
	for (size_t i = 0; i < view->route_count; i++) {
		if (bytes_equal(bytes_text(view->routes[i].ingress), ingress))
			return true;
	}
	return false;
}
