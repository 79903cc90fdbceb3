/* Numbers of several rounds, and a histogram of latencies. */
#ifndef SOFUN_BENCH_SAMPLES_H
#define SOFUN_BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

enum { SAMPLES_MAX = 32 };

struct samples {
	double values[SAMPLES_MAX];
	size_t count;
};

void samples_add(struct samples *samples, double value);

/* 0 if there are none. */
double samples_median(const struct samples *samples);
double samples_least(const struct samples *samples);
double samples_most(const struct samples *samples);

/* a[i] / b[i] of each round that both have. */
struct samples samples_ratio(const struct samples *a, const struct samples *b);

enum {
	HISTOGRAM_STEPS = 64,  /* within one power of two: 1.6 % */
	HISTOGRAM_POWERS = 40, /* nanoseconds: 18 minutes */
};

struct histogram {
	uint64_t counts[HISTOGRAM_POWERS * HISTOGRAM_STEPS];
	uint64_t total;
};

void histogram_add(struct histogram *histogram, uint64_t ns, uint64_t times);

/* The value that the share (0 to 1) of all does not exceed; 0 if it is empty. */
double histogram_us(const struct histogram *histogram, double share);

#endif
