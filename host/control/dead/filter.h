/* Which dead letters are meant: those that have all of what is asked for. */
#ifndef HOST_CONTROL_DEAD_FILTER_H
#define HOST_CONTROL_DEAD_FILTER_H

#include <jansson.h>

#include "control/http/target.h"
#include "flow/dead/letter.h"

/* The keys of a filter, as a query and as a body have them. */
#define DEAD_FILTER_KEYS "type,id,code,plugin,version,since_ms,before_ms"

/* An empty text is not asked for: no letter that has one of these has it empty. */
struct dead_filter {
	struct buf type; /* the letter's `to`: "ns/name", or "ingress/name" of a record */
	struct buf id;
	struct buf code;
	struct buf plugin;
	struct buf version;
	uint64_t since_ms;  /* it died at that time or later, */
	uint64_t before_ms; /* and before this one */
	bool asked;         /* for anything at all */
};

/* From the query of a request; false: a value is none that fits. Finish it in either case. */
bool dead_filter_of_query(const struct target *target, struct dead_filter *ret_filter, struct error *error);

/* From an object that may have other keys, too. */
bool dead_filter_of_object(const json_t *object, struct dead_filter *ret_filter, struct error *error);

void dead_filter_finish(struct dead_filter *filter);

bool dead_filter_matches(const struct dead_filter *filter, const struct dead_letter *letter);

#endif
