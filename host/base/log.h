/* One line an event on stderr, for people (time level event key=value …) or for machines (the same as JSON). Logs never wait
 * for an epoch (they are a named exception to "nothing leaves early"). Whoever says the same thing too often is cut short,
 * and the log says so. Any thread. */
#ifndef HOST_BASE_LOG_H
#define HOST_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_options {
	enum log_level level; /* lines below it are not written */
	enum log_format format;
	uint32_t
		lines_per_second; /* of one event, and of one plugin; beyond it lines are dropped and counted. 0: all pass */
};

/* Before it: info, text, all lines. */
void log_configure(const struct log_options *options);

/* The level alone, for programs that have no other options. */
void log_level_set(enum log_level level);

/* event is one word ("recovered"). format is pairs key=value with one blank between; a value that may hold blanks stands in
 * quotes: "reason=\"%s\"". Values are escaped here, so they may hold anything. A part without "=" is pairs that are made
 * already. Directives: %s %d %i %u %x %X %c, with width, precision and * and l, ll, z. */
void log_event(enum log_level level, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
