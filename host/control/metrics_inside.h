/* What the parts of the metrics share. No other code should include this file. */
#ifndef HOST_CONTROL_METRICS_INSIDE_H
#define HOST_CONTROL_METRICS_INSIDE_H

#include "control/metrics.h"

/* metrics.c. The lines HELP and TYPE of a family. */
void metrics_head(struct buf *text, const char *name, const char *type, const char *help);

/* metrics_flow.c */
void metrics_flow_gather(struct engine *engine, struct metrics *metrics);
void metrics_flow_text(const struct metrics *metrics, struct buf *text);
void metrics_flow_finish(struct metrics *metrics);

/* metrics_flow.c. The samples of a histogram of seconds; name and value of its label, NULL: it has none. */
void metrics_histogram(
	struct buf *text, const char *family, const char *name, const char *value, const struct histogram_figures *figures);

#endif
