/* A router: a stateless function that turns one record of an ingress into 0..n messages (context->host->send). */
#ifndef SOFUN_ROUTER_H
#define SOFUN_ROUTER_H

#include "host.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sofun_record {
	uint32_t size; /* of this struct */
	uint32_t flags;
	sofun_bytes ingress;
	sofun_bytes producer;
	uint64_t sequence; /* the record's number of this producer, from 1 */
	/* "line" and "json": the record's text; "msgpack": one MessagePack object. */
	sofun_bytes data;
} sofun_record;

typedef struct sofun_router {
	uint32_t size; /* of this struct */
	uint32_t flags;
	const char *ingress; /* [a-z][a-z0-9_.-]*, at most 63 bytes */
	const char *format;  /* "line", "json" or "msgpack": what it takes, whatever form producers send (sofun.yaml) */
	/* 0: the messages are accepted with the record's position, all or none. Not 0: tried again in place, then the
	 * record is a dead letter (router_failed) and the position goes on. */
	int (*route)(sofun_context *context, void *plugin_data, const sofun_record *record);
} sofun_router;

#ifdef __cplusplus
}
#endif

#endif
