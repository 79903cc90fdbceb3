#include "base/park.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { AWAKE = 0, ASLEEP = 1, WOKEN = 2 };

static void futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_us) {
	struct timespec limit = {
		.tv_sec = (time_t)(timeout_us / 1000000),
		.tv_nsec = (long)(timeout_us % 1000000) * 1000,
	};
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout_us == UINT64_MAX ? NULL : &limit, NULL, 0);
}

void park_sleep(struct park *park, uint64_t timeout_us) {
	uint32_t awake = AWAKE;
	if (timeout_us > 0 && atomic_compare_exchange_strong(&park->state, &awake, ASLEEP))
		futex_wait(&park->state, ASLEEP, timeout_us);
	atomic_exchange(&park->state, AWAKE);
}

void park_wake(struct park *park) {
	if (atomic_exchange(&park->state, WOKEN) == ASLEEP)
		syscall(SYS_futex, &park->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
