#include "command_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "fail.h"

const struct option global_options[] = {
	{"--data", "DIR", "data directory of the host (default " DEFAULT_DATA ")"},
	{"--control", "PATH", "control socket of the host, instead of --data; data.sock is taken from the same folder"},
	{"--json", NULL, "one JSON value on stdout; errors as {code,message,found,expected,hint} on stderr"},
	{"--color", "auto|always|never", "whether to use colour (default: auto, on a terminal)"},
	{"--help", NULL, "this text; behind a command: what it does, with examples"},
	{"--version", NULL, "version of this command"},
	{NULL, NULL, NULL},
};

const char *argument(const struct invocation *run, size_t i) {
	return i < run->argument_count ? run->arguments[i] : NULL;
}

const char *option_value(const struct invocation *run, const char *name) {
	for (size_t i = run->option_count; i > 0; i--)
		if (strcmp(run->options[i - 1].name, name) == 0)
			return run->options[i - 1].value;
	return NULL;
}

bool option_number(
	const struct invocation *run, const char *name, unsigned long long most, unsigned long long *ret_number) {
	const char *text = option_value(run, name);
	if (text == NULL)
		return true;
	char *end;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || end == text || *text == '-' || number > most) {
		fail_usage(run, "%s takes a whole number up to %llu, not '%s'", name, most, text);
		return false;
	}
	*ret_number = number;
	return true;
}

bool option_seconds(const struct invocation *run, const char *name, unsigned long long *ret_ms) {
	const char *text = option_value(run, name);
	if (text == NULL)
		return true;
	char *end;
	double seconds = strtod(text, &end);
	if (*end != '\0' || end == text || !(seconds >= 0 && seconds <= 1e6)) {
		fail_usage(run, "%s takes seconds, as 30 or 0.5, not '%s'", name, text);
		return false;
	}
	*ret_ms = (unsigned long long)(seconds * 1000 + 0.5);
	return true;
}

const struct command *command_find(const char *name) {
	for (const struct command *const *at = commands; *at != NULL; at++)
		if (strcmp((*at)->name, name) == 0)
			return *at;
	return NULL;
}

const struct option *option_find(const struct option *options, const char *name, size_t size) {
	for (; options != NULL && options->name != NULL; options++)
		if (strlen(options->name) == size && memcmp(options->name, name, size) == 0)
			return options;
	return NULL;
}

bool looks_like_option(const char *text) {
	return text[0] == '-' && text[1] == '-' && text[2] != '\0';
}

static void options_offer(struct near *near, const struct option *options) {
	for (; options != NULL && options->name != NULL; options++)
		near_offer(near, options->name);
}

static void option_refuse(const struct invocation *run, const char *text) {
	char name[NEAR_NAME_BYTES];
	(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "="), text);
	struct near near = near_begin(bytes_text(name));
	options_offer(&near, global_options);
	options_offer(&near, run->command == NULL ? NULL : run->command->options);
	for (const struct command *const *at = commands; run->command != NULL && *at != NULL; at++) {
		if (option_find((*at)->options, name, strlen(name)) == NULL)
			continue;
		fail_unknown(run, &near, "%s has no option %s: it is one of %s", run->command->name, name, (*at)->name);
		return;
	}
	fail_unknown(run, &near, "unknown option %s", text);
}

static void command_refuse(const struct invocation *run, const char *text) {
	struct near near = near_begin(bytes_text(text));
	for (const struct command *const *at = commands; *at != NULL; at++)
		near_offer(&near, (*at)->name);
	fail_unknown(run, &near, "unknown command '%s'", text);
}

/* Takes the option at argv[*at]; moves *at on past its value. */
static bool option_take(struct invocation *run, int argc, char **argv, int *at) {
	const char *text = argv[*at], *equals = strchr(text, '=');
	size_t size = equals == NULL ? strlen(text) : (size_t)(equals - text);
	const struct option *option = option_find(global_options, text, size);
	if (option == NULL && run->command != NULL)
		option = option_find(run->command->options, text, size);
	if (option == NULL)
		return option_refuse(run, text), false;
	const char *value = equals == NULL ? NULL : equals + 1;
	if (option->value == NULL && value != NULL)
		return fail_usage(run, "%s takes no value", option->name), false;
	if (option->value != NULL && value == NULL) {
		if (*at + 1 >= argc)
			return fail_usage(run, "%s needs %s", option->name, option->value), false;
		value = argv[++*at];
	}
	if (run->option_count == OPTIONS_MAX)
		return fail_usage(run, "too many options"), false;
	run->options[run->option_count++] = (struct given){option->name, value == NULL ? "" : value};
	return true;
}

static bool argument_take(struct invocation *run, const char *text) {
	if (run->command == NULL) {
		run->command = command_find(text);
		if (run->command == NULL)
			run->arguments[run->argument_count++] = text; /* for the error to show */
		return run->command != NULL || (command_refuse(run, text), false);
	}
	if (run->argument_count == run->command->arguments_max)
		return fail_usage(run, "one argument too many: '%s'", text), false;
	run->arguments[run->argument_count++] = text;
	return true;
}

bool command_line_read(struct invocation *run, int argc, char **argv) {
	bool options_over = false;
	for (int i = 1; i < argc; i++)
		run->json = run->json || strcmp(argv[i], "--json") == 0; /* so that an early mistake is told as asked */
	for (int i = 1; i < argc; i++) {
		if (!options_over && strcmp(argv[i], "--") == 0)
			options_over = true;
		else if (!options_over && looks_like_option(argv[i])) {
			if (!option_take(run, argc, argv, &i))
				return false;
		} else if (!argument_take(run, argv[i])) {
			return false;
		}
	}
	run->json = option_value(run, "--json") != NULL;
	return true;
}

static char *path_join(const char *directory, size_t size, const char *name) {
	size_t room = size + strlen(name) + 2;
	char *path = check_alloc(1, room);
	snprintf(path, room, "%.*s/%s", (int)size, directory, name);
	return path;
}

bool command_line_paths(struct invocation *run) {
	const char *data = option_value(run, "--data"), *control = option_value(run, "--control");
	if (data != NULL && control != NULL)
		return fail_usage(run, "give --data or --control, not both"), false;
	if (control == NULL) {
		if (data == NULL)
			data = DEFAULT_DATA;
		run->control = path_join(data, strlen(data), "control.sock");
		run->data = path_join(data, strlen(data), "data.sock");
		return true;
	}
	const char *slash = strrchr(control, '/');
	run->control = check_strdup(control);
	run->data =
		slash == NULL ? path_join(".", 1, "data.sock") : path_join(control, (size_t)(slash - control), "data.sock");
	return true;
}

void command_line_finish(struct invocation *run) {
	free(run->control);
	free(run->data);
}
