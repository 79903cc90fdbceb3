/* A function type: what a plugin declares about it, and the callback. */
#ifndef SOFUN_FUNCTION_H
#define SOFUN_FUNCTION_H

#include "host.h"
#include "operation.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The kind of a state value. RAW is any one MessagePack object. A table (table.h) and a list (list.h) hold any number of
 * entries, each read and written by itself; state_get, state_set and state_clear do not know them. Since 1.1. */
enum { SOFUN_RAW = 0, SOFUN_INT = 1, SOFUN_FLOAT = 2, SOFUN_STR = 3, SOFUN_BOOL = 4 };
enum { SOFUN_KIND_TABLE = 5, SOFUN_KIND_LIST = 6 };

typedef struct sofun_value {
	const char *name; /* [a-z][a-z0-9_]*, at most 63 bytes; unique in its function */
	uint32_t kind;
	uint32_t flags; /* 0 */
	/* Since 1.1 (reserved before), in milliseconds; 0: never. An expired value is unset to everyone from that time on. */
	uint64_t expire_after_write_ms;  /* after it was last set */
	uint64_t expire_after_invoke_ms; /* after a message to the instance was last handled */
} sofun_value;

/* One message, as invoke sees it. All views are valid until invoke returns. */
typedef struct sofun_message {
	uint32_t size;    /* of this struct */
	uint32_t attempt; /* 1 at the first; counted durably */
	sofun_address self;
	sofun_address caller; /* type {NULL, 0} if it came from outside */
	sofun_bytes type;     /* the payload's type name; {NULL, 0} if none */
	sofun_bytes payload;  /* one MessagePack object, already checked to be well-formed */
} sofun_message;

/* An earlier schema of a function's state, as its version declared it: what migrate knows besides its own. Since 1.1. */
enum {
	SOFUN_SCHEMA_UP = 1,   /* migrate reads it and writes the function's own */
	SOFUN_SCHEMA_DOWN = 2, /* migrate reads the function's own and writes it: the way back of a rollback */
	SOFUN_SCHEMA_BOTH = 3
};
typedef struct sofun_schema {
	uint32_t size;        /* of this struct */
	uint32_t schema;      /* below the function's */
	uint32_t ways;        /* SOFUN_SCHEMA_UP, SOFUN_SCHEMA_DOWN, or both */
	uint32_t value_count; /* at most 64 */
	const sofun_value *values;
} sofun_schema;

/* One instance on its way from one schema to another, as migrate sees it. Since 1.1. */
typedef struct sofun_migration {
	uint32_t size;  /* of this struct */
	uint32_t flags; /* 0 */
	uint32_t from;  /* the schema that state_get reads */
	uint32_t to;    /* the schema that state_set writes */
	sofun_address self;
} sofun_migration;

/* An instance whose idle_ttl_ms has passed, as on_expire sees it. Since 1.1. */
typedef struct sofun_expiry {
	uint32_t size;    /* of this struct */
	uint32_t attempt; /* 1 at the first; may begin anew after a crash */
	sofun_address self;
	uint64_t last_touch_ms; /* when a message to it was last handled; if that was before times were kept: since then */
} sofun_expiry;

typedef struct sofun_function {
	uint32_t size;    /* of this struct */
	uint32_t schema;  /* version of the state's schema, from 1 */
	const char *type; /* "namespace/name", each part [a-z0-9_.-]+, at most 127 bytes in all */
	const sofun_value *values;
	uint32_t value_count; /* at most 64 */
	uint32_t flags;       /* 0 */
	/* 0: the effects happen, together with the consumption of the message. Not 0: none of them does, and the message
	 * is tried again by policy. Runs on the thread of the shard that owns the address; never twice at once for one
	 * address. plugin_data is what init stored. */
	int (*invoke)(sofun_context *context, void *plugin_data, const sofun_message *message);
	/* Since 1.1: earlier schemas that migrate knows; NULL-terminated; NULL: none. */
	const sofun_schema *const *schemas;
	/* Since 1.1; NULL iff schemas is. Makes an instance's values of schema `to` from those of schema `from`: state_get
	 * takes numbers of `from` and sees the old values, state_set and state_clear take numbers of `to`; what is not set is
	 * unset. Besides them it may only log, fail and use builders. 0: the new values become durable together with the
	 * effects of the first message that was handled on them. Not 0: the instance keeps its old values, and its address
	 * waits, with the text of fail in `sofun status`, until another version is live. Thread and plugin_data as invoke's.
	 * May run more than once for one instance, so it must be a function of the old values alone. */
	int (*migrate)(sofun_context *context, void *plugin_data, const sofun_migration *migration);
	/* Since 1.1, in milliseconds; 0: never. An instance that has state, and to which no message was handled for so long, is
	 * gone with all its state. Handling a message successfully is a touch; reading it from outside is none. */
	uint64_t idle_ttl_ms;
	/* Since 1.1; may be NULL. Called once for each instance that expires, ahead of a message that finds it expired. It reads
	 * the state as it was when the instance ended, may send, emit and log; it sets nothing and replies to nobody. 0: its
	 * effects become durable together with the instance's end. Not 0: it is tried again by policy, and after the last
	 * attempt there is a dead letter and the instance ends all the same. Thread and plugin_data as invoke's. */
	int (*on_expire)(sofun_context *context, void *plugin_data, const sofun_expiry *expiry);
	/* Since 1.1; may be NULL. An operation (operation.h) that this function started: it may block and take long, and it is
	 * called for many operations at once, on threads of the host's pool. It sees metadata and plugin_data, no state. 0:
	 * success; SOFUN_WORK_LATER: `complete` brings the result; else failure. Called once at most for each operation. */
	int (*work)(sofun_work *work, void *plugin_data);
	/* Since 1.1; may be NULL. What came of an operation of this instance: once for each. It may do all that invoke may,
	 * reply to who called when the operation was started included, and counts as a message: 0: its effects happen. Not 0: it
	 * is tried again by policy, ahead of what waits for the address; after the last attempt there is a dead letter with the
	 * code `result_failed`. Thread and plugin_data as invoke's. */
	int (*on_result)(sofun_context *context, void *plugin_data, const sofun_result *result);
} sofun_function;

#ifdef __cplusplus
}
#endif

#endif
