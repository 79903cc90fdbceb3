/* JSON to MessagePack. */
#include "base/check.h"
#include "wire/base64.h"
#include "wire/cursor.h"
#include "wire/json.h"
#include "wire/json_escape.h"
#include "wire/pack.h"

struct writing {
	struct buf *value;
	uint32_t nesting;
	struct error *error;
};

static bool json_write(struct writing *writing, const json_t *json, uint32_t depth);

static bool deep_set(struct writing *writing) {
	error_set(writing->error, ERROR_TOO_DEEP, "the value is nested too deep");
	error_found(writing->error, "more than that");
	error_expected(writing->error, "at most %u maps and arrays within each other", (unsigned)writing->nesting);
	error_hint(writing->error, "raise limits.nesting, or send a flatter value");
	return false;
}

static bool escape_set(struct error *error, const char *name, const char *expected) {
	error_set(
		error, ERROR_BAD_REQUEST, "an object whose only key is \"%s\" is an escape, and this is not a good one", name);
	error_found(error, "{\"%s\":…} with other content", name);
	error_expected(error, "%s", expected);
	error_hint(error, "a map with that one key is written {\"map\":[[\"%s\",…]]}", name);
	return false;
}

static struct bytes string_bytes(const json_t *string) {
	return bytes_of(json_string_value(string), json_string_length(string));
}

static bool base64_write_bin(struct writing *writing, const json_t *content) {
	struct buf bytes = {0};
	bool good = json_is_string(content) && base64_read(string_bytes(content), &bytes);
	if (good)
		pack_bin(writing->value, bytes_buf(&bytes));
	buf_finish(&bytes);
	return good || escape_set(writing->error, "base64", "a string of base64 with padding");
}

static bool msgpack_write(struct writing *writing, const json_t *content, uint32_t depth) {
	struct buf bytes = {0};
	enum cursor_result result = CURSOR_BAD;
	if (json_is_string(content) && base64_read(string_bytes(content), &bytes))
		result = cursor_check(bytes_buf(&bytes), writing->nesting - depth);
	if (result == CURSOR_GOOD)
		pack_raw(writing->value, bytes_buf(&bytes));
	buf_finish(&bytes);
	if (result == CURSOR_DEEP)
		return deep_set(writing);
	return result == CURSOR_GOOD ||
		escape_set(writing->error, "msgpack", "a string of base64 with padding that holds one MessagePack object");
}

static bool pairs_write(struct writing *writing, const json_t *pairs, uint32_t depth) {
	static const char expected[] = "an array of [key,value]";
	if (!json_is_array(pairs))
		return escape_set(writing->error, "map", expected);
	if (depth >= writing->nesting)
		return deep_set(writing);
	pack_map(writing->value, (uint32_t)json_array_size(pairs));
	size_t i;
	json_t *pair;
	json_array_foreach(pairs, i, pair) {
		if (json_array_size(pair) != 2)
			return escape_set(writing->error, "map", expected);
		if (!json_write(writing, json_array_get(pair, 0), depth + 1) ||
			!json_write(writing, json_array_get(pair, 1), depth + 1))
			return false;
	}
	return true;
}

static bool object_write(struct writing *writing, json_t *object, uint32_t depth) {
	if (depth >= writing->nesting)
		return deep_set(writing);
	pack_map(writing->value, (uint32_t)json_object_size(object));
	const char *key;
	size_t size;
	json_t *member;
	json_object_keylen_foreach(object, key, size, member) {
		pack_str(writing->value, bytes_of(key, size));
		if (!json_write(writing, member, depth + 1))
			return false;
	}
	return true;
}

static bool array_write(struct writing *writing, const json_t *array, uint32_t depth) {
	if (depth >= writing->nesting)
		return deep_set(writing);
	pack_array(writing->value, (uint32_t)json_array_size(array));
	size_t i;
	json_t *element;
	json_array_foreach(array, i, element) {
		if (!json_write(writing, element, depth + 1))
			return false;
	}
	return true;
}

static void scalar_write(struct buf *value, const json_t *json) {
	switch (json_typeof(json)) {
	case JSON_STRING:
		pack_str(value, string_bytes(json));
		break;
	case JSON_INTEGER:
		pack_int(value, json_integer_value(json));
		break;
	case JSON_REAL:
		pack_double(value, json_real_value(json));
		break;
	case JSON_NULL:
		pack_nil(value);
		break;
	default:
		pack_bool(value, json_is_true(json));
	}
}

/* depth: the maps and arrays of the value that stand around this. */
static bool json_write(struct writing *writing, const json_t *json, uint32_t depth) {
	const json_t *content;
	if (json_is_array(json))
		return array_write(writing, json, depth);
	if (!json_is_object(json)) {
		scalar_write(writing->value, json);
		return true;
	}
	switch (json_escape_of(json, &content)) {
	case JSON_ESCAPE_BASE64:
		return base64_write_bin(writing, content);
	case JSON_ESCAPE_MSGPACK:
		return msgpack_write(writing, content, depth);
	case JSON_ESCAPE_MAP:
		return pairs_write(writing, content, depth);
	default:
		return object_write(writing, (json_t *)json, depth);
	}
}

bool json_to_value(const json_t *json, uint32_t nesting, struct buf *value, struct error *error) {
	check(json != NULL && nesting <= CURSOR_NESTING_MAX);
	size_t before = value->size;
	struct writing writing = {.value = value, .nesting = nesting, .error = error};
	if (json_write(&writing, json, 0))
		return true;
	value->size = before;
	return false;
}

bool json_to_bytes(const json_t *json, struct buf *bytes, struct error *error) {
	const json_t *content;
	if (json_is_string(json)) {
		buf_append_bytes(bytes, string_bytes(json));
		return true;
	}
	if (json_escape_of(json, &content) == JSON_ESCAPE_BASE64 && json_is_string(content) &&
		base64_read(string_bytes(content), bytes))
		return true;
	error_set(error, ERROR_BAD_ID, "the id is neither a string nor bytes");
	error_found(error, "another JSON value");
	return error_advise(error, "\"text\" or {\"base64\":\"…\"}", "a number is written as text: \"7\"");
}
