/* The watchdog: a call that does not end is a crash of its message (INVARIANTS 37). What counts is the CPU time of the
 * call's thread; wall time at ten times that, since machines lose hundreds of milliseconds unseen, and only while the
 * watchdog itself runs on time. It costs the message path nothing: it looks at the notes now and then. */
#ifndef HOST_SUPERVISOR_WATCHDOG_H
#define HOST_SUPERVISOR_WATCHDOG_H

#include <stdint.h>

struct watchdog;

/* limit_ms: of the CPU time of a call; work_limit_ms: of the wall time of work for an operation, which mostly waits, 0: none.
 * Both may change while it runs. */
struct watchdog *watchdog_start(const _Atomic uint64_t *limit_ms, const _Atomic uint64_t *work_limit_ms);
void watchdog_stop(struct watchdog *watchdog); /* NULL is fine */

#endif
