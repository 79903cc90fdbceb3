/* The engine's families: by function type, by shard, and of the commit. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "control/metrics/inside.h"

/* ---- gather ---- */

static void function_append(void *arg, const char *type, const struct engine_function_figures *figures) {
	struct metrics *metrics = arg;
	metrics->functions = realloc(metrics->functions, (metrics->function_count + 1) * sizeof *metrics->functions);
	check_memory(metrics->functions);
	metrics->functions[metrics->function_count++] = (struct metrics_function){check_strdup(type), *figures};
}

void metrics_flow_gather(struct engine *engine, struct metrics *metrics) {
	engine_functions_each(engine, function_append, metrics);
	for (uint32_t i = 0; i < metrics->engine.shards; i++)
		engine_shard_figures(engine, i, &metrics->shards[i]);
	engine_commit_figures(engine, &metrics->commit);
}

void metrics_flow_finish(struct metrics *metrics) {
	for (size_t i = 0; i < metrics->function_count; i++)
		free(metrics->functions[i].type);
	free(metrics->functions);
}

/* ---- histograms ---- */

/* As label values quote it. */
static void label_put(struct buf *text, const char *value) {
	for (const char *at = value; *at != '\0'; at++) {
		if (*at == '\\' || *at == '"')
			buf_append_u8(text, '\\');
		if (*at == '\n')
			buf_printf(text, "\\n");
		else
			buf_append_u8(text, (uint8_t)*at);
	}
}

void metrics_label(struct buf *labels, const char *name, const char *value) {
	buf_printf(labels, "%s%s=\"", labels->size == 0 ? "" : ",", name);
	label_put(labels, value);
	buf_append_u8(labels, '"');
}

static void sample_head(struct buf *text, const char *family, const char *suffix, struct bytes labels) {
	buf_printf(text, "%s%s", family, suffix);
	if (labels.size > 0)
		buf_printf(text, "{%.*s}", (int)labels.size, (const char *)labels.data);
	buf_append_u8(text, ' ');
}

void metrics_sample(struct buf *text, const char *family, const char *suffix, struct bytes labels, uint64_t count) {
	sample_head(text, family, suffix, labels);
	buf_printf(text, "%" PRIu64 "\n", count);
}

static void labelled(struct buf *text, const char *family, const char *name, const char *value, uint64_t count) {
	struct buf labels = {0};
	metrics_label(&labels, name, value);
	metrics_sample(text, family, "", bytes_buf(&labels), count);
	buf_finish(&labels);
}

void metrics_histogram(
	struct buf *text, const char *family, struct bytes labels, const struct histogram_figures *figures) {
	uint64_t count = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		char limit[24] = "+Inf";
		if (i + 1 < HISTOGRAM_BUCKETS)
			snprintf(limit, sizeof limit, "%.9g", (double)(UINT64_C(1) << i) / 1e6);
		count += figures->counts[i];
		buf_printf(text, "%s_bucket{%.*s%sle=\"%s\"} %" PRIu64 "\n", family, (int)labels.size,
			(const char *)labels.data, labels.size == 0 ? "" : ",", limit, count);
	}
	sample_head(text, family, "_sum", labels);
	buf_printf(text, "%" PRIu64 ".%06" PRIu64 "\n", figures->sum_us / 1000000u, figures->sum_us % 1000000u);
	metrics_sample(text, family, "_count", labels, count);
}

/* ---- families ---- */

struct family {
	const char *name;
	const char *type;
	const char *help;
	size_t offset; /* of the uint64_t in the figures */
};

#define OF_FUNCTION(field) offsetof(struct engine_function_figures, field)
#define OF_SHARD(field) offsetof(struct engine_shard_figures, field)

static const struct family function_families[] = {
	{"sofun_function_messages_in_total", "counter", "Attempts of a function to handle a message.", OF_FUNCTION(in)},
	{"sofun_function_messages_out_total", "counter", "Messages that a function sent.", OF_FUNCTION(out)},
	{"sofun_function_egress_records_total", "counter", "Records that a function emitted.", OF_FUNCTION(egress)},
	{"sofun_function_failures_total", "counter", "Attempts of a function that failed.", OF_FUNCTION(failed)},
	{"sofun_function_retries_total", "counter", "Failed attempts that were to be tried again.", OF_FUNCTION(retried)},
	{"sofun_expired_total", "counter", "Instances of a function that ended by themselves.", OF_FUNCTION(expired)},
	{"sofun_expired_values_total", "counter", "Values that ended by themselves.", OF_FUNCTION(values_expired)},
	{"sofun_expiry_backlog", "gauge", "Entries of expiry that are due and were not looked at yet.",
		OF_FUNCTION(sweeps)},
	{"sofun_function_messages_waiting", "gauge", "Messages that wait for a live version of their function.",
		OF_FUNCTION(waiting)},
};

static const struct family shard_families[] = {
	{"sofun_shard_backlog_bytes", "gauge", "Memory of messages that wait on a shard.", OF_SHARD(backlog_bytes)},
	{"sofun_shard_input_bytes", "gauge", "Requests that a shard has not taken yet.", OF_SHARD(input_bytes)},
	{"sofun_shard_spilled_bytes_total", "counter", "Waiting messages that went from memory to the store.",
		OF_SHARD(spilled_bytes)},
	{"sofun_shard_epoch_messages", "gauge", "Messages of the last epoch of a shard.", OF_SHARD(epoch_messages)},
	{"sofun_shard_epoch_bytes", "gauge", "Redo of the last epoch of a shard.", OF_SHARD(epoch_bytes)},
	{"sofun_timers_late_milliseconds", "gauge", "How long the first delayed message that is due waits already.",
		OF_SHARD(timers_late_ms)},
	{"sofun_expiry_late_milliseconds", "gauge",
		"How long the first entry of expiry that is due waits already to be looked at.", OF_SHARD(sweeps_late_ms)},
	{"sofun_cache_instances", "gauge", "Instances in memory.", OF_SHARD(cache_instances)},
	{"sofun_cache_bytes", "gauge", "Memory of the instances.", OF_SHARD(cache_bytes)},
	{"sofun_cache_misses_total", "counter", "Instances that had to be looked for in the store.",
		OF_SHARD(cache_missed)},
	{"sofun_cache_evictions_total", "counter", "Instances that left the memory for others.", OF_SHARD(cache_evicted)},
};

static uint64_t figure(const void *figures, size_t offset) {
	uint64_t value;
	memcpy(&value, (const char *)figures + offset, sizeof value);
	return value;
}

static void functions_text(const struct metrics *metrics, struct buf *text) {
	static const char *const seconds = "sofun_function_seconds";
	for (size_t i = 0; i < sizeof function_families / sizeof function_families[0]; i++) {
		const struct family *family = &function_families[i];
		metrics_head(text, family->name, family->type, family->help);
		for (size_t k = 0; k < metrics->function_count; k++)
			labelled(text, family->name, "function", metrics->functions[k].type,
				figure(&metrics->functions[k].figures, family->offset));
	}
	metrics_head(text, seconds, "histogram", "Time of an attempt of a function; one in 64 is measured.");
	for (size_t k = 0; k < metrics->function_count; k++) {
		struct buf labels = {0};
		metrics_label(&labels, "function", metrics->functions[k].type);
		metrics_histogram(text, seconds, bytes_buf(&labels), &metrics->functions[k].figures.seconds);
		buf_finish(&labels);
	}
}

static void shards_text(const struct metrics *metrics, struct buf *text) {
	for (size_t i = 0; i < sizeof shard_families / sizeof shard_families[0]; i++) {
		const struct family *family = &shard_families[i];
		metrics_head(text, family->name, family->type, family->help);
		for (uint32_t k = 0; k < metrics->engine.shards; k++) {
			char index[12];
			snprintf(index, sizeof index, "%" PRIu32, k);
			labelled(text, family->name, "shard", index, figure(&metrics->shards[k], family->offset));
		}
	}
}

void metrics_flow_text(const struct metrics *metrics, struct buf *text) {
	if (metrics->function_count > 0)
		functions_text(metrics, text);
	metrics_versions_text(metrics, text);
	shards_text(metrics, text);
	metrics_head(text, "sofun_operation_seconds", "histogram",
		"Time of an asynchronous operation from its start to its result.");
	metrics_histogram(text, "sofun_operation_seconds", bytes_of(NULL, 0), &metrics->commit.operations);
	metrics_head(text, "sofun_epochs_total", "counter", "Epochs that were committed.");
	buf_printf(text, "sofun_epochs_total %" PRIu64 "\n", metrics->commit.epochs);
	metrics_head(text, "sofun_commit_seconds", "histogram", "Time of a commit, from the wish to cut to the release.");
	metrics_histogram(text, "sofun_commit_seconds", bytes_of(NULL, 0), &metrics->commit.commit);
	metrics_head(text, "sofun_journal_append_seconds", "histogram", "Time of a commit's write to the journal, synced.");
	metrics_histogram(text, "sofun_journal_append_seconds", bytes_of(NULL, 0), &metrics->commit.append);
	metrics_head(text, "sofun_checkpoint_seconds", "histogram", "Time of a checkpoint, in the background.");
	metrics_histogram(text, "sofun_checkpoint_seconds", bytes_of(NULL, 0), &metrics->store.checkpoint);
}
