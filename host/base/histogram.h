/* Counts that one thread makes and any thread reads: no lock, no locked instruction; a reader may be a moment behind. And the
 * histogram of such counts, of durations, in steps of two. Uses nothing else of the host. */
#ifndef HOST_BASE_HISTOGRAM_H
#define HOST_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct tally {
	_Atomic uint64_t count;
};

/* [its one writer] */
static inline void tally_add(struct tally *tally, uint64_t more) {
	atomic_store_explicit(
		&tally->count, atomic_load_explicit(&tally->count, memory_order_relaxed) + more, memory_order_relaxed);
}

/* [its one writer] */
static inline void tally_set(struct tally *tally, uint64_t value) {
	atomic_store_explicit(&tally->count, value, memory_order_relaxed);
}

static inline uint64_t tally_get(const struct tally *tally) {
	return atomic_load_explicit(&tally->count, memory_order_relaxed);
}

enum { HISTOGRAM_BUCKETS = 24 }; /* up to 1, 2, 4, … microseconds, to 4.2 s; the last one: longer */

struct histogram {
	struct tally counts[HISTOGRAM_BUCKETS];
	struct tally sum_us;
};

/* As a reader has it. */
struct histogram_figures {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t sum_us;
};

/* [its one writer] */
static inline void histogram_add(struct histogram *histogram, uint64_t us) {
	unsigned bucket = us <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(us - 1);
	tally_add(&histogram->counts[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1], 1);
	tally_add(&histogram->sum_us, us);
}

/* Adds what the histogram holds. */
static inline void histogram_read(const struct histogram *histogram, struct histogram_figures *figures) {
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		figures->counts[i] += tally_get(&histogram->counts[i]);
	figures->sum_us += tally_get(&histogram->sum_us);
}

#endif
