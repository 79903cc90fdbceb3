/* The figures of /metrics: what is gathered, and how it reads as Prometheus text (exposition format 0.0.4). */
#ifndef HOST_CONTROL_METRICS_METRICS_H
#define HOST_CONTROL_METRICS_METRICS_H

#include "control/control.h"
#include "flow/engine/figures.h"
#include "limits.h"

struct metrics_function {
	char *type;
	struct engine_function_figures figures;
};

/* Of a version that is loaded. */
struct metrics_version {
	struct buf labels; /* as they stand between the braces */
	struct engine_function_figures figures;
};

struct metrics {
	struct engine_status engine;
	struct metrics_function *functions; /* metrics_finish frees them */
	size_t function_count;
	struct metrics_version *versions; /* likewise */
	size_t version_count;
	uint64_t undecided; /* addresses that wait for the verdict on a version */
	struct engine_shard_figures shards[SHARDS_MAX];
	struct engine_commit_figures commit;
	struct store_figures store;
	struct registry_images images;
	struct http_figures http;
	uint64_t plugins_live;
	uint64_t plugins_refused;
	uint64_t uptime_ms;
	uint64_t cpu_us;         /* of the process, user and system */
	uint64_t resident_bytes; /* of the process */
	struct buf instances;    /* lines of sofun_instances; metrics_finish frees it */
	bool ready;
};

/* [loop thread] */
void metrics_gather(const struct control *control, struct metrics *ret_metrics);

void metrics_finish(struct metrics *metrics);

/* Appends the text. Pure; any thread. */
void metrics_text(const struct metrics *metrics, struct buf *text);

/* Resident memory of this process, 0 if the machine does not say. [any thread] */
uint64_t process_resident_bytes(void);

#endif
