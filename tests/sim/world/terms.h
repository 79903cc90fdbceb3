/* When simulated state ends: times that change with the versions, and that only some ids have while a canary runs, grows, shrinks, is
 * promoted or ended. And the judge of it, who forgets nothing: all reigns of all times, and who had which. */
#ifndef TESTS_SIM_TERMS_H
#define TESTS_SIM_TERMS_H

#include "base/bytes.h"
#include "flow/expiry/ttl_parts.h"
#include "sofun/plugin.h"

enum terms_way { TERMS_IDLE, TERMS_BLIP, TERMS_WAYS };
enum { TERMS_REIGNS_MAX = 1024, TERMS_VIEWS_MAX = 4096 };

/* From one change to the next. */
struct reign {
	uint64_t from_ms;
	uint64_t seed;
	uint64_t percent; /* of the canary */
	uint64_t base_ms[TERMS_WAYS];
	uint64_t canary_ms[TERMS_WAYS];
};

struct terms {
	struct reign reigns[TERMS_REIGNS_MAX];
	size_t count;                       /* of now is the last one */
	size_t of_view[TERMS_VIEWS_MAX];    /* how many there were */
	struct ttl_parts parts[TERMS_WAYS]; /* what the host remembers instead */
};

/* Nothing was durable yet. */
void terms_init(struct terms *terms, uint64_t now_ms);
void terms_finish(struct terms *terms);

/* Behind what stands in the row already; and back. Reigns that the row does not know never were. */
void terms_write(const struct terms *terms, struct buf *row);
void terms_read(struct terms *terms, struct bytes row);

/* A version takes over from all that there are. */
void terms_swap(struct terms *terms, uint64_t generation, uint64_t now_ms);

/* A canary begins, gets more or fewer ids, is promoted, or ends. */
void terms_canary(struct terms *terms, uint64_t chance, uint64_t now_ms);
bool terms_canary_runs(const struct terms *terms);

/* What a view of that generation gets; the view's. */
struct ttl_map *terms_map(struct terms *terms, uint64_t view, const sofun_function *function);
struct reign terms_now(const struct terms *terms);

/* When what that id had was last used at from_ms ended, for who looks at now_ms with that view; UINT64_MAX: it has not. */
uint64_t terms_ended_ms(
	const struct terms *terms, uint64_t view, enum terms_way way, struct bytes id, uint64_t from_ms, uint64_t now_ms);

#endif
