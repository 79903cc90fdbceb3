/* The generations of sweeps: the number that tells the sweep which looks after an instance from older ones of it. Sweeps that
 * are filed about the same time, for times about as long, share one, so that the rows of their instances begin alike, and the
 * journal says that beginning once (state/redo.h). No sweep of a generation is due before the next one begins: so one that
 * is filed anew never gets the number that it had, and what was filed twice is swept once. Belongs to a shard. */
#ifndef HOST_FLOW_EXPIRY_SWEEP_AGE_H
#define HOST_FLOW_EXPIRY_SWEEP_AGE_H

#include <stdatomic.h>
#include <stdint.h>

struct sweep_age {
	uint64_t generation;
	uint64_t until_ms; /* then the next one begins */
};

enum { SWEEP_AGES = 64 }; /* by the logarithm of how long it is until they are due */

/* For a sweep that is filed now; at or above `below`, as every serial number is that is taken from now on. */
uint64_t sweep_age_generation(
	struct sweep_age ages[SWEEP_AGES], _Atomic uint64_t *serial, uint64_t now_ms, uint64_t due_ms, uint64_t below);

#endif
