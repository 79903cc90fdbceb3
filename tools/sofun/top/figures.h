/* The host's /metrics as figures that can be looked up: Prometheus text, read line by line. */
#ifndef SOFUN_FIGURES_H
#define SOFUN_FIGURES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct figure {
	const char *name;
	const char *labels; /* what stands between the braces; "" */
	double value;
};

struct figures {
	struct buf text; /* which the names point into */
	struct figure *all;
	size_t count;
};

/* Takes the text over. Lines that it does not know are passed over. */
void figures_read(struct figures *figures, struct buf text);
void figures_finish(struct figures *figures);

/* Which figures of a name are meant: those whose labels have these values. label NULL: whatever labels; so `also`. */
struct figure_choice {
	const char *label;
	const char *value;
	const char *also;
	const char *also_value;
};

/* The sum of the figures `name` that are meant; fallback if there is none. */
double figure_value(
	const struct figures *figures, const char *name, const struct figure_choice *choice, double fallback);

/* The value of a label; false: it has none of that name. */
bool figure_label(const struct figure *figure, const char *label, char *ret_value, size_t size);

/* The quantile of what a histogram `name` (without _bucket) observed between two looks, in its own unit; -1: nothing. */
double figure_quantile(const struct figures *before, const struct figures *after, const char *name,
	const struct figure_choice *choice, double quantile);

#endif
