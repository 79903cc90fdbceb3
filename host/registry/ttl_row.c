/* Row 't' of the runtime database; its grammar is plugin/FORMAT.md. */
#include "base/check.h"
#include "registry/inside.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum { TTL_ROW_FIELDS = 4, TERM_FIELDS = 9 };

static bool term_says(const struct type_term *term) {
	return term->declared_ms > 0 || term->command_ms != TTL_UNSET || term->since_ms > 0;
}

void type_ttl_write(struct buf *row, const struct function_type *type) {
	const struct type_ttl *ttl = &type->ttl;
	uint32_t count = 0;
	for (size_t i = 0; i < ttl->count; i++)
		count += term_says(&ttl->terms[i]);
	pack_array(row, TTL_ROW_FIELDS);
	pack_uint(row, ttl->shape);
	pack_bool(row, ttl->files);
	pack_uint(row, ttl->files_below);
	pack_array(row, count);
	for (size_t i = 0; i < ttl->count; i++) {
		const struct type_term *term = &ttl->terms[i];
		if (!term_says(term))
			continue;
		pack_array(row, TERM_FIELDS);
		pack_text(row, term->value);
		pack_uint(row, term->kind);
		pack_uint(row, term->declared_ms);
		if (term->command_ms == TTL_UNSET)
			pack_nil(row);
		else
			pack_uint(row, term->command_ms);
		pack_uint(row, term->since_ms);
		pack_uint(row, term->ended_ms);
		pack_uint(row, term->ended_by_ms);
		pack_uint(row, term->held_ms);
		pack_uint(row, term->filed_ms);
	}
}

static bool term_read(struct cursor *cursor, struct function_type *type) {
	uint32_t count;
	uint64_t kind;
	struct bytes value;
	if (!cursor_read_array(cursor, &count) || count != TERM_FIELDS || !cursor_read_str(cursor, &value) ||
		!cursor_read_uint(cursor, &kind) || kind >= TTL_KINDS || (kind != TTL_IDLE && !ttl_value_valid(value)) ||
		type_term_find(type, value, (enum ttl_kind)kind) != NULL)
		return false;
	struct type_term *term = type_term_get(type, value, (enum ttl_kind)kind);
	return cursor_read_uint(cursor, &term->declared_ms) &&
		(cursor_read_nil(cursor) || cursor_read_uint(cursor, &term->command_ms)) &&
		cursor_read_uint(cursor, &term->since_ms) && cursor_read_uint(cursor, &term->ended_ms) &&
		cursor_read_uint(cursor, &term->ended_by_ms) && cursor_read_uint(cursor, &term->held_ms) &&
		cursor_read_uint(cursor, &term->filed_ms);
}

static bool ttl_read(struct cursor *cursor, struct function_type *type) {
	uint32_t count;
	uint32_t terms;
	struct type_ttl *ttl = &type->ttl;
	if (!cursor_read_array(cursor, &count) || count < TTL_ROW_FIELDS || !cursor_read_uint(cursor, &ttl->shape) ||
		!cursor_read_bool(cursor, &ttl->files) || !cursor_read_uint(cursor, &ttl->files_below) ||
		!cursor_read_array(cursor, &terms))
		return false;
	for (uint32_t i = 0; i < terms; i++)
		if (!term_read(cursor, type))
			return false;
	return true;
}

bool type_ttl_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error) {
	struct cursor cursor = cursor_of(value);
	uint16_t number = key.size == 3 ? (uint16_t)((uint32_t)key.data[1] << 8 | key.data[2]) : 0;
	if (number < registry->type_count && registry->types[number] != NULL && registry->types[number]->ttl.count == 0 &&
		ttl_read(&cursor, registry->types[number]))
		return true;
	error_set(error, ERROR_STORE_FAILED, "a row '%c' of the runtime database is malformed", KEY_TTL);
	error_hint(error, "run `sofund --verify` on the data directory");
	return false;
}

void type_ttl_commit(struct registry *registry, struct function_type *type) {
	struct key key = key_ttl(type->number);
	struct buf value = {0};
	type_ttl_write(&value, type);
	const struct engine_row row = {.key = key_bytes(&key), .value = bytes_buf(&value)};
	type->ttl.dirty = false;
	rows_commit(registry, &row, 1, NULL, NULL);
	buf_finish(&value);
}

void types_ttl_commit(struct registry *registry) {
	for (size_t i = 1; i < registry->type_count; i++)
		if (registry->types[i] != NULL && registry->types[i]->ttl.dirty)
			type_ttl_commit(registry, registry->types[i]);
}
