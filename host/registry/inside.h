/* The inside of the registry. No other code includes this file. Everything is [loop thread].
 *
 *   registry.c    making, starting, stopping
 *   recover.c     what the store says, before anything runs
 *   convict.c     who killed the host, and who takes its place
 *   rows.c        rows 'T' and 'V' as bytes
 *   commit.c      committing rows, and fences
 *   types.c       function types: whose they are, and the views made of them
 *   schemas.c     their schemas: what a version can read of what is in the store
 *   migrate.c     instances of other schemas, in the background
 *   ttl.c         when their state ends by itself: who has which word on it
 *   ttl_unknown.c settings on state that no plugin has declared
 *   ttl_change.c  what a change of that comes to
 *   ttl_row.c     row 't' as bytes
 *   load.c        files that are given to it by path
 *   stage.c       a candidate on its way from a file to a judgement
 *   open.c        from there to live
 *   lineage.c     what is live of a plugin, at which share: changes by fence
 *   fence_rows.c  the rows that go with a fence
 *   settle.c      from a fence to the end of the change, or past its deadline
 *   drain.c       what a version that leaves still waits for
 *   probation.c   a new version's first minute: does it fail more than the one before
 *   figures.c     what each loaded version has counted
 *   swap.c        swap, promote, rollback
 *   share.c       row 'W' as bytes
 *   keep.c        versions that stay for their way down
 *   offer.c       the files in the plugins directory, and what became of them
 *   retire.c      a plugin on its way out
 *   report.c      what the outside is shown */
#ifndef HOST_REGISTRY_INSIDE_H
#define HOST_REGISTRY_INSIDE_H

#include <event2/event.h>

#include "flow/engine/figures.h"
#include "flow/expiry/ttl_parts.h"
#include "plugin/examine.h"
#include "plugin/image.h"
#include "plugin/inbox.h"
#include "plugin/stage.h"
#include "registry/events.h"
#include "registry/registry.h"

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
	POSTPONE_MS = 1000, /* closing an image takes milliseconds; a call that is still in it may take for ever */
};

/* A row 'V': what was judged of a plugin file with that content. */
enum verdict_state {
	VERDICT_ATTEMPTING,
	VERDICT_LIVE,
	VERDICT_DRAINING,
	VERDICT_RETIRED,
	VERDICT_REFUSED,
	VERDICT_QUARANTINED,
	VERDICT_READY,
};

struct verdict {
	uint8_t hash[HASH_BYTES];
	enum verdict_state state;
	char name[MANIFEST_NAME_BYTES_MAX + 1]; /* "" if it was refused before its manifest was read */
	char version[MANIFEST_VERSION_BYTES_MAX + 1];
	char *file;          /* in the plugins directory; "" if it is not there */
	char *image;         /* file name of the copy; "" if there is none. Retired with a copy: it may come back */
	uint64_t generation; /* of the copy */
	uint64_t kept;       /* 1: it was live, so its copy stays while its plugin is live, and it may come back */
	uint64_t attempts;   /* first runs that were begun and not seen to their end */
	uint64_t held_inode; /* retired, but its file could not be taken away: which one it is */
	uint64_t held_ctime_ns;
	uint64_t time_ms;
	struct error *refusal; /* refused, quarantined; else NULL */
	bool written;          /* a row of it is in the store */
};

/* good: it is durable. */
typedef void commit_then(void *arg, bool good);
/* What a schema's values are called. Never changed and never freed before registry_destroy: reads borrow it. */
struct type_schema {
	struct type_schema *older; /* the same schema before it got more values; NULL: none */
	uint32_t schema;
	uint32_t value_count;
	char **values;
	uint32_t *kinds;
};

/* One way in which state of a type ends by itself. */
struct type_term {
	char *value; /* "": whole instances */
	enum ttl_kind kind;
	uint64_t command_ms;    /* TTL_UNSET: the command says nothing */
	uint64_t since_ms;      /* when it was introduced first; 0: never yet */
	uint64_t filed_ms;      /* entries of the sweep stand where this says, or before; 0: there need not be any */
	struct ttl_parts parts; /* by the hash of the plugin's canaries */
};

/* A row 't'. */
struct type_ttl {
	struct type_term *terms;
	size_t count;
	bool files;           /* entries of before may stand too late, or be missing */
	uint64_t files_below; /* their generations; 0: not known yet */
	bool dirty;           /* the row is to be written */
};

/* A row 'T', and with `ttl` a row 't'. */
struct function_type {
	uint16_t number;
	const char *name; /* never freed before registry_destroy: views borrow it */
	char *plugin;
	uint32_t schema;        /* of the version that went live last */
	bool eager;             /* instances of other schemas are migrated in the background */
	uint64_t migrate_total; /* how many that were when it was first seen; 0: nothing is under way */
	uint64_t refused;       /* of these, by the last walk over them */
	char refused_reason[160];
	size_t schema_count;
	struct type_schema **schemas; /* all that were ever declared, that one among them */
	struct type_ttl ttl;
};

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

/* What is known of a file in the plugins directory, or of a `load` that was refused. */
struct offer {
	char *file;
	bool from_load; /* not in the directory */
	bool hashed;
	bool deferred; /* offered again when a plugin has gone */
	uint8_t hash[HASH_BYTES];
	struct file_identity identity;
	struct error *error; /* NULL: not refused */
};

/* A swap by name and version, while the version is staged. */
struct swap {
	bool running;
	uint64_t deadline_ms;
	uint32_t percent; /* of a canary; 0: all of it */
	bool rollback;
	bool no_way_back; /* taken even if nothing that it writes could be read by the version before */
};

/* A file on its way to live; one at a time, in order of arrival. */
struct candidate {
	struct stage_job job;
	struct registry *registry;
	struct candidate *next;
	char *path; /* what is read */
	char *file; /* its name in the plugins directory */
	bool from_inbox;
	bool patience_over;
	bool force;            /* judged anew, whatever was judged before */
	bool place;            /* a copy is to be put into the directory */
	bool ready;            /* it is to be kept ready, not to go live */
	char *replaced;        /* an earlier copy of the same bytes, which goes in the end; NULL: none */
	struct plugin *plugin; /* once it is open */
	struct swap *swap;     /* asked for by name and version; NULL: it came as a file */
	char *placed;          /* that copy, under a name that does not count yet; NULL: not there */
	registry_done *done;   /* NULL: from the inbox, or answered */
	void *done_arg;
	uint8_t (*known)[HASH_BYTES];
	size_t known_count;
	struct examination_order order;
	enum examine_result result;
	struct examination_result found;
	bool opened; /* the image is open */
	bool place_failed;
	bool stuck;              /* the image was refused, and stays mapped */
	struct verdict *verdict; /* from the row `attempting` on */
};

typedef void fence_then(void *arg, uint64_t epoch, bool good);

/* Rows on their way to the store. */
struct commit {
	struct commit *next;
	struct registry *registry;
	uint64_t token;
	commit_then *then;
	fence_then *fence_then; /* instead: of a fence */
	void *arg;
};

struct pass;       /* migrate.c */
struct ttl_waiter; /* ttl.c */
struct rows;       /* lineage.c */

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
	struct held_rows *held; /* rows that wait for the fence (rows.c) */

	uint64_t unloaded;
	struct inbox *inbox;
	struct stage *stage;
	struct event *staged;
	struct event *drain_timer;
	struct postponed *postponed; /* orders that wait until an image is closed: postpone.c */
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

/* ---- rows.c ---- */
const char *verdict_state_name(enum verdict_state state);
struct verdict *verdict_find(const struct registry *registry, const uint8_t hash[HASH_BYTES]);
struct verdict *verdict_add(struct registry *registry, const uint8_t hash[HASH_BYTES]); /* found or new */
void verdict_destroy(struct verdict *verdict);
void verdict_set_text(char **place, const char *text);
void verdict_refuse(struct verdict *verdict, enum verdict_state state, const struct error *error);
void verdict_forget_copy(struct verdict *verdict); /* it will not come back */
void verdict_write(struct buf *row, const struct verdict *verdict);
bool verdict_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error);
void type_write(struct buf *row, const struct function_type *type);
bool type_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error);

/* Makes the verdict's row durable, and those of `types`; then() is called unless the registry stops first. */
void verdict_commit(struct registry *registry, struct verdict *verdict, struct function_type *const *types,
	size_t type_count, commit_then *then, void *arg);
/* Makes rows durable; then(), if there is one, as verdict_commit. */
void rows_commit(struct registry *registry, const struct engine_row *rows, size_t count, commit_then *then, void *arg);
/* The same for a fence; then() is given its epoch. */
void fence_commit(struct registry *registry, const struct engine_fence *order, fence_then *then, void *arg);
/* The rows of types alone. */
void types_commit(struct registry *registry, struct function_type *const *types, size_t count);
void rows_release(struct registry *registry); /* those that waited for a fence */
void commits_forget(struct registry *registry);

/* ---- types.c ---- */
struct function_type *type_find(const struct registry *registry, struct bytes name);
struct function_type *type_add(struct registry *registry, uint16_t number, const char *name);
void type_destroy(struct function_type *type);
/* Against the store and the other plugins: may this manifest have these types? */
bool types_admit(const struct registry *registry, const struct manifest *manifest, struct error *error);
/* Makes or updates the types of an admitted manifest; gives those whose rows are to be written (malloc'ed array). */
struct function_type **types_adopt(struct registry *registry, const struct manifest *manifest, size_t *ret_count);
/* The view of what is live and draining now. */
struct view *registry_view(struct registry *registry);
/* Returns the generation of the view that shows what is so now: it may have to wait for a fence that is on its way. */
uint64_t registry_publish(struct registry *registry);

/* ---- share.c ---- */
enum { LINEAGE_FENCE_OFFSET = 5 }; /* of the fence's 8 bytes in the row */
struct key lineage_key(const struct lineage *lineage);
void lineage_write(struct buf *row, const struct lineage *lineage);
/* Rows 'V' have been read. */
bool lineage_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error);

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
/* ---- figures.c ---- */
void plugin_tally_begin(struct plugin *plugin); /* its image is open, and its types are known */
/* What it has counted since, of a function of its manifest. */
void plugin_figures(const struct plugin *plugin, size_t function, struct engine_function_figures *ret_figures);
struct outcome_count plugin_outcomes(const struct plugin *plugin);

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
/* The rows of a fence: those of the lineage (NULL: none), and all rows 't' that are to be written. */
struct rows *rows_create(struct registry *registry, struct lineage *lineage);
const struct engine_row *rows_all(const struct rows *rows);
size_t rows_count(const struct rows *rows);
void rows_destroy(struct rows *rows);

/* ---- postpone.c ---- */
typedef void order_now(
	struct registry *registry, const char *name, const struct registry_swap *order, registry_done *done, void *arg);
/* True: the order waits until what closes has gone, for POSTPONE_MS at most, and is given to now() then. */
bool order_postpone(struct registry *registry, const char *name, const struct registry_swap *order, order_now *now,
	registry_done *done, void *arg);
/* Those whose time has come; all of them if the registry has stopped. */
void postponed_resume(struct registry *registry);
void postponed_due(evutil_socket_t fd, short what, void *arg);

/* ---- ttl.c ---- */
struct type_term *type_term_find(const struct function_type *type, struct bytes value, enum ttl_kind kind);
struct type_term *type_term_get(struct function_type *type, struct bytes value, enum ttl_kind kind); /* found or new */
void type_ttl_finish(struct function_type *type);
/* The command, else the settings, else what is declared. */
uint64_t type_effective_ms(const struct registry *registry, const struct function_type *type, struct bytes value,
	enum ttl_kind kind, uint64_t declared_ms);
/* What the version declares that has most ids, or had them last. */
uint64_t type_term_declared_ms(const struct type_term *term);
/* The times of all its ids; NULL: nothing expires. The caller's. */
struct ttl_map *type_ttl_map(const struct function_type *type);
const sofun_function *image_function(const struct image *image, const char *type); /* NULL: it has none */
bool type_value_declared(const struct function_type *type, struct bytes name);     /* by some version */

/* ---- ttl_unknown.c ---- */
void ttl_undeclared_tell(const struct registry *registry); /* in the log */

/* ---- ttl_change.c ---- */
/* Before a view is made: what the versions that have a share now come to, at that time; of a fence it is engine_fence_time_ms. */
void types_ttl_update(struct registry *registry, uint64_t now_ms);
/* True if some ids of the plugin have other times than others, or had: by the seed that stands. */
bool types_ttl_differ(struct registry *registry, const char *plugin);

/* ---- ttl_row.c ---- */
void type_ttl_write(struct buf *row, const struct function_type *type);
/* Rows 'T' have been read. */
bool type_ttl_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error);
void type_ttl_commit(struct registry *registry, struct function_type *type);
void types_ttl_commit(struct registry *registry); /* those that are to be written */

/* ---- ttl.c, a change of rules ---- */
void ttl_fence_ask(struct registry *registry); /* if one is due, and none is on its way */
void ttl_waiters_stop(struct registry *registry);

/* ---- schemas.c ---- */
struct type_schema *type_schema_find(const struct function_type *type, uint32_t schema); /* NULL: never declared */
/* Makes it known, or gives it more values. True if that changes the row. */
bool type_schema_take(
	struct function_type *type, uint32_t schema, const struct manifest_value *values, uint32_t value_count);
struct type_schema *type_schema_create(uint32_t schema, uint32_t value_count); /* names NULL, kinds 0 */
void type_schema_put(struct function_type *type, struct type_schema *schema);  /* takes it over */
void type_schemas_destroy(struct function_type *type);
/* Whether a version that is loaded reads all that there is, with the help of those that are loaded. */
bool types_read_all(const struct registry *registry, const struct plugin *plugin, struct error *error);
/* Whether a rollback to the live version could read what this one would write; *error says what is missing. */
bool types_lead_back(const struct registry *registry, const struct manifest *manifest, struct error *error);
/* May this function have the type, given what its instances are and who could migrate them? */
bool type_schemas_admit(const struct registry *registry, const struct function_type *type,
	const struct manifest_function *function, struct error *error);

/* ---- keep.c ---- */
bool plugin_is_kept(const struct plugin *plugin);
size_t plugins_kept(const struct registry *registry, const char *name);
/* A function type whose instances this version may have to take down (counted: of which there are some); NULL: none. */
const char *plugin_keeps_for(const struct plugin *plugin, bool counted);
bool plugins_keep_look(struct registry *registry); /* true: look again soon */

/* ---- migrate.c ---- */
void registry_migrate_look(evutil_socket_t fd, short what, void *arg);
void registry_migrate_wake(struct registry *registry); /* versions have changed */
void registry_migrate_stop(struct registry *registry);

/* ---- stage.c ---- */
void candidate_arrived(struct registry *registry, const char *file, bool patience_over);
void candidates_next(struct registry *registry);
void candidates_stop(struct registry *registry);
struct candidate *candidate_add(struct registry *registry, char *path, char *file); /* at the end; takes both over */
void candidate_end(struct candidate *candidate);
void candidate_tell_inbox(const struct candidate *candidate, enum inbox_verdict verdict);
void candidate_tell_error(struct candidate *candidate, const struct error *error);
struct offer *candidate_offer(struct candidate *candidate, const struct error *error);
/* The fault is in the bytes: the verdict is kept, and they are not tried again by themselves. */
void candidate_judge_bytes(struct candidate *candidate);
void refused_durable(void *candidate, bool good);

/* ---- open.c ---- */
#define LOADING_SUFFIX ".loading"
void candidate_commit_attempt(struct candidate *candidate);
void candidate_abandon(struct candidate *candidate);

/* ---- offer.c ---- */
struct offer *offer_find(const struct registry *registry, const char *file);
struct offer *offer_add(struct registry *registry, const char *file, bool from_load); /* found or new */
/* hash and error may be NULL. */
void offer_judge(
	struct offer *offer, const uint8_t *hash, const struct file_identity *identity, const struct error *error);
void offer_remove(struct registry *registry, const char *file);
void offers_destroy(struct registry *registry);

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

/* ---- convict.c ---- */
/* Those who killed the host lose their share before anything is loaded. */
void verdicts_sentence(struct registry *registry);
/* A quarantined version that has a copy takes instances down: it may be loaded for that. False: that killed the host, too. */
bool sentence_leaves_way_down(struct verdict *verdict);

/* ---- recover.c ---- */
bool verdict_needs_image(const struct verdict *verdict);
/* Its copy's manifest; nothing of it runs. NULL: the copy is gone or damaged. */
struct image *verdict_image(const struct verdict *verdict, const char *path, struct error *error);
void registry_write_recovered(struct registry *registry);

/* ---- report.c ---- */
void done_report(struct plugin *plugin, registry_done *done, void *arg);

#endif
