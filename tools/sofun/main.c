/* sofun: talks to a running sofund. This file reads the command line and finds the subcommand. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "command.h"
#include "fail.h"

#define DEFAULT_DATA "./sofun-data"

static const struct option global_options[] = {
	{"--data", "DIR", "data directory of the host (default " DEFAULT_DATA ")"},
	{"--control", "PATH", "control socket of the host, instead of --data; data.sock is taken from the same folder"},
	{"--json", NULL, "one JSON value on stdout; errors as {code,message,found,expected,hint} on stderr"},
	{"--help", NULL, "this text; behind a command: what it does, with examples"},
	{"--version", NULL, "version of this command"},
	{NULL, NULL, NULL},
};

static void options_print(const struct option *options) {
	for (; options != NULL && options->name != NULL; options++) {
		char left[64];
		snprintf(left, sizeof left, "%s %s", options->name, options->value == NULL ? "" : options->value);
		printf("  %-24s %s\n", left, options->help);
	}
}

static void help_print(void) {
	puts("sofun: talk to a running sofund\n\n"
		 "usage: sofun [--data DIR | --control PATH] [--json] COMMAND ...\n\n"
		 "commands:");
	for (const struct command *const *at = commands; *at != NULL; at++)
		printf("  %-10s %s\n", (*at)->name, (*at)->summary);
	puts("\noptions:");
	options_print(global_options);
	puts("\nfirst steps:\n"
		 "  sofund --data DIR &                          start the host\n"
		 "  sofun --data DIR load counter.so             give it a plugin\n"
		 "  sofun --data DIR call demo/counter alice 5   call a function of it\n"
		 "  sofun --data DIR status                      see what runs\n\n"
		 "exit codes: 0 ok, 1 the operation failed, 2 usage, 3 host unreachable, 4 not found, 5 refused, 6 timeout\n\n"
		 "sofun COMMAND --help tells more.");
}

static void command_help_print(const struct command *command) {
	printf("sofun %s: %s\n\nusage: sofun %s%s%s\n\n%s\n", command->name, command->summary, command->name,
		*command->usage == '\0' ? "" : " ", command->usage, command->help);
	if (command->options != NULL) {
		puts("\noptions:");
		options_print(command->options);
	}
	puts("\nalso: --data DIR, --control PATH, --json (see sofun --help)");
}

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

static const struct command *command_find(const char *name) {
	for (const struct command *const *at = commands; *at != NULL; at++)
		if (strcmp((*at)->name, name) == 0)
			return *at;
	return NULL;
}

static const struct option *option_find(const struct option *options, const char *name, size_t size) {
	for (; options != NULL && options->name != NULL; options++)
		if (strlen(options->name) == size && memcmp(options->name, name, size) == 0)
			return options;
	return NULL;
}

/* A payload such as -5 is no option. */
static bool looks_like_option(const char *text) {
	return text[0] == '-' && text[1] == '-' && text[2] != '\0';
}

/* Takes the option at argv[*at]; moves *at on past its value. */
static bool option_take(struct invocation *run, int argc, char **argv, int *at) {
	const char *text = argv[*at], *equals = strchr(text, '=');
	size_t size = equals == NULL ? strlen(text) : (size_t)(equals - text);
	const struct option *option = option_find(global_options, text, size);
	if (option == NULL && run->command != NULL)
		option = option_find(run->command->options, text, size);
	if (option == NULL)
		return fail_usage(run, "unknown option %s", text), false;
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
		return run->command != NULL || (fail_usage(run, "unknown command '%s'", text), false);
	}
	if (run->argument_count == run->command->arguments_max)
		return fail_usage(run, "one argument too many: '%s'", text), false;
	run->arguments[run->argument_count++] = text;
	return true;
}

static bool command_line_read(struct invocation *run, int argc, char **argv) {
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

static bool paths_set(struct invocation *run) {
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

int main(int argc, char **argv) {
	signal(SIGPIPE, SIG_IGN); /* a host that goes away is an error to tell, not a silent end */
	struct invocation run = {0};
	if (!command_line_read(&run, argc, argv))
		return EXIT_USAGE;
	if (option_value(&run, "--version") != NULL)
		return puts("sofun " SOFUN_VERSION), EXIT_OK;
	if (option_value(&run, "--help") != NULL)
		return run.command == NULL ? help_print() : command_help_print(run.command), EXIT_OK;
	if (run.command == NULL)
		return fail_usage(&run, "no command given");
	if (run.argument_count < run.command->arguments_min)
		return fail_usage(&run, "too few arguments; usage: sofun %s %s", run.command->name, run.command->usage);
	if (!paths_set(&run))
		return EXIT_USAGE;
	int result = run.command->run(&run);
	free(run.control);
	free(run.data);
	if (fflush(stdout) != 0 || ferror(stdout))
		return fail_here(&run, "cannot write the output: %s", strerror(errno));
	return result;
}
