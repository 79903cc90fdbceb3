#include "control/dead/filter.h"

#include <stddef.h>

#include "control/http/body.h"
#include "wire/json.h"

/* What is compared as bytes; `id` is the one that need not be text. */
static const struct word {
	const char *key;
	size_t wanted; /* where it stands in the filter, */
	size_t found;  /* and in the letter */
} words[] = {
	{"type", offsetof(struct dead_filter, type), offsetof(struct dead_letter, to)},
	{"id", offsetof(struct dead_filter, id), offsetof(struct dead_letter, id)},
	{"code", offsetof(struct dead_filter, code), offsetof(struct dead_letter, code)},
	{"plugin", offsetof(struct dead_filter, plugin), offsetof(struct dead_letter, plugin)},
	{"version", offsetof(struct dead_filter, version), offsetof(struct dead_letter, version)},
};

enum { WORDS = sizeof words / sizeof words[0] };

static struct buf *wanted_of(struct dead_filter *filter, const struct word *word) {
	return (struct buf *)(void *)((char *)filter + word->wanted);
}

static bool word_given(struct dead_filter *filter, const struct word *word, struct error *error) {
	filter->asked = true;
	if (wanted_of(filter, word)->size > 0)
		return true;
	error_set(error, ERROR_BAD_REQUEST, "%s is empty", word->key);
	error_found(error, "an empty text");
	error_expected(error, "what the letters that are meant have there");
	error_hint(error, "leave %s out if it does not matter", word->key);
	return false;
}

static void filter_init(struct dead_filter *filter) {
	*filter = (struct dead_filter){.before_ms = UINT64_MAX};
}

/* ---- from a query ---- */

static bool time_of_query(
	const struct target *target, const char *name, uint64_t *time_ms, bool *asked, struct error *error) {
	struct bytes text;
	*asked = *asked || target_query(target, name, &text);
	return target_query_number(target, name, INT64_MAX, time_ms, error);
}

bool dead_filter_of_query(const struct target *target, struct dead_filter *ret_filter, struct error *error) {
	filter_init(ret_filter);
	for (size_t i = 0; i < WORDS; i++) {
		struct bytes value;
		if (!target_query(target, words[i].key, &value))
			continue;
		buf_append(wanted_of(ret_filter, &words[i]), value.data, value.size);
		if (!word_given(ret_filter, &words[i], error))
			return false;
	}
	return time_of_query(target, "since_ms", &ret_filter->since_ms, &ret_filter->asked, error) &&
		time_of_query(target, "before_ms", &ret_filter->before_ms, &ret_filter->asked, error);
}

/* ---- from a body ---- */

static bool word_of_object(
	const json_t *object, const struct word *word, struct dead_filter *filter, struct error *error) {
	const json_t *value = json_object_get(object, word->key);
	if (value == NULL)
		return true;
	if (!json_is_string(value) && word->found != offsetof(struct dead_letter, id)) {
		error_set(error, ERROR_BAD_REQUEST, "%s is not a text", word->key);
		body_found(error, value);
		return error_advise(error, "a string", "GET /v1/dead shows what the letters have there");
	}
	return json_to_bytes(value, wanted_of(filter, word), error) && word_given(filter, word, error);
}

static bool time_of_object(const json_t *object, const char *key, uint64_t *time_ms, bool *asked, struct error *error) {
	const json_t *value = json_object_get(object, key);
	if (value == NULL)
		return true;
	*asked = true;
	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*time_ms = (uint64_t)json_integer_value(value);
		return true;
	}
	error_set(error, ERROR_BAD_REQUEST, "%s is not a time", key);
	body_found(error, value);
	return error_advise(
		error, "milliseconds since 1970, as an integer", "a letter's time_ms is one; `sofun dead` also takes ages");
}

bool dead_filter_of_object(const json_t *object, struct dead_filter *ret_filter, struct error *error) {
	filter_init(ret_filter);
	for (size_t i = 0; i < WORDS; i++)
		if (!word_of_object(object, &words[i], ret_filter, error))
			return false;
	return time_of_object(object, "since_ms", &ret_filter->since_ms, &ret_filter->asked, error) &&
		time_of_object(object, "before_ms", &ret_filter->before_ms, &ret_filter->asked, error);
}

/* ---- use ---- */

void dead_filter_finish(struct dead_filter *filter) {
	for (size_t i = 0; i < WORDS; i++)
		buf_finish(wanted_of(filter, &words[i]));
}

bool dead_filter_matches(const struct dead_filter *filter, const struct dead_letter *letter) {
	for (size_t i = 0; i < WORDS; i++) {
		const struct buf *wanted = (const struct buf *)(const void *)((const char *)filter + words[i].wanted);
		const struct bytes *found = (const struct bytes *)(const void *)((const char *)letter + words[i].found);
		if (wanted->size > 0 && !bytes_equal(bytes_buf(wanted), *found))
			return false;
	}
	return letter->time_ms >= filter->since_ms && letter->time_ms < filter->before_ms;
}
