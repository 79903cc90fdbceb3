#include "commands.h"

const struct command *const commands[] = {
	&status_command,
	&top_command,
	&wait_command,
	&load_command,
	&unload_command,
	&inspect_command,
	&swap_command,
	&promote_command,
	&rollback_command,
	&versions_command,
	&migrate_command,
	&send_command,
	&call_command,
	&ingest_command,
	&state_command,
	&tail_command,
	&dead_command,
	&new_command,
	&bench_command,
	NULL,
};
