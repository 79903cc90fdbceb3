/* What a version has counted, as JSON: its rate, its errors, its latency, its retries. */
#include "control/plugin_json.h"

/* The time below which that share of the measured attempts stayed, in seconds; JSON's null: none was measured. */
static json_t *quantile_json(const struct histogram_figures *seconds, double quantile) {
	uint64_t count = 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		count += seconds->counts[i];
	if (count == 0)
		return json_null();
	double wanted = quantile * (double)count;
	double below = 0;
	size_t at = 0;
	while (at + 1 < HISTOGRAM_BUCKETS && below + (double)seconds->counts[at] < wanted)
		below += (double)seconds->counts[at++];
	double lower = at == 0 ? 0 : (double)(UINT64_C(1) << (at - 1)) / 1e6;
	double upper = (double)(UINT64_C(1) << at) / 1e6;
	if (at + 1 == HISTOGRAM_BUCKETS || seconds->counts[at] == 0)
		return json_real(lower);
	return json_real(lower + (upper - lower) * (wanted - below) / (double)seconds->counts[at]);
}

static json_t *function_json(const char *type, const struct engine_function_figures *figures) {
	uint64_t messages = figures->in - figures->again;
	double failed = messages == 0 ? 0 : (double)figures->failed_first * 100 / (double)messages;
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:o, s:o}", "function", type, "attempts",
		(json_int_t)figures->in, "failures", (json_int_t)figures->failed, "messages", (json_int_t)messages,
		"messages_failed", (json_int_t)figures->failed_first, "error_percent", failed, "retries",
		(json_int_t)figures->retried, "exhausted", (json_int_t)figures->exhausted, "sent", (json_int_t)figures->out,
		"emitted", (json_int_t)figures->egress, "p50_s", quantile_json(&figures->seconds, 0.5), "p99_s",
		quantile_json(&figures->seconds, 0.99));
}

json_t *plugin_figures_json(const struct registry_plugin *plugin) {
	json_t *list = json_array();
	for (size_t i = 0; plugin->figures != NULL && i < plugin->function_count; i++)
		json_array_append_new(list, function_json(plugin->functions[i], &plugin->figures[i]));
	return list;
}
