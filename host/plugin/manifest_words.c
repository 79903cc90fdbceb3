#include "plugin/manifest_words.h"

#include <string.h>

#include "base/check.h"
#include "sofun/function.h"

bool word_is(struct bytes text, const char *word) {
	return bytes_equal(text, bytes_text(word));
}

struct bytes word_take(struct bytes *rest) {
	const uint8_t *space = rest->size == 0 ? NULL : memchr(rest->data, ' ', rest->size);
	struct bytes word = *rest;
	if (space == NULL) {
		*rest = bytes_of(NULL, 0);
		return word;
	}
	word.size = (size_t)(space - rest->data);
	*rest = bytes_of(space + 1, rest->size - word.size - 1);
	if (rest->size == 0)
		word.size = 0; /* a trailing space is not in the grammar */
	return word;
}

bool word_number(struct bytes text, uint64_t max, uint64_t *ret_number) {
	uint64_t number = 0;
	if (text.size == 0 || text.size > 10 || (text.size > 1 && text.data[0] == '0'))
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text.data[i] - '0');
	}
	*ret_number = number;
	return number <= max;
}

static bool letter(uint8_t byte) {
	return byte >= 'a' && byte <= 'z';
}

static bool part_of(uint8_t byte, const char *others) {
	return letter(byte) || (byte >= '0' && byte <= '9') || (byte != '\0' && strchr(others, byte) != NULL);
}

bool word_name(struct bytes text, const char *others, char ret_name[MANIFEST_NAME_BYTES_MAX + 1]) {
	if (text.size == 0 || text.size > MANIFEST_NAME_BYTES_MAX || !letter(text.data[0]))
		return false;
	for (size_t i = 0; i < text.size; i++)
		if (!part_of(text.data[i], others))
			return false;
	memcpy(ret_name, text.data, text.size);
	ret_name[text.size] = '\0';
	return true;
}

bool word_type(struct bytes text, char ret_type[MANIFEST_TYPE_BYTES_MAX + 1]) {
	size_t slash = 0;
	size_t slashes = 0;
	if (text.size > MANIFEST_TYPE_BYTES_MAX)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '/') {
			slash = i;
			slashes++;
		} else if (!part_of(text.data[i], "_.-")) {
			return false;
		}
	}
	if (slashes != 1 || slash == 0 || slash == text.size - 1)
		return false;
	memcpy(ret_type, text.data, text.size);
	ret_type[text.size] = '\0';
	return true;
}

bool words_version(struct bytes text, uint64_t ret_numbers[3]) {
	for (int i = 0; i < 3; i++) {
		const uint8_t *dot = i == 2 || text.size == 0 ? NULL : memchr(text.data, '.', text.size);
		size_t size = dot == NULL ? text.size : (size_t)(dot - text.data);
		if ((i < 2 && dot == NULL) || !word_number(bytes_of(text.data, size), UINT32_MAX, &ret_numbers[i]))
			return false;
		if (i < 2)
			text = bytes_of(dot + 1, text.size - size - 1);
	}
	return true;
}

int manifest_version_compare(const char *a, const char *b) {
	uint64_t left[3];
	uint64_t right[3];
	bool good = words_version(bytes_text(a), left) && words_version(bytes_text(b), right);
	check(good);
	for (int i = 0; i < 3; i++)
		if (left[i] != right[i])
			return left[i] < right[i] ? -1 : 1;
	return 0;
}

/* ---- words for numbers ---- */

static const char *const kind_names[] = {
	[SOFUN_RAW] = "raw",
	[SOFUN_INT] = "int",
	[SOFUN_FLOAT] = "float",
	[SOFUN_STR] = "str",
	[SOFUN_BOOL] = "bool",
	[SOFUN_KIND_TABLE] = "table",
	[SOFUN_KIND_LIST] = "list",
};
enum { KINDS = sizeof(kind_names) / sizeof(kind_names[0]) };

const char *manifest_kind_name(uint32_t kind) {
	return kind < KINDS ? kind_names[kind] : "unknown";
}

static const char *const ways_names[] = {
	[SOFUN_SCHEMA_UP] = "up", [SOFUN_SCHEMA_DOWN] = "down", [SOFUN_SCHEMA_BOTH] = "both"};
enum { WAYS = sizeof(ways_names) / sizeof(ways_names[0]) };

const char *manifest_ways_name(uint32_t ways) {
	return ways > 0 && ways < WAYS ? ways_names[ways] : "unknown";
}

static bool word_among(struct bytes text, const char *const *names, uint32_t count, uint32_t *ret_number) {
	for (uint32_t number = 0; number < count; number++)
		if (names[number] != NULL && word_is(text, names[number])) {
			*ret_number = number;
			return true;
		}
	return false;
}

bool word_kind(struct bytes text, uint32_t *ret_kind) {
	return word_among(text, kind_names, KINDS, ret_kind);
}

bool word_ways(struct bytes text, uint32_t *ret_ways) {
	return word_among(text, ways_names, WAYS, ret_ways);
}
