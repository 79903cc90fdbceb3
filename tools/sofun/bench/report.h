/* Targets and tables. */
#ifndef SOFUN_BENCH_REPORT_H
#define SOFUN_BENCH_REPORT_H

#include "bench/bench.h"

enum direction { AT_LEAST, AT_MOST };

/* How a value is written. */
enum quantity { QUANTITY_RATE, QUANTITY_US, QUANTITY_MS, QUANTITY_BYTES, QUANTITY_MIB, QUANTITY_TIMES };

struct bound {
	const char *work;
	enum direction direction;
	double bound; /* 0: for orientation, nobody judges it */
	enum quantity quantity;
};

/* A row: a value of each round, against the bound. */
void target_add(struct bench *bench, const struct bound *bound, const struct samples *values, const struct figures *of);

/* A row: ours against a baseline, round by round. void_below: the baseline's rate under which nothing is proved (0: any). */
void target_add_ratio(struct bench *bench, const struct bound *bound, const struct samples *ours,
	const struct samples *theirs, double void_below, const struct figures *of);

/* Everything to stdout, as tables or JSON. */
void report_print(const struct bench *bench);

/* Whether a target was missed or void. */
bool report_good(const struct bench *bench);

#endif
