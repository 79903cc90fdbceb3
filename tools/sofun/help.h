/* What the command says about itself: for people, and as the page sofun(1). Both are made from the table of commands. */
#ifndef SOFUN_HELP_H
#define SOFUN_HELP_H

#include "command.h"

/* sofun --man: what the installation keeps as sofun(1). */
#define MAN_OPTION "--man"

void help_print(void);
void help_command_print(const struct command *command);
void help_man_print(void); /* roff */

#endif
