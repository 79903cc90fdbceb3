/* The versions of each function side by side: what every loaded one has counted since it came. */
#include <stdlib.h>

#include "base/check.h"
#include "control/metrics/inside.h"

/* ---- gather ---- */

static void version_append(void *arg, const struct registry_plugin *plugin) {
	struct metrics *metrics = arg;
	for (size_t i = 0; plugin->figures != NULL && i < plugin->function_count; i++) {
		metrics->versions = realloc(metrics->versions, (metrics->version_count + 1) * sizeof *metrics->versions);
		check_memory(metrics->versions);
		struct metrics_version *version = &metrics->versions[metrics->version_count++];
		*version = (struct metrics_version){.figures = plugin->figures[i]};
		metrics_label(&version->labels, "function", plugin->functions[i]);
		metrics_label(&version->labels, "version", plugin->version);
	}
}

void metrics_versions_gather(struct registry *registry, struct metrics *metrics) {
	registry_each(registry, version_append, metrics);
}

void metrics_versions_finish(struct metrics *metrics) {
	for (size_t i = 0; i < metrics->version_count; i++)
		buf_finish(&metrics->versions[i].labels);
	free(metrics->versions);
}

/* ---- text ---- */

static const struct {
	const char *name;
	const char *help;
	size_t offset;
} families[] = {
	{"sofun_version_attempts_total", "Attempts of a version of a function to handle a message.",
		offsetof(struct engine_function_figures, in)},
	{"sofun_version_messages_out_total", "Messages that a version of a function sent.",
		offsetof(struct engine_function_figures, out)},
	{"sofun_version_egress_records_total", "Records that a version of a function emitted.",
		offsetof(struct engine_function_figures, egress)},
	{"sofun_version_failures_total", "Attempts of a version of a function that failed.",
		offsetof(struct engine_function_figures, failed)},
	{"sofun_version_messages_failed_total", "Messages whose first attempt failed on a version of a function.",
		offsetof(struct engine_function_figures, failed_first)},
	{"sofun_version_retries_total", "Failed attempts of a version of a function that were to be tried again.",
		offsetof(struct engine_function_figures, retried)},
	{"sofun_version_exhausted_total", "Messages that exhausted their attempts on a version of a function.",
		offsetof(struct engine_function_figures, exhausted)},
};

void metrics_versions_text(const struct metrics *metrics, struct buf *text) {
	static const char *const seconds = "sofun_version_seconds";
	metrics_head(text, "sofun_undecided_addresses", "gauge",
		"Addresses that wait for the verdict on a version on probation that failed their message.");
	metrics_sample(text, "sofun_undecided_addresses", "", bytes_of(NULL, 0), metrics->undecided);
	if (metrics->version_count == 0)
		return;
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
		metrics_head(text, families[i].name, "counter", families[i].help);
		for (size_t k = 0; k < metrics->version_count; k++) {
			uint64_t count;
			memcpy(&count, (const char *)&metrics->versions[k].figures + families[i].offset, sizeof count);
			metrics_sample(text, families[i].name, "", bytes_buf(&metrics->versions[k].labels), count);
		}
	}
	metrics_head(text, seconds, "histogram", "Time of an attempt of a version of a function; one in 64 is measured.");
	for (size_t k = 0; k < metrics->version_count; k++)
		metrics_histogram(
			text, seconds, bytes_buf(&metrics->versions[k].labels), &metrics->versions[k].figures.seconds);
}
