#include "help.h"

#include <stdio.h>
#include <string.h>

#include "command_line.h"

static void options_print(const struct option *options) {
	for (; options != NULL && options->name != NULL; options++) {
		char left[64];
		snprintf(left, sizeof left, "%s %s", options->name, options->value == NULL ? "" : options->value);
		printf("  %-27s %s\n", left, options->help);
	}
}

void help_print(void) {
	puts("sofun: talk to a running sofund\n\n"
		 "usage: sofun [--data DIR | --control PATH] [--json] [--color auto|always|never] COMMAND ...\n\n"
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

void help_command_print(const struct command *command) {
	printf("sofun %s: %s\n\nusage: sofun %s%s%s\n\n%s\n", command->name, command->summary, command->name,
		*command->usage == '\0' ? "" : " ", command->usage, command->help);
	if (command->options != NULL) {
		puts("\noptions:");
		options_print(command->options);
	}
	puts("\nalso: --data DIR, --control PATH, --json, --color (see sofun --help)");
}

/* ---- the page sofun(1) ---- */

/* Text as roff takes it: no line begins a request, a hyphen is one that can be copied. */
static void roff_text(const char *text, size_t size) {
	if (size > 0 && (*text == '.' || *text == '\''))
		fputs("\\&", stdout);
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '-' || text[i] == '\\')
			printf(text[i] == '-' ? "\\-" : "\\e");
		else
			putchar(text[i]);
	}
}

static void roff_line(const char *text) {
	roff_text(text, strlen(text));
	putchar('\n');
}

/* Paragraphs are filled; indented lines are examples and stay as they are. */
static void roff_help(const char *text) {
	bool example = false;
	while (*text != '\0') {
		const size_t size = strcspn(text, "\n");
		const bool indented = text[0] == ' ';
		if (indented != example)
			puts(indented ? ".PP\n.RS\n.nf" : ".fi\n.RE");
		example = indented;
		if (size == 0)
			puts(text[1] == ' ' || text[1] == '\0' ? "." : ".PP");
		else
			roff_text(text, size), putchar('\n');
		text += size + (text[size] == '\n');
	}
	if (example)
		puts(".fi\n.RE");
}

static void roff_options(const struct option *options) {
	for (; options != NULL && options->name != NULL; options++) {
		fputs(".TP\n\\fB", stdout);
		roff_text(options->name, strlen(options->name));
		printf(options->value == NULL ? "\\fR\n" : "\\fR \\fI%s\\fR\n", options->value);
		roff_line(options->help);
	}
}

static void roff_command(const struct command *command) {
	printf(".SS %s\n.B sofun %s\n", command->name, command->name);
	roff_line(command->usage);
	puts(".PP");
	roff_help(command->help);
	roff_options(command->options);
}

void help_man_print(void) {
	puts(
		".TH SOFUN 1 \"\" \"sofun " SOFUN_VERSION "\" \"sofun\"\n.SH NAME\nsofun \\- talk to a running sofund\n"
		".SH SYNOPSIS\n.B sofun\n[\\-\\-data DIR | \\-\\-control PATH] [\\-\\-json] [\\-\\-color auto|always|never] COMMAND ...\n"
		".SH DESCRIPTION\nsofun gives plugins to a host, sends it messages and records, and shows what it does. It talks to the\n"
		"sockets in the data directory of\n.BR sofund (8).\nWith\n.B \\-\\-json\nstdout is one JSON value (of tail, one a "
		"line), and an error is\none JSON object on stderr.\n.SH OPTIONS");
	roff_options(global_options);
	puts(".SH COMMANDS");
	for (const struct command *const *at = commands; *at != NULL; at++)
		roff_command(*at);
	puts(
		".SH EXIT STATUS\n0 ok, 1 the operation failed, 2 usage, 3 host unreachable, 4 not found, 5 refused, 6 timeout.\n"
		".SH FILES\n.TP\n.I ./sofun\\-data\nthe data directory without\n.BR \\-\\-data .\n"
		".SH SEE ALSO\n.BR sofund (8),\n.BR sofun.yaml (5)");
}
