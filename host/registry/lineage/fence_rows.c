/* The rows that become durable with a fence: what is live of a plugin, its versions, its types and when their state ends. */
#include <stdlib.h>

#include "base/check.h"
#include "registry/inside.h"
#include "state/key.h"

enum { LINEAGE_ROWS_MAX = 6 }; /* row 'W', and a row 'V' of each version that a change can touch */

struct rows {
	struct key *keys;
	struct buf *values;
	struct engine_row *rows;
	size_t count;
};

static struct buf *rows_add(struct rows *rows, struct key key) {
	rows->keys[rows->count] = key;
	return &rows->values[rows->count++];
}

static void rows_add_verdict(struct rows *rows, struct verdict *verdict) {
	struct key key = verdict != NULL ? key_verdict(verdict->hash) : (struct key){.size = 0};
	if (verdict == NULL)
		return;
	for (size_t i = 0; i < rows->count; i++)
		if (bytes_equal(key_bytes(&rows->keys[i]), key_bytes(&key)))
			return;
	verdict->time_ms = registry_wall_ms();
	verdict->written = true;
	verdict_write(rows_add(rows, key), verdict);
}

static void rows_add_lineage(struct rows *rows, struct lineage *lineage) {
	lineage_write(rows_add(rows, lineage_key(lineage)), lineage);
	rows_add_verdict(rows, lineage->now.base);
	rows_add_verdict(rows, lineage->now.canary);
	rows_add_verdict(rows, lineage->before.base);
	rows_add_verdict(rows, lineage->before.canary);
	for (size_t i = 0; i < lineage->type_count; i++)
		type_write(rows_add(rows, key_type(lineage->types[i]->number)), lineage->types[i]);
}

struct rows *rows_create(struct registry *registry, struct lineage *lineage) {
	struct rows *rows = check_alloc(1, sizeof(*rows));
	size_t max = LINEAGE_ROWS_MAX + registry->type_count + (lineage == NULL ? 0 : lineage->type_count);
	rows->keys = check_alloc(max, sizeof(*rows->keys));
	rows->values = check_alloc(max, sizeof(*rows->values));
	rows->rows = check_alloc(max, sizeof(*rows->rows));
	if (lineage != NULL)
		rows_add_lineage(rows, lineage);
	for (size_t i = 1; i < registry->type_count; i++) {
		struct function_type *type = registry->types[i];
		if (type == NULL || !type->ttl.dirty)
			continue;
		type->ttl.dirty = false;
		type_ttl_write(rows_add(rows, key_ttl(type->number)), type);
	}
	check(rows->count <= max);
	for (size_t i = 0; i < rows->count; i++)
		rows->rows[i] = (struct engine_row){.key = key_bytes(&rows->keys[i]), .value = bytes_buf(&rows->values[i])};
	return rows;
}

const struct engine_row *rows_all(const struct rows *rows) {
	return rows->rows;
}

size_t rows_count(const struct rows *rows) {
	return rows->count;
}

void rows_destroy(struct rows *rows) {
	for (size_t i = 0; i < rows->count; i++)
		buf_finish(&rows->values[i]);
	free(rows->keys);
	free(rows->values);
	free(rows->rows);
	free(rows);
}
