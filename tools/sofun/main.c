/* sofun: talks to a running sofund. command_line.c reads the arguments, commands.c has the table of subcommands. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "command_line.h"
#include "complete.h"
#include "fail.h"
#include "help.h"
#include "show/terminal.h"

static bool color_set(const struct invocation *run) {
	static const char *const words[] = {[COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"};
	const char *word = option_value(run, "--color");
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (word != NULL && strcmp(word, words[i]) == 0)
			return terminal_color_set((enum terminal_color)i), true;
	return word == NULL || (fail_usage(run, "--color takes auto, always or never, not '%s'", word), false);
}

int main(int argc, char **argv) {
	signal(SIGPIPE, SIG_IGN); /* a host that goes away is an error to tell, not a silent end */
	struct invocation run = {0};
	if (argc >= 3 && strcmp(argv[1], COMPLETE_OPTION) == 0)
		return complete(argc - 2, argv + 2);
	if (argc == 2 && strcmp(argv[1], MAN_OPTION) == 0)
		return help_man_print(), EXIT_OK;
	if (!command_line_read(&run, argc, argv))
		return EXIT_USAGE;
	if (option_value(&run, "--version") != NULL)
		return puts(run.json ? "{\"version\":\"" SOFUN_VERSION "\"}" : "sofun " SOFUN_VERSION), EXIT_OK;
	if (option_value(&run, "--help") != NULL)
		return run.command == NULL ? help_print() : help_command_print(run.command), EXIT_OK;
	if (run.command == NULL)
		return fail_usage(&run, "no command given");
	if (run.argument_count < run.command->arguments_min)
		return fail_usage(&run, "too few arguments; usage: sofun %s %s", run.command->name, run.command->usage);
	if (!color_set(&run) || !command_line_paths(&run))
		return EXIT_USAGE;
	int result = run.command->run(&run);
	command_line_finish(&run);
	if (fflush(stdout) != 0 || ferror(stdout))
		return fail_here(&run, "cannot write the output: %s", strerror(errno));
	return result;
}
