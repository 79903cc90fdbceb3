#include "flow/epoch/gather.h"

#include "flow/flow_clock.h"
#include "limits.h"

bool gather_end(struct gather *gather) {
	if (!atomic_load_explicit(&gather->comes, memory_order_relaxed))
		return false;
	atomic_store(&gather->comes, false); /* before the look: whoever begins to wait behind it sees that this is over */
	return atomic_load(&gather->waits);
}

static bool holds(struct gather *gather) {
	atomic_store(&gather->waits, true); /* before the look: whoever ends it behind that sees who waits */
	if (!atomic_load(&gather->comes))
		return false;
	const uint64_t now_us = monotonic_us();
	if (gather->until_us == 0)
		gather->until_us = now_us + GATHER_US_MAX;
	return now_us < gather->until_us;
}

bool gather_holds(struct gather *gather) {
	if (holds(gather))
		return true;
	atomic_store_explicit(&gather->waits, false, memory_order_relaxed);
	gather->until_us = 0;
	return false;
}

uint64_t gather_left_us(const struct gather *gather) {
	const uint64_t now_us = monotonic_us();
	return now_us < gather->until_us ? gather->until_us - now_us : 0;
}
