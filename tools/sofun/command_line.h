/* The command line: its options, and how it becomes an invocation. For main.c, help.c and complete.c; subcommands look at
 * their invocation by command.h. */
#ifndef SOFUN_COMMAND_LINE_H
#define SOFUN_COMMAND_LINE_H

#include "command.h"

#define DEFAULT_DATA "./sofun-data"

extern const struct option global_options[];

/* NULL: there is none of that name. */
const struct command *command_find(const char *name);
const struct option *option_find(const struct option *options, const char *name, size_t size);

/* A payload such as -5 is no option. */
bool looks_like_option(const char *text);

/* Fills *run. False: told. */
bool command_line_read(struct invocation *run, int argc, char **argv);

/* Finds the sockets by --data or --control; command_line_finish frees them. False: told. */
bool command_line_paths(struct invocation *run);
void command_line_finish(struct invocation *run);

#endif
