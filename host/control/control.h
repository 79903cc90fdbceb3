/* What the handlers of the control socket work with. Filled in by main before the loop runs; [loop thread]. */
#ifndef HOST_CONTROL_CONTROL_H
#define HOST_CONTROL_CONTROL_H

#include <sys/queue.h>
#include <sys/types.h>

#include "config/config.h"
#include "config/live.h"
#include "egress/hub.h"
#include "flow/engine/engine.h"
#include "flow/request/request.h"
#include "registry/events.h"
#include "registry/registry.h"
#include "state/store.h"

struct event_base;
struct stream;
LIST_HEAD(stream_list, stream);

enum control_phase { CONTROL_STARTING, CONTROL_READY, CONTROL_STOPPING };

/* What the HTTP server itself counts. */
struct http_figures {
	uint64_t good;    /* answers below 400 */
	uint64_t refused; /* 400 to 499 */
	uint64_t failed;  /* 500 and above */
	uint64_t open;    /* requests without an answer yet */
};

struct control {
	pid_t supervisor; /* the started process */
	struct event_base *base;
	const struct config *config;
	struct config_live *settings;
	struct peers *peers; /* who is connected by HTTP */
	struct store *store;
	struct store_recovered recovered;
	struct engine *engine;
	struct egress_hub *hub;
	struct sinks *sinks; /* NULL: none is configured */
	struct requests *requests;
	struct registry *registry;
	struct events *events;
	uint64_t started_ms; /* control_uptime_ms counts from here */
	enum control_phase phase;
	struct http_figures http;
	struct stream_list streams;
};

/* Milliseconds of the monotonic clock. [any thread] */
uint64_t monotonic_ms(void);

/* How the last life of the data directory ended: "none" (it is new), "clean" or "crash". */
const char *recovered_word(const struct store_recovered *recovered);

#endif
