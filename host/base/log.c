#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_BYTES = 2048 }; /* below PIPE_BUF, so that lines of several threads do not mix */

static _Atomic int level_min = LOG_INFO;

void log_level_set(enum log_level level) {
	atomic_store(&level_min, (int)level);
}

void log_event(enum log_level level, const char *event, const char *format, ...) {
	static const char *const names[] = {"debug", "info", "warn", "error"};
	if ((int)level < atomic_load(&level_min))
		return;
	struct timespec now;
	struct tm day;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &day);
	char line[LOG_LINE_BYTES];
	size_t used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &day);
	used +=
		(size_t)snprintf(line + used, sizeof line - used, ".%03ldZ %s %s ", now.tv_nsec / 1000000, names[level], event);
	va_list args;
	va_start(args, format);
	int body = vsnprintf(line + used, sizeof line - used - 1, format, args);
	va_end(args);
	if (body > 0)
		used += (size_t)body < sizeof line - used - 1 ? (size_t)body : sizeof line - used - 2;
	line[used++] = '\n';
	ssize_t written = write(STDERR_FILENO, line, used);
	(void)written; /* a log line that cannot be written has nowhere to be reported */
}
