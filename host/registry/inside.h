/* The inside of the registry. No other code includes this file. Everything is [loop thread].
 *
 *   registry.c    making, starting, stopping
 *   recover.c     what the store says, before anything runs
 *   convict.c     who killed the host, and who takes its place
 *   verdict.c     what was judged of each plugin file
 *   commit.c      committing rows, and fences
 *   report.c      what the outside is shown
 *
 *   candidate/    a file on its way in
 *     stage.c       from a file to a judgement
 *     open.c        from there to live
 *     load.c        files that are given by path
 *     offer.c       the files in the plugins directory, and what became of them
 *   lineage/      the versions of a plugin
 *     lineage.c     what is live, at which share: changes by fence
 *     fence_rows.c  the rows that go with a fence
 *     settle.c      from a fence to the end of the change, or past its deadline
 *     drain.c       what a version that leaves still waits for
 *     probation.c   a new version's first minute: does it fail more than the one before
 *     swap.c        swap, promote, rollback
 *     postpone.c    orders that wait until an image is closed
 *   loaded/       a version that is loaded
 *     retire.c      on its way out
 *     keep.c        those that stay for their way down
 *     figures.c     what each has counted
 *   type/         function types
 *     types.c       whose they are, and the views made of them
 *     schemas.c     their schemas: what a version can read of what is in the store
 *     migrate.c     instances of other schemas, in the background
 *   ttl/          when their state ends by itself
 *     ttl.c         who has which word on it
 *     change.c      what a change of that comes to
 *     unknown.c     settings on state that no plugin has declared
 *   row/          all of that as rows */
#ifndef HOST_REGISTRY_INSIDE_H
#define HOST_REGISTRY_INSIDE_H

#include <event2/event.h>

#include "plugin/inbox.h"
#include "plugin/stage.h"
#include "registry/candidate/candidate.h"
#include "registry/commit.h"
#include "registry/events.h"
#include "registry/lineage/lineage.h"
#include "registry/loaded/plugin.h"
#include "registry/registry.h"
#include "registry/row/row.h"
#include "registry/ttl/ttl.h"
#include "registry/type/type.h"
#include "registry/verdict.h"

enum {
	/* Judged files that are remembered. Beyond it the oldest refusal goes: its file is judged anew if it comes again. */
	VERDICTS_MAX = 4096,
	/* Refused `load`s from outside of the directory that are shown. */
	LOADS_SHOWN_MAX = 64,
	/* A first run that ended with a SIGKILL is tried again: that convicts nobody (rule 34). So many in a row, each within
	 * the milliseconds of a first run, are no chance: the plugin wants more memory than there is, or kills itself. */
	ATTEMPTS_MAX = 32,
	/* A drain may take this long; then what still waits parks. */
	DRAIN_MS_MAX = 30000,
	/* After that, a call that does not end makes its image stuck, and whoever asked is told. */
	LEAVING_MS_MAX = 1000,
	/* How often a drain is looked at. */
	DRAIN_LOOK_MS = 5,
	/* Closing an image takes milliseconds, and seconds where the disk is slow, for its rows must be durable; a call that is
	 * still in it may take for ever. */
	POSTPONE_MS = 10000,
};

struct registry {
	uint32_t magic;
	struct registry_options options;
	char *images;        /* directory */
	uint64_t generation; /* last used for a copy */
	uint64_t view;       /* last published */
	bool stopped;

	struct verdict **verdicts;
	size_t verdict_count;
	struct function_type **types; /* by number; NULL where unknown */
	size_t type_count;            /* length of `types` */
	struct plugin *plugins;
	struct offer **offers;
	size_t offer_count;
	struct lineage *lineages;
	bool fencing;     /* a fence is on its way */
	bool publish_due; /* a view waits for that fence */
	bool ttl_due;     /* times of expiry have changed: a fence for them is to be asked for */
	struct ttl_waiter *ttl_waiters;
	struct candidate *current;
	struct candidate *waiting;
	struct commit *commits;
	struct held_rows *held; /* rows that wait for the fence (commit.c) */

	uint64_t unloaded;
	struct inbox *inbox;
	struct stage *stage;
	struct event *staged;
	struct event *drain_timer;
	struct postponed *postponed; /* orders that wait until an image is closed */
	struct event *postpone_timer;
	uint64_t survey_token; /* of the one that is under way; 0: none */
	uint64_t surveyed_ms;
	struct event *migrate_timer;
	struct event *probation_timer;
	struct pass *pass;   /* the walk that is under way; NULL: none */
	size_t migrate_next; /* type number: each has its turn */
	bool settled;
	void (*on_settled)(void *arg);
	void *on_settled_arg;
};

/* ---- registry.c ---- */
uint64_t registry_now_ms(void); /* monotonic */
uint64_t registry_wall_ms(void);

/* ---- recover.c ---- */
bool verdict_needs_image(const struct verdict *verdict);
/* Its copy's manifest; nothing of it runs. NULL: the copy is gone or damaged. */
struct image *verdict_image(const struct verdict *verdict, const char *path, struct error *error);
void registry_write_recovered(struct registry *registry);

/* ---- convict.c ---- */
/* Those who killed the host lose their share before anything is loaded. */
void verdicts_sentence(struct registry *registry);
/* A quarantined version that has a copy takes instances down: it may be loaded for that. False: that killed the host, too. */
bool sentence_leaves_way_down(struct verdict *verdict);

/* ---- report.c ---- */
void done_report(struct plugin *plugin, registry_done *done, void *arg);

#endif
