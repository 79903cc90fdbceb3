/* What a subcommand is, and what it is given. One file a subcommand; commands.c has the table. */
#ifndef SOFUN_COMMAND_H
#define SOFUN_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

/* Exit codes that scripts rely on. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_OPERATION_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
	EXIT_NOT_FOUND = 4,
	EXIT_REFUSED = 5,
	EXIT_TIMEOUT = 6,
};

enum {
	ARGUMENTS_MAX = 8, /* no subcommand takes more than three; the rest is for a good message */
	OPTIONS_MAX = 16,
};

struct option {
	const char *name; /* "--batch"; NULL ends the list */
	const char
		*value; /* what it takes, as help shows it, fixed words in small letters: NAME|first|last; NULL: a flag */
	const char *help;
};

struct given {
	const char *name;
	const char *value; /* "" for a flag */
};

/* One run of the command. */
struct invocation {
	const struct command *command;
	char *control; /* path of the control socket */
	char *data;    /* path of the data socket */
	bool json;     /* one JSON value on stdout, errors as JSON on stderr */
	const char *arguments[ARGUMENTS_MAX];
	size_t argument_count;
	struct given options[OPTIONS_MAX];
	size_t option_count;
};

struct command {
	const char *name;
	const char *usage;            /* behind the name */
	const char *summary;          /* one line */
	const char *help;             /* what it teaches: paragraphs and examples */
	const char *completes;        /* what its arguments are, for the shell: complete.c knows the words; NULL: nothing */
	const struct option *options; /* NULL: none */
	size_t arguments_min;
	size_t arguments_max;
	int (*run)(const struct invocation *run); /* an exit code */
};

extern const struct command *const commands[]; /* NULL-terminated */

/* argument i, or NULL if it was not given. */
const char *argument(const struct invocation *run, size_t i);

/* The option's value, "" for a flag, NULL if it was not given. */
const char *option_value(const struct invocation *run, const char *name);

/* False if it was given and is no whole number up to most; says so then. *ret_number stays as it was if not given. */
bool option_number(
	const struct invocation *run, const char *name, unsigned long long most, unsigned long long *ret_number);

/* As option_number, for seconds with a fraction; gives milliseconds. */
bool option_seconds(const struct invocation *run, const char *name, unsigned long long *ret_ms);

#endif
