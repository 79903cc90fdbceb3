#include "show/output.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"

void output_json(const json_t *value) {
	json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	putchar('\n');
}

void output_json_figures(const json_t *value) {
	json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
	putchar('\n');
}

static bool has_control(const char *text) {
	for (; *text != '\0'; text++)
		if (iscntrl((unsigned char)*text))
			return true;
	return false;
}

void text_of_json(const json_t *value, struct buf *ret_text) {
	const char *text = json_string_value(value);
	if (text != NULL && strlen(text) == json_string_length(value) && !has_control(text)) {
		buf_append_bytes(ret_text, bytes_text(text));
		return;
	}
	char *dumped = value == NULL ? check_strdup("") : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	check_memory(dumped);
	buf_append_bytes(ret_text, bytes_text(dumped));
	free(dumped);
}

void time_text(long long time_ms, char *ret_text) {
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm parts;
	gmtime_r(&seconds, &parts);
	size_t size = strftime(ret_text, TIME_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(ret_text + size, TIME_TEXT_BYTES - size, ".%03dZ", (int)(time_ms % 1000));
}
