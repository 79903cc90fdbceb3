/* The versions of one plugin: which is live, at which share, and how that changes, by a fence each time.
 * Private to host/registry. [loop thread] */
#ifndef HOST_REGISTRY_LINEAGE_LINEAGE_H
#define HOST_REGISTRY_LINEAGE_LINEAGE_H

#include <event2/util.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "plugin/manifest.h"
#include "registry/commit.h"
#include "registry/loaded/plugin.h"
#include "registry/registry.h"

struct function_type;
struct rows; /* fence_rows.c */

/* Who has which ids of a plugin: `base` all of them, but for a percentage that `canary` has. NULL: nobody. */
struct share {
	struct verdict *base;
	struct verdict *canary;
	uint32_t percent; /* of the canary; 0: there is none */
};

enum lineage_state {
	LINEAGE_SETTLED,
	LINEAGE_ASKED,    /* another plugin's fence is on its way first */
	LINEAGE_FENCING,  /* its fence is on its way */
	LINEAGE_DRAINING, /* what was born before the fence is finished by the versions of before */
};

/* The versions of one plugin: a row 'W'. */
struct lineage {
	struct lineage *next;
	struct registry *registry;
	char name[MANIFEST_NAME_BYTES_MAX + 1];
	struct share now;
	struct share before;      /* while it is not settled */
	struct share late;        /* the same, while the end of its drain is made durable */
	struct verdict *previous; /* what a rollback goes back to; NULL: nothing */
	uint64_t fence;           /* draining: where it stands; FENCE_NEXT on its way */
	uint8_t side;             /* of messages born at or behind the last fence */
	bool running;             /* only what runs is finished by the versions of before */
	uint64_t seed;            /* of the canary's hash */
	uint64_t since_wall_ms;   /* of the fence */
	uint64_t deadline_wall_ms;
	uint64_t
		probation_until_ms; /* of the canary, else of the base, by the flow's clock; 0: there is none, or it was ended */
	uint64_t errors_before; /* of the version before it, in ten thousandths of its messages */
	bool leaves_undecided;  /* a version of `before` was on probation when it lost its share */
	struct outcome_count
		probation_from;              /* what it had counted at the beginning of the window; not durable, as the next */
	struct outcome_count other_from; /* the same of the base, while a canary runs */
	uint64_t window_ms;              /* monotonic: when that was */
	struct outcome_count
		probation_kept; /* what the window had counted when the row was written, in lives before this one */
	struct outcome_count other_kept;
	struct outcome_count probation_row; /* the same as the row has it now */
	struct outcome_count other_row;
	bool judged; /* it was found bad, and cannot go back */

	enum lineage_state state;
	bool unload_due; /* its file was removed while it was changing */
	bool dirty;      /* recovery changed it: its row is to be written */
	uint64_t view;   /* generation of the view with the fence */
	struct function_type **types;
	size_t type_count;
	commit_then *then; /* once the fence is durable */
	void *then_arg;
};

/* An order to change it. */
struct change {
	struct share next;
	struct verdict *previous;
	bool running;
	uint64_t deadline_ms;
	struct function_type **types; /* whose rows go with it; taken over */
	size_t type_count;
	commit_then *then;
	void *arg;
};

/* ---- lineage.c ---- */
struct lineage *lineage_find(const struct registry *registry, const char *name);
struct lineage *lineage_add(struct registry *registry, const char *name); /* found or new */
void lineages_destroy(struct registry *registry);
/* The image of a version that may be in a view; NULL: it is not loaded. */
struct plugin *plugin_of_verdict(const struct registry *registry, const struct verdict *verdict);
/* Who serves, as any view is to have it: a change that waits for another fence has not come about, and nothing of it is durable. */
const struct share *lineage_serves(const struct lineage *lineage);
/* True if the version had a share before the fence that stands. */
bool lineage_was(const struct lineage *lineage, const struct verdict *verdict);
bool share_has(const struct share *share, const struct verdict *verdict);
bool share_loaded(const struct registry *registry, const struct share *share); /* one of its versions is */
/* True if it has a share now. */
bool lineage_has(const struct lineage *lineage, const struct verdict *verdict);
/* True while a change of it has not come to its end; *ret_error says what is awaited. */
bool lineage_busy(const struct lineage *lineage, struct error *ret_error);
/* The same, and while a version that was asked for by name is being staged: its copy is not there for a second request. */
bool lineage_taken(const struct lineage *lineage, struct error *ret_error);
/* A version of it is in no new view, and not unmapped yet. */
bool lineage_leaves_any(const struct lineage *lineage);
/* Its change is through but for the closing of what it left: nothing is owed any more. */
bool lineage_closes(const struct lineage *lineage);
/* Which ids a canary that begins now has: others than the last one, unless their times differ still. */
void lineage_seed(struct lineage *lineage, const struct verdict *canary);
/* REQUIRES that it is not busy, and that all images of the order are loaded. */
void lineage_change(struct lineage *lineage, const struct change *change);
/* No version of it is to be live: copies that were kept go, too. REQUIRES that it is not busy. */
void lineage_unload(struct lineage *lineage);
/* Its share without a version that must not run: the one before takes its place. Only at recovery. */
void lineage_convict(struct lineage *lineage, const struct verdict *verdict);
/* A fence has come back, or no row is on its way any more: the next fence, if one was asked for. */
void fence_next(struct registry *registry);
/* The fence on its way is durable: what waited for it. */
void fence_over(struct registry *registry);
/* Nothing of before is left. */
void lineage_rest(struct lineage *lineage);
void lineages_resume(struct registry *registry);

/* ---- fence_rows.c ---- */
/* The rows of a fence: those of the lineage (NULL: none), and all rows 't' that are to be written. */
struct rows *rows_create(struct registry *registry, struct lineage *lineage);
const struct engine_row *rows_all(const struct rows *rows);
size_t rows_count(const struct rows *rows);
void rows_destroy(struct rows *rows);

/* ---- settle.c ---- */
/* The row alone. */
void lineage_commit(struct lineage *lineage);
void lineage_commit_then(struct lineage *lineage, commit_then *then, void *arg);
void lineages_look(struct registry *registry, bool *ret_waiting);

/* ---- drain.c ---- */
enum { WAITS_SHOWN_MAX = 100 };
struct waits {
	size_t count;
	struct registry_waiting rows[WAITS_SHOWN_MAX + 1]; /* oldest first; their addresses are its own */
	uint64_t total;
};
/* Who waits for that version, by the last survey. */
void plugin_waits(const struct plugin *plugin, struct waits *ret_waits);
void waits_finish(struct waits *waits);
/* Messages that the versions of before still owe, by what the shards said last. */
uint64_t lineage_left(const struct lineage *lineage);
/* False: it does not leave. */
bool plugin_drain(const struct plugin *plugin, struct registry_drain *ret_drain);
/* That version is on its way out. */
bool lineage_leaves(const struct lineage *lineage, const char *version);
/* Makes *error's found say what is left and which addresses are awaited, if that is known. */
void lineage_awaited(const struct lineage *lineage, struct error *error);
void drains_tell(struct registry *registry); /* while some drain goes on */
void drains_stop(struct registry *registry);

/* ---- probation.c ---- */
bool lineage_on_probation(const struct lineage *lineage);
struct verdict *lineage_newcomer(const struct lineage *lineage); /* who is on probation, if anybody is */
/* A change is about to be made: whose probation begins or ends with it. */
void probation_change(struct lineage *lineage, const struct change *change);
/* The change is durable, or the host has started: from now on it is looked at. */
void probation_watch(struct lineage *lineage);
void probation_resume(struct lineage *lineage);
/* Somebody trusts it: what failed for good on it is its messages' own fault. */
void probation_end(struct lineage *lineage, commit_then *then, void *arg);
/* probation_until_ms of a version in the view (flow/view.h). */
uint64_t probation_until(const struct lineage *lineage, const struct verdict *verdict);
void registry_probation_look(evutil_socket_t fd, short what, void *arg);
void verdict_forgive(struct verdict *verdict); /* what made it go back is forgotten: it is live again */

/* ---- swap.c ---- */
/* The canary ends. */
void lineage_canary_back(struct lineage *lineage, const struct registry_swap *order, registry_done *done, void *arg);
/* Back to what was live before, which is staged for it. REQUIRES that there is something. */
void lineage_previous_back(struct lineage *lineage, const struct registry_swap *order, registry_done *done, void *arg);

/* ---- postpone.c ---- */
typedef void order_now(
	struct registry *registry, const char *name, const struct registry_swap *order, registry_done *done, void *arg);
/* True: the order waits until what closes has gone, for POSTPONE_MS at most, and is given to now() then. */
bool order_postpone(struct registry *registry, const char *name, const struct registry_swap *order, order_now *now,
	registry_done *done, void *arg);
/* Those whose time has come; all of them if the registry has stopped. */
void postponed_resume(struct registry *registry);
void postponed_due(evutil_socket_t fd, short what, void *arg);

#endif
