#include "show/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

/* A fact about this process's output, as stdout itself is: set once, at the start. */
static enum terminal_color color_wanted = COLOR_AUTO;

void terminal_color_set(enum terminal_color color) {
	color_wanted = color;
}

static bool colored(int descriptor) {
	return color_wanted == COLOR_ALWAYS || (color_wanted == COLOR_AUTO && isatty(descriptor));
}

const char *terminal_style(int descriptor, enum terminal_style style) {
	static const char *const escapes[] = {
		[STYLE_HEAD] = "\033[1m", [STYLE_ERROR] = "\033[31m", [STYLE_DONE] = "\033[32m", [STYLE_DIM] = "\033[2m"};
	return colored(descriptor) ? escapes[style] : "";
}

const char *terminal_plain(int descriptor) {
	return colored(descriptor) ? "\033[0m" : "";
}

static struct winsize window_size(int descriptor) {
	struct winsize size = {0};
	if (!isatty(descriptor))
		return size;
	if (ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
		size = (struct winsize){.ws_col = 80, .ws_row = 24}; /* a terminal that does not know itself */
	return size;
}

size_t terminal_columns(int descriptor) {
	return window_size(descriptor).ws_col;
}

size_t terminal_rows(int descriptor) {
	return window_size(descriptor).ws_row;
}
