/* A function type: what a plugin declares about it, and the callback. */
#ifndef SOFUN_FUNCTION_H
#define SOFUN_FUNCTION_H

#include "host.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The kind of a state value. RAW is any one MessagePack object. */
enum { SOFUN_RAW = 0, SOFUN_INT = 1, SOFUN_FLOAT = 2, SOFUN_STR = 3, SOFUN_BOOL = 4 };

typedef struct sofun_value {
	const char *name; /* [a-z][a-z0-9_]*, at most 63 bytes; unique in its function */
	uint32_t kind;
	uint32_t flags;       /* 0 */
	uint64_t reserved[2]; /* 0; expiry, later */
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
} sofun_function;

#ifdef __cplusplus
}
#endif

#endif
