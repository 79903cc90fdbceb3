/* What the parts of the metrics share. No other code should include this file. */
#ifndef HOST_CONTROL_METRICS_INSIDE_H
#define HOST_CONTROL_METRICS_INSIDE_H

#include "control/metrics/metrics.h"

/* metrics.c. The lines HELP and TYPE of a family. */
void metrics_head(struct buf *text, const char *name, const char *type, const char *help);

/* flow.c */
void metrics_flow_gather(struct engine *engine, struct metrics *metrics);
void metrics_flow_text(const struct metrics *metrics, struct buf *text);
void metrics_flow_finish(struct metrics *metrics);

/* flow.c. Appends name="value" to labels, as label values quote it. */
void metrics_label(struct buf *labels, const char *name, const char *value);
/* A sample; the histogram's of seconds. labels: empty, or what stands between the braces. */
void metrics_sample(struct buf *text, const char *family, const char *suffix, struct bytes labels, uint64_t count);
void metrics_histogram(
	struct buf *text, const char *family, struct bytes labels, const struct histogram_figures *figures);

/* versions.c */
void metrics_versions_gather(struct registry *registry, struct metrics *metrics);
void metrics_versions_text(const struct metrics *metrics, struct buf *text);
void metrics_versions_finish(struct metrics *metrics);

#endif
