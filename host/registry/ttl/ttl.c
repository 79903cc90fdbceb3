/* When state of a type ends by itself: what its versions declare, settings above that, the command above both. A change of
 * any of them is a fence, like a change of versions: every shard goes by it from one epoch on, and the rows 't' that say
 * since when are durable with the epoch before. Rows of instances are not touched: whoever looks at one works its end out
 * anew. Only the entries by which the sweep finds it may come too late then, or be missing: type/migrate.c files those
 * in the background. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "base/near.h"
#include "flow/request/answer_error.h"
#include "registry/inside.h"

/* ---- terms ---- */

struct type_term *type_term_find(const struct function_type *type, struct bytes value, enum ttl_kind kind) {
	for (size_t i = 0; i < type->ttl.count; i++) {
		struct type_term *term = &type->ttl.terms[i];
		if (term->kind == kind && bytes_equal(bytes_text(term->value), value))
			return term;
	}
	return NULL;
}

struct type_term *type_term_get(struct function_type *type, struct bytes value, enum ttl_kind kind) {
	struct type_term *term = type_term_find(type, value, kind);
	if (term != NULL)
		return term;
	struct type_ttl *ttl = &type->ttl;
	ttl->terms = realloc(ttl->terms, (ttl->count + 1) * sizeof(*ttl->terms));
	check_memory(ttl->terms);
	term = &ttl->terms[ttl->count++];
	*term = (struct type_term){.kind = kind, .command_ms = TTL_UNSET, .value = check_alloc(1, value.size + 1)};
	bytes_copy((uint8_t *)term->value, value.data, value.size);
	return term;
}

void type_ttl_finish(struct function_type *type) {
	for (size_t i = 0; i < type->ttl.count; i++) {
		free(type->ttl.terms[i].value);
		ttl_parts_finish(&type->ttl.terms[i].parts);
	}
	free(type->ttl.terms);
	type->ttl = (struct type_ttl){0};
}

uint64_t type_term_declared_ms(const struct type_term *term) {
	const struct ttl_parts *parts = &term->parts;
	return parts->count == 0 ? 0 : parts->items[parts->count - 1].declared_ms;
}

/* The command, else the settings, else what a plugin declares. */
uint64_t type_effective_ms(const struct registry *registry, const struct function_type *type, struct bytes value,
	enum ttl_kind kind, uint64_t declared_ms) {
	const struct type_term *term = type_term_find(type, value, kind);
	if (term != NULL && term->command_ms != TTL_UNSET)
		return term->command_ms;
	const struct ttl_rule *rule = ttl_rules_find(&registry->options.config->ttl, bytes_text(type->name), value, kind);
	return rule != NULL ? rule->ms : declared_ms;
}

/* ---- for views and readers ---- */

static struct ttl_term term_of(
	const struct function_type *type, struct bytes value, enum ttl_kind kind, uint64_t hash) {
	const struct type_term *term = type_term_find(type, value, kind);
	return term == NULL ? (struct ttl_term){0} : ttl_parts_term(&term->parts, term->since_ms, hash);
}

static struct ttl *schema_ttl(const struct function_type *type, const struct type_schema *schema, uint64_t hash) {
	struct ttl *ttl = ttl_create(schema->schema, schema->value_count);
	ttl->idle = term_of(type, bytes_of(NULL, 0), TTL_IDLE, hash);
	for (uint32_t i = 0; i < schema->value_count; i++) {
		struct bytes name = bytes_text(schema->values[i]);
		struct ttl_value *value = &ttl->values[i];
		value->after_write = term_of(type, name, TTL_AFTER_WRITE, hash);
		value->after_invoke = term_of(type, name, TTL_AFTER_INVOKE, hash);
		ttl->values_expire |= value->after_write.since_ms > 0 || value->after_invoke.since_ms > 0;
	}
	return ttl;
}

/* Of an id with that hash: by the names of values, so that it is the same whichever schema the instance has. */
static struct ttl *hash_ttl(const struct function_type *type, uint64_t hash) {
	struct ttl *first = NULL;
	for (size_t i = 0; i < type->schema_count; i++) { /* the newest one first */
		struct ttl *ttl = schema_ttl(type, type->schemas[i], hash);
		ttl->next = first;
		first = ttl;
	}
	return first;
}

/* The least end of a part that is behind `from`. */
static uint64_t range_until(const struct function_type *type, uint64_t from) {
	uint64_t until = SPLIT_WHOLE;
	for (size_t i = 0; i < type->ttl.count; i++) {
		const struct ttl_parts *parts = &type->ttl.terms[i].parts;
		for (size_t k = 0; k < parts->count; k++)
			if (parts->items[k].until > from && parts->items[k].until < until)
				until = parts->items[k].until;
	}
	return until;
}

static bool type_counts(const struct function_type *type) {
	bool counts = false;
	for (size_t i = 0; i < type->ttl.count; i++)
		counts |= type->ttl.terms[i].since_ms > 0;
	return counts;
}

struct ttl_map *type_ttl_map(const struct function_type *type) {
	size_t count = 0;
	if (!type_counts(type))
		return NULL;
	for (uint64_t until = 0; until < SPLIT_WHOLE; until = range_until(type, until))
		count++;
	struct ttl_map *map = ttl_map_create(count);
	uint64_t from = 0;
	for (size_t i = 0; i < count; i++) {
		map->ranges[i] = (struct ttl_range){range_until(type, from), hash_ttl(type, from)};
		from = map->ranges[i].until;
	}
	return map;
}

const sofun_function *image_function(const struct image *image, const char *type) {
	for (size_t i = 0; i < image->manifest.function_count; i++)
		if (strcmp(image->facts.functions[i].type, type) == 0)
			return &image->facts.functions[i];
	return NULL;
}

/* ---- a change of rules ---- */

struct ttl_waiter {
	struct ttl_waiter *next;
	bool asked; /* its fence is on its way */
	void (*done)(void *arg, const struct error *error);
	void *arg;
};

static void waiters_answer(struct registry *registry, const struct error *error) {
	struct ttl_waiter **place = &registry->ttl_waiters;
	while (*place != NULL) {
		struct ttl_waiter *waiter = *place;
		if (!waiter->asked && error == NULL) {
			place = &waiter->next;
			continue;
		}
		*place = waiter->next;
		waiter->done(waiter->arg, error);
		free(waiter);
	}
}

static void fence_answered(void *arg, uint64_t epoch, bool good) {
	struct registry *registry = arg;
	struct error error;
	if (good) {
		log_event(LOG_INFO, "ttl_fence", "epoch=%llu", (unsigned long long)epoch);
		fence_over(registry);
		registry_migrate_wake(registry);
	}
	error_set(&error, ERROR_STORE_FAILED, "the change is not durable");
	waiters_answer(registry, good ? NULL : &error);
}

void ttl_fence_ask(struct registry *registry) {
	if (!registry->ttl_due || registry->fencing || registry->commits != NULL || registry->stopped)
		return;
	registry->ttl_due = false;
	registry->fencing = true;
	registry->publish_due = false; /* this view shows it */
	for (struct ttl_waiter *waiter = registry->ttl_waiters; waiter != NULL; waiter = waiter->next)
		waiter->asked = true;
	types_ttl_update(registry, engine_fence_time_ms(registry->options.engine));
	struct rows *rows = rows_create(registry, NULL);
	const struct engine_fence order = {
		.view = registry_view(registry),
		.rows = rows_all(rows),
		.row_count = rows_count(rows),
		.fence_offset = FENCE_NOWHERE,
	};
	fence_commit(registry, &order, fence_answered, registry);
	rows_destroy(rows);
}

static void change_ask(struct registry *registry, void (*done)(void *arg, const struct error *error), void *arg) {
	struct ttl_waiter **place = &registry->ttl_waiters;
	while (*place != NULL)
		place = &(*place)->next;
	if (done != NULL) {
		*place = check_alloc(1, sizeof(**place));
		**place = (struct ttl_waiter){.done = done, .arg = arg};
	}
	registry->ttl_due = true;
	ttl_fence_ask(registry);
}

void registry_ttl_changed(struct registry *registry, void (*done)(void *arg, const struct error *error), void *arg) {
	if (registry->settled) /* else it is told then */
		ttl_undeclared_tell(registry);
	change_ask(registry, done, arg);
}

void ttl_waiters_stop(struct registry *registry) {
	struct error error;
	answer_error(&(struct engine_answer){.code = ERROR_STOPPING}, &error);
	waiters_answer(registry, &error);
}

/* ---- the command ---- */

bool type_value_declared(const struct function_type *type, struct bytes name) {
	for (size_t i = 0; i < type->schema_count; i++)
		for (uint32_t k = 0; k < type->schemas[i]->value_count; k++)
			if (bytes_equal(bytes_text(type->schemas[i]->values[k]), name))
				return true;
	return false;
}

static bool value_missing(const struct function_type *type, struct bytes name, struct error *error) {
	char room[NEAR_QUESTION_BYTES];
	struct near near = near_begin(name);
	for (size_t i = 0; i < type->schema_count; i++)
		for (uint32_t k = 0; k < type->schemas[i]->value_count; k++)
			near_offer(&near, type->schemas[i]->values[k]);
	error_set(error, ERROR_NOT_FOUND, "%s has no value of that name", type->name);
	error_found_text(error, name.data, name.size);
	error_expected(error, "a value that some version declares");
	error_hint(error, "%s`sofun ttl %s` lists its values", near_question(&near, room), type->name);
	return false;
}

static bool order_good(const struct function_type *type, const struct registry_ttl_order *order, struct error *error) {
	for (size_t i = 0; i < order->count; i++) {
		const struct registry_ttl_term *term = &order->terms[i];
		if (term->kind == TTL_IDLE || type_value_declared(type, term->value))
			continue;
		return value_missing(type, term->value, error);
	}
	return true;
}

bool registry_ttl_set(struct registry *registry, struct bytes name, const struct registry_ttl_order *order,
	void (*done)(void *arg, const struct error *error), void *arg, struct error *error) {
	struct function_type *type = type_find(registry, name);
	if (type == NULL) {
		answer_error(&(struct engine_answer){.code = ERROR_UNKNOWN_TYPE, .type = name}, error);
		return error_hint(error, "GET /v1/plugins lists the function types"), false;
	}
	if (!order_good(type, order, error))
		return false;
	for (size_t i = 0; order->clear && i < type->ttl.count; i++)
		type->ttl.terms[i].command_ms = TTL_UNSET;
	for (size_t i = 0; i < order->count; i++)
		type_term_get(type, order->terms[i].value, order->terms[i].kind)->command_ms = order->terms[i].ms;
	type->ttl.dirty = true;
	change_ask(registry, done, arg);
	return true;
}

static void term_show(const struct registry *registry, const struct function_type *type, struct bytes value,
	enum ttl_kind kind, void (*each)(void *arg, const struct registry_ttl_shown *shown), void *arg) {
	const struct type_term *term = type_term_find(type, value, kind);
	const struct ttl_rule *rule = ttl_rules_find(&registry->options.config->ttl, bytes_text(type->name), value, kind);
	struct registry_ttl_shown shown = {
		.value = value,
		.kind = kind,
		.declared_ms = term == NULL ? 0 : type_term_declared_ms(term),
		.settings_ms = rule == NULL ? TTL_UNSET : rule->ms,
		.command_ms = term == NULL ? TTL_UNSET : term->command_ms,
		.since_ms = term == NULL ? 0 : term->since_ms,
	};
	shown.ms = type_effective_ms(registry, type, value, kind, shown.declared_ms);
	each(arg, &shown);
}

bool registry_ttl_each(const struct registry *registry, struct bytes name,
	void (*each)(void *arg, const struct registry_ttl_shown *shown), void *arg) {
	const struct function_type *type = type_find(registry, name);
	if (type == NULL)
		return false;
	const struct type_schema *schema = type_schema_find(type, type->schema);
	term_show(registry, type, bytes_of(NULL, 0), TTL_IDLE, each, arg);
	for (uint32_t i = 0; i < schema->value_count; i++) {
		term_show(registry, type, bytes_text(schema->values[i]), TTL_AFTER_WRITE, each, arg);
		term_show(registry, type, bytes_text(schema->values[i]), TTL_AFTER_INVOKE, each, arg);
	}
	return true;
}

bool registry_ttl_files(const struct registry *registry, struct bytes name) {
	const struct function_type *type = type_find(registry, name);
	return type != NULL && type->ttl.files;
}
