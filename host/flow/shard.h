/* A shard: one thread that owns a hash range of addresses. Private to host/flow.
 *
 * The way of a message inside a shard (shard.c, SHARD_STEPS): input → route → mailbox → dispatch → effects → close. Only the
 * holder of a shard touches it. The holder is its thread, or the committer while the thread sleeps or is inside a
 * plugin: then everything stands at a message boundary, because what the plugin asked for is still in the invocation. */
#ifndef HOST_FLOW_SHARD_H
#define HOST_FLOW_SHARD_H

#include "base/heap.h"
#include "flow/counts/tally.h"
#include "flow/dead/act.h"
#include "flow/entries/entries.h"
#include "flow/expiry/sweep_age.h"
#include "flow/flow.h"
#include "flow/instance/instance.h"
#include "flow/invocation/invocation.h"
#include "flow/keyed/keyed.h"
#include "flow/message.h"
#include "flow/operation/operations.h"
#include "flow/queue/wait_row.h"
#include "flow/timer/timers.h"
#include "flow/trial/trial.h"
#include "supervisor/note.h"

enum hold { HOLD_RUN, HOLD_PLUGIN, HOLD_IDLE, HOLD_CUT };

/* What the loop thread hands in; the size comes first, so that it stands in a struct queue like a message. */
enum input_kind {
	INPUT_INGEST = 1,
	INPUT_MESSAGE,
	INPUT_KEYED,
	INPUT_UNKNOWN,
	INPUT_DEAD,
	INPUT_SWEEP,
	INPUT_BARRIER,
	INPUT_CLOCK,
	INPUT_MIGRATE,
	INPUT_FILE,
};

struct input {
	uint32_t size;
	uint8_t kind;
	uint8_t colour;
	uint16_t ingress_size;
	uint64_t token;
	uint64_t session; /* file: generations below it are filed anew */
	uint64_t first;   /* ingest: sequence number; barrier, clock: serial; migrate, file: type number */
	uint32_t count;
	uint32_t producer_size;
	uint64_t body_size;
	/* ingest: ingress producer records; message: padding to 8, a message; keyed: struct keyed_input;
	 * dead: struct dead_input; sweep: the key of a row, whose due time is `first`; migrate, file: sized ids */
};
_Static_assert(sizeof(struct input) % 8 == 0, "a message behind an input stays aligned");

/* An address that waits behind a message in backoff, or for the result of an operation. A result that fails waits ahead of all
 * that waits already: then the address has two of these. */
struct wait {
	struct heap_node node;
	struct queue queue;
	struct instance *instance;
	struct wait *under;       /* ahead: what waits behind it; NULL: nothing does */
	bool ahead;               /* of results, before the address's messages */
	uint32_t attempts;        /* of the message at the head */
	uint64_t undecided;       /* the version that exhausted them and is on probation (version_mark); 0: it is not so */
	struct buf failure;       /* undecided: what it said last */
	uint32_t expire_attempts; /* of on_expire, since the instance expired while that message waits; not durable */
	uint64_t first_failed_ms;
	uint64_t due_ms;
	uint64_t since_ms; /* in this process: when it began to wait */
	bool dirty;        /* in the shard's list */
	bool blocked;      /* shown among those whose state cannot be migrated */
};

/* A producer's position; rows 'P'. */
struct producer {
	struct producer *next; /* in its bucket */
	uint64_t hash;
	uint64_t accepted;
	uint64_t session;
	uint64_t touched_ms; /* when it last changed */
	uint64_t dirty_epoch;
	bool dirty;
	bool filed; /* the sweep has an entry for it */
	uint16_t ingress_size;
	uint32_t name_size;
	uint8_t names[]; /* ingress, then producer */
};

enum { PRODUCER_BUCKETS = 4096 };

struct shard {
	struct flow *flow;
	uint32_t index;
	_Atomic int hold; /* enum hold */
	struct park park;
	pthread_t thread;

	const struct view *view;
	_Atomic uint64_t view_generation; /* adopted; [any thread] reads */
	uint64_t view_epoch;   /* the epoch in which it last looked for a view: each is looked for anew (rule 29) */
	uint64_t fence_passed; /* nothing born before this epoch stands in its channels any more */

	struct queue input;             /* tail: loop thread */
	uint64_t served_epoch;          /* the last in which it took what somebody outside waits for */
	_Atomic uint64_t input_bytes;   /* memory of `input` */
	_Atomic uint64_t input_pending; /* bytes in it not yet consumed */
	uint32_t record_index;          /* within the input at the head: an ingest or a migrate */
	size_t record_offset;
	uint32_t record_dead;   /* of the ingest at the head: records that became dead letters */
	uint64_t batch_refused; /* of the migrate input at the head */
	struct buf batch_reason;

	_Atomic uint64_t queue_memory; /* of channels to this shard, parks and waits */
	struct queue **parks;          /* by type number */
	size_t park_count;
	uint8_t colour;  /* of messages that nobody caused just now: timers */
	bool parks_live; /* some park may have a live version now */

	struct heap waits; /* of struct wait, by due time */
	struct wait **waits_dirty;
	size_t waits_dirty_count;
	size_t waits_dirty_capacity;

	struct cache cache;
	struct instance **dirty;
	size_t dirty_count;
	size_t dirty_capacity;
	struct entries entries;
	struct producer *producers[PRODUCER_BUCKETS];
	size_t producer_count;
	struct producer **producers_dirty;
	size_t producers_dirty_count;
	size_t producers_dirty_capacity;

	struct timers timers;
	struct sweep_age ages[SWEEP_AGES];
	struct operations operations;
	struct trial trial;
	_Atomic uint64_t trial_seen; /* the trial for which this shard stands still */
	struct dead_gone dead_gone;
	struct keyed keyed;
	uint64_t keyed_until; /* messages of the own channel below it came from outside: later ones go behind them */

	struct invocation *invocation;
	struct note *note; /* what its thread is executing (supervisor/note.h) */
	struct buf scratch;
	struct buf record; /* in the form that its router wants, while that runs: the epoch may be cut meanwhile */
	struct buf sweep;  /* a sweep that is being put together */

	uint64_t turn_us;          /* when its turn began: a call that runs did so no earlier */
	struct survey *survey;     /* NULL: nobody has asked yet */
	_Atomic uint64_t surveyed; /* serial of the last one */

	/* limits.invocation_warn_ms: a turn that took that long makes the next ones measure each invocation */
	uint32_t measured_turns; /* still to come */
	uint64_t warned_us;      /* when it was last said */

	struct function_tally *functions; /* [type * TALLY_VERSIONS + version->tally]: untouched pages cost nothing */
	struct shard_tally tally;

	/* the open epoch */
	uint64_t epoch;
	uint64_t epoch_time_ms;
	uint64_t epoch_start_us; /* 0: nothing happened in it yet */
	uint64_t epoch_messages;
	uint64_t epoch_bytes;
	struct buf redo;
	struct buf outputs;
	struct buf places;
	struct counts counts;
	struct owed_table owed;
	struct schema_changes schemas; /* instances that came, went or changed their schema */
	_Atomic uint64_t wants;        /* the epoch that should be cut now; [committer] reads */
	bool starved;                  /* a read found no space; nothing was consumed */
	bool behind_mark;              /* a message at the head of a channel is of a later epoch, or stays behind a fence */
	_Atomic bool stalled;          /* the shard sleeps until its epoch is closed: whoever closes it wakes it */
	uint64_t *restored;            /* by source: channel numbers below it are of an older layout; NULL: none are left */
	uint64_t touched;              /* shards that were sent something since they were last woken */

	/* the last closed one */
	struct seal seal;
	uint64_t recording;      /* channels whose mark of seal.epoch has not come yet, by source */
	_Atomic uint64_t sealed; /* last complete epoch: the committer may take the seal */
};

static inline struct function_tally *shard_tally_of(
	const struct shard *shard, const struct binding *binding, const struct version *version) {
	return &shard->functions[(size_t)binding->number * TALLY_VERSIONS + version->tally];
}

/* What is counted of a type, whatever its version. */
static inline struct function_tally *shard_type_tally(struct shard *shard, uint16_t type) {
	return &shard->functions[(size_t)type * TALLY_VERSIONS];
}

/* Borrows the hold of a shard that stands still in that way; given back by storing it again. [committer] */
static inline bool hold_borrow(struct shard *shard, enum hold hold) {
	int from = (int)hold;
	return atomic_compare_exchange_strong_explicit(
		&shard->hold, &from, HOLD_CUT, memory_order_acquire, memory_order_relaxed);
}

/* ---- shard.c ---- */

struct shard *shard_create(struct flow *flow, uint32_t index, uint64_t epoch);
void shard_destroy(struct shard *shard);

/* One turn: a bounded number of messages. False: there was nothing to do. */
bool shard_step(struct shard *shard);

/* The input at its head, and no more. */
void shard_input_step(struct shard *shard);

/* When the shard wants to be stepped again without being woken, in microseconds from now; UINT64_MAX: never. */
uint64_t shard_idle_us(struct shard *shard);

/* When a retry or a timer is due next; UINT64_MAX: none is. */
uint64_t shard_due_ms(const struct shard *shard);

/* The store could not be read. No space may pass: the shard tries again after a while (rule 16). Anything else is final. */
void shard_store_error(struct shard *shard, const struct error *error);

struct queue *shard_channel(struct flow *flow, uint32_t from, uint32_t to);

/* False while messages born before the fence may still come to this shard: then those born behind it stay where they are,
 * so that no address goes back to an old version. */
bool shard_fence_passed(struct shard *shard, uint64_t fence);

/* True while the open epoch may take another message. */
bool shard_epoch_open(const struct shard *shard);

/* Something happened in the open epoch: it has a time and must be committed. */
void shard_touch(struct shard *shard);

/* The open epoch's time becomes what the clock says now: a timer is due, or the clock was moved. */
void shard_clock_look(struct shard *shard);

/* The type has a live version in the view that the shard has adopted, for messages born now. */
bool shard_binding_live(const struct shard *shard, uint16_t type);

/* ---- dispatch.c ---- */

/* Takes a message that stands at the head of `from` to its instance. True: it is consumed (handled, parked, or it waits
 * in a queue of its own now), and the caller goes past it. False: the store failed, or it stays behind a fence. */
bool dispatch_message(struct shard *shard, const uint8_t *at);

/* The head of a wait, or of a park: the same, but it does not queue behind itself. A wait whose head has no version is
 * stalled. */
bool dispatch_waiting(struct shard *shard, struct wait *wait);
bool dispatch_parked(struct shard *shard, struct queue *park);

/* The instance with room for that many values: it may have been made while its type had no live version, or one with fewer.
 * The old pointer is gone wherever the shard keeps it. */
struct instance *dispatch_fit(struct shard *shard, struct instance *instance, uint32_t value_count);

/* ---- effects.c ---- */

struct cause {
	const struct message_route *route; /* NULL: nobody waits */
	uint8_t colour;
	const struct message_head *head; /* of the message: what it starts stays with its version. NULL: there is none */
};
/* Everything the invocation asked for happens, in the open epoch. */
void effects_apply(struct shard *shard, const struct cause *cause);

/* A dead letter, and the failure to whoever waits. */
struct dead_letter;
void effects_dead(
	struct shard *shard, const struct dead_letter *letter, const struct message_route *route, enum error_code code);

/* A message comes to stand in the open epoch. */
void effects_born(struct shard *shard, struct message_head *head, uint8_t colour);

/* The same for one whose birth and side are told already. */
void effects_counted(struct shard *shard, struct message_head *head, uint8_t colour);

/* Marks an instance for the next cut. */
void effects_dirty(struct shard *shard, struct instance *instance);

/* ---- route.c ---- */

/* Goes on with the ingest input at the head; true once it is done and answered. */
bool route_ingest(struct shard *shard, const struct input *input, int *budget);
/* The record of a dead letter, by all routers of its ingress again; what fails is a dead letter again. */
void route_again(
	struct shard *shard, const struct input *input, struct bytes ingress, struct bytes producer, struct bytes object);

/* ---- producers.c ---- */

/* NULL: the store could not be read. */
struct producer *producer_get(struct shard *shard, struct bytes ingress, struct bytes name, struct error *error);
/* Its position changes in the open epoch. */
void producer_touch(struct shard *shard, struct producer *producer);
/* A row 'P' may have expired; false: the store could not be read. */
bool producer_sweep(struct shard *shard, struct bytes row_key, uint64_t due_ms);
void producers_redo(struct shard *shard, uint64_t epoch);
void producers_finish(struct shard *shard);

/* ---- retry.c ---- */

/* The order of waits: by due time. */
bool retry_less(const struct heap_node *a, const struct heap_node *b);
/* The message failed: it waits, with everything for its address behind it; one of a result, or ahead of one: ahead of what waits
 * there already. */
void retry_begin(struct shard *shard, struct instance *instance, const struct message *message, bool ahead);
/* The message's instance cannot be migrated: it waits for another view, with everything for its address behind it. */
void retry_block(struct shard *shard, struct instance *instance, const struct message *message, bool ahead);
/* The message may not run now: it waits until retry_step is told otherwise, with everything for its address behind it. */
void retry_hold(struct shard *shard, struct instance *instance, const struct message *message, bool ahead);
/* The message at the head of a wait failed again. */
void retry_again(struct shard *shard, struct wait *wait);
/* The message at the head of a wait has exhausted its attempts, that many, on a version on probation: it keeps its place until
 * the verdict, and all for its address behind it (undecided.c). The reason is in the invocation. */
void retry_undecided(struct shard *shard, struct wait *wait, const struct version *version, uint32_t attempts);
/* It is looked at again then. */
void retry_due(struct shard *shard, struct wait *wait, uint64_t due_ms);
/* on_expire failed, ahead of the message at the head: tried again after a while. */
void retry_expire(struct shard *shard, struct wait *wait);
/* The message at the head of a wait is done: the next one is tried at once; the wait ends with the last. */
void retry_done(struct shard *shard, struct wait *wait);
/* True if a message must wait behind what waits for its address; ahead: a result, behind other results only. */
static inline bool retry_waits(const struct instance *instance, bool ahead) {
	const struct wait *top = instance_wait(instance);
	return top != NULL && (!ahead || top->ahead);
}
/* Puts a message behind those that wait for the same address. REQUIRES retry_waits. */
void retry_behind(struct shard *shard, struct instance *instance, const uint8_t *at, bool ahead);
/* What its address waited for is done: what waits may be tried again. */
void retry_release(struct shard *shard, struct instance *instance);
/* Its head has no version or may not run now (no reason), or its instance cannot be migrated: it keeps its place until
 * another view comes, or until it is dispatched all the same. */
void retry_stall(struct shard *shard, struct wait *wait, struct bytes reason);
/* Tries what is due; false if nothing was. */
bool retry_step(struct shard *shard, int *budget);
void retry_view_changed(struct shard *shard);     /* what stalled for want of a version may be tried again */
uint64_t retry_due_ms(const struct shard *shard); /* of the next; UINT64_MAX: none */
void retry_redo(struct shard *shard, struct buf *redo, uint64_t epoch);
void retry_finish(struct shard *shard);
/* Recovery: takes over a restored queue. */
struct wait *retry_restore(
	struct shard *shard, struct instance *instance, const struct wait_row *row, uint64_t queue_id);

/* ---- parking.c ---- */

/* Writes the head row of a channel or park: arg is its enum queue_kind. */
void queue_head_row_plain(void *arg, uint64_t head, struct buf *ret_value);
void park_message(struct shard *shard, const uint8_t *at);
struct queue *park_of(struct shard *shard, uint16_t type); /* created if there is none */
bool park_waits(const struct shard *shard, uint16_t type); /* something is parked: later ones go behind */
bool parks_step(struct shard *shard, int *budget);
void parks_redo(struct shard *shard, struct buf *redo, uint64_t epoch);
void parks_finish(struct shard *shard);
/* Pages a queue out if messages that wait take more memory than they may. */
void shard_page_out(struct shard *shard, struct queue *queue, uint64_t epoch, struct buf *redo);

/* ---- epoch.c ---- */

/* Closes the open epoch at this message boundary: seals what happened, marks the outgoing channels. */
void epoch_close(struct shard *shard);
/* Takes in what the other shards sent before their marks; states `sealed` once all have come. */
void epoch_complete(struct shard *shard);
/* Before a message of a channel is consumed whose mark is still to come: it must be logged first. */
void epoch_record(struct shard *shard, uint32_t source);

#endif
