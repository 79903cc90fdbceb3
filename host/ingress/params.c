#include "ingress/params.h"

#include <stdio.h>

#include "base/check.h"

static const char *const kind_names[] = {
	[CURSOR_NIL] = "nil",
	[CURSOR_BOOL] = "a bool",
	[CURSOR_UINT] = "an integer",
	[CURSOR_INT] = "a negative integer",
	[CURSOR_FLOAT] = "a float",
	[CURSOR_STR] = "a str",
	[CURSOR_BIN] = "a bin",
	[CURSOR_EXT] = "an ext",
	[CURSOR_ARRAY] = "an array",
	[CURSOR_MAP] = "a map",
};

static bool key_refused(
	struct error *error, const char *message, struct bytes key, const struct param_field *fields, size_t count) {
	char known[ERROR_DETAIL_BYTES];
	size_t used = 0;
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ", fields[i].name);
	error_set(error, ERROR_BAD_REQUEST, "%s", message);
	error_found_text(error, key.data, key.size);
	error_expected(error, "%s", known);
	error_hint(error, "each key once, in the one map of the params");
	return false;
}

static bool kind_refused(struct error *error, const struct param_field *field, const char *found) {
	error_set(error, ERROR_BAD_REQUEST, "`%s` is of the wrong type", field->name);
	error_found(error, "%s", found);
	return error_advise(error, field->expected, "text goes as str, other bytes as bin");
}

static size_t field_find(struct bytes key, const struct param_field *fields, size_t count) {
	size_t i = 0;
	while (
		i < count && (key.size != fields[i].size || !bytes_same(key.data, (const uint8_t *)fields[i].name, key.size)))
		i++;
	return i;
}

/* The value under the cursor, for this field. */
static bool value_read(struct cursor *cursor, uint32_t nesting, const struct param_field *field, struct param *param,
	struct error *error) {
	struct cursor ahead = *cursor;
	if (!cursor_next(&ahead, &param->item))
		return kind_refused(error, field, "no MessagePack");
	if ((field->kinds & 1u << param->item.kind) == 0)
		return kind_refused(error, field, kind_names[param->item.kind]);
	if ((PARAM_SCALAR & 1u << param->item.kind) != 0) {
		param->object = bytes_of(cursor->at, (size_t)(ahead.at - cursor->at));
		param->given = true;
		*cursor = ahead;
		return true;
	}
	enum cursor_result result = cursor_take(cursor, nesting + field->levels, &param->object);
	if (result == CURSOR_GOOD) {
		param->given = true;
		return true;
	}
	if (result != CURSOR_DEEP)
		return kind_refused(error, field, "no MessagePack");
	error_set(error, ERROR_TOO_DEEP, "`%s` is nested too deep", field->name);
	error_found(error, "more than that");
	error_expected(error, "at most %u maps and arrays within each other", (unsigned)nesting);
	error_hint(error, "raise limits.nesting, or send a flatter value");
	return false;
}

static bool pair_read(struct cursor *cursor, uint32_t nesting, const struct param_field *fields, size_t count,
	struct param *params, struct error *error) {
	struct bytes key;
	if (!cursor_read_str(cursor, &key)) {
		error_set(error, ERROR_BAD_REQUEST, "a key of the params is not a str");
		error_found(error, "another type");
		return error_advise(error, "a str", "the params are one map from names to values");
	}
	size_t i = field_find(key, fields, count);
	if (i == count)
		return key_refused(error, "there is no such key", key, fields, count);
	if (params[i].given)
		return key_refused(error, "a key is given twice", key, fields, count);
	return value_read(cursor, nesting, &fields[i], &params[i], error);
}

bool params_read(struct bytes map, uint32_t nesting, const struct param_field *fields, size_t count,
	struct param *params, struct error *error) {
	check(count <= PARAMS_MAX);
	struct cursor cursor = cursor_of(map);
	uint32_t pairs;
	for (size_t i = 0; i < count; i++)
		params[i].given = false;
	if (!cursor_read_map(&cursor, &pairs)) {
		error_set(error, ERROR_BAD_REQUEST, "the params are not an array of one map");
		error_found(error, "params of another shape");
		return error_advise(error, "[{…}]", "params are an array that holds one map");
	}
	for (uint32_t i = 0; i < pairs; i++)
		if (!pair_read(&cursor, nesting, fields, count, params, error))
			return false;
	for (size_t i = 0; i < count; i++)
		if (!fields[i].optional && !params[i].given) {
			error_set(error, ERROR_BAD_REQUEST, "`%s` is missing", fields[i].name);
			error_found(error, "params without it");
			return error_advise(error, fields[i].expected, "add it to the map of the params");
		}
	return true;
}

bool param_name_check(
	const struct param_field *field, const struct param *param, size_t min, size_t max, struct error *error) {
	struct bytes text = param->item.bytes;
	if (!bytes_utf8(text)) {
		error_set(error, ERROR_BAD_UTF8, "`%s` is not UTF-8", field->name);
		error_found(error, "a str of %zu bytes that are no UTF-8", text.size);
		return error_advise(error, "UTF-8", "names are text; only ids and payloads may be other bytes");
	}
	if (text.size >= min && text.size <= max)
		return true;
	error_set(error, ERROR_BAD_REQUEST, "`%s` is too %s", field->name, text.size < min ? "short" : "long");
	error_found(error, "%zu bytes", text.size);
	error_expected(error, "%zu to %zu bytes", min, max);
	error_hint(error, "it is a name, not a text");
	return false;
}
