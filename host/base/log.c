#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/log_line.h"

enum { LOG_SOURCES = 256 }; /* remembered at once: two that fall together share their lines */

/* Who says what: an event, and the plugin that it is of. */
struct source {
	uint64_t name; /* hash */
	time_t second;
	uint32_t lines;   /* written in that second */
	uint32_t dropped; /* since it was last said */
};

static _Atomic int level_min = LOG_INFO;
static _Atomic int line_format = LOG_TEXT;
static _Atomic uint32_t lines_per_second;
static pthread_mutex_t sources_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct source sources[LOG_SOURCES]; /* under sources_mutex */

void log_configure(const struct log_options *options) {
	atomic_store(&level_min, (int)options->level);
	atomic_store(&line_format, (int)options->format);
	atomic_store(&lines_per_second, options->lines_per_second);
}

void log_level_set(enum log_level level) {
	atomic_store(&level_min, (int)level);
}

static uint64_t name_hash(uint64_t hash, const char *text) {
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
	return hash;
}

enum admission { ADMIT, ADMIT_LAST, DROP };

/* *ret_dropped: so many were dropped before this one. */
static enum admission admit(const char *event, const char *plugin, uint32_t *ret_dropped) {
	uint32_t most = atomic_load(&lines_per_second);
	struct timespec now;
	enum admission admission = ADMIT;
	*ret_dropped = 0;
	if (most == 0)
		return ADMIT;
	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t name = name_hash(name_hash(UINT64_C(14695981039346656037), event), plugin);
	pthread_mutex_lock(&sources_mutex);
	struct source *source = &sources[name % LOG_SOURCES];
	if (source->name != name || source->second != now.tv_sec) {
		*ret_dropped = source->name == name ? source->dropped : 0;
		*source = (struct source){.name = name, .second = now.tv_sec};
	}
	if (source->lines < most) {
		if (++source->lines == most)
			admission = ADMIT_LAST;
	} else {
		source->dropped++;
		admission = DROP;
	}
	pthread_mutex_unlock(&sources_mutex);
	return admission;
}

static void moment_print(char *text, size_t size) {
	struct timespec now;
	struct tm day;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &day);
	size_t used = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &day);
	snprintf(text + used, size - used, ".%03ldZ", now.tv_nsec / 1000000);
}

static void line_write(struct log_line *line) {
	log_line_end(line);
	ssize_t written = write(STDERR_FILENO, line->data, line->size);
	(void)written; /* a log line that cannot be written has nowhere to be reported */
}

static void line_make(
	struct log_line *line, enum log_level level, const char *event, const char *format, va_list args) {
	char moment[40];
	moment_print(moment, sizeof moment);
	log_line_begin(line, (enum log_format)atomic_load(&line_format), moment, level, event);
	log_line_pairs(line, format, args);
}

/* A line of the log's own, which no rate holds back. */
static void own_line(const char *event, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void own_line(const char *event, const char *format, ...) {
	struct log_line line;
	va_list args;
	va_start(args, format);
	line_make(&line, LOG_WARN, event, format, args);
	va_end(args);
	line_write(&line);
}

void log_event(enum log_level level, const char *event, const char *format, ...) {
	struct log_line line;
	uint32_t dropped;
	if ((int)level < atomic_load(&level_min))
		return;
	va_list args;
	va_start(args, format);
	line_make(&line, level, event, format, args);
	va_end(args);
	enum admission admission = admit(event, line.plugin, &dropped);
	if (dropped > 0)
		own_line("log_dropped", "of=%s plugin=\"%s\" lines=%u", event, line.plugin, (unsigned)dropped);
	if (admission == DROP)
		return;
	line_write(&line);
	if (admission == ADMIT_LAST)
		own_line("log_limited", "of=%s plugin=\"%s\" lines_per_second=%u", event, line.plugin,
			(unsigned)atomic_load(&lines_per_second));
}
