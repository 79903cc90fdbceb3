/* What happens to plugins, told to whoever listens: a bounded ring of the latest events, numbered from 1, and subscribers
 * by callback. GET /v1/events serves it. [loop thread] */
#ifndef HOST_REGISTRY_EVENTS_H
#define HOST_REGISTRY_EVENTS_H

#include <jansson.h>
#include <stdint.h>

enum event_kind {
	EVENT_STAGE,   /* a version was judged good, and is ready or on its way to live */
	EVENT_REFUSED, /* a file was refused */
	EVENT_DRAIN, /* a fence stands; what was before it is finished by the version before. With `left`: how far it is */
	EVENT_LIVE,  /* a version is live, or its share changed */
	EVENT_RETIRED,  /* a version has gone */
	EVENT_STUCK,    /* a version should be gone, and is not */
	EVENT_ROLLBACK, /* back to the version before, with the reason; with `refused`: it should go back, and cannot */
	EVENT_CRASH,    /* a plugin ended the process, or is held to have */
	EVENT_KINDS
};

struct event_record {
	uint64_t number;
	uint64_t time_ms; /* wall clock */
	enum event_kind kind;
	json_t *body; /* an object; the ring's */
};

struct events;

/* The ring keeps this many; who asks for an older one gets what there is, and sees it by the numbers. */
enum { EVENTS_KEPT = 1024 };

struct events *events_create(void);
void events_destroy(struct events *events); /* NULL is fine */

/* "stage", "refused" and so on. */
const char *event_kind_name(enum event_kind kind);

/* Takes the reference over. events may be NULL: then nobody is told. */
void events_emit(struct events *events, enum event_kind kind, json_t *body);

/* Calls each() for the events that are kept, from `from` on, in order. */
void events_each(
	const struct events *events, uint64_t from, void (*each)(void *arg, const struct event_record *event), void *arg);

/* told() is called for every event from now on, until unsubscribed; it must not emit. The caller's struct, which stays
 * where it is. */
struct event_subscriber {
	struct event_subscriber *next;
	void (*told)(void *arg, const struct event_record *event);
	void *arg;
};
void events_subscribe(struct events *events, struct event_subscriber *subscriber);
void events_unsubscribe(struct events *events, struct event_subscriber *subscriber);

#endif
