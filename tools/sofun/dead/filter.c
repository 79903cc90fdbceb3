#include "dead/filter.h"

#include <stdlib.h>
#include <string.h>

#include "client/http.h"
#include "fail.h"
#include "show/output.h"
#include "wire/json.h"

static const char *const words[][2] = {
	{"--type", "type"}, {"--id", "id"}, {"--code", "code"}, {"--plugin", "plugin"}, {"--version", "version"}};
static const char *const times[][2] = {{"--since", "since_ms"}, {"--before", "before_ms"}};

enum { WORDS = sizeof words / sizeof words[0], TIMES = sizeof times / sizeof times[0] };

bool filter_given(const struct invocation *run) {
	for (size_t i = 0; i < WORDS; i++)
		if (option_value(run, words[i][0]) != NULL)
			return true;
	return option_value(run, times[0][0]) != NULL || option_value(run, times[1][0]) != NULL;
}

/* The milliseconds of 90s, 15m, 2h, 7d; 0: it is no age. */
static long long age_ms(const char *text) {
	static const struct {
		char unit;
		long long ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
	char *end;
	long long number = strtoll(text, &end, 10);
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (number > 0 && number < 1000000 && end[0] == units[i].unit && end[1] == '\0')
			return number * units[i].ms;
	return 0;
}

static int host_time(const struct invocation *run, long long *ret_ms) {
	json_t *status;
	int result = http_json(run, "GET", "/v1/status", NULL, &status);
	if (result != EXIT_OK)
		return result;
	*ret_ms = json_integer_value(json_object_get(status, "time_ms"));
	json_decref(status);
	return EXIT_OK;
}

static int time_read(const struct invocation *run, const char *option, long long *ret_ms) {
	const char *text = option_value(run, option);
	long long age = age_ms(text);
	if (age == 0) {
		unsigned long long number = 0;
		if (strspn(text, "0123456789") != strlen(text))
			return fail_usage(
				run, "%s takes an age as 90s, 15m, 2h or 7d, or milliseconds since 1970, not '%s'", option, text);
		if (!option_number(run, option, INT64_MAX, &number))
			return EXIT_USAGE;
		*ret_ms = (long long)number;
		return EXIT_OK;
	}
	int result = host_time(run, ret_ms);
	*ret_ms = *ret_ms > age ? *ret_ms - age : 0;
	return result;
}

int filter_read(const struct invocation *run, json_t **ret_filter) {
	json_t *filter = json_object();
	for (size_t i = 0; i < WORDS; i++)
		if (option_value(run, words[i][0]) != NULL)
			json_object_set_new(filter, words[i][1], json_from_bytes(bytes_text(option_value(run, words[i][0]))));
	for (size_t i = 0; i < TIMES; i++) {
		long long ms = 0;
		if (option_value(run, times[i][0]) == NULL)
			continue;
		int result = time_read(run, times[i][0], &ms);
		if (result != EXIT_OK) {
			json_decref(filter);
			return result;
		}
		json_object_set_new(filter, times[i][1], json_integer(ms));
	}
	*ret_filter = filter;
	return EXIT_OK;
}

void filter_append(const json_t *filter, struct buf *target) {
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)filter, key, value) {
		struct buf text = {0};
		struct error error;
		if (!json_to_bytes(value, &text, &error))
			text_of_json(value, &text);
		buf_printf(target, "&%s=", key);
		target_append(target, bytes_buf(&text));
		buf_finish(&text);
	}
}
