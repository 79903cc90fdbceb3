/* Every subcommand; commands.c lists them in the order of the help. */
#ifndef SOFUN_COMMANDS_H
#define SOFUN_COMMANDS_H

#include "command.h"

extern const struct command status_command, top_command, wait_command;
extern const struct command load_command, unload_command, inspect_command;
extern const struct command swap_command, promote_command, rollback_command, versions_command, migrate_command;
extern const struct command send_command, call_command, ingest_command;
extern const struct command state_command, ttl_command, tail_command, dead_command;
extern const struct command new_command, bench_command;

#endif
