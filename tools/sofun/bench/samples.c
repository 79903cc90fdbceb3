#include "bench/samples.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void samples_add(struct samples *samples, double value) {
	check(samples->count < SAMPLES_MAX);
	samples->values[samples->count++] = value;
}

static int order(const void *a, const void *b) {
	const double left = *(const double *)a, right = *(const double *)b;
	return left < right ? -1 : left > right;
}

/* The value at that share of the sorted ones. */
static double sorted_at(const struct samples *samples, double share) {
	struct samples sorted = *samples;
	if (sorted.count == 0)
		return 0;
	qsort(sorted.values, sorted.count, sizeof sorted.values[0], order);
	return sorted.values[(size_t)((double)(sorted.count - 1) * share)];
}

double samples_median(const struct samples *samples) {
	return sorted_at(samples, 0.5);
}

double samples_least(const struct samples *samples) {
	return sorted_at(samples, 0);
}

double samples_most(const struct samples *samples) {
	return sorted_at(samples, 1);
}

struct samples samples_ratio(const struct samples *a, const struct samples *b) {
	struct samples ratio = {.count = 0};
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (b->values[i] > 0)
			samples_add(&ratio, a->values[i] / b->values[i]);
	return ratio;
}

/* Below HISTOGRAM_STEPS a place a nanosecond; above, the highest bits choose. */
static size_t place_of(uint64_t ns) {
	if (ns < HISTOGRAM_STEPS)
		return (size_t)ns;
	const size_t power = 63 - (size_t)__builtin_clzll(ns) - 5; /* 64 steps are 6 bits, the highest of them is set */
	const size_t place = power * HISTOGRAM_STEPS / 2 + (size_t)(ns >> power);
	return place < HISTOGRAM_POWERS * HISTOGRAM_STEPS ? place : HISTOGRAM_POWERS * HISTOGRAM_STEPS - 1;
}

/* The largest that lies there. */
static double value_of(size_t place) {
	if (place < HISTOGRAM_STEPS)
		return (double)place;
	const size_t power = place / (HISTOGRAM_STEPS / 2) - 1;
	const size_t step = place - power * HISTOGRAM_STEPS / 2;
	return (double)(((uint64_t)step + 1) << power) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t ns, uint64_t times) {
	histogram->counts[place_of(ns)] += times;
	histogram->total += times;
}

double histogram_us(const struct histogram *histogram, double share) {
	uint64_t seen = 0;
	const double wanted = (double)histogram->total * share;
	for (size_t i = 0; i < HISTOGRAM_POWERS * HISTOGRAM_STEPS; i++) {
		seen += histogram->counts[i];
		if (histogram->counts[i] > 0 && (double)seen >= wanted)
			return value_of(i) / 1000;
	}
	return 0;
}
