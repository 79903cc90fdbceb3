/* Asynchronous operations: the extension "sofun.operation/1", and the callbacks `work` and `on_result` of a function
 * (function.h). A function starts an operation and returns; work runs on the host's pool of threads, beside the shards; what
 * comes of it returns to the same address, exactly once, through on_result.
 *
 *   static int lookup_work(sofun_work *work, void *plugin_data) {
 *       ... as long as it takes; work->metadata says what to do ...
 *       return work->result(work, found);
 *   }
 *   static int lookup_on_result(sofun_context *context, void *plugin_data, const sofun_result *result) {
 *       if (result->status == SOFUN_RESULT_SUCCESS)
 *           return sofun_reply(context, result->result);
 *       ...
 *   }
 *   in invoke:  sofun_start(context, SOFUN_OPERATION_WAIT, message->payload);
 *
 * An operation is an effect like all others: it is started iff invoke returns 0. It is durable, work is called once that is
 * so, and never twice: if the host ends before there is a result, on_result is told that nobody knows
 * (SOFUN_RESULT_UNKNOWN). Whoever called the function waits on: on_result may reply, as invoke may. */
#ifndef SOFUN_OPERATION_H
#define SOFUN_OPERATION_H

#include "host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SOFUN_OPERATION "sofun.operation/1"

/* How an operation is started. */
enum {
	/* The address waits: messages for it stay queued, in order, until the result was handled. Others pass. Without it the
	 * address goes on, and other messages for it may be handled before the result. */
	SOFUN_OPERATION_WAIT = 1,
	/* Nobody calls work: the plugin brings the result by its own means, with `complete`. What it does before invoke has
	 * returned and the epoch is durable may be done for an operation that does not come to be; to begin only then, take
	 * work, and let it return SOFUN_WORK_LATER. */
	SOFUN_OPERATION_OUTSIDE = 2
};

/* What came of it. */
enum { SOFUN_RESULT_SUCCESS = 0, SOFUN_RESULT_FAILURE = 1, SOFUN_RESULT_UNKNOWN = 2 };

/* What work returns besides 0 (success) and any other value (failure): `complete` brings the result. */
enum { SOFUN_WORK_LATER = 1000 };

/* One operation, as work sees it. All views are valid until work returns. */
typedef struct sofun_work sofun_work;
struct sofun_work {
	uint32_t size;          /* of this struct */
	uint32_t flags;         /* 0 */
	const sofun_host *host; /* for log and extension */
	uint64_t id;            /* what start gave */
	sofun_address self;     /* the address that started it */
	sofun_bytes metadata;   /* one MessagePack object: a copy of what start was given */

	/* The result: one MessagePack object, copied; the last one counts. None: nil. 0, or SOFUN_BAD_ARGUMENT, SOFUN_TOO_LARGE,
	 * SOFUN_TOO_DEEP. [work] */
	int (*result)(sofun_work *work, sofun_bytes msgpack);

	/* Why it is about to fail, as UTF-8 text for people. The last one counts. [work] */
	void (*fail)(sofun_work *work, sofun_bytes text);

	/* 1: the host ends, and waits some seconds for work to return: what is told then is not kept, and on_result will be
	 * told SOFUN_RESULT_UNKNOWN. [work] */
	int (*stopping)(const sofun_work *work);
};

/* What came of an operation, as on_result sees it. All views are valid until on_result returns. */
typedef struct sofun_result {
	uint32_t size;    /* of this struct */
	uint32_t attempt; /* 1 at the first; counted durably */
	sofun_address self;
	uint64_t id; /* what start gave */
	uint32_t status;
	uint32_t flags;       /* 0 */
	sofun_bytes metadata; /* what start was given */
	sofun_bytes result;   /* success: one MessagePack object; else {NULL, 0} */
	sofun_bytes text;     /* failure: why, for people; else {NULL, 0} */
} sofun_result;

typedef struct sofun_operation {
	uint32_t size; /* of this table, in bytes */

	/* Starts an operation of this address. metadata: one MessagePack object, copied; it tells work what to do, and on_result
	 * what it was about. *ret_id is unique for all time. SOFUN_NOT_ALLOWED: the function has no on_result, or no work and
	 * the operation is not OUTSIDE. SOFUN_TOO_LARGE: this invocation has started 1,024. SOFUN_BUSY: operations.pending_max
	 * are under way; return non-zero to be tried again, or go on without. [invoke] */
	int (*start)(sofun_context *context, uint32_t flags, sofun_bytes metadata, uint64_t *ret_id);

	/* The result of an operation that is OUTSIDE, or whose work returned SOFUN_WORK_LATER: SOFUN_RESULT_SUCCESS with one
	 * MessagePack object, or SOFUN_RESULT_FAILURE with a text; copied. The first one counts. One that comes too late, or for
	 * an operation of an earlier life of the host, is SOFUN_OK, counted and dropped. Never waits. [any] */
	int (*complete)(const sofun_host *host, uint64_t id, uint32_t status, sofun_bytes result);
} sofun_operation;

/* The table, for a thread of the plugin's own; NULL: this host does not have it. */
static inline const sofun_operation *sofun_operation_of(const sofun_host *host) {
	return (const sofun_operation *)host->extension(host, SOFUN_OPERATION);
}

/* As start, for those who need no id. */
static inline int sofun_start(sofun_context *context, uint32_t flags, sofun_bytes metadata) {
	const sofun_operation *table = sofun_operation_of(context->host);
	uint64_t id;
	return table == NULL ? SOFUN_NOT_ALLOWED : table->start(context, flags, metadata, &id);
}

#ifdef __cplusplus
}
#endif

#endif
