/* One line an event on stderr: time level event key=value ... Logs never wait for an epoch (they are a named
 * exception to "nothing leaves early"). Any thread. */
#ifndef HOST_BASE_LOG_H
#define HOST_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below this level are not written; LOG_INFO at start. */
void log_level_set(enum log_level level);

/* event is one word ("recovered"); format is key=value pairs; values with spaces should be quoted by the caller. */
void log_event(enum log_level level, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
