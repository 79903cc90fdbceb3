/* Where a thread sleeps until another has something for it. A wake that comes before the sleep is not lost; waking a
 * thread that is awake costs one atomic exchange and no system call. */
#ifndef HOST_BASE_PARK_H
#define HOST_BASE_PARK_H

#include <stdatomic.h>
#include <stdint.h>

struct park {
	_Atomic uint32_t state; /* futex word: 0 awake, 1 asleep, 2 woken */
};

/* [owner thread] Sleeps until woken or timeout_us has passed (0: returns at once; UINT64_MAX: no limit). */
void park_sleep(struct park *park, uint64_t timeout_us);

/* [any thread] */
void park_wake(struct park *park);

#endif
