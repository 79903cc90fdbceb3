/* The way out: who reads which egress from where. One hub a host; readers are subscriptions, event streams and sinks.
 *
 * A reader says that it wants records and is given some once there are any: read on the engine's reader thread, one read
 * an egress at a time, and what was read serves all who stand there. So ten thousand readers at the end of an egress cost
 * one read when it grows, and nothing while it does not. Nobody holds anything back: retention passes a slow reader, who is
 * told how many records it has missed. All [loop thread]. */
#ifndef HOST_EGRESS_HUB_H
#define HOST_EGRESS_HUB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "base/error.h"
#include "flow/engine/engine.h"
#include "flow/request/request.h"

enum { EGRESS_NAME_MAX = 63 }; /* longer ones no plugin can declare */

struct egress_hub;

struct egress_hub_options {
	struct engine *engine;
	struct requests *requests;
	struct store *store;
	uint64_t epoch;                                   /* the last durable one at the start: part of the incarnation */
	bool (*declared)(void *arg, struct bytes egress); /* by a live plugin; NULL: none is */
	void *declared_arg;
};

/* After recovery, before the first record is emitted. Keeps the pointers. */
struct egress_hub *egress_hub_create(const struct egress_hub_options *options);

/* Nothing more is read or committed; before engine_stop. */
void egress_hub_stop(struct egress_hub *hub);

/* After engine_destroy; no reader may be open. NULL is fine. */
void egress_hub_destroy(struct egress_hub *hub);

/* After the engine's answers were taken: egresses may have grown. */
void egress_hub_look(struct egress_hub *hub);

/* False, with unknown_egress: it was never used, and no live plugin declares it. */
bool egress_known(struct egress_hub *hub, struct bytes egress, struct error *error);

/* Readers that are open. */
size_t egress_readers_count(const struct egress_hub *hub, struct bytes egress);

/* ---- readers ---- */

/* Records read at once, in the order of their offsets. */
struct egress_batch {
	uint64_t first;
	size_t count;
	struct buf maps; /* as record_pack makes them, back to back */
	size_t *places;  /* of each in maps, and the end behind the last */
	size_t capacity; /* of places */
};

static inline struct bytes egress_batch_map(const struct egress_batch *batch, size_t i) {
	return bytes_of(batch->maps.data + batch->places[i], batch->places[i + 1] - batch->places[i]);
}

struct egress_feed;
TAILQ_HEAD(egress_readers, egress_reader);

/* Lives in what reads. */
struct egress_reader {
	struct egress_feed *feed; /* NULL: not open */
	uint64_t next;            /* offset of the next record it gets */
	uint64_t skipped;         /* records that retention took before it came to them: told with the next one, then 0 */
	/* Records batch[i]… are there, the first of them is `next`. It takes as many as it has room for, at least one, by
	 * raising `next`, and says when it wants more. Not called again until then. */
	void (*ready)(struct egress_reader *reader, const struct egress_batch *batch, size_t i);
	/* The egress cannot be read: nothing more will come. */
	void (*failed)(struct egress_reader *reader, const struct error *error);
	struct egress_readers *list; /* NULL: it wants nothing */
	TAILQ_ENTRY(egress_reader) link;
};

/* From `next` on; ready and failed are set. */
void egress_reader_open(struct egress_hub *hub, struct egress_reader *reader, struct bytes egress, uint64_t next);
void egress_reader_want(struct egress_reader *reader);
void egress_reader_close(struct egress_reader *reader); /* one that is not open is fine */

/* ---- where a reader begins ---- */

enum egress_from { EGRESS_EARLIEST, EGRESS_LATEST, EGRESS_ACKED, EGRESS_OFFSET };

struct egress_request {
	struct bytes egress;
	struct bytes name; /* of a named subscriber; empty: none */
	enum egress_from from;
	uint64_t offset;      /* EGRESS_OFFSET */
	uint64_t incarnation; /* in which that offset was seen; 0: not said */
};

struct egress_found {
	struct error error; /* code ERROR_NONE: good */
	uint64_t next;
	uint64_t incarnation;
	bool forked; /* records from `next` on are others than were seen there (rule 11) */
};

/* found() is called once, later. Of `request` nothing is kept. Before a found place is told to anybody the incarnation is
 * durable. Returns what egress_find_cancel takes. */
struct egress_finding *egress_find(struct egress_hub *hub, const struct egress_request *request,
	void (*found)(void *arg, const struct egress_found *found), void *arg);

/* found() will not be called. */
void egress_find_cancel(struct egress_finding *finding);

#endif
