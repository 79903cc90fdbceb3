#include "control/http/target.h"

#include <string.h>

static int hex_digit(char digit) {
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

static bool escape_broken(const char *at, size_t left, struct error *error) {
	error_set(error, ERROR_BAD_REQUEST, "the request's address has a broken percent escape");
	error_found(error, "%.*s", (int)(left < 3 ? left : 3), at);
	return error_advise(error, "% and two hexadecimal digits", "a percent sign itself is written %25");
}

/* Decodes size bytes behind the text, where target_parse made room for all of them. */
static bool percent_decode(
	struct buf *text, const char *at, size_t size, bool plus_is_blank, struct bytes *ret_bytes, struct error *error) {
	size_t start = text->size;
	for (size_t i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)at[i];
		if (at[i] == '%') {
			if (size - i < 3 || hex_digit(at[i + 1]) < 0 || hex_digit(at[i + 2]) < 0)
				return escape_broken(at + i, size - i, error);
			byte = (uint8_t)(hex_digit(at[i + 1]) << 4 | hex_digit(at[i + 2]));
			i += 2;
		} else if (plus_is_blank && at[i] == '+') {
			byte = ' ';
		}
		buf_append_u8(text, byte);
	}
	*ret_bytes = bytes_of(text->data + start, text->size - start);
	return true;
}

static bool path_parse(struct target *target, const char *path, struct error *error) {
	const char *at = path;
	if (*at != '/') {
		error_set(error, ERROR_BAD_REQUEST, "the request's address has no path");
		error_found(error, "%.100s", path);
		return error_advise(error, "an address that begins with /", "GET /v1 lists what there is");
	}
	while (*at == '/') {
		size_t size = strcspn(++at, "/");
		struct bytes segment;
		if (!percent_decode(&target->text, at, size, false, &segment, error))
			return false;
		if (target->segment_count < TARGET_SEGMENTS_MAX)
			target->segments[target->segment_count] = segment;
		target->segment_count++;
		at += size;
	}
	return true;
}

static bool pair_parse(struct target *target, const char *at, size_t size, struct error *error) {
	if (size == 0)
		return true;
	if (target->pair_count == TARGET_PAIRS_MAX) {
		error_set(error, ERROR_BAD_REQUEST, "the query has too many parameters");
		error_found(error, "more than %d", TARGET_PAIRS_MAX);
		error_expected(error, "at most %d", TARGET_PAIRS_MAX);
		error_hint(error, "GET /openapi.json describes each parameter");
		return false;
	}
	struct target_pair *pair = &target->pairs[target->pair_count];
	const char *equals = memchr(at, '=', size);
	size_t name_size = equals == NULL ? size : (size_t)(equals - at);
	size_t value_size = equals == NULL ? 0 : size - name_size - 1;
	if (!percent_decode(&target->text, at, name_size, true, &pair->name, error) ||
		!percent_decode(&target->text, at + size - value_size, value_size, true, &pair->value, error))
		return false;
	target->pair_count++;
	return true;
}

static bool query_parse(struct target *target, const char *query, struct error *error) {
	for (const char *at = query; *at != '\0';) {
		size_t size = strcspn(at, "&");
		if (!pair_parse(target, at, size, error))
			return false;
		at += size;
		if (*at == '&')
			at++;
	}
	return true;
}

bool target_parse(struct target *target, const char *path, const char *query, struct error *error) {
	*target = (struct target){0};
	buf_reserve(&target->text, strlen(path) + (query == NULL ? 0 : strlen(query)) + 1); /* so that it never moves */
	if (path_parse(target, path, error) && (query == NULL || query_parse(target, query, error)))
		return true;
	target_finish(target);
	return false;
}

void target_finish(struct target *target) {
	buf_finish(&target->text);
	*target = (struct target){0};
}

bool target_query(const struct target *target, const char *name, struct bytes *ret_value) {
	for (size_t i = 0; i < target->pair_count; i++) {
		if (bytes_equal(target->pairs[i].name, bytes_text(name))) {
			*ret_value = target->pairs[i].value;
			return true;
		}
	}
	return false;
}

bool decimal_parse(struct bytes text, uint64_t *ret_number) {
	uint64_t number = 0;
	if (text.size == 0)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		unsigned digit = (unsigned)text.data[i] - '0';
		if (digit > 9 || number > (UINT64_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret_number = number;
	return true;
}

bool target_query_number(
	const struct target *target, const char *name, uint64_t most, uint64_t *number, struct error *error) {
	struct bytes text;
	uint64_t value;
	if (!target_query(target, name, &text))
		return true;
	if (decimal_parse(text, &value) && value <= most) {
		*number = value;
		return true;
	}
	struct buf shown = {0};
	percent_encode(&shown, text);
	error_set(error, ERROR_BAD_REQUEST, "the query parameter %s is not a number that fits", name);
	error_found_text(error, shown.data, shown.size < 64 ? shown.size : 64);
	error_expected(error, "a decimal number up to %llu", (unsigned long long)most);
	error_hint(error, "GET /openapi.json describes each parameter");
	buf_finish(&shown);
	return false;
}

void percent_encode(struct buf *buf, struct bytes text) {
	static const char hex[] = "0123456789ABCDEF";
	for (size_t i = 0; i < text.size; i++) {
		uint8_t byte = text.data[i];
		bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			byte == '-' || byte == '.' || byte == '_' || byte == '~';
		if (plain) {
			buf_append_u8(buf, byte);
			continue;
		}
		const char escape[3] = {'%', hex[byte >> 4], hex[byte & 15]};
		buf_append(buf, escape, sizeof escape);
	}
}
