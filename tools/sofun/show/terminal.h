/* What stands behind stdout and stderr: a terminal of some width, or none; and whether to use colour there. */
#ifndef SOFUN_TERMINAL_H
#define SOFUN_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

enum terminal_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

enum terminal_style { STYLE_HEAD, STYLE_ERROR, STYLE_DONE, STYLE_DIM };

/* From --color; before anything is shown. Without it: auto, on terminals only. */
void terminal_color_set(enum terminal_color color);

/* The escape that begins the style on that descriptor, "" where there is no colour; terminal_plain ends it. */
const char *terminal_style(int descriptor, enum terminal_style style);
const char *terminal_plain(int descriptor);

/* Columns and rows; 0: it is no terminal. */
size_t terminal_columns(int descriptor);
size_t terminal_rows(int descriptor);

#endif
