/* The engine as the rest of the host sees it: requests go in, answers come out once their epoch is durable.
 * All functions are [loop thread] unless marked. Threads inside: shards, committer, applier, reader. */
#ifndef HOST_FLOW_ENGINE_ENGINE_H
#define HOST_FLOW_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "config/config.h"
#include "flow/view.h"
#include "state/store.h"

struct engine;

enum { KEYED_KEY_BYTES_MAX = 255 }; /* of an idempotency key: a name, not a text */

/* After store_open. Restores what waited, but dispatches nothing before engine_start (rule 26). Keeps `config`. */
struct engine *engine_create(
	const struct config *config, struct store *store, const struct store_recovered *recovered, struct error *error);

/* The first view, then the threads. */
void engine_start(struct engine *engine, struct view *view);

/* Closes and commits what was accepted so far, ends the threads, answers all open requests with `stopping`. */
void engine_stop(struct engine *engine);
/* True: work of an operation did not return. Neither the engine nor an image may go then: the process must end by _exit. */
bool engine_abandoned(const struct engine *engine);
void engine_destroy(struct engine *engine);

/* Waking a shard that sleeps costs a system call and another thread's turn. While the engine gathers, requests wake a shard
 * only at the next engine_turn, which must follow each turn of the loop, or when they are many. */
void engine_gather(struct engine *engine, bool gathers);

/* A turn is over. True: it had requests, so there may be more, and a cut waits a little for them: the next turn must not
 * sleep. Behind a turn that had none nobody waits for any. */
bool engine_turn(struct engine *engine);

/* Now and then, whatever happens: who came before a call that takes its time is not to wait for it. */
void engine_look(struct engine *engine);

/* ---- requests; each is answered exactly once, by token, through engine_take_answers ---- */

/* records: `count` MessagePack objects, back to back, already checked to be well-formed. session: a number that is
 * greater for a younger connection. */
void engine_ingest(struct engine *engine, uint64_t token, uint64_t session, struct bytes ingress, struct bytes producer,
	uint64_t first, uint32_t count, struct bytes records);

struct engine_message {
	struct bytes to;      /* "ns/name" */
	struct bytes id;      /* 1 to 255 bytes */
	struct bytes type;    /* payload type; may be empty */
	struct bytes payload; /* one MessagePack object, checked */
	/* With a key: a request to the same address with the same key and the same content and body gets the answer that is
	 * stored for it; one with others ERROR_KEY_REUSED, while the first runs ERROR_CONFLICT, where no more keys are kept
	 * ERROR_KEYS_FULL. Not for a type that no plugin ever declared. */
	struct bytes key;     /* at most KEYED_KEY_BYTES_MAX; empty: none */
	struct bytes content; /* what the body is written in, as the client said it */
	struct bytes body;    /* as the client sent it */
};

/* Answered when durable: number = epoch. */
void engine_send(struct engine *engine, uint64_t token, const struct engine_message *message);

/* Answered with the function's reply; the front keeps the timeout, and drops an answer it no longer waits for. Returns the
 * number of the function type, for engine_call_late; 0: it is refused, and that is the answer. */
uint16_t engine_call(struct engine *engine, uint64_t token, const struct engine_message *message);

/* What whoever called is told when the time is over: whether the type has a live version at all. */
void engine_call_late(struct engine *engine, uint16_t type, uint64_t waited_ms, struct error *ret_error);

/* Answered when all that was accepted before is handled and durable; number = epoch. engine_barrier_cancel at timeout:
 * then it is answered with ERROR_TIMEOUT. */
void engine_barrier(struct engine *engine, uint64_t token);
void engine_barrier_cancel(struct engine *engine, uint64_t token);

/* Only under --test-clock. Answered when all that is due at the new time has fired and is durable; number = time_ms. */
void engine_clock(struct engine *engine, uint64_t token, bool relative, uint64_t ms);

/* Puts or removes rows of the runtime database as one effect; answered when durable; number = epoch. Before engine_start, too: then
 * they are durable with the first epoch. */
struct engine_row {
	struct bytes key;
	struct bytes value;
	bool remove;
};
void engine_commit_rows(struct engine *engine, uint64_t token, const struct engine_row *rows, size_t count);

/* A dead letter goes: dropped, or sent again, behind what its address has already; answered when durable:
 * number = epoch. ERROR_NOT_FOUND: it has gone before. ERROR_UNKNOWN_TYPE, ERROR_UNKNOWN_INGRESS: nobody takes it; it
 * stays. */
struct dead_letter;
void engine_dead(struct engine *engine, uint64_t token, uint64_t number, const struct dead_letter *letter, bool retry);

/* The greatest number that a dead letter has, or had. */
uint64_t engine_dead_last(struct engine *engine);

struct engine_answer {
	uint64_t token;
	enum error_code code; /* ERROR_NONE: good */
	uint64_t number;      /* ingest: durable position; send, barrier, rows: epoch; clock: time */
	uint64_t accepted;    /* ERROR_GAP: accepted position (number is the durable one); ingest that went well: how many
							 of its records became dead letters */
	struct bytes
		payload;       /* call: the reply's MessagePack; on an error: its text for people; empty: what its code means */
	struct bytes type; /* call: the reply's type; empty if none. On an error: what was found, if that can be said */
	/* Only of the host's own parts on the loop thread, which may have more to say; NULL: see flow/request/answer_error.h. */
	const struct error *error;
};

/* Readable when answers wait. */
int engine_answer_fd(struct engine *engine);
/* Clears the fd, then calls answer() for each; views are valid during the call. */
void engine_take_answers(
	struct engine *engine, void (*answer)(void *arg, const struct engine_answer *answer), void *arg);

/* True: stop reading sockets until it is false again (answers or a timer of some ms are a good moment to look). */
bool engine_pressed(struct engine *engine);

/* ---- plugins ---- */

/* The shards adopt it at their next boundary; the engine destroys views that nobody uses any more. */
void engine_publish(struct engine *engine, struct view *view);

/* The generation that every shard has adopted: images that only older views name are not entered any more. */
uint64_t engine_adopted(struct engine *engine);

/* Publishes a view at an epoch of the engine's choice: every shard adopts it exactly when it opens that epoch, and every
 * fence in it that is FENCE_NEXT stands there. The rows are durable with the epoch before, and so before anything
 * that the view brings about. Answered when durable: number = the epoch. One at a time, and no engine_publish between;
 * what engine_commit_rows writes is in no order with it, so the same rows must not be on their way. */
struct engine_fence {
	struct view *view; /* taken over */
	const struct engine_row *rows;
	size_t row_count;
	size_t fence_row;    /* the row whose value holds the epoch, */
	size_t fence_offset; /* 8 bytes big-endian, here; FENCE_NOWHERE: in none */
};
#define FENCE_NOWHERE SIZE_MAX
void engine_fence(struct engine *engine, uint64_t token, const struct engine_fence *fence);

/* A side for what will be born behind a fence: one that no message of these types has that is in flight. `side` itself, as
 * it was so far: there is none, for earlier drains were cut short and have left messages of all the others. */
uint8_t engine_side_next(struct engine *engine, uint8_t side, const uint16_t *types, size_t count);

/* What is still owed of a type that has a fence at that epoch: messages of any other side, not yet consumed. */
struct engine_waiting {
	uint64_t messages; /* 0: drained (durably) */
};
void engine_waiting(
	struct engine *engine, uint16_t type, uint8_t side, uint64_t fence, struct engine_waiting *ret_waiting);

/* Messages at addresses that wait for the verdict on a version, of whatever type: what is owed may be no more than these. */
uint64_t engine_undecided_messages(struct engine *engine);

uint32_t engine_shards(const struct engine *engine);

/* Adds 1 to behind[shard] of every shard that has not adopted the view of that generation: a call runs there, or it sleeps. */
void engine_behind_add(struct engine *engine, uint64_t generation, uint64_t *behind);

/* Adds to left[shard], of every shard, what it still owes of that type: messages of any other side. */
void engine_left_add(struct engine *engine, uint16_t type, uint8_t side, uint64_t *left);

/* ---- who waits ---- */

/* Looks at every shard; answered, without an epoch, once engine_waits_each tells of now. */
void engine_survey(struct engine *engine, uint64_t token);

struct engine_wait {
	/* "running": a call takes its time; "retry": a message failed and is in backoff; "migration": the state cannot be
	 * brought to the version's schema; "probation": it failed for good, and its version may yet be rolled back; "suspect": a worker died in it, it is to run alone; "no version": nobody has its
	 * type; "operation": one is under way, or messages wait for the result of one; "backlog": it was accepted before the fence, and its turn has not come */
	const char *reason;
	const char *type; /* "": a router's record */
	struct bytes id;
	uint64_t since_ms; /* 0: before the fence */
	uint64_t messages; /* those behind it for that address, and itself; of a backlog those that were looked at */
	uint32_t shard;
};
/* The last survey: the oldest addresses that wait for the image with that note (supervisor/note.h), of each shard in no
 * order; how many there are. Timers bind when they are due: before that they wait for no version. */
uint64_t engine_waits_each(
	struct engine *engine, uint32_t image, void (*each)(void *arg, const struct engine_wait *wait), void *arg);

/* The last survey: delayed messages that wait for their time. */
struct engine_timers {
	uint64_t pending;
	bool more;        /* there are others in the store, or it was not asked yet */
	uint64_t next_ms; /* when the first one is due; 0: not known yet, UINT64_MAX: there is none */
};
void engine_timers(struct engine *engine, struct engine_timers *ret_timers);

/* The table that every init gets. Valid until engine_destroy. */
const struct sofun_host *engine_host(struct engine *engine);

/* A new type gets the next number; the row is the caller's to commit. */
uint16_t engine_next_type(struct engine *engine);

/* ---- state migration in the background ---- */

/* The schema of the one version that has all of a type; 0: none has, or two share it. */
uint32_t engine_type_schema(struct engine *engine, uint16_t type);

/* The shard that owns the address. */
uint32_t engine_shard(struct engine *engine, uint16_t type, struct bytes id);

/* Migrates instances of a type, all of one shard, to the schema of its only version; ids: sized, back to back. Those with
 * messages of before, or behind one that failed, are passed over. Answered when durable: number = how many could not be
 * migrated, payload = the reason of the last of them. */
void engine_migrate(struct engine *engine, uint64_t token, uint32_t shard, uint16_t type, struct bytes ids);

/* ---- entries of expiry in the background ---- */

/* Above every generation that an instance has so far: what is filed from now on has this one or a later one. */
uint64_t engine_generation(struct engine *engine);

/* Makes an entry of expiry for each of these instances of a type, all of one shard, whose generation is below that one; ids:
 * sized, back to back. Answered when durable: number = how many have no live version, and were left as they are. */
void engine_file(
	struct engine *engine, uint64_t token, uint32_t shard, uint16_t type, uint64_t below, struct bytes ids);

/* Addresses whose messages wait because their state cannot be migrated. Calls each() for some of them; how many there are. */
struct engine_blocked {
	const char *type;
	struct bytes id;
	uint64_t since_ms;
	const char *reason;
};
uint64_t engine_blocked_each(
	struct engine *engine, void (*each)(void *arg, const struct engine_blocked *blocked), void *arg);

/* Addresses whose messages wait for the verdict on a version on probation: the first of them exhausted its attempts there. */
uint64_t engine_undecided_each(
	struct engine *engine, void (*each)(void *arg, const struct engine_blocked *blocked), void *arg);

/* ---- reading what is durable; run() is called on the reader thread, then done() on the loop thread ---- */

void engine_read(
	struct engine *engine, void (*run)(void *arg, struct store *store), void (*done)(void *arg), void *arg);

/* As engine_read, but of what is readable now: what is durable and not yet applied may be missing. */
void engine_read_applied(
	struct engine *engine, void (*run)(void *arg, struct store *store), void (*done)(void *arg), void *arg);

/* ---- egresses ---- */

/* While it is watched, the answer fd becomes readable when egress records have become readable: at most once until
 * engine_egress_grown, whatever their number, and never of an idle host. */
void engine_egress_watch(struct engine *engine, bool watched);

/* True once for that. */
bool engine_egress_grown(struct engine *engine);

/* ---- figures [any thread] ---- */

struct engine_status {
	uint64_t epoch; /* last durable */
	uint64_t time_ms;
	uint64_t accepted; /* messages that came to stand in mailboxes since the start, those found at recovery included */
	uint64_t handled;
	uint64_t in_flight;
	uint64_t retried;
	uint64_t retrying; /* addresses that wait: in backoff, or for the result of an operation */
	struct {
		uint64_t open;    /* under way now, results that are not handled yet included */
		uint64_t queued;  /* of these, waiting for a thread */
		uint64_t running; /* and being worked for */
		uint64_t started; /* since the start, as what follows */
		uint64_t succeeded;
		uint64_t failed;
		uint64_t unknown;
		uint64_t late; /* results that came for none that was under way */
	} operations;
	struct {
		uint64_t set; /* delayed messages, since the start, as what follows */
		uint64_t sent;
		uint64_t cancelled;
	} timers;
	uint64_t dead;
	uint64_t records;       /* ingested */
	uint64_t keys;          /* idempotency keys that are kept */
	uint64_t replies_stale; /* reply routes of an earlier process, dropped */
	uint64_t migrated;      /* instances taken from a schema to another since the start */
	uint64_t memory_bytes;  /* of mailboxes, caches and tables */
	uint32_t shards;
	bool failed;            /* the store failed; reason in error */
	bool waiting_for_space; /* ENOSPC: nothing is released until there is space */
	struct error error;
};
void engine_status(struct engine *engine, struct engine_status *ret_status);

/* Calls each() for every type of which messages wait because it has no live version. */
void engine_parked_each(struct engine *engine, void (*each)(void *arg, const char *type, uint64_t messages), void *arg);

/* How many instances of a type stand in the store with a schema, as of the last cut. */
struct engine_schema {
	uint16_t number; /* of the type */
	const char *type;
	uint32_t schema;
	uint64_t instances; /* more than 0 */
};
void engine_schemas_each(struct engine *engine, void (*each)(void *arg, const struct engine_schema *schema), void *arg);
/* True if some instance of the type has another schema than those for which reads() is true. Before engine_start, too. */
bool engine_schema_unread(struct engine *engine, uint16_t type, bool (*reads)(void *arg, uint32_t schema), void *arg);

/* Asynchronous operations under way. Calls each() for the oldest `most` of a type (0: of all), the oldest first; how many there
 * are. */
enum engine_operation_state {
	ENGINE_OPERATION_QUEUED,  /* not durable yet, or waiting for a thread */
	ENGINE_OPERATION_RUNNING, /* a thread works for it */
	ENGINE_OPERATION_OUTSIDE, /* the plugin's own means bring its result */
	ENGINE_OPERATION_RESULT,  /* its result waits to be handled */
};
struct engine_operation {
	const char *type;
	uint16_t number; /* of the type */
	struct bytes address;
	uint64_t id;
	uint64_t birth_epoch; /* it goes to the version of that epoch */
	uint64_t since_ms;    /* time of the flow */
	enum engine_operation_state state;
	bool waits; /* its address does */
};
uint64_t engine_operations_each(struct engine *engine, uint16_t type, size_t most,
	void (*each)(void *arg, const struct engine_operation *operation), void *arg);
/* Those of one address. */
void engine_operations_of(struct engine *engine, uint16_t type, struct bytes id,
	void (*each)(void *arg, const struct engine_operation *operation), void *arg);
const char *engine_operation_state_name(enum engine_operation_state state);

/* The time of the flow in milliseconds since 1970. [any thread] */
uint64_t engine_time_ms(struct engine *engine);

/* The instant of the engine_fence that is asked for next: time stands still until all shards have closed the epoch before it, so that
 * nobody goes by what was before at a later time, and nobody by what comes at an earlier one. */
uint64_t engine_fence_time_ms(struct engine *engine);

#endif
