#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "names.h"
#include "show/terminal.h"

static int exit_of(const char *code) {
	if (strcmp(code, "not_found") == 0 || strncmp(code, "unknown_", 8) == 0)
		return EXIT_NOT_FOUND;
	if (strcmp(code, "refused") == 0)
		return EXIT_REFUSED;
	if (strcmp(code, "timeout") == 0)
		return EXIT_TIMEOUT;
	if (strcmp(code, "unreachable") == 0)
		return EXIT_UNREACHABLE;
	return EXIT_OPERATION_FAILED;
}

static const char *text_of(const json_t *error, const char *key) {
	const char *text = json_string_value(json_object_get(error, key));
	return text == NULL ? "" : text;
}

/* "message (found X, expected Y); hint" */
static void line_print(const json_t *error) {
	const char *found = text_of(error, "found"), *expected = text_of(error, "expected"), *hint = text_of(error, "hint");
	const char *red = terminal_style(STDERR_FILENO, STYLE_ERROR), *plain = terminal_plain(STDERR_FILENO);
	struct buf line = {0};
	buf_printf(&line, "%ssofun: %s%s", red, text_of(error, "message"), plain);
	if (*found != '\0')
		buf_printf(&line, " (found %s%s%s)", found, *expected == '\0' ? "" : ", expected ", expected);
	else if (*expected != '\0')
		buf_printf(&line, " (expected %s)", expected);
	if (*hint != '\0')
		buf_printf(&line, "; %s", hint);
	fprintf(stderr, "%.*s\n", (int)line.size, (const char *)line.data);
	buf_finish(&line);
}

static void error_show(const struct invocation *run, const json_t *error) {
	if (run->json) {
		json_dumpf(error, stderr, JSON_COMPACT | JSON_ENCODE_ANY);
		fputc('\n', stderr);
	} else {
		line_print(error);
	}
}

/* "did you mean NAME? HINT" */
static void suggest(json_t *error, const char *name) {
	const char *hint = text_of(error, "hint");
	if (name[0] != '\0')
		json_object_set_new(error, "hint", json_sprintf("did you mean %s?%s%s", name, *hint == '\0' ? "" : " ", hint));
}

/* Of the first argument that names nothing, but nearly does. */
static void suggest_argument(const struct invocation *run, json_t *error) {
	struct near near = {.best = ""};
	for (size_t i = 0; run->command != NULL && i < run->argument_count && near.best[0] == '\0'; i++) {
		char kind[KIND_BYTES];
		argument_kind(run->command, i, kind);
		if (strcmp(kind, "id") != 0) /* an id may be anything, and needs not be there */
			near = names_nearest(run, kind, run->arguments[i]);
	}
	suggest(error, near.best);
}

int fail_host(const struct invocation *run, const json_t *error) {
	const int result = exit_of(text_of(error, "code"));
	json_t *told = json_copy((json_t *)error);
	check_memory(told);
	if (result == EXIT_NOT_FOUND)
		suggest_argument(run, told);
	error_show(run, told);
	json_decref(told);
	return result;
}

/* What goes with the message; NULL: it does not apply. */
struct advice {
	const char *found;
	const char *expected;
	const char *hint;
	const char *nearest; /* the name that was probably meant; "": nobody knows */
};

static void member_set(json_t *error, const char *key, const char *text) {
	json_t *value = text == NULL || text[0] == '\0' ? NULL : json_string(text);
	if (value != NULL) /* else a file name or an argument that is no UTF-8 */
		json_object_set_new(error, key, value);
}

static int fail_as(
	const struct invocation *run, const char *code, const struct advice *advice, const char *format, va_list args) {
	char message[1024];
	vsnprintf(message, sizeof message, format, args);
	json_t *error = json_pack("{s:s, s:s}", "code", code, "message", message);
	if (error == NULL) /* a file name that is no UTF-8 */
		error = json_pack("{s:s, s:s}", "code", code, "message", "failed, with a text that is not UTF-8");
	member_set(error, "found", advice->found);
	member_set(error, "expected", advice->expected);
	member_set(error, "hint", advice->hint);
	suggest(error, advice->nearest == NULL ? "" : advice->nearest);
	error_show(run, error);
	json_decref(error);
	return exit_of(code);
}

/* The command as far as it was understood. */
static void command_show(const struct invocation *run, char *text, size_t size) {
	struct buf line = {0};
	buf_printf(&line, "sofun%s%s", run->command == NULL ? "" : " ", run->command == NULL ? "" : run->command->name);
	for (size_t i = 0; i < run->argument_count && i < ARGUMENTS_MAX; i++)
		buf_printf(&line, " %s", run->arguments[i]);
	for (size_t i = 0; i < run->option_count; i++)
		buf_printf(
			&line, " %s%s%s", run->options[i].name, run->options[i].value[0] == '\0' ? "" : " ", run->options[i].value);
	snprintf(text, size, "%.*s", (int)line.size, (const char *)line.data);
	buf_finish(&line);
}

static int fail_usage_as(const struct invocation *run, const char *nearest, const char *format, va_list args) {
	char hint[128], found[256], expected[256];
	const char *name = run->command == NULL ? "" : run->command->name;
	snprintf(hint, sizeof hint, "sofun %s%s--help tells how", name, run->command == NULL ? "" : " ");
	snprintf(expected, sizeof expected, "sofun %s %s", run->command == NULL ? "COMMAND" : name,
		run->command == NULL ? "[ARGUMENTS]" : run->command->usage);
	command_show(run, found, sizeof found);
	fail_as(run, "bad_request", &(struct advice){found, expected, hint, nearest}, format, args);
	return EXIT_USAGE;
}

int fail_usage(const struct invocation *run, const char *format, ...) {
	va_list args;
	va_start(args, format);
	fail_usage_as(run, NULL, format, args);
	va_end(args);
	return EXIT_USAGE;
}

int fail_unknown(const struct invocation *run, const struct near *near, const char *format, ...) {
	va_list args;
	va_start(args, format);
	fail_usage_as(run, near->best, format, args);
	va_end(args);
	return EXIT_USAGE;
}

int fail_unreachable(const struct invocation *run, const char *format, ...) {
	const struct advice advice = {"nobody who answers", "a host that runs on this data directory",
		"start it with: sofund --data DIR, and name the same DIR with sofun --data DIR; behind a crash it comes back by itself: sofun wait",
		NULL};
	va_list args;
	va_start(args, format);
	int result = fail_as(run, "unreachable", &advice, format, args);
	va_end(args);
	return result;
}

int fail_timeout(const struct invocation *run, const char *format, ...) {
	const struct advice advice = {"no end yet", "an end in the time that was given",
		"`sofun status` shows what the host does; what was asked for may still happen", NULL};
	va_list args;
	va_start(args, format);
	int result = fail_as(run, "timeout", &advice, format, args);
	va_end(args);
	return result;
}

int fail_here(const struct invocation *run, const char *format, ...) {
	char hint[128];
	snprintf(hint, sizeof hint, "sofun %s --help tells what it needs", run->command == NULL ? "" : run->command->name);
	va_list args;
	va_start(args, format);
	int result = fail_as(run, "failed", &(struct advice){.hint = hint}, format, args);
	va_end(args);
	return result;
}

int fail_missing(const struct invocation *run, const char *format, ...) {
	va_list args;
	va_start(args, format);
	int result = fail_as(run, "not_found",
		&(struct advice){"nothing there", "a file that this user may read", "check the path", NULL}, format, args);
	va_end(args);
	return result;
}

int fail_error(const struct invocation *run, const struct error *error) {
	json_t *object = json_pack("{s:s, s:s}", "code", error_code_name(error->code), "message", error->message);
	if (error->found[0] != '\0')
		json_object_set_new(object, "found", json_string(error->found));
	if (error->expected[0] != '\0')
		json_object_set_new(object, "expected", json_string(error->expected));
	if (error->hint[0] != '\0')
		json_object_set_new(object, "hint", json_string(error->hint));
	int result = fail_host(run, object);
	json_decref(object);
	return result;
}
