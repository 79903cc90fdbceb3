/* The target of an HTTP request taken apart: path segments and query pairs, percent-decoded into bytes (an id may hold
 * any byte). Pure; any thread. */
#ifndef HOST_CONTROL_HTTP_TARGET_H
#define HOST_CONTROL_HTTP_TARGET_H

#include "base/bytes.h"
#include "base/error.h"

enum {
	TARGET_SEGMENTS_MAX = 8, /* the longest pattern has five */
	TARGET_PAIRS_MAX = 12,   /* the longest query has nine */
};

struct target_pair {
	struct bytes name;
	struct bytes value;
};

struct target {
	struct bytes segments[TARGET_SEGMENTS_MAX];
	size_t segment_count; /* above TARGET_SEGMENTS_MAX: the rest was counted and not kept */
	struct target_pair pairs[TARGET_PAIRS_MAX];
	size_t pair_count;
	struct buf text; /* what the views point into */
};

/* path: as it was sent, from "/" on. query: behind the "?", NULL if none; there, and only there, "+" is a blank, as
 * forms and the usual encoders write it. On false nothing is left to finish. */
bool target_parse(struct target *target, const char *path, const char *query, struct error *error);

void target_finish(struct target *target);

/* The value of the first pair of that name. */
bool target_query(const struct target *target, const char *name, struct bytes *ret_value);

/* A decimal number of the query, at most `most`; absent: unchanged. */
bool target_query_number(
	const struct target *target, const char *name, uint64_t most, uint64_t *number, struct error *error);

/* The whole of text as a decimal number. */
bool decimal_parse(struct bytes text, uint64_t *ret_number);

/* Appends text with everything percent-encoded that is not unreserved (RFC 3986): the inverse, for hints. */
void percent_encode(struct buf *buf, struct bytes text);

#endif
