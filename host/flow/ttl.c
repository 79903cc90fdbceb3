#include "flow/ttl.h"

#include <stdlib.h>

#include "base/check.h"

struct ttl *ttl_create(uint32_t schema, uint32_t value_count) {
	struct ttl *ttl = check_alloc(1, sizeof *ttl + value_count * sizeof ttl->values[0]);
	ttl->schema = schema;
	ttl->value_count = value_count;
	return ttl;
}

void ttl_destroy(struct ttl *ttl) {
	while (ttl != NULL) {
		struct ttl *next = ttl->next;
		free(ttl);
		ttl = next;
	}
}

bool ttl_counts(const struct ttl *ttl) {
	for (; ttl != NULL; ttl = ttl->next)
		if (ttl->idle.since_ms > 0 || ttl->values_expire)
			return true;
	return false;
}

const struct ttl *ttl_of_schema(const struct ttl *ttl, uint32_t schema) {
	while (ttl != NULL && ttl->schema != schema)
		ttl = ttl->next;
	return ttl;
}

static uint64_t term_due_ms(const struct ttl_term *term, uint64_t from_ms) {
	if (from_ms < term->since_ms)
		from_ms = term->since_ms;
	if (from_ms <= term->ended_ms && term->since_ms > 0)
		return from_ms + term->ended_by_ms; /* before now */
	if (term->ms == 0)
		return UINT64_MAX;
	return from_ms > UINT64_MAX - term->ms ? UINT64_MAX : from_ms + term->ms;
}

uint64_t ttl_idle_due_ms(const struct ttl *ttl, uint64_t last_touch_ms) {
	return ttl == NULL ? UINT64_MAX : term_due_ms(&ttl->idle, last_touch_ms);
}

uint64_t ttl_value_due_ms(const struct ttl *ttl, uint32_t number, uint64_t written_ms, uint64_t last_touch_ms) {
	if (ttl == NULL || number >= ttl->value_count)
		return UINT64_MAX;
	uint64_t write_ms = term_due_ms(&ttl->values[number].after_write, written_ms);
	uint64_t invoke_ms = term_due_ms(&ttl->values[number].after_invoke, last_touch_ms);
	return write_ms < invoke_ms ? write_ms : invoke_ms;
}
