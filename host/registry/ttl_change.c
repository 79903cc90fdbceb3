/* What a change of versions, settings or commands comes to for the times of a type: since when they count, what has ended by the
 * times of before, and whether entries of the sweep must be made anew. Before every view that is made. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "registry/inside.h"

/* The versions that have a share now. */
struct holders {
	const sofun_function *functions[2]; /* base, canary */
	size_t count;
	uint32_t percent;
};

static struct holders holders_of(const struct registry *registry, const struct function_type *type) {
	struct holders holders = {.count = 0};
	const struct lineage *lineage = lineage_find(registry, type->plugin);
	if (lineage == NULL)
		return holders;
	const struct verdict *verdicts[] = {lineage->now.base, lineage->now.percent > 0 ? lineage->now.canary : NULL};
	holders.percent = lineage->now.percent;
	for (int i = 0; i < 2; i++) {
		const struct plugin *plugin = plugin_of_verdict(registry, verdicts[i]);
		const sofun_function *function = plugin == NULL ? NULL : image_function(plugin->image, type->name);
		if (function != NULL)
			holders.functions[holders.count++] = function;
	}
	return holders;
}

/* What a version declares of a value, by the newest schema of it that has one of that name. */
static uint64_t declared_ms(const sofun_function *function, struct bytes name, enum ttl_kind kind) {
	if (kind == TTL_IDLE)
		return function->idle_ttl_ms;
	for (uint32_t i = 0; i < function->value_count; i++)
		if (bytes_equal(bytes_text(function->values[i].name), name))
			return kind == TTL_AFTER_WRITE ? function->values[i].expire_after_write_ms
										   : function->values[i].expire_after_invoke_ms;
	for (const sofun_schema *const *at = function->schemas; at != NULL && *at != NULL; at++)
		for (uint32_t i = 0; i < (*at)->value_count; i++)
			if (bytes_equal(bytes_text((*at)->values[i].name), name))
				return kind == TTL_AFTER_WRITE ? (*at)->values[i].expire_after_write_ms
											   : (*at)->values[i].expire_after_invoke_ms;
	return 0;
}

static void values_know(struct function_type *type, const sofun_value *values, uint32_t count) {
	for (uint32_t i = 0; i < count; i++) {
		if (values[i].expire_after_write_ms > 0)
			type_term_get(type, bytes_text(values[i].name), TTL_AFTER_WRITE);
		if (values[i].expire_after_invoke_ms > 0)
			type_term_get(type, bytes_text(values[i].name), TTL_AFTER_INVOKE);
	}
}

/* A term for everything that any of them, or a setting, has a word on. */
static void terms_know(const struct registry *registry, struct function_type *type, const struct holders *holders) {
	for (size_t i = 0; i < holders->count; i++) {
		const sofun_function *function = holders->functions[i];
		if (function->idle_ttl_ms > 0)
			type_term_get(type, bytes_of(NULL, 0), TTL_IDLE);
		values_know(type, function->values, function->value_count);
		for (const sofun_schema *const *at = function->schemas; at != NULL && *at != NULL; at++)
			values_know(type, (*at)->values, (*at)->value_count);
	}
	const struct ttl_rules *rules = &registry->options.config->ttl;
	for (size_t i = 0; i < rules->count; i++)
		if (strcmp(rules->items[i].type, type->name) == 0)
			type_term_get(type, bytes_text(rules->items[i].value), rules->items[i].kind);
}

static uint64_t never_last(uint64_t ms) {
	return ms == 0 ? UINT64_MAX : ms;
}

/* The least and the most that a term is with any of its holders; without any, as the last one had it. */
struct span {
	uint64_t least_ms; /* UINT64_MAX: never */
	uint64_t most_ms;
};

static struct span term_span(const struct registry *registry, const struct function_type *type,
	const struct holders *holders, const struct type_term *term, uint64_t *shape) {
	struct span span = {.least_ms = UINT64_MAX};
	struct bytes value = bytes_text(term->value);
	for (size_t i = 0; i < holders->count || i == 0; i++) {
		uint64_t declared =
			holders->count == 0 ? term->declared_ms : declared_ms(holders->functions[i], value, term->kind);
		uint64_t ms = type_effective_ms(registry, type, value, term->kind, declared);
		if (ms > 0) /* in whichever order the terms stand */
			*shape += hash_bytes(HASH_K0 + 8 * i + term->kind, value.data, value.size) * (2 * ms + 1);
		ms = never_last(ms);
		span.least_ms = ms < span.least_ms ? ms : span.least_ms;
		span.most_ms = ms > span.most_ms ? ms : span.most_ms;
	}
	return span;
}

/* Introduced: time begins to count now, and times are kept from here on for good. */
static void term_since(struct function_type *type, struct type_term *term, const struct span *span, uint64_t now_ms) {
	if (span->least_ms == UINT64_MAX || term->since_ms != 0)
		return;
	term->since_ms = now_ms;
	type->ttl.dirty = true;
}

/* Longer than it was, or never: what has ended by the time that it had stays at its end, swept or not. While two versions
 * have different times nobody here knows who ended by which: then it is as the new time says. */
static void term_ended(struct function_type *type, struct type_term *term, const struct span *span, uint64_t now_ms) {
	uint64_t held_ms = span->least_ms == span->most_ms ? span->most_ms : 0;
	if (held_ms == term->held_ms)
		return;
	uint64_t before_ms = term->held_ms;
	bool longer = before_ms != 0 && before_ms != UINT64_MAX && span->most_ms > before_ms;
	term->held_ms = held_ms;
	type->ttl.dirty = true;
	if (!longer || now_ms < term->since_ms + before_ms || now_ms - before_ms <= term->ended_ms)
		return;
	term->ended_ms = now_ms - before_ms;
	term->ended_by_ms = before_ms;
}

/* Entries stand no later than the longest time says; a shorter one needs others. */
static void term_filed(struct function_type *type, struct type_term *term, const struct span *span) {
	bool shorter = span->least_ms < never_last(term->filed_ms);
	uint64_t filed_ms = shorter || span->most_ms > never_last(term->filed_ms) ? span->most_ms : term->filed_ms;
	term->filed_ms = filed_ms == UINT64_MAX ? 0 : filed_ms;
	if (!shorter)
		return;
	type->ttl.files = true;
	type->ttl.files_below = 0;
}

static void type_ttl_update(struct registry *registry, struct function_type *type) {
	struct holders holders = holders_of(registry, type);
	struct type_ttl *ttl = &type->ttl;
	uint64_t now_ms = engine_time_ms(registry->options.engine);
	uint64_t shape = holders.percent;
	terms_know(registry, type, &holders);
	struct span *spans = check_alloc(ttl->count + 1, sizeof(*spans));
	for (size_t i = 0; i < ttl->count; i++) {
		struct type_term *term = &ttl->terms[i];
		uint64_t declared = holders.count == 0 ? term->declared_ms
											   : declared_ms(holders.functions[0], bytes_text(term->value), term->kind);
		ttl->dirty |= declared != term->declared_ms;
		term->declared_ms = declared;
		spans[i] = term_span(registry, type, &holders, term, &shape);
		term_since(type, term, &spans[i], now_ms);
		term_ended(type, term, &spans[i], now_ms);
	}
	for (size_t i = 0; i < ttl->count && shape != ttl->shape; i++)
		term_filed(type, &ttl->terms[i], &spans[i]);
	ttl->dirty |= shape != ttl->shape && ttl->count > 0;
	ttl->shape = shape;
	free(spans);
}

void types_ttl_update(struct registry *registry) {
	for (size_t i = 1; i < registry->type_count; i++)
		if (registry->types[i] != NULL)
			type_ttl_update(registry, registry->types[i]);
}
