/* JSON to and from text. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "wire/json.h"

json_t *json_from_text(struct bytes text, struct error *error) {
	if (!bytes_utf8(text)) {
		error_set(error, ERROR_BAD_UTF8, "the JSON text is not UTF-8");
		error_found(error, "bytes that are no UTF-8");
		error_advise(error, "UTF-8", "other bytes are written {\"base64\":\"…\"}");
		return NULL;
	}
	json_error_t at;
	const char *start = text.size == 0 ? "" : (const char *)text.data;
	json_t *json = json_loadb(start, text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &at);
	if (json != NULL)
		return json;
	enum json_error_code code = json_error_code(&at);
	check(code != json_error_out_of_memory);
	if (code == json_error_stack_overflow) {
		error_set(error, ERROR_TOO_DEEP, "the JSON text is nested too deep");
		error_found(error, "more than %d arrays and objects within each other", JSON_PARSER_MAX_DEPTH);
		error_advise(error, "less depth", "send a flatter value");
		return NULL;
	}
	error_set(error, ERROR_BAD_REQUEST, "not JSON: line %d column %d: %s", at.line, at.column, at.text);
	error_found(error, "line %d column %d", at.line, at.column);
	error_advise(error, "one JSON value, each key of an object once", "a plain text stands in double quotes");
	if (code == json_error_numeric_overflow)
		error_hint(error, "an integer over 2^63-1 is written {\"msgpack\":\"base64 of its MessagePack\"}");
	return NULL;
}

bool json_text_to_value(struct bytes text, uint32_t nesting, struct buf *value, struct error *error) {
	json_t *json = json_from_text(text, error);
	if (json == NULL)
		return false;
	bool good = json_to_value(json, nesting, value, error);
	json_decref(json);
	return good;
}

/* ---- writing. Ours for the sake of reals: jansson writes 0.1 as 0.10000000000000001 ---- */

static int text_append(const char *text, size_t size, void *buf) {
	buf_append(buf, text, size);
	return 0;
}

/* Strings, integers and the three words, as jansson writes them. */
static void plain_append(const json_t *json, struct buf *text) {
	check(json_dump_callback(json, text_append, text, JSON_COMPACT | JSON_ENCODE_ANY) == 0);
}

/* The fewest digits that read back as the same number, and always recognisable as a real. */
static void real_append(double real, struct buf *text) {
	char digits[40];
	for (int precision = 15; precision <= 17; precision++) {
		snprintf(digits, sizeof digits, "%.*g", precision, real);
		if (strtod(digits, NULL) == real)
			break;
	}
	buf_append_bytes(text, bytes_text(digits));
	if (strpbrk(digits, ".e") == NULL)
		buf_append(text, ".0", 2);
}

static void object_append(json_t *object, struct buf *text) {
	const char *key;
	size_t size;
	json_t *member;
	uint8_t before = '{';
	json_object_keylen_foreach(object, key, size, member) {
		buf_append_u8(text, before);
		json_t *name = json_stringn_nocheck(key, size);
		check_memory(name);
		plain_append(name, text);
		json_decref(name);
		buf_append_u8(text, ':');
		json_to_text(member, text);
		before = ',';
	}
	if (before == '{')
		buf_append_u8(text, before);
	buf_append_u8(text, '}');
}

static void array_append(const json_t *array, struct buf *text) {
	size_t i;
	json_t *element;
	uint8_t before = '[';
	json_array_foreach(array, i, element) {
		buf_append_u8(text, before);
		json_to_text(element, text);
		before = ',';
	}
	if (before == '[')
		buf_append_u8(text, before);
	buf_append_u8(text, ']');
}

void json_to_text(const json_t *json, struct buf *text) {
	if (json_is_object(json))
		object_append((json_t *)json, text);
	else if (json_is_array(json))
		array_append(json, text);
	else if (json_is_real(json))
		real_append(json_real_value(json), text);
	else
		plain_append(json, text);
}
