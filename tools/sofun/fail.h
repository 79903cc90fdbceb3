/* How the command says that something went wrong: {code, message, found, expected, hint} on stderr under --json, else
 * one readable line. Every function here returns the exit code, so that a subcommand reads `return fail(...)`. */
#ifndef SOFUN_FAIL_H
#define SOFUN_FAIL_H

#include <jansson.h>

#include "base/error.h"
#include "base/near.h"
#include "command.h"

/* Shows an error object of the host (borrowed); the exit code follows from its code. Where something was not found, the host is
 * asked for the names that it has, and the nearest to an argument is offered. */
int fail_host(const struct invocation *run, const json_t *error);

/* The command line was wrong. */
int fail_usage(const struct invocation *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A word of the command line is not known: the nearest one is offered, if there is one. */
int fail_unknown(const struct invocation *run, const struct near *near, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The host could not be reached, or went away. */
int fail_unreachable(const struct invocation *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* No answer in time. */
int fail_timeout(const struct invocation *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Something on this side, e.g. a file that cannot be read. */
int fail_here(const struct invocation *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A file that is not there. */
int fail_missing(const struct invocation *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An error of the library that the command shares with the host. */
int fail_error(const struct invocation *run, const struct error *error);

#endif
