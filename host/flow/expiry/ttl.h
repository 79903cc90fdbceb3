/* When state of a function type ends by itself: what the version says that an id belongs to, or what settings or the command put
 * above that. Immutable once it is in a view. [any thread]
 *
 * Time runs from the last touch, or from when that kind of end was first introduced to the type (`since`), whichever is later:
 * times are kept from then on, for good. So nothing ends earlier than its time after that, whatever was before.
 *
 * Times belong to the id, not to the message: a change of versions, shares, settings or commands is one instant for all who
 * look at the id, and what it had ended by then stays so (`past`), swept or not. ttl_parts.h says how that is remembered. */
#ifndef HOST_FLOW_EXPIRY_TTL_H
#define HOST_FLOW_EXPIRY_TTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A time that was, of those that have ended something the one that reached furthest. */
struct ttl_past {
	uint64_t ms;       /* 0: there is none */
	uint64_t from_ms;  /* it held from here on, */
	uint64_t until_ms; /* to here: what had passed by then has ended */
};

struct ttl_term {
	uint64_t ms;       /* 0: never */
	uint64_t from_ms;  /* it holds from here on: what it ends had not ended before */
	uint64_t since_ms; /* when it was introduced first; 0: never yet, and no times are kept */
	uint64_t vague_ms; /* of what had ended by then it may not be known when: it is told as later, but not than this */
	struct ttl_past past;
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

/* The times of all ids of a type, by their hash (view.h): those below `until` that are in no range before. The last one ends at
 * SPLIT_WHOLE. */
struct ttl_range {
	uint64_t until;
	struct ttl *ttl;
};
struct ttl_map {
	size_t count; /* from 1 */
	struct ttl_range ranges[];
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

/* What is said to have ended later than this did so then, and not before. ttl may be NULL. */
uint64_t ttl_vague_ms(const struct ttl *ttl);

/* Ranges without times yet. */
struct ttl_map *ttl_map_create(size_t count);
/* With all its times; NULL is fine. */
void ttl_map_destroy(struct ttl_map *map);

/* Of an id with that hash. */
const struct ttl *ttl_map_find(const struct ttl_map *map, uint64_t hash);

#endif
