/* How a line of the log is made. For log.c and its tests only. Pure. */
#ifndef HOST_BASE_LOG_LINE_H
#define HOST_BASE_LOG_LINE_H

#include <stdarg.h>
#include <stddef.h>

#include "base/log.h"

enum {
	LOG_LINE_BYTES = 3072,  /* below PIPE_BUF, so that lines of several threads do not mix */
	LOG_VALUE_BYTES = 1400, /* of one value; the rest is cut */
	LOG_ROOM_BYTES = 32,    /* kept for what ends a line */
};

struct log_line {
	char data[LOG_LINE_BYTES];
	size_t size;
	enum log_format format;
	char plugin[64]; /* the value of the key "plugin", for the rate; "" if there is none */
};

/* Begins the line; time is the text of the moment. */
void log_line_begin(
	struct log_line *line, enum log_format format, const char *time, enum log_level level, const char *event);
void log_line_pairs(struct log_line *line, const char *format, va_list args);
/* With the line's end. */
void log_line_end(struct log_line *line);

#endif
