#include "flow/expiry/ttl_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "flow/view.h"

void ttl_parts_finish(struct ttl_parts *parts) {
	free(parts->items);
	*parts = (struct ttl_parts){0};
}

struct ttl_part *ttl_parts_add(struct ttl_parts *parts) {
	parts->items = realloc(parts->items, (parts->count + 1) * sizeof *parts->items);
	check_memory(parts->items);
	parts->items[parts->count] = (struct ttl_part){0};
	return &parts->items[parts->count++];
}

/* ---- a change ---- */

/* From here on a part begins there: the first one that does, or ends behind it. */
static size_t part_at(const struct ttl_parts *parts, uint64_t hash) {
	size_t at = 0;
	while (at + 1 < parts->count && parts->items[at].until <= hash)
		at++;
	return at;
}

/* Some part ends there. */
static void parts_cut(struct ttl_parts *parts, uint64_t until) {
	size_t at = part_at(parts, until - 1);
	if (parts->items[at].until == until)
		return;
	ttl_parts_add(parts);
	memmove(&parts->items[at + 1], &parts->items[at], (parts->count - 1 - at) * sizeof *parts->items);
	parts->items[at].until = until;
}

/* True if `past` has ended something that `other` has not. */
static bool past_further(const struct ttl_past *past, const struct ttl_past *other) {
	if (past->ms == 0 || past->until_ms < past->ms)
		return false;
	return other->ms == 0 || past->until_ms - past->ms > other->until_ms - other->ms;
}

static bool part_change(struct ttl_part *part, uint64_t declared_ms, uint64_t ms, uint64_t now_ms) {
	const struct ttl_past over = {.ms = part->ms, .from_ms = part->from_ms, .until_ms = now_ms};
	part->declared_ms = declared_ms;
	if (part->ms == ms)
		return false;
	if (past_further(&over, &part->past)) {
		if (part->past.ms != 0)
			part->vague_ms = now_ms;
		part->past = over;
	}
	part->ms = ms;
	part->from_ms = now_ms;
	return true;
}

bool ttl_parts_change(struct ttl_parts *parts, const struct ttl_part *wishes, size_t count, uint64_t now_ms) {
	bool changed = false;
	check(count > 0 && wishes[count - 1].until == SPLIT_WHOLE);
	if (parts->count == 0)
		ttl_parts_add(parts)->until = SPLIT_WHOLE;
	size_t at = 0;
	for (size_t i = 0; i < count; i++) {
		parts_cut(parts, wishes[i].until);
		for (; at < parts->count && parts->items[at].until <= wishes[i].until; at++)
			changed |= part_change(&parts->items[at], wishes[i].declared_ms, wishes[i].ms, now_ms);
	}
	check(at == parts->count);
	return changed;
}

/* ---- what makes no difference any more ---- */

/* All that it ended is ended by the time of now as well; or there cannot be anything. */
static bool past_idle(const struct ttl_part *part, uint64_t since_ms, uint64_t now_ms) {
	const struct ttl_past *past = &part->past;
	if (past->until_ms < since_ms + past->ms)
		return true;
	return part->ms != 0 && part->ms <= now_ms && past->until_ms - past->ms <= now_ms - part->ms;
}

static bool parts_alike(const struct ttl_part *a, const struct ttl_part *b) {
	return a->declared_ms == b->declared_ms && a->ms == b->ms && a->past.ms == b->past.ms &&
		a->past.until_ms == b->past.until_ms;
}

static uint64_t later(uint64_t a, uint64_t b) {
	return a > b ? a : b;
}

/* Both beginnings are over: they say no more than when something ended, at the latest. */
static void part_join(struct ttl_part *part, const struct ttl_part *next) {
	part->until = next->until;
	part->vague_ms = later(part->vague_ms, next->vague_ms);
	if (part->from_ms != next->from_ms || part->past.from_ms != next->past.from_ms)
		part->vague_ms = later(part->vague_ms, later(part->from_ms, next->from_ms));
	part->from_ms = later(part->from_ms, next->from_ms);
	part->past.from_ms = later(part->past.from_ms, next->past.from_ms);
}

bool ttl_parts_rest(struct ttl_parts *parts, uint64_t since_ms, uint64_t now_ms) {
	const bool several = parts->count > 1; /* else there is nothing to win by it */
	size_t count = 0;
	bool rested = false;
	for (size_t i = 0; i < parts->count; i++) {
		struct ttl_part part = parts->items[i];
		if (several && part.past.ms != 0 && past_idle(&part, since_ms, now_ms)) {
			part.past = (struct ttl_past){0};
			part.vague_ms = now_ms;
			rested = true;
		}
		if (count > 0 && parts_alike(&parts->items[count - 1], &part))
			part_join(&parts->items[count - 1], &part);
		else
			parts->items[count++] = part;
	}
	rested |= count < parts->count;
	parts->count = count;
	check(count <= TTL_PARTS_MAX);
	return rested;
}

struct ttl_term ttl_parts_term(const struct ttl_parts *parts, uint64_t since_ms, uint64_t hash) {
	struct ttl_term term = {.since_ms = since_ms};
	if (parts->count == 0)
		return term;
	const struct ttl_part *part = &parts->items[part_at(parts, hash)];
	term.ms = part->ms;
	term.from_ms = part->from_ms;
	term.vague_ms = part->vague_ms;
	term.past = part->past;
	return term;
}
