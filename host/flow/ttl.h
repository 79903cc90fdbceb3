/* When state of a function type ends by itself, as one version of the type is to have it: what its plugin declares, or what
 * settings or the command put above that. Immutable once it is in a view. [any thread]
 *
 * Time runs from the last touch, or from when that kind of end was first introduced to the type (`since`), whichever is later:
 * times are kept from then on, for good. So nothing ends earlier than its time after that, whatever was before. A time that
 * becomes longer wakes nothing that has ended already, swept or not (`ended`). */
#ifndef HOST_FLOW_TTL_H
#define HOST_FLOW_TTL_H

#include <stdbool.h>
#include <stdint.h>

struct ttl_term {
	uint64_t ms;          /* 0: never */
	uint64_t since_ms;    /* when it was introduced first; 0: never yet, and no times are kept */
	uint64_t ended_ms;    /* what was last touched by then has ended by an earlier, shorter time, */
	uint64_t ended_by_ms; /* which was this */
};

struct ttl_value {
	struct ttl_term after_write;
	struct ttl_term after_invoke;
};

struct ttl {
	struct ttl *next; /* of instances that another schema wrote; NULL: none */
	struct ttl_term idle;
	uint32_t schema; /* which the numbers of the values belong to */
	uint32_t value_count;
	bool values_expire; /* some value does, or did */
	struct ttl_value values[];
};

/* Nothing expires yet. */
struct ttl *ttl_create(uint32_t schema, uint32_t value_count);
/* With all that follow it; NULL is fine. */
void ttl_destroy(struct ttl *ttl);

/* True if times count for anything in it, or in those that follow it. */
bool ttl_counts(const struct ttl *ttl);

/* NULL: nothing is known of the values of that schema. */
const struct ttl *ttl_of_schema(const struct ttl *ttl, uint32_t schema);

/* When an instance with state ends; UINT64_MAX: never. 0: the last touch is not known. ttl may be NULL. */
uint64_t ttl_idle_due_ms(const struct ttl *ttl, uint64_t last_touch_ms);

/* When a value that is set ends; UINT64_MAX: never. ttl: of its schema, may be NULL. 0: that time is not known. */
uint64_t ttl_value_due_ms(const struct ttl *ttl, uint32_t number, uint64_t written_ms, uint64_t last_touch_ms);

#endif
