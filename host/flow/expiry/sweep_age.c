#include "flow/expiry/sweep_age.h"

uint64_t sweep_age_generation(
	struct sweep_age ages[SWEEP_AGES], _Atomic uint64_t *serial, uint64_t now_ms, uint64_t due_ms, uint64_t below) {
	const uint64_t ahead_ms = due_ms > now_ms ? due_ms - now_ms : 0;
	const unsigned power = ahead_ms == 0 ? 0 : 63 - (unsigned)__builtin_clzll(ahead_ms);
	struct sweep_age *age = &ages[power];
	if (now_ms >= age->until_ms || due_ms < age->until_ms || age->generation < below) {
		age->generation = atomic_fetch_add(serial, 1);
		age->until_ms = ahead_ms == 0 ? now_ms : now_ms + (UINT64_C(1) << power);
	}
	return age->generation;
}
