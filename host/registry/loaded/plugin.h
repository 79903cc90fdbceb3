/* Versions that are loaded, and those that should be: from the first view with one of them until its image has gone.
 * Private to host/registry. [loop thread] */
#ifndef HOST_REGISTRY_LOADED_PLUGIN_H
#define HOST_REGISTRY_LOADED_PLUGIN_H

#include <event2/util.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "flow/engine/figures.h"
#include "plugin/stage.h"
#include "registry/registry.h"
#include "registry/verdict.h"

/* A plugin that the store names live or draining, or an image that should be gone and is not. */
enum plugin_state {
	PLUGIN_READY, /* judged and probed, and nothing of it has run in this process */
	PLUGIN_LIVE,
	PLUGIN_DRAINING, /* fenced, without routes; messages of before go to it */
	PLUGIN_LEAVING,  /* in no new view; a shard may still be in it */
	PLUGIN_RETIRING, /* its row is being written, then it is with the stager */
	PLUGIN_STUCK,    /* should be unmapped, and stays */
	PLUGIN_PARKED,   /* live by its row, but it could not be loaded: its types wait */
};

/* How far it is known whether a version without a share is still needed. */
enum keep_state {
	KEEP_ADOPTING, /* a shard may still call it */
	KEEP_COUNTING, /* what it wrote last is on its way to the store */
	KEEP_COUNTED,
};

struct plugin {
	struct plugin *next;
	struct registry *registry;
	struct stage_job job; /* closing */
	struct verdict *verdict;
	struct image *image; /* NULL if parked */
	enum plugin_state state;
	bool restage;        /* parked because its copy is missing or damaged: the file in the directory may stand in */
	struct error parked; /* why */
	const char *stuck_reason;
	uint64_t view;      /* generation of the view that it waits for */
	uint64_t told_left; /* by its last event; UINT64_MAX: there was none */
	enum keep_state keep;
	uint64_t keep_view; /* the view in which it has no share any more */
	uint64_t since_ms;  /* monotonic: of this state */
	uint64_t since_wall_ms;
	bool by_request; /* unload, not a removal: its file goes too */
	bool retained;   /* its copy stays: it may come back */
	bool unmapped;
	uint8_t tally; /* where the shards count for it (flow/view.h) */
	uint64_t counted_since_wall_ms;
	struct engine_function_figures
		*figures_before; /* by function of its manifest: what stood there when it came; or NULL */
	registry_done *done; /* NULL: nobody waits */
	void *done_arg;
};

/* Messages of a version, and those whose first attempt failed. */
struct outcome_count {
	uint64_t messages;
	uint64_t failed;
};

/* ---- retire.c ---- */
struct plugin *plugin_add(
	struct registry *registry, struct verdict *verdict, struct image *image, enum plugin_state state);
/* An image whose init refused, and which the loader keeps: it is counted, and shown. */
void plugin_add_stuck(struct registry *registry, struct verdict *verdict, struct image *image);
/* The base of that name, loaded or parked; NULL if there is none. */
struct plugin *plugin_find(const struct registry *registry, const char *name);
void plugin_remove(struct registry *registry, struct plugin *plugin);
/* It is in no view any more: its row, fini, the unmapping. */
void plugin_leave(struct plugin *plugin, uint64_t view);
void plugin_turn(struct plugin *plugin, enum plugin_state state);
/* The file that it came from, as it stands now, does not bring it back by itself; or may do so again. */
void verdict_hold_file(const struct registry *registry, struct verdict *verdict);
void verdict_release_file(struct verdict *verdict);
void drain_later(struct registry *registry);
void plugins_file_removed(struct registry *registry, const char *file);
void plugins_stop(struct registry *registry);
void plugin_discard(struct plugin *plugin); /* a ready one */
void registry_drain_look(evutil_socket_t fd, short what, void *arg);
void late_error(struct registry *registry, registry_done *done, void *arg, const struct error *error);

/* ---- keep.c ---- */
bool plugin_is_kept(const struct plugin *plugin);
size_t plugins_kept(const struct registry *registry, const char *name);
/* A function type whose instances this version may have to take down (counted: of which there are some); NULL: none. */
const char *plugin_keeps_for(const struct plugin *plugin, bool counted);
bool plugins_keep_look(struct registry *registry); /* true: look again soon */

/* ---- figures.c ---- */
void plugin_tally_begin(struct plugin *plugin); /* its image is open, and its types are known */
/* What it has counted since, of a function of its manifest. */
void plugin_figures(const struct plugin *plugin, size_t function, struct engine_function_figures *ret_figures);
struct outcome_count plugin_outcomes(const struct plugin *plugin);

#endif
