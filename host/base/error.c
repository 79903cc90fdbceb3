#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

static const char *const code_names[ERROR_CODES] = {
	[ERROR_NONE] = "ok",
	[ERROR_BAD_REQUEST] = "bad_request",
	[ERROR_UNKNOWN_METHOD] = "unknown_method",
	[ERROR_UNKNOWN_INGRESS] = "unknown_ingress",
	[ERROR_UNKNOWN_EGRESS] = "unknown_egress",
	[ERROR_UNKNOWN_TYPE] = "unknown_type",
	[ERROR_BAD_ID] = "bad_id",
	[ERROR_BAD_UTF8] = "bad_utf8",
	[ERROR_TOO_LARGE] = "too_large",
	[ERROR_TOO_DEEP] = "too_deep",
	[ERROR_GAP] = "gap",
	[ERROR_PRODUCER_BUSY] = "producer_busy",
	[ERROR_FUNCTION_FAILED] = "function_failed",
	[ERROR_TIMEOUT] = "timeout",
	[ERROR_REFUSED] = "refused",
	[ERROR_CONFLICT] = "conflict",
	[ERROR_NOT_FOUND] = "not_found",
	[ERROR_FORBIDDEN] = "forbidden",
	[ERROR_STOPPING] = "stopping",
	[ERROR_STORE_FAILED] = "store_failed",
	[ERROR_INTERNAL] = "internal",
	[ERROR_KEY_REUSED] = "conflict",
	[ERROR_KEYS_FULL] = "keys_full",
};

const char *error_code_name(enum error_code code) {
	check(code >= 0 && code < ERROR_CODES);
	return code_names[code];
}

static void text_set(char *text, size_t size, const char *format, va_list args) {
	vsnprintf(text, size, format, args);
}

bool error_set(struct error *error, enum error_code code, const char *format, ...) {
	check(code != ERROR_NONE);
	memset(error, 0, sizeof *error);
	error->code = code;
	va_list args;
	va_start(args, format);
	text_set(error->message, sizeof error->message, format, args);
	va_end(args);
	return false;
}

bool error_system(struct error *error, enum error_code code, int system, const char *format, ...) {
	check(code != ERROR_NONE);
	memset(error, 0, sizeof *error);
	error->code = code;
	error->system = system;
	va_list args;
	va_start(args, format);
	text_set(error->message, sizeof error->message, format, args);
	va_end(args);
	size_t used = strlen(error->message);
	snprintf(error->message + used, sizeof error->message - used, ": %s", strerror(system));
	error_found(error, "%s", strerror(system));
	return false;
}

void error_found(struct error *error, const char *format, ...) {
	va_list args;
	va_start(args, format);
	text_set(error->found, sizeof error->found, format, args);
	va_end(args);
	if (error->found[0] == '\0')
		memcpy(error->found, "nothing", sizeof "nothing");
}

void error_expected(struct error *error, const char *format, ...) {
	va_list args;
	va_start(args, format);
	text_set(error->expected, sizeof error->expected, format, args);
	va_end(args);
}

void error_hint(struct error *error, const char *format, ...) {
	va_list args;
	va_start(args, format);
	text_set(error->hint, sizeof error->hint, format, args);
	va_end(args);
}

void error_found_text(struct error *error, const void *text, unsigned long size) {
	int shown = size < sizeof error->found ? (int)size : (int)sizeof error->found - 1;
	error_found(error, "%.*s", shown, size == 0 ? "" : (const char *)text);
}

bool error_advise(struct error *error, const char *expected, const char *hint) {
	error_expected(error, "%s", expected);
	error_hint(error, "%s", hint);
	return false;
}

void error_line(const struct error *error, char *line, unsigned long size) {
	int used = snprintf(line, size, "%s", error->message);
	if (used < 0 || (unsigned long)used >= size)
		return;
	if (error->found[0] != '\0')
		used += snprintf(line + used, size - (unsigned long)used, " (found %s%s%s)", error->found,
			error->expected[0] != '\0' ? ", expected " : "", error->expected);
	else if (error->expected[0] != '\0')
		used += snprintf(line + used, size - (unsigned long)used, " (expected %s)", error->expected);
	if (error->hint[0] != '\0' && (unsigned long)used < size)
		snprintf(line + used, size - (unsigned long)used, "; %s", error->hint);
}
