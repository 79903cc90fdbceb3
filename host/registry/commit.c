/* Rows of plugins on their way to being durable, one behind the other, and fences between them. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "registry/inside.h"
#include "state/key.h"

static void commit_unlink(struct commit *commit) {
	struct commit **place = &commit->registry->commits;
	while (*place != commit)
		place = &(*place)->next;
	*place = commit->next;
}

/* Rows that wait for a fence. They and a fence's own rows would come in no order: so there is never one of each on the way. */
struct held_rows {
	struct held_rows *next;
	struct commit *commit;
	struct engine_row *rows;
	size_t count;
	struct buf bytes; /* keys and values, back to back */
};

static void held_free(struct held_rows *held) {
	buf_finish(&held->bytes);
	free(held->rows);
	free(held);
}

static void rows_hold(struct registry *registry, struct commit *commit, const struct engine_row *rows, size_t count) {
	struct held_rows *held = check_alloc(1, sizeof(*held));
	struct held_rows **place = &registry->held;
	while (*place != NULL)
		place = &(*place)->next;
	*place = held;
	held->commit = commit;
	held->count = count;
	held->rows = check_alloc(count + 1, sizeof(*held->rows));
	for (size_t i = 0; i < count; i++) {
		buf_append_bytes(&held->bytes, rows[i].key);
		buf_append_bytes(&held->bytes, rows[i].value);
	}
	const uint8_t *at = held->bytes.data;
	for (size_t i = 0; i < count; i++) {
		held->rows[i].key = bytes_of(at, rows[i].key.size);
		held->rows[i].value = bytes_of(at + rows[i].key.size, rows[i].value.size);
		held->rows[i].remove = rows[i].remove;
		at += rows[i].key.size + rows[i].value.size;
	}
}

void rows_release(struct registry *registry) {
	while (registry->held != NULL) {
		struct held_rows *held = registry->held;
		registry->held = held->next;
		engine_commit_rows(registry->options.engine, held->commit->token, held->rows, held->count);
		held_free(held);
	}
}

static void commit_answered(void *arg, const struct engine_answer *answer) {
	struct commit *commit = arg;
	commit_unlink(commit);
	if (answer->code != ERROR_NONE)
		log_event(LOG_WARN, "plugin_row_not_durable", "reason=%s", error_code_name(answer->code));
	bool good = answer->code == ERROR_NONE;
	if (!commit->registry->stopped && commit->then != NULL)
		commit->then(commit->arg, good);
	if (!commit->registry->stopped && commit->fence_then != NULL)
		commit->fence_then(commit->arg, answer->number, good);
	struct registry *registry = commit->registry;
	free(commit);
	if (!registry->stopped && registry->commits == NULL)
		fence_next(registry);
}

static struct commit *commit_open(struct registry *registry, void *arg) {
	struct commit *commit = check_alloc(1, sizeof(*commit));
	*commit = (struct commit){.next = registry->commits, .registry = registry, .arg = arg};
	registry->commits = commit;
	commit->token = request_open(registry->options.requests, commit_answered, commit);
	return commit;
}

void rows_commit(struct registry *registry, const struct engine_row *rows, size_t count, commit_then *then, void *arg) {
	struct commit *commit = commit_open(registry, arg);
	commit->then = then;
	if (registry->fencing)
		rows_hold(registry, commit, rows, count);
	else
		engine_commit_rows(registry->options.engine, commit->token, rows, count);
}

void types_commit(struct registry *registry, struct function_type *const *types, size_t count) {
	for (size_t i = 0; i < count; i++) {
		struct key key = key_type(types[i]->number);
		struct buf value = {0};
		type_write(&value, types[i]);
		const struct engine_row row = {.key = key_bytes(&key), .value = bytes_buf(&value)};
		rows_commit(registry, &row, 1, NULL, NULL);
		buf_finish(&value);
	}
}

void fence_commit(struct registry *registry, const struct engine_fence *order, fence_then *then, void *arg) {
	struct commit *commit = commit_open(registry, arg);
	check(commit->next == NULL);
	commit->fence_then = then;
	engine_fence(registry->options.engine, commit->token, order);
}

void commits_forget(struct registry *registry) {
	while (registry->held != NULL) {
		struct held_rows *held = registry->held;
		registry->held = held->next;
		held_free(held);
	}
	while (registry->commits != NULL) {
		struct commit *commit = registry->commits;
		request_cancel(registry->options.requests, commit->token);
		commit_unlink(commit);
		free(commit);
	}
}

/* The oldest refusal, or NULL: what is live, or may come back, is never forgotten. */
static struct verdict *verdict_oldest(const struct registry *registry, const struct verdict *but) {
	struct verdict *oldest = NULL;
	for (size_t i = 0; i < registry->verdict_count; i++) {
		struct verdict *verdict = registry->verdicts[i];
		if (verdict == but || (verdict->state != VERDICT_REFUSED && verdict->state != VERDICT_RETIRED))
			continue;
		bool held = false;
		for (const struct plugin *plugin = registry->plugins; plugin != NULL; plugin = plugin->next)
			held = held || plugin->verdict == verdict;
		for (const struct lineage *lineage = registry->lineages; lineage != NULL; lineage = lineage->next)
			held = held || lineage->previous == verdict;
		if (!held && verdict->written && (oldest == NULL || verdict->time_ms < oldest->time_ms))
			oldest = verdict;
	}
	return oldest;
}

static void verdict_forget(struct registry *registry, struct verdict *verdict) {
	size_t place = 0;
	while (registry->verdicts[place] != verdict)
		place++;
	registry->verdicts[place] = registry->verdicts[--registry->verdict_count];
	verdict_destroy(verdict);
}

void verdict_commit(struct registry *registry, struct verdict *verdict, struct function_type *const *types,
	size_t type_count, commit_then *then, void *arg) {
	size_t count = 0;
	struct engine_row *rows = check_alloc(type_count + 2, sizeof(*rows));
	struct key *keys = check_alloc(type_count + 2, sizeof(*keys));
	struct buf *values = check_alloc(type_count + 2, sizeof(*values));
	struct verdict *oldest = registry->verdict_count > VERDICTS_MAX ? verdict_oldest(registry, verdict) : NULL;
	verdict->time_ms = registry_wall_ms();
	verdict->written = true;
	keys[count] = key_verdict(verdict->hash);
	verdict_write(&values[count++], verdict);
	for (size_t i = 0; i < type_count; i++) {
		keys[count] = key_type(types[i]->number);
		type_write(&values[count++], types[i]);
	}
	if (oldest != NULL)
		keys[count++] = key_verdict(oldest->hash);
	for (size_t i = 0; i < count; i++)
		rows[i] = (struct engine_row){.key = key_bytes(&keys[i]), .value = bytes_buf(&values[i])};
	rows[count - 1].remove = oldest != NULL;
	rows_commit(registry, rows, count, then, arg);
	for (size_t i = 0; i < count; i++)
		buf_finish(&values[i]);
	free(values);
	free(keys);
	free(rows);
	if (oldest != NULL)
		verdict_forget(registry, oldest);
}
