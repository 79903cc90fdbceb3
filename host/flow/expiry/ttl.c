#include "flow/expiry/ttl.h"

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

static uint64_t later(uint64_t a, uint64_t b) {
	return a > b ? a : b;
}

/* What has ended gets no time that is before its end. */
static uint64_t term_due_ms(const struct ttl_term *term, uint64_t from_ms) {
	const struct ttl_past *past = &term->past;
	from_ms = later(from_ms, term->since_ms);
	if (past->ms != 0 && from_ms + past->ms <= past->until_ms)
		return later(from_ms + past->ms, past->from_ms); /* before now */
	if (term->ms == 0 || from_ms > UINT64_MAX - term->ms)
		return UINT64_MAX;
	return later(from_ms + term->ms, term->from_ms);
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

uint64_t ttl_vague_ms(const struct ttl *ttl) {
	if (ttl == NULL)
		return 0;
	uint64_t vague_ms = ttl->idle.vague_ms;
	for (uint32_t i = 0; i < ttl->value_count; i++) {
		vague_ms = later(vague_ms, ttl->values[i].after_write.vague_ms);
		vague_ms = later(vague_ms, ttl->values[i].after_invoke.vague_ms);
	}
	return vague_ms;
}

struct ttl_map *ttl_map_create(size_t count) {
	check(count > 0);
	struct ttl_map *map = check_alloc(1, sizeof *map + count * sizeof map->ranges[0]);
	map->count = count;
	return map;
}

void ttl_map_destroy(struct ttl_map *map) {
	for (size_t i = 0; map != NULL && i < map->count; i++)
		ttl_destroy(map->ranges[i].ttl);
	free(map);
}

const struct ttl *ttl_map_find(const struct ttl_map *map, uint64_t hash) {
	size_t low = 0;
	size_t high = map->count - 1;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (hash < map->ranges[middle].until)
			high = middle;
		else
			low = middle + 1;
	}
	return map->ranges[low].ttl;
}
