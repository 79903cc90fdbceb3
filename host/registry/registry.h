/* Which plugins are in, and how they come and go: the state machine between the inbox (a directory), the stager (its
 * own thread, where plugin files are examined, loaded and closed), the store (rows 'T' and 'V': the truth) and the
 * engine's views. Everything here is [loop thread], and never blocks on a plugin but in registry_recover.
 *
 * Order of start: store_open, engine_create, registry_create, registry_recover, engine_start with its view,
 * registry_start, event loop; "ready" once registry_busy is false.
 * Order of stop: registry_stop (no more plugin comes or goes; open requests are answered `stopping`), engine_stop,
 * registry_destroy (fini of every live image; no dlclose at process exit), engine_destroy, store_close. */
#ifndef HOST_REGISTRY_REGISTRY_H
#define HOST_REGISTRY_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "config/config.h"
#include "flow/engine/engine.h"
#include "flow/engine/figures.h"
#include "flow/request/request.h"
#include "limits.h"
#include "state/disk.h"
#include "state/store.h"

struct event_base;
struct events;
struct registry;

struct registry_options {
	const struct config *config;
	struct engine *engine;
	struct requests *requests;
	struct store *store;
	struct disk *disk;
	struct event_base *base;
	struct events *events;         /* told what happens; may be NULL */
	const struct sofun_host *host; /* the table that every init gets: engine_host() */
};

/* Makes <data>/images and the plugins directory if they are absent. NULL: a directory cannot be made, watched or
 * written to. */
struct registry *registry_create(const struct registry_options *options, struct error *error);

/* Reads rows 'T' and 'V', names the types to the store, loads every image that was live (init runs here; nothing else
 * of a plugin does) and gives the first view, which is then the engine's. An image that cannot be loaded parks its
 * types and is shown; only an unreadable store fails. */
struct view *registry_recover(struct registry *registry, struct error *error);

/* Starts the stager and the watch of the plugins directory. */
void registry_start(struct registry *registry);

/* True until everything that stood in the plugins directory at the start has been judged. settled(arg), if set, is
 * called once when it turns false. */
bool registry_busy(const struct registry *registry);
void registry_on_settled(struct registry *registry, void (*settled)(void *arg), void *arg);

/* ---- what the outside asks for ---- */

/* What keeps a plugin waiting to go, or a message to it waiting. */
struct registry_waiting {
	const char *reason; /* those of engine_wait; "messages", "migration" and why it is stuck without a single address */
	const char *address; /* "ns/name/id", percent-encoded; "ns/name", or "" */
	/* Milliseconds since 1970: of an address by the flow's clock; else, and since the fence, by the machine's, as the deadline of
	 * the drain is. They differ under --test-clock alone. */
	uint64_t since_ms;
	uint64_t messages; /* of that address; 0: not counted apart */
	int shard;         /* -1: none in particular */
};

/* How far a version is that leaves. */
struct registry_drain {
	uint64_t left; /* messages; calls, if only what runs is waited for */
	uint32_t shards;
	uint64_t left_on[SHARDS_MAX];
	bool running;      /* only what runs is finished by it */
	bool calls;        /* `left` counts calls that run */
	uint64_t fence;    /* epoch; 0: past the deadline */
	uint64_t since_ms; /* the fence */
	uint64_t oldest_ms;
	uint64_t deadline_ms;
};

struct registry_router {
	const char *ingress;
	const char *format; /* "line", "json", "msgpack": as records come, the configuration counted in */
};

/* P of INTERFACE.md. Views are valid during the call that hands it out. */
struct registry_plugin {
	const char *name;
	const char *version;
	const char
		*state; /* "ready", "live", "draining", "stuck", "retired"; "refused", "quarantined": known, but not loaded */
	bool rollback_target;
	uint32_t share_percent;
	const char *file; /* the name under which it came into the plugins directory */
	const char *hash; /* 64 hex digits of SHA-256 */
	size_t function_count;
	const char *const *functions;
	size_t router_count;
	const struct registry_router *routers;
	size_t egress_count;
	const char *const *egresses;                   /* that it declares */
	const struct engine_function_figures *figures; /* of each function since it came; NULL: it is not loaded */
	uint64_t counted_since_ms;                     /* when it came; wall clock, as below */
	uint64_t probation_ms;         /* how long it is still on probation, by the flow's clock; 0: it is not */
	const struct error *went_back; /* why it was rolled back by itself, or quarantined; NULL: it was not */
	size_t waiting_count;
	const struct registry_waiting *waiting; /* oldest first */
	uint64_t waiting_total;                 /* addresses: more than these are counted only */
	const struct registry_drain *drain;     /* NULL: it does not leave */
};

/* A file that was refused, as it stands now: its error's message, found, expected and hint. */
struct registry_refused {
	const char *file;
	const struct error *error;
};

/* plugin is NULL iff error is set. Called exactly once, never from within registry_load or registry_unload. */
typedef void registry_done(void *arg, const struct registry_plugin *plugin, const struct error *error);

/* Stages the file at `path` whatever was judged of it before, and puts a copy into the plugins directory. Done once it
 * is live; at once-in-turn if the same bytes are live already. ERROR_NOT_FOUND: no such file. ERROR_REFUSED: says why. */
void registry_load(struct registry *registry, const char *path, registry_done *done, void *arg);

/* Drains and retires the plugin of that name, and takes its file out of the plugins directory. Done once it is retired
 * and unmapped; ERROR_NOT_FOUND, ERROR_CONFLICT (it drains already), ERROR_TIMEOUT (a call does not end: it is stuck). */
void registry_unload(struct registry *registry, const char *name, registry_done *done, void *arg);

/* How a version takes over. */
struct registry_swap {
	const char *version;
	bool running;         /* only what runs is finished by the version before; else all that was accepted */
	uint64_t deadline_ms; /* then what still waits goes to the new version */
	uint32_t percent;     /* of the ids, as a canary; 0: all */
	bool no_way_back;     /* even if the version before could not read the state that this one writes */
};
enum { SWAP_DEADLINE_MS = 30000 }; /* when none is given */

/* The version must be ready, or have been live. Done when the fence is durable: plugin is that version. ERROR_NOT_FOUND,
 * ERROR_CONFLICT (another change is not through: it says what is awaited), ERROR_REFUSED (it could not be staged). */
void registry_swap(
	struct registry *registry, const char *name, const struct registry_swap *order, registry_done *done, void *arg);
/* The canary gets all ids. order->version, if it is not NULL, must be that; percent is 0. */
void registry_promote(
	struct registry *registry, const char *name, const struct registry_swap *order, registry_done *done, void *arg);
/* One step: the canary ends, or the version that was live before comes back. */
void registry_rollback(
	struct registry *registry, const char *name, const struct registry_swap *order, registry_done *done, void *arg);

/* The versions of a plugin: what is loaded or ready, then what was live and may come back. False: nobody knows it. */
bool registry_versions_each(struct registry *registry, const char *name,
	void (*each)(void *arg, const struct registry_plugin *plugin), void *arg);

void registry_each(struct registry *registry, void (*each)(void *arg, const struct registry_plugin *plugin), void *arg);
void registry_refused_each(
	struct registry *registry, void (*each)(void *arg, const struct registry_refused *refused), void *arg);

/* loaded = live + draining + stuck at every moment; unloaded counts since the start. */
struct registry_images {
	uint64_t loaded;
	uint64_t unloaded;
	uint64_t stuck;
};
void registry_images(const struct registry *registry, struct registry_images *ret_images);

/* ---- state migration ---- */

/* Migrates all instances of the plugin's types in the background to the schema of the version that has them all. Goes on
 * across restarts. ERROR_NOT_FOUND: no plugin of that name. */
bool registry_migrate(struct registry *registry, const char *name, struct error *error);

/* A type whose instances are migrated in the background. */
struct registry_migration {
	const char *type;
	const char *plugin;
	uint32_t schema; /* to it; while two versions share the type it waits */
	uint64_t total;  /* when it began, or since the start of the process */
	uint64_t left;   /* not yet migrated and durable */
	uint64_t refused;
	const char *reason; /* of the last that was refused; "" if none was */
};
void registry_migrations_each(
	struct registry *registry, void (*each)(void *arg, const struct registry_migration *migration), void *arg);

/* ---- what the rest of the host asks ---- */

/* True if a live plugin declares that it emits to it. */
bool registry_egress_declared(const struct registry *registry, struct bytes name);

/* What the values of a schema are called, by number; valid until registry_destroy. */
struct registry_schema {
	uint32_t schema;
	uint32_t value_count;
	const char *const *values;
};

/* Of a type with more schemas in its store than these, the older ones are shown by number: eight migrations at once are a
 * mess of another kind. */
enum { REGISTRY_SCHEMAS_MAX = 8 };

/* When state of a type ends by itself: those of the ids whose hash is below `limit` go by `canary`. NULL: nothing of it does.
 * Without a live version as the last one had it. */
struct registry_expiry {
	struct ttl_map *ttls; /* the caller's: registry_expiry_finish. NULL: nothing expires */
	uint64_t seed;
};

/* What is known of a function type, whether a version of it is live or not; until the next turn of the loop. Names are
 * never freed before registry_destroy. */
struct registry_type {
	uint16_t number; /* of its database */
	const char *name;
	const char *plugin;
	const char *version; /* of the live image; "" if none is live */
	uint32_t schema;     /* of the version that went live last */
	struct registry_expiry expiry;
	size_t schema_count;
	struct registry_schema schemas[REGISTRY_SCHEMAS_MAX]; /* the newest of those that were ever declared */
};

/* False if no plugin ever declared it; else ret_type->expiry is the caller's. */
bool registry_type_find(const struct registry *registry, struct bytes name, struct registry_type *ret_type);

/* The times of that id. [any thread] */
const struct ttl *registry_expiry_of(const struct registry_expiry *expiry, struct bytes id);
void registry_expiry_finish(struct registry_expiry *expiry);

/* ---- when state ends by itself ---- */

/* One way, and who has a word on it: the command before the settings before the plugin. */
struct registry_ttl_shown {
	struct bytes value; /* empty: whole instances */
	enum ttl_kind kind;
	uint64_t ms;          /* what holds; 0: never */
	uint64_t declared_ms; /* by the plugin; 0: never */
	uint64_t settings_ms; /* TTL_UNSET: they say nothing */
	uint64_t command_ms;  /* the same */
	uint64_t since_ms;    /* time runs from here at the earliest; 0: nothing ever ended so */
};

/* Of whole instances, and of each value of the newest schema. False if no plugin ever declared the type. */
bool registry_ttl_each(const struct registry *registry, struct bytes type,
	void (*each)(void *arg, const struct registry_ttl_shown *shown), void *arg);

/* True while entries of the sweep are made anew in the background. */
bool registry_ttl_files(const struct registry *registry, struct bytes type);

/* What the command asks for. */
struct registry_ttl_term {
	struct bytes value; /* empty: whole instances */
	enum ttl_kind kind;
	uint64_t ms; /* TTL_UNSET: the command has no word on it any more */
};
struct registry_ttl_order {
	bool clear; /* all that the command ever set for the type, first */
	const struct registry_ttl_term *terms;
	size_t count;
};

/* Durable, across restarts. done: once every shard goes by it, with what went wrong or NULL; not called if this returns
 * false: ERROR_UNKNOWN_TYPE, or ERROR_NOT_FOUND: no schema has such a value. */
bool registry_ttl_set(struct registry *registry, struct bytes type, const struct registry_ttl_order *order,
	void (*done)(void *arg, const struct error *error), void *arg, struct error *error);

/* Settings that have no effect yet: on a type, or a value of one, that no version has declared so far. */
enum ttl_missing { TTL_DECLARED, TTL_TYPE_MISSING, TTL_VALUE_MISSING };
const char *ttl_missing_text(enum ttl_missing missing); /* for people; not of TTL_DECLARED */
void registry_ttl_undeclared_each(const struct registry *registry,
	void (*each)(void *arg, const struct ttl_rule *rule, enum ttl_missing missing), void *arg);

/* The settings have changed. done may be NULL; else as above. */
void registry_ttl_changed(struct registry *registry, void (*done)(void *arg, const struct error *error), void *arg);

/* ---- stop ---- */

/* Ends the watch and the stager; a job that runs is waited for. */
void registry_stop(struct registry *registry);

/* After engine_stop. NULL is fine. */
void registry_destroy(struct registry *registry);

#endif
