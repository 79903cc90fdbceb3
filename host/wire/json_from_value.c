/* MessagePack to JSON. The value is checked once as a whole; behind that no reader can fail. */
#include <math.h>

#include "base/check.h"
#include "wire/cursor.h"
#include "wire/json.h"
#include "wire/json_escape.h"

static json_t *next_json(struct cursor *cursor);

static json_t *string_json(struct bytes text) {
	json_t *json = json_stringn_nocheck(text.size == 0 ? "" : (const char *)text.data, text.size);
	check_memory(json);
	return json;
}

static json_t *pair_json(json_t *key, json_t *value) {
	json_t *pair = json_array();
	check_memory(pair);
	check(json_array_append_new(pair, key) == 0 && json_array_append_new(pair, value) == 0);
	return pair;
}

/* The object's members as [[key,value],…]; takes the object. */
static json_t *object_to_pairs(json_t *object) {
	json_t *pairs = json_array();
	check_memory(pairs);
	const char *key;
	size_t size;
	json_t *value;
	json_object_keylen_foreach(object, key, size, value)
		check(json_array_append_new(pairs, pair_json(string_json(bytes_of(key, size)), json_incref(value))) == 0);
	json_decref(object);
	return pairs;
}

/* True: the item can be a member's name of this object. */
static bool key_fits(const json_t *object, const struct cursor_item *item) {
	return (item->kind == CURSOR_STR || item->kind == CURSOR_BIN) && bytes_utf8(item->bytes) &&
		(item->bytes.size == 0 || memchr(item->bytes.data, '\0', item->bytes.size) == NULL) &&
		json_object_getn(object, item->bytes.size == 0 ? "" : (const char *)item->bytes.data, item->bytes.size) == NULL;
}

static void member_add(json_t *object, struct bytes key, json_t *value) {
	check(json_object_setn_new_nocheck(object, key.size == 0 ? "" : (const char *)key.data, key.size, value) == 0);
}

/* An object as long as the keys allow it; from the first that does not, pairs. */
static json_t *map_json(struct cursor *cursor, uint32_t count) {
	json_t *object = json_object();
	check_memory(object);
	json_t *pairs = NULL;
	struct bytes key = {0};
	for (uint32_t i = 0; i < count; i++) {
		struct cursor ahead = *cursor;
		struct cursor_item item;
		check(cursor_next(&ahead, &item));
		if (pairs == NULL && key_fits(object, &item)) {
			*cursor = ahead;
			key = item.bytes;
			member_add(object, key, next_json(cursor));
			continue;
		}
		if (pairs == NULL)
			pairs = object_to_pairs(object);
		json_t *name = next_json(cursor);
		check(json_array_append_new(pairs, pair_json(name, next_json(cursor))) == 0);
	}
	if (pairs == NULL && count == 1 && json_escape_named((const char *)key.data, key.size) != JSON_ESCAPE_NONE)
		pairs = object_to_pairs(object);
	if (pairs == NULL)
		return object;
	json_t *escape = json_object();
	check_memory(escape);
	check(json_object_set_new_nocheck(escape, "map", pairs) == 0);
	return escape;
}

static json_t *array_json(struct cursor *cursor, uint32_t count) {
	json_t *array = json_array();
	check_memory(array);
	for (uint32_t i = 0; i < count; i++)
		check(json_array_append_new(array, next_json(cursor)) == 0);
	return array;
}

/* NULL: JSON has no word for this scalar. */
static json_t *scalar_json(const struct cursor_item *item) {
	switch (item->kind) {
	case CURSOR_NIL:
		return json_null();
	case CURSOR_BOOL:
		return json_boolean(item->truth);
	case CURSOR_UINT:
		return item->uint <= INT64_MAX ? json_integer(item->integer) : NULL;
	case CURSOR_INT:
		return json_integer(item->integer);
	case CURSOR_FLOAT:
		return isfinite(item->real) ? json_real(item->real) : NULL;
	case CURSOR_STR:
		return bytes_utf8(item->bytes) ? string_json(item->bytes) : NULL;
	case CURSOR_BIN:
		return json_from_bytes(item->bytes);
	default:
		return NULL;
	}
}

static json_t *next_json(struct cursor *cursor) {
	const uint8_t *start = cursor->at;
	struct cursor_item item;
	check(cursor_next(cursor, &item));
	if (item.kind == CURSOR_ARRAY)
		return array_json(cursor, item.count);
	if (item.kind == CURSOR_MAP)
		return map_json(cursor, item.count);
	json_t *json = scalar_json(&item);
	if (json == NULL)
		json = json_escape_bytes(JSON_ESCAPE_MSGPACK, bytes_of(start, (size_t)(cursor->at - start)));
	return json;
}

json_t *json_from_value(struct bytes value, uint32_t nesting, struct error *error) {
	if (!cursor_check_error(value, nesting, "the value", error))
		return NULL;
	struct cursor cursor = cursor_of(value);
	return next_json(&cursor);
}

json_t *json_from_bytes(struct bytes bytes) {
	return bytes_utf8(bytes) ? string_json(bytes) : json_escape_bytes(JSON_ESCAPE_BASE64, bytes);
}

json_t *json_from_words(struct bytes text) {
	if (bytes_utf8(text))
		return string_json(text);
	struct buf clean = {0};
	bytes_clean(text, &clean);
	json_t *json = string_json(bytes_buf(&clean));
	buf_finish(&clean);
	return json;
}

static void words_add(json_t *object, const char *key, const char *words) {
	if (words[0] != '\0')
		check(json_object_set_new_nocheck(object, key, json_from_words(bytes_text(words))) == 0);
}

json_t *json_from_error(const struct error *error) {
	json_t *object = json_object();
	check_memory(object);
	words_add(object, "code", error_code_name(error->code));
	check(json_object_set_new_nocheck(object, "message", json_from_words(bytes_text(error->message))) == 0);
	words_add(object, "found", error->found);
	words_add(object, "expected", error->expected);
	words_add(object, "hint", error->hint);
	return object;
}
