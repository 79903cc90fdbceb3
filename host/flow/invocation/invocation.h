/* One call into a plugin: what it may see, and what it asked for, kept apart from everything until it returns success
 * (rule 24). Reused from call to call. Private to host/flow. */
#ifndef HOST_FLOW_INVOCATION_INVOCATION_H
#define HOST_FLOW_INVOCATION_INVOCATION_H

#include "base/ordered.h"
#include "flow/flow.h"
#include "flow/instance/instance.h"
#include "flow/message.h"
#include "sofun/host.h"

/* A plugin's names stand at fixed places, so the last resolution of a pointer is almost always right; the bytes are
 * compared all the same. */
enum { NAME_CACHE_SLOTS = 64 };
struct name_cache {
	const uint8_t *data;
	uint32_t size;
	uint32_t number;
	uint64_t generation; /* of the view, for types */
	char name[128];
};

/* A send to a type that no plugin ever declared: a dead letter if the invocation succeeds. The bytes follow. */
struct stray {
	uint32_t to_size;
	uint32_t id_size;
	uint32_t type_size;
	uint32_t payload_size;
};

struct invocation {
	sofun_context context; /* first: what the plugin holds */
	struct flow *flow;
	struct shard *shard; /* whose it is */
	const struct view *view;
	const struct binding *binding; /* NULL: a router runs */
	const struct version *version; /* of the binding */
	const struct image *image;
	struct instance *instance;
	uint64_t time_ms;
	struct error store_error; /* code set: the store could not be read; the process stops */

	const struct migrator *migrator; /* inside migrate */
	struct flow_host migration_host; /* the table that it is given */
	sofun_message migration_cause;   /* what the note of a migration tells: alive until note_end */
	uint64_t carried;              /* values that a migration left for the call on top of it: changed from its start */
	uint64_t changed;              /* values that were set or cleared */
	uint64_t tables_changed;       /* tables of which an entry was set or removed: their headers may stay as they are */
	struct buf values[VALUES_MAX]; /* the new ones; size 0: cleared */
	struct buf cold[VALUES_MAX];   /* large values read for this call */
	uint64_t cold_read;
	size_t bytes; /* of all effects, against INVOCATION_BYTES_MAX */

	struct ordered entries; /* of tables and lists, that were written: generation:u64be key, to struct entry */
	uint32_t entries_written;
	uint32_t cursor_count;
	uint64_t entries_stepped;
	struct buf entry_value;           /* of the one read last from the store */
	struct sofun_cursor *cursors[16]; /* ENTRIES_CURSORS_MAX */

	struct buf sends; /* messages; birth epoch and flags are filled in when they are born */
	struct buf strays;
	struct buf emits;      /* u32 egress index, u32 size, record */
	struct buf timers;     /* struct timer_op, as they were asked for */
	struct buf operations; /* struct operation_op, likewise */
	struct buf reply;
	struct buf reply_type;
	struct buf failure;  /* the plugin's text */
	const char *refused; /* the invocation fails for this reason, whatever it returns; NULL: no */
	uint32_t send_count;
	uint32_t stray_count;
	uint32_t operation_count;
	uint32_t buf_count; /* of these: */
	sofun_buf bufs[INVOCATION_BUFS_MAX];
	bool replied;
	bool expiring; /* on_expire runs: it may read, send and emit */

	struct name_cache type_names[NAME_CACHE_SLOTS];
	struct name_cache egress_names[NAME_CACHE_SLOTS];
};

struct invocation *invocation_create(struct flow *flow);
void invocation_destroy(struct invocation *invocation);

/* Forgets the effects of the last call. */
void invocation_begin(struct invocation *invocation, const struct view *view, const struct binding *binding,
	const struct version *version, struct instance *instance, uint64_t time_ms);

/* Checks what a plugin wants to send, counts it as an effect, and finds its type's number. A type that nobody declared:
 * SOFUN_OK with number 0, and the message is a stray. */
int invocation_send_check(struct invocation *invocation, const sofun_address *to, sofun_bytes type, sofun_bytes payload,
	uint16_t *ret_number);

/* Counts so many bytes as effects of the invocation; false: they are too many. */
bool invocation_account(struct invocation *invocation, size_t bytes);

/* The table that every image is given. */
void host_api_fill(sofun_host *ret_table);

/* Appends an egress record: [time_ms, source type, source id, payload]. */
void emission_put(struct buf *record, uint64_t time_ms, struct bytes type, struct bytes id, struct bytes payload);

#endif
