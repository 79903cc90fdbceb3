/* Row 'T': a function type and all schemas that it ever had. */
#include "plugin/manifest.h"
#include "registry/inside.h"
#include "wire/pack.h"

enum { TYPE_FIELDS = 6, TYPE_FIELDS_MIN = 4 };

static void type_values_write(struct buf *row, const struct type_schema *schema) {
	pack_array(row, schema->value_count);
	for (uint32_t i = 0; i < schema->value_count; i++) {
		pack_array(row, 2);
		pack_text(row, schema->values[i]);
		pack_uint(row, schema->kinds[i]);
	}
}

void type_write(struct buf *row, const struct function_type *type) {
	pack_array(row, TYPE_FIELDS);
	pack_text(row, type->name);
	pack_text(row, type->plugin);
	pack_uint(row, type->schema);
	type_values_write(row, type_schema_find(type, type->schema));
	pack_array(row, (uint32_t)type->schema_count - 1);
	for (size_t i = 0; i < type->schema_count; i++) {
		const struct type_schema *schema = type->schemas[i];
		if (schema->schema == type->schema)
			continue;
		pack_array(row, 2);
		pack_uint(row, schema->schema);
		type_values_write(row, schema);
	}
	pack_bool(row, type->eager);
}

static bool type_values_read(struct cursor *cursor, struct function_type *type, uint64_t number) {
	uint32_t count;
	uint32_t pair;
	uint64_t kind;
	if (number == 0 || number > UINT32_MAX || type_schema_find(type, (uint32_t)number) != NULL ||
		!cursor_read_array(cursor, &count) || count > MANIFEST_VALUES_MAX)
		return false;
	struct type_schema *schema = type_schema_create((uint32_t)number, count);
	type_schema_put(type, schema);
	for (uint32_t i = 0; i < count; i++) {
		if (!cursor_read_array(cursor, &pair) || pair != 2 || !row_read_new_text(cursor, &schema->values[i]) ||
			!cursor_read_uint(cursor, &kind) || kind > UINT32_MAX)
			return false;
		schema->kinds[i] = (uint32_t)kind;
	}
	return true;
}

/* Rows of before there were migrations end before these. */
static bool type_others_read(struct cursor *cursor, struct function_type *type) {
	uint32_t count;
	uint32_t pair;
	uint64_t number;
	if (!cursor_read_array(cursor, &count))
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!cursor_read_array(cursor, &pair) || pair != 2 || !cursor_read_uint(cursor, &number) ||
			!type_values_read(cursor, type, number))
			return false;
	return cursor_read_bool(cursor, &type->eager);
}

bool type_read(struct registry *registry, struct bytes key, struct bytes value, struct error *error) {
	struct cursor cursor = cursor_of(value);
	char name[MANIFEST_TYPE_BYTES_MAX + 1];
	uint32_t count;
	uint64_t schema;
	uint16_t number = key.size == 3 ? (uint16_t)((uint32_t)key.data[1] << 8 | key.data[2]) : 0;
	if (number == 0 || number >= TYPES_MAX || !cursor_read_array(&cursor, &count) || count < TYPE_FIELDS_MIN ||
		!row_read_text(&cursor, name, sizeof(name)))
		return row_malformed(error, KEY_TYPE);
	struct function_type *type = type_add(registry, number, name);
	if (!row_read_new_text(&cursor, &type->plugin) || !cursor_read_uint(&cursor, &schema) ||
		!type_values_read(&cursor, type, schema) || (count >= TYPE_FIELDS && !type_others_read(&cursor, type)))
		return row_malformed(error, KEY_TYPE);
	type->schema = (uint32_t)schema;
	return true;
}
