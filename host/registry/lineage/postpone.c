/* Orders that come while a version is being closed: nothing is owed any more, its change is through, and it is a matter of
 * milliseconds until its image has gone. They wait for that, in their order, instead of being refused; not for a call that does
 * not end. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "registry/inside.h"

struct postponed {
	struct postponed *next;
	char name[MANIFEST_NAME_BYTES_MAX + 1];
	char *version; /* NULL: none was named */
	struct registry_swap order;
	order_now *now;
	registry_done *done;
	void *arg;
	uint64_t until_ms;
};

static bool order_waits(const struct registry *registry, const char *name) {
	const struct lineage *lineage = lineage_find(registry, name);
	return !registry->stopped && lineage != NULL && lineage_closes(lineage);
}

static void look_later(struct registry *registry) {
	const struct timeval delay = {.tv_usec = DRAIN_LOOK_MS * 1000};
	check(event_add(registry->postpone_timer, &delay) == 0);
}

static void postponed_add(struct registry *registry, struct postponed *postponed) {
	struct postponed **last = &registry->postponed;
	while (*last != NULL)
		last = &(*last)->next;
	postponed->next = NULL;
	*last = postponed;
}

bool order_postpone(struct registry *registry, const char *name, const struct registry_swap *order, order_now *now,
	registry_done *done, void *arg) {
	if (!order_waits(registry, name))
		return false;
	struct postponed *postponed = check_alloc(1, sizeof(*postponed));
	*postponed = (struct postponed){
		.order = *order, .now = now, .done = done, .arg = arg, .until_ms = registry_now_ms() + POSTPONE_MS};
	check(strlen(name) < sizeof postponed->name); /* there is a lineage of that name */
	strcpy(postponed->name, name);
	if (order->version != NULL)
		postponed->version = check_strdup(order->version);
	postponed->order.version = postponed->version;
	postponed_add(registry, postponed);
	look_later(registry);
	return true;
}

void postponed_resume(struct registry *registry) {
	struct postponed *next, *postponed = registry->postponed;
	const uint64_t now_ms = registry_now_ms();
	registry->postponed = NULL;
	for (; postponed != NULL; postponed = next) {
		next = postponed->next;
		if (now_ms < postponed->until_ms && order_waits(registry, postponed->name)) {
			postponed_add(registry, postponed);
			continue;
		}
		postponed->now(registry, postponed->name, &postponed->order, postponed->done, postponed->arg);
		free(postponed->version);
		free(postponed);
	}
	if (registry->postponed != NULL)
		look_later(registry);
}

void postponed_due(evutil_socket_t fd, short what, void *arg) {
	(void)fd, (void)what;
	postponed_resume(arg);
}
