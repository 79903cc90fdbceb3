#include "registry/events.h"

#include <stdlib.h>
#include <time.h>

#include "base/check.h"

struct events {
	uint64_t last; /* number of the latest; 0: none yet */
	struct event_record ring[EVENTS_KEPT];
	struct event_subscriber *subscribers;
	struct event_subscriber *telling; /* the one to be told next, so that one may leave meanwhile */
};

static const char *const kind_names[EVENT_KINDS] = {
	[EVENT_STAGE] = "stage",
	[EVENT_REFUSED] = "refused",
	[EVENT_DRAIN] = "drain",
	[EVENT_LIVE] = "live",
	[EVENT_RETIRED] = "retired",
	[EVENT_STUCK] = "stuck",
	[EVENT_ROLLBACK] = "rollback",
	[EVENT_CRASH] = "crash",
};

const char *event_kind_name(enum event_kind kind) {
	check(kind < EVENT_KINDS);
	return kind_names[kind];
}

struct events *events_create(void) {
	return check_alloc(1, sizeof(struct events));
}

void events_destroy(struct events *events) {
	if (events == NULL)
		return;
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		json_decref(events->ring[i].body);
	free(events);
}

void events_emit(struct events *events, enum event_kind kind, json_t *body) {
	struct timespec now;
	if (events == NULL) {
		json_decref(body);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	struct event_record *event = &events->ring[++events->last % EVENTS_KEPT];
	json_decref(event->body);
	*event = (struct event_record){
		.number = events->last,
		.time_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
		.kind = kind,
		.body = body,
	};
	for (struct event_subscriber *one = events->subscribers; one != NULL; one = events->telling) {
		events->telling = one->next;
		one->told(one->arg, event);
	}
}

void events_each(
	const struct events *events, uint64_t from, void (*each)(void *arg, const struct event_record *event), void *arg) {
	uint64_t first = events->last > EVENTS_KEPT ? events->last - EVENTS_KEPT + 1 : 1;
	for (uint64_t number = from > first ? from : first; number <= events->last; number++)
		each(arg, &events->ring[number % EVENTS_KEPT]);
}

void events_subscribe(struct events *events, struct event_subscriber *subscriber) {
	subscriber->next = events->subscribers;
	events->subscribers = subscriber;
}

void events_unsubscribe(struct events *events, struct event_subscriber *subscriber) {
	struct event_subscriber **place = &events->subscribers;
	while (*place != NULL && *place != subscriber)
		place = &(*place)->next;
	if (*place == NULL)
		return;
	*place = subscriber->next;
	if (events->telling == subscriber)
		events->telling = subscriber->next;
}
