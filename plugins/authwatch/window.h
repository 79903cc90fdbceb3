/* A sliding window: the failures of the last ten minutes of the log's time, by minute. Any thread.
 *
 *   [minute, count*]    minute: the newest that had a failure, from the beginning of the year; counts from that one back,
 *                       at most ten, the oldest is not 0; nothing at all while there was none */
#ifndef AUTHWATCH_WINDOW_H
#define AUTHWATCH_WINDOW_H

#include <sofun/sofun.h>

enum { WINDOW_MINUTES = 10, WINDOW_BYTES_MAX = 1 + (1 + WINDOW_MINUTES) * 9 };

struct window {
	int64_t minute;
	int64_t counts[WINDOW_MINUTES]; /* [0]: of `minute` */
};

/* False: malformed. An unset value is an empty window. */
bool window_read(sofun_bytes msgpack, struct window *ret_window);
sofun_bytes window_write(const struct window *window, uint8_t room[WINDOW_BYTES_MAX]);

/* A time as syslog spells it ("Dec 10 06:55:46"); any other counts for the newest minute. A time before the newest, but
 * within the window, counts where it belongs; one that is further back than the window is a new year, or a clock set back:
 * the window begins anew there. */
void window_add(struct window *window, sofun_bytes time, int64_t count);

/* Each failure counts 1 to 10: one of the newest minute ten times that of the oldest. */
int64_t window_score(const struct window *window);

#endif
