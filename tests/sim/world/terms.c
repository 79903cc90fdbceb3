#include "terms.h"

#include "base/check.h"
#include "base/hash.h"
#include "flow/view.h"
#include "program.h"
#include "state/key.h"

enum { SINCE_MS = 1 };

/* Which times a version has. */
static const uint64_t times[TERMS_WAYS][3] = {{60, 120, 240}, {20, 30, 90}};

static void times_of(uint64_t kind, uint64_t ms[TERMS_WAYS]) {
	for (int way = 0; way < TERMS_WAYS; way++)
		ms[way] = times[way][hash_mix(kind, (uint64_t)way) % 3];
}

/* ---- what the host remembers ---- */

static void parts_follow(struct terms *terms) {
	const struct reign *reign = &terms->reigns[terms->count - 1];
	for (int way = 0; way < TERMS_WAYS; way++) {
		const struct ttl_part wishes[] = {
			{.until = SPLIT_WHOLE * reign->percent / 100, .ms = reign->canary_ms[way]},
			{.until = SPLIT_WHOLE, .ms = reign->base_ms[way]},
		};
		bool whole = reign->percent == 0;
		ttl_parts_change(&terms->parts[way], wishes + whole, whole ? 1 : 2, reign->from_ms);
		ttl_parts_rest(&terms->parts[way], SINCE_MS, reign->from_ms);
	}
}

static struct reign *reign_next(struct terms *terms, uint64_t now_ms) {
	check(terms->count < TERMS_REIGNS_MAX);
	struct reign *next = &terms->reigns[terms->count];
	*next = terms->reigns[terms->count - 1];
	next->from_ms = now_ms;
	terms->count++;
	return next;
}

void terms_init(struct terms *terms, uint64_t now_ms) {
	struct reign *first = &terms->reigns[0];
	terms->count = 1;
	*first = (struct reign){.from_ms = now_ms};
	times_of(0, first->base_ms);
	for (int way = 0; way < TERMS_WAYS; way++)
		ttl_parts_finish(&terms->parts[way]);
	parts_follow(terms);
}

void terms_finish(struct terms *terms) {
	for (int way = 0; way < TERMS_WAYS; way++)
		ttl_parts_finish(&terms->parts[way]);
}

/* ---- changes ---- */

void terms_swap(struct terms *terms, uint64_t generation, uint64_t now_ms) {
	struct reign *reign = reign_next(terms, now_ms);
	check(reign->percent == 0);
	times_of(generation, reign->base_ms);
	parts_follow(terms);
}

bool terms_canary_runs(const struct terms *terms) {
	return terms->reigns[terms->count - 1].percent > 0;
}

static void canary_begin(struct terms *terms, struct reign *reign, uint64_t chance) {
	bool differ = false;
	for (int way = 0; way < TERMS_WAYS; way++) {
		ttl_parts_rest(&terms->parts[way], SINCE_MS, reign->from_ms);
		differ |= terms->parts[way].count > 1;
	}
	if (!differ)
		reign->seed = hash_mix(chance, 1);
	reign->percent = 1 + chance % 99;
	times_of(chance, reign->canary_ms);
}

void terms_canary(struct terms *terms, uint64_t chance, uint64_t now_ms) {
	struct reign *reign = reign_next(terms, now_ms);
	if (reign->percent == 0) {
		canary_begin(terms, reign, chance);
	} else if (chance % 4 == 0) { /* promoted */
		reign->percent = 0;
		memcpy(reign->base_ms, reign->canary_ms, sizeof reign->base_ms);
	} else if (chance % 4 == 1) { /* ended, or rolled back by itself */
		reign->percent = 0;
	} else {
		reign->percent = 1 + hash_mix(chance, 2) % 99;
	}
	parts_follow(terms);
}

/* ---- the row ---- */

static void u64_put(struct buf *row, uint64_t value) {
	struct key room = {.size = 0};
	key_u64(&room, value);
	buf_append_bytes(row, key_bytes(&room));
}

static uint64_t u64_take(struct bytes *row) {
	check(row->size >= 8);
	uint64_t value = key_u64_at(row->data);
	*row = bytes_of(row->data + 8, row->size - 8);
	return value;
}

void terms_write(const struct terms *terms, struct buf *row) {
	u64_put(row, terms->count);
	for (int way = 0; way < TERMS_WAYS; way++) {
		u64_put(row, terms->parts[way].count);
		for (size_t i = 0; i < terms->parts[way].count; i++) {
			const struct ttl_part *part = &terms->parts[way].items[i];
			u64_put(row, part->until);
			u64_put(row, part->ms);
			u64_put(row, part->from_ms);
			u64_put(row, part->vague_ms);
			u64_put(row, part->past.ms);
			u64_put(row, part->past.from_ms);
			u64_put(row, part->past.until_ms);
		}
	}
}

void terms_read(struct terms *terms, struct bytes row) {
	terms->count = u64_take(&row);
	for (int way = 0; way < TERMS_WAYS; way++) {
		ttl_parts_finish(&terms->parts[way]);
		for (uint64_t count = u64_take(&row); count > 0; count--) {
			struct ttl_part *part = ttl_parts_add(&terms->parts[way]);
			part->until = u64_take(&row);
			part->ms = u64_take(&row);
			part->from_ms = u64_take(&row);
			part->vague_ms = u64_take(&row);
			part->past.ms = u64_take(&row);
			part->past.from_ms = u64_take(&row);
			part->past.until_ms = u64_take(&row);
		}
	}
	check(row.size == 0);
}

/* ---- views ---- */

static uint64_t until_next(const struct terms *terms, uint64_t from) {
	uint64_t until = SPLIT_WHOLE;
	for (int way = 0; way < TERMS_WAYS; way++)
		for (size_t i = 0; i < terms->parts[way].count; i++)
			if (terms->parts[way].items[i].until > from && terms->parts[way].items[i].until < until)
				until = terms->parts[way].items[i].until;
	return until;
}

static struct ttl *ttl_at(const struct terms *terms, const sofun_function *function, uint64_t hash) {
	struct ttl *ttl = ttl_create(function->schema, function->value_count);
	ttl->idle = ttl_parts_term(&terms->parts[TERMS_IDLE], SINCE_MS, hash);
	for (uint32_t i = 0; i < function->value_count; i++) {
		if (function->values[i].expire_after_write_ms == 0)
			continue;
		ttl->values[i].after_write = ttl_parts_term(&terms->parts[TERMS_BLIP], SINCE_MS, hash);
		ttl->values_expire = true;
	}
	return ttl;
}

struct ttl_map *terms_map(struct terms *terms, uint64_t view, const sofun_function *function) {
	size_t count = 0;
	uint64_t from = 0;
	check(view < TERMS_VIEWS_MAX);
	terms->of_view[view] = terms->count;
	for (uint64_t until = 0; until < SPLIT_WHOLE; until = until_next(terms, until))
		count++;
	struct ttl_map *map = ttl_map_create(count);
	for (size_t i = 0; i < count; i++) {
		map->ranges[i] = (struct ttl_range){until_next(terms, from), ttl_at(terms, function, from)};
		from = map->ranges[i].until;
	}
	return map;
}

struct reign terms_now(const struct terms *terms) {
	return terms->reigns[terms->count - 1];
}

/* ---- the judge ---- */

/* In which reign its time came to its end is found by looking at each: the first one counts. */
uint64_t terms_ended_ms(
	const struct terms *terms, uint64_t view, enum terms_way way, struct bytes id, uint64_t from_ms, uint64_t now_ms) {
	size_t count = terms->of_view[view];
	for (size_t i = 0; i < count; i++) {
		const struct reign *reign = &terms->reigns[i];
		bool canary = split_hash(reign->seed, id) < SPLIT_WHOLE * reign->percent / 100;
		uint64_t until_ms = i + 1 < count ? reign[1].from_ms : now_ms;
		uint64_t due_ms = from_ms + (canary ? reign->canary_ms : reign->base_ms)[way];
		if (due_ms <= until_ms)
			return due_ms > reign->from_ms ? due_ms : reign->from_ms;
	}
	return UINT64_MAX;
}
