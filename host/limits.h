/* Every bound that is not a setting, by name, with its reason.
 *
 * The folder host/ is on the include path, so that a library's <limits.h> finds this file: it hands on C's own. (The
 * pragma is for include_next, which is no ISO C; it silences warnings of this file alone.) */
#pragma GCC system_header
#include_next <limits.h>

#ifndef HOST_LIMITS_H
#define HOST_LIMITS_H

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)

enum {
	/* An epoch is closed after this long when its shard stays busy: short enough that a caller does not notice, long
	 * enough that a value written often is journaled once. */
	EPOCH_US_MAX = 2000,
	/* For this long a cut waits for inputs that are just being read: as long as a sync takes on a good disk. */
	GATHER_US_MAX = 200,
	/* The most messages of one epoch a shard: bounds what a cut must write and a crash must repeat. */
	EPOCH_MESSAGES_MAX = 65536,
	/* Sends of one invocation (or of one record's router): with SENDS_BYTES_MAX it keeps an invocation inside one
	 * journal segment (rule 22). */
	INVOCATION_SENDS_MAX = 65536,
	/* Entries of tables and lists that one invocation may write, and step over: what takes longer holds its shard for
	 * too long, and is cut into several messages. */
	INVOCATION_ENTRIES_MAX = 65536,
	/* Builders of one callback: more is a mistake, not a need. */
	INVOCATION_BUFS_MAX = 16,
	/* Addresses of a shard that wait in backoff at once. Beyond it a failing message is tried again without backoff,
	 * so that memory stays bounded and every address goes on. */
	RETRY_ADDRESSES_MAX = 65536,
	/* Messages of a shard's inputs are taken only while fewer than this wait in its mailboxes: accepted work first. */
	MAILBOX_BEFORE_INPUT_MAX = 8192,
	SHARDS_MAX = 64,
	/* Threads for the work of operations: what waits for others needs many, but each has a stack and a note. */
	OPERATION_THREADS_MAX = 64,
	/* Operations that one invocation starts: more is a batch, and belongs into the metadata of one. */
	INVOCATION_OPERATIONS_MAX = 1024,
	/* Of the text of a failure: it stands in the result's message, and nobody reads more. */
	OPERATION_FAILURE_BYTES_MAX = 4096,
	/* At the stop work has this long to return, so that its result is kept; then the process ends around it. */
	OPERATIONS_STOP_MS = 5000,
	/* Timers, and generations of tables and lists, are numbered from (epoch of the start) << this on, so that no restart gives a number twice: 16 million in an
	 * epoch, on the average of a life, are more than EPOCH_BYTES_MAX has room for. */
	TIMERS_PER_EPOCH_BITS = 24,
	/* A store whose last time is further ahead of the system's clock is not opened without --accept-clock: a summer
	 * time mistaken for the zone's is an hour, what is more is a wrong clock (rule 38). */
	CLOCK_AHEAD_MS_MAX = 3600 * 1000,
};

/* Bytes of redo and of messages born in one epoch of a shard: a shard that reaches it waits for the cut. A host with
 * little memory has smaller epochs (MEMORY_PER_EPOCH), since two of them and what the applier has not taken are held. */
#define EPOCH_BYTES_MAX MIB(4)
#define EPOCH_BYTES_MIN KIB(256)
#define MEMORY_PER_EPOCH 64
/* Of limits.memory_bytes: what no budget counts (code, stacks, connections, what malloc keeps). A host of 512 MiB was seen
 * to need 8 MiB idle, and malloc to keep a tenth of what passes through it. */
#define MEMORY_BASE_BYTES MIB(24)
/* Bytes of all effects of one invocation (rule 22). */
#define INVOCATION_BYTES_MAX MIB(8)
/* A journal segment holds one epoch of every shard, its largest invocation included: this much for each of them. */
#define JOURNAL_SEGMENT_SHARD_BYTES MIB(16)
#define CHECKPOINT_BYTES MIB(64)
/* A run of waiting messages in one row: FIFO pieces of this size make a spill of two million messages 2,000 rows. */
#define QUEUE_CHUNK_BYTES KIB(128)
/* Input bytes of one shard above which sockets are not read. */
#define INPUT_PRESSED_BYTES MIB(4)

#endif
