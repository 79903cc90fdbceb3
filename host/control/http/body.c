#include "control/http/body.h"

#include <stdlib.h>

void body_found(struct error *error, const json_t *value) {
	char *text = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	error_found(error, "%.100s", text == NULL ? "" : text);
	free(text);
}

bool body_number(
	const json_t *body, const char *key, uint64_t least, uint64_t most, uint64_t *number, struct error *error) {
	const json_t *value = json_object_get(body, key);
	if (value == NULL)
		return true;
	if (json_is_integer(value) && json_integer_value(value) >= (json_int_t)least &&
		(uint64_t)json_integer_value(value) <= most) {
		*number = (uint64_t)json_integer_value(value);
		return true;
	}
	error_set(error, ERROR_BAD_REQUEST, "%s is not a number that fits", key);
	body_found(error, value);
	error_expected(error, "an integer from %llu to %llu", (unsigned long long)least, (unsigned long long)most);
	error_hint(error, "leave %s out for its default", key);
	return false;
}

bool body_flag(const json_t *body, const char *key, bool *ret_flag, struct error *error) {
	const json_t *value = json_object_get(body, key);
	*ret_flag = json_is_true(value);
	if (value == NULL || json_is_boolean(value))
		return true;
	error_set(error, ERROR_BAD_REQUEST, "%s is neither true nor false", key);
	body_found(error, value);
	error_expected(error, "true or false");
	error_hint(error, "leave %s out for false", key);
	return false;
}
