/* What a change of versions, settings or commands comes to for the times of a type: since when they count, what has ended by the
 * times of before, and whether entries of the sweep must be made anew. Before every view that is made. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "registry/inside.h"

/* The versions that have a share now, and of which ids. */
struct holders {
	const sofun_function *functions[2]; /* the canary first, as its ids come first */
	uint64_t until[2];
	size_t count; /* 0: nobody: ids keep the times that they had */
};

static struct holders holders_of(const struct registry *registry, const struct function_type *type) {
	struct holders holders = {.count = 0};
	const struct lineage *lineage = lineage_find(registry, type->plugin);
	if (lineage == NULL)
		return holders;
	const struct share *share = lineage_serves(lineage);
	const struct verdict *verdicts[] = {share->percent > 0 ? share->canary : NULL, share->base};
	for (int i = 0; i < 2; i++) {
		const struct plugin *plugin = plugin_of_verdict(registry, verdicts[i]);
		const sofun_function *function = plugin == NULL ? NULL : image_function(plugin->image, type->name);
		if (function == NULL)
			continue;
		holders.until[holders.count] = SPLIT_WHOLE * share->percent / 100;
		holders.functions[holders.count++] = function;
	}
	if (holders.count > 0) /* one alone has all ids (view.h) */
		holders.until[holders.count - 1] = SPLIT_WHOLE;
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

/* What each of its ids is to have from now on; the caller's. */
static struct ttl_part *term_wishes(const struct registry *registry, const struct function_type *type,
	const struct holders *holders, const struct type_term *term, size_t *ret_count) {
	size_t count = holders->count > 0 ? holders->count : term->parts.count;
	struct ttl_part *wishes = check_alloc(count + 1, sizeof(*wishes));
	struct bytes value = bytes_text(term->value);
	for (size_t i = 0; i < count; i++) {
		if (holders->count > 0)
			wishes[i] = (struct ttl_part){
				.until = holders->until[i], .declared_ms = declared_ms(holders->functions[i], value, term->kind)};
		else
			wishes[i] = term->parts.items[i];
		wishes[i].ms = type_effective_ms(registry, type, value, term->kind, wishes[i].declared_ms);
	}
	if (count == 0) /* nobody has ever declared it, but somebody sets it */
		wishes[count++] =
			(struct ttl_part){.until = SPLIT_WHOLE, .ms = type_effective_ms(registry, type, value, term->kind, 0)};
	*ret_count = count;
	return wishes;
}

static uint64_t never_last(uint64_t ms) {
	return ms == 0 ? UINT64_MAX : ms;
}

/* The least and the most that a term is with any id. */
struct span {
	uint64_t least_ms; /* UINT64_MAX: never */
	uint64_t most_ms;
};

static struct span term_span(const struct type_term *term) {
	struct span span = {.least_ms = UINT64_MAX};
	for (size_t i = 0; i < term->parts.count; i++) {
		uint64_t ms = never_last(term->parts.items[i].ms);
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

/* True if some id has another time than before. */
static bool term_update(const struct registry *registry, struct function_type *type, const struct holders *holders,
	struct type_term *term, uint64_t now_ms) {
	size_t count;
	struct ttl_part *wishes = term_wishes(registry, type, holders, term, &count);
	const struct ttl_part *before = term->parts.items;
	size_t size = term->parts.count * sizeof(*before);
	struct ttl_part *kept = check_alloc(term->parts.count + 1, sizeof(*kept));
	if (size > 0)
		memcpy(kept, before, size);
	bool changed = ttl_parts_change(&term->parts, wishes, count, now_ms);
	struct span span = term_span(term);
	term_since(type, term, &span, now_ms);
	ttl_parts_rest(&term->parts, term->since_ms, now_ms);
	type->ttl.dirty |=
		size != term->parts.count * sizeof(*kept) || (size > 0 && memcmp(kept, term->parts.items, size) != 0);
	free(kept);
	free(wishes);
	return changed;
}

static void type_ttl_update(struct registry *registry, struct function_type *type, uint64_t now_ms) {
	struct holders holders = holders_of(registry, type);
	struct type_ttl *ttl = &type->ttl;
	bool changed = false;
	terms_know(registry, type, &holders);
	for (size_t i = 0; i < ttl->count; i++)
		changed |= term_update(registry, type, &holders, &ttl->terms[i], now_ms);
	for (size_t i = 0; i < ttl->count && changed; i++) {
		struct span span = term_span(&ttl->terms[i]);
		term_filed(type, &ttl->terms[i], &span);
	}
}

void types_ttl_update(struct registry *registry, uint64_t now_ms) {
	for (size_t i = 1; i < registry->type_count; i++)
		if (registry->types[i] != NULL)
			type_ttl_update(registry, registry->types[i], now_ms);
}

bool types_ttl_differ(struct registry *registry, const char *plugin) {
	uint64_t now_ms = engine_time_ms(registry->options.engine);
	bool differ = false;
	for (size_t i = 1; i < registry->type_count; i++) {
		struct function_type *type = registry->types[i];
		if (type == NULL || strcmp(type->plugin, plugin) != 0)
			continue;
		for (size_t k = 0; k < type->ttl.count; k++) {
			struct type_term *term = &type->ttl.terms[k];
			type->ttl.dirty |= ttl_parts_rest(&term->parts, term->since_ms, now_ms);
			differ |= term->parts.count > 1;
		}
	}
	return differ;
}
