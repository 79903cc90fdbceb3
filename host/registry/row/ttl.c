/* Row 't': when the state of a type ends by itself. */
#include "base/check.h"
#include "registry/inside.h"
#include "state/key.h"
#include "wire/cursor.h"
#include "wire/pack.h"

enum { TTL_ROW_FIELDS = 3, TERM_FIELDS = 6, PART_FIELDS = 8 };
/* Rows of before ids could have different times. */
enum { WHOLE_ROW_FIELDS = 4, WHOLE_TERM_FIELDS = 9 };

static bool term_says(const struct type_term *term) {
	bool declared = false;
	for (size_t i = 0; i < term->parts.count; i++)
		declared |= term->parts.items[i].declared_ms > 0;
	return declared || term->command_ms != TTL_UNSET || term->since_ms > 0;
}

static void part_write(struct buf *row, const struct ttl_part *part) {
	pack_array(row, PART_FIELDS);
	pack_uint(row, part->until);
	pack_uint(row, part->declared_ms);
	pack_uint(row, part->ms);
	pack_uint(row, part->from_ms);
	pack_uint(row, part->vague_ms);
	pack_uint(row, part->past.ms);
	pack_uint(row, part->past.from_ms);
	pack_uint(row, part->past.until_ms);
}

static void term_write(struct buf *row, const struct type_term *term) {
	pack_array(row, TERM_FIELDS);
	pack_text(row, term->value);
	pack_uint(row, term->kind);
	if (term->command_ms == TTL_UNSET)
		pack_nil(row);
	else
		pack_uint(row, term->command_ms);
	pack_uint(row, term->since_ms);
	pack_uint(row, term->filed_ms);
	pack_array(row, (uint32_t)term->parts.count);
	for (size_t i = 0; i < term->parts.count; i++)
		part_write(row, &term->parts.items[i]);
}

void type_ttl_write(struct buf *row, const struct function_type *type) {
	const struct type_ttl *ttl = &type->ttl;
	uint32_t count = 0;
	for (size_t i = 0; i < ttl->count; i++)
		count += term_says(&ttl->terms[i]);
	pack_array(row, TTL_ROW_FIELDS);
	pack_bool(row, ttl->files);
	pack_uint(row, ttl->files_below);
	pack_array(row, count);
	for (size_t i = 0; i < ttl->count; i++)
		if (term_says(&ttl->terms[i]))
			term_write(row, &ttl->terms[i]);
}

/* Each ends behind the one before; a past is one that can have ended something. */
static bool part_read(struct cursor *cursor, struct ttl_parts *parts) {
	uint32_t count;
	uint64_t from = parts->count == 0 ? 0 : parts->items[parts->count - 1].until;
	struct ttl_part *part = ttl_parts_add(parts);
	return cursor_read_array(cursor, &count) && count == PART_FIELDS && cursor_read_uint(cursor, &part->until) &&
		part->until > from && part->until <= SPLIT_WHOLE && cursor_read_uint(cursor, &part->declared_ms) &&
		cursor_read_uint(cursor, &part->ms) && cursor_read_uint(cursor, &part->from_ms) &&
		cursor_read_uint(cursor, &part->vague_ms) && cursor_read_uint(cursor, &part->past.ms) &&
		cursor_read_uint(cursor, &part->past.from_ms) && cursor_read_uint(cursor, &part->past.until_ms) &&
		part->past.ms <= part->past.until_ms;
}

static bool parts_read(struct cursor *cursor, struct ttl_parts *parts) {
	uint32_t count;
	if (!cursor_read_array(cursor, &count) || count > TTL_PARTS_MAX)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!part_read(cursor, parts))
			return false;
	return count == 0 || parts->items[count - 1].until == SPLIT_WHOLE;
}

/* One time for all ids, or none that was known, and what had ended by an earlier one. */
static bool whole_read(struct cursor *cursor, struct type_term *term, uint64_t declared_ms) {
	uint64_t ended_ms, held_ms;
	struct ttl_part *part = ttl_parts_add(&term->parts);
	*part = (struct ttl_part){.until = SPLIT_WHOLE, .declared_ms = declared_ms};
	if (!cursor_read_uint(cursor, &ended_ms) || !cursor_read_uint(cursor, &part->past.ms) ||
		!cursor_read_uint(cursor, &held_ms) || !cursor_read_uint(cursor, &term->filed_ms))
		return false;
	part->ms = held_ms == UINT64_MAX ? 0 : held_ms;
	part->past.until_ms = part->past.ms == 0 ? 0 : ended_ms + part->past.ms;
	part->vague_ms = part->past.until_ms;
	return true;
}

static bool command_read(struct cursor *cursor, struct type_term *term) {
	return cursor_read_nil(cursor) || cursor_read_uint(cursor, &term->command_ms);
}

static bool term_read(struct cursor *cursor, struct function_type *type) {
	uint32_t count;
	uint64_t kind;
	uint64_t declared_ms = 0;
	struct bytes value;
	if (!cursor_read_array(cursor, &count) || (count != TERM_FIELDS && count != WHOLE_TERM_FIELDS) ||
		!cursor_read_str(cursor, &value) || !cursor_read_uint(cursor, &kind) || kind >= TTL_KINDS ||
		(kind != TTL_IDLE && !ttl_value_valid(value)) || type_term_find(type, value, (enum ttl_kind)kind) != NULL)
		return false;
	struct type_term *term = type_term_get(type, value, (enum ttl_kind)kind);
	if (count == WHOLE_TERM_FIELDS)
		return cursor_read_uint(cursor, &declared_ms) && command_read(cursor, term) &&
			cursor_read_uint(cursor, &term->since_ms) && whole_read(cursor, term, declared_ms);
	return command_read(cursor, term) && cursor_read_uint(cursor, &term->since_ms) &&
		cursor_read_uint(cursor, &term->filed_ms) && parts_read(cursor, &term->parts);
}

static bool ttl_read(struct cursor *cursor, struct function_type *type) {
	uint32_t count;
	uint32_t terms;
	uint64_t shape; /* a sum over all times, that nobody needs */
	struct type_ttl *ttl = &type->ttl;
	if (!cursor_read_array(cursor, &count) || count < TTL_ROW_FIELDS ||
		(count == WHOLE_ROW_FIELDS && !cursor_read_uint(cursor, &shape)) || !cursor_read_bool(cursor, &ttl->files) ||
		!cursor_read_uint(cursor, &ttl->files_below) || !cursor_read_array(cursor, &terms))
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
	return row_malformed(error, KEY_TTL);
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
