#include "control/metrics/inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- gather ---- */

uint64_t process_resident_bytes(void) {
	unsigned long long total = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%llu %llu", &total, &resident) != 2)
		resident = 0;
	fclose(file);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t time_us(struct timeval time) {
	return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_usec;
}

static void plugin_count(void *arg, const struct registry_plugin *plugin) {
	if (strcmp(plugin->state, "live") == 0)
		++*(uint64_t *)arg;
}

static void refused_count(void *arg, const struct registry_refused *refused) {
	(void)refused;
	++*(uint64_t *)arg;
}

static void undecided_skip(void *arg, const struct engine_blocked *undecided) {
	(void)arg;
	(void)undecided;
}

static void schema_line(void *arg, const struct engine_schema *schema) {
	buf_printf(arg, "sofun_instances{type=\"%s\",schema=\"%" PRIu32 "\"} %" PRIu64 "\n", schema->type, schema->schema,
		schema->instances);
}

void metrics_finish(struct metrics *metrics) {
	buf_finish(&metrics->instances);
	metrics_flow_finish(metrics);
	metrics_versions_finish(metrics);
}

void metrics_gather(const struct control *control, struct metrics *ret_metrics) {
	struct rusage usage;
	*ret_metrics = (struct metrics){
		.http = control->http,
		.uptime_ms = monotonic_ms() - control->started_ms,
		.resident_bytes = process_resident_bytes(),
		.ready = control->phase == CONTROL_READY,
	};
	engine_status(control->engine, &ret_metrics->engine);
	ret_metrics->engine.time_ms = engine_time_ms(control->engine);
	metrics_flow_gather(control->engine, ret_metrics);
	metrics_versions_gather(control->registry, ret_metrics);
	ret_metrics->undecided = engine_undecided_each(control->engine, undecided_skip, NULL);
	store_figures(control->store, &ret_metrics->store);
	registry_images(control->registry, &ret_metrics->images);
	registry_each(control->registry, plugin_count, &ret_metrics->plugins_live);
	registry_refused_each(control->registry, refused_count, &ret_metrics->plugins_refused);
	engine_schemas_each(control->engine, schema_line, &ret_metrics->instances);
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		ret_metrics->cpu_us = time_us(usage.ru_utime) + time_us(usage.ru_stime);
}

/* ---- text ---- */

void metrics_head(struct buf *text, const char *name, const char *type, const char *help) {
	buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void counter(struct buf *text, const char *name, uint64_t value, const char *help) {
	metrics_head(text, name, "counter", help);
	buf_printf(text, "%s %" PRIu64 "\n", name, value);
}

static void gauge(struct buf *text, const char *name, uint64_t value, const char *help) {
	metrics_head(text, name, "gauge", help);
	buf_printf(text, "%s %" PRIu64 "\n", name, value);
}

static void seconds(struct buf *text, const char *name, const char *type, uint64_t us, const char *help) {
	metrics_head(text, name, type, help);
	buf_printf(text, "%s %" PRIu64 ".%06" PRIu64 "\n", name, us / 1000000u, us % 1000000u);
}

static void results_text(const struct engine_status *engine, struct buf *text) {
	static const char *const name = "sofun_operations_results_total";
	metrics_head(text, name, "counter", "Results of asynchronous operations by what they say.");
	buf_printf(text, "%s{status=\"success\"} %" PRIu64 "\n", name, engine->operations.succeeded);
	buf_printf(text, "%s{status=\"failure\"} %" PRIu64 "\n", name, engine->operations.failed);
	buf_printf(text, "%s{status=\"unknown\"} %" PRIu64 "\n", name, engine->operations.unknown);
}

static void flow_text(const struct engine_status *engine, struct buf *text) {
	counter(text, "sofun_messages_accepted_total", engine->accepted, "Messages that came to stand in mailboxes.");
	counter(text, "sofun_messages_handled_total", engine->handled, "Messages whose effects are durable.");
	counter(text, "sofun_messages_retried_total", engine->retried, "Attempts that failed and were to be tried again.");
	counter(text, "sofun_messages_dead_total", engine->dead, "Messages and records that became dead letters.");
	counter(text, "sofun_records_ingested_total", engine->records, "Records that ingresses took.");
	counter(text, "sofun_instances_migrated_total", engine->migrated, "Instances taken from a schema to another.");
	counter(text, "sofun_replies_stale_total", engine->replies_stale, "Replies to callers of an earlier process.");
	counter(text, "sofun_timers_set_total", engine->timers.set, "Delayed messages that were set.");
	counter(text, "sofun_timers_sent_total", engine->timers.sent, "Delayed messages that became due and were sent.");
	counter(text, "sofun_timers_cancelled_total", engine->timers.cancelled, "Delayed messages that were cancelled.");
	gauge(text, "sofun_operations_open", engine->operations.open, "Asynchronous operations under way.");
	gauge(text, "sofun_operations_queued", engine->operations.queued, "Of these, waiting for a thread.");
	gauge(text, "sofun_operations_running", engine->operations.running, "Of these, being worked for.");
	counter(text, "sofun_operations_started_total", engine->operations.started, "Asynchronous operations started.");
	counter(text, "sofun_operations_late_total", engine->operations.late,
		"Results that came for no operation under way, and were dropped.");
	results_text(engine, text);
	gauge(text, "sofun_idempotency_keys", engine->keys, "Idempotency keys that are kept.");
	gauge(text, "sofun_messages_in_flight", engine->in_flight, "Messages accepted and not handled yet.");
	gauge(text, "sofun_epoch", engine->epoch, "The last durable epoch.");
	gauge(text, "sofun_shards", engine->shards, "Threads that own addresses.");
	gauge(text, "sofun_engine_memory_bytes", engine->memory_bytes, "Memory of mailboxes, caches and tables.");
	gauge(text, "sofun_store_failed", engine->failed, "1 once the store has failed.");
	gauge(text, "sofun_waiting_for_space", engine->waiting_for_space,
		"1 while the disk is full and nothing is released.");
	seconds(text, "sofun_time_seconds", "gauge", engine->time_ms * 1000u, "The time of the flow since 1970.");
}

static void store_text(const struct store_figures *store, struct buf *text) {
	counter(text, "sofun_store_read_rows_total", store->read_rows,
		"Rows of the databases that were looked for, or stepped over.");
	counter(text, "sofun_store_read_bytes_total", store->read_bytes, "Bytes of the keys and values that were there.");
	counter(text, "sofun_store_reclaimed_rows_total", store->reclaimed,
		"Rows of cleared tables, dropped items and ended instances that were taken away in the background.");
	counter(text, "sofun_journal_written_bytes_total", store->journal_bytes_written, "Bytes appended to the journal.");
	counter(text, "sofun_checkpoints_total", store->checkpoints, "Checkpoints since the start.");
	counter(text, "sofun_compactions_total", store->compactions,
		"Databases that were compacted since much was removed from them, since the start.");
	gauge(text, "sofun_journal_untrimmed_bytes", store->journal_untrimmed_bytes,
		"Journal that no checkpoint covers yet.");
	gauge(text, "sofun_table_bytes", store->table_bytes, "Memory of the tables between journal and databases.");
	gauge(text, "sofun_table_entries", store->table_entries, "Entries of these tables.");
}

static void http_text(const struct http_figures *http, struct buf *text) {
	static const char *const name = "sofun_http_requests_total";
	metrics_head(text, name, "counter", "HTTP requests by the class of their answer.");
	buf_printf(text, "%s{status=\"2xx\"} %" PRIu64 "\n", name, http->good);
	buf_printf(text, "%s{status=\"4xx\"} %" PRIu64 "\n", name, http->refused);
	buf_printf(text, "%s{status=\"5xx\"} %" PRIu64 "\n", name, http->failed);
	gauge(text, "sofun_http_requests_open", http->open, "HTTP requests without an answer yet.");
}

void metrics_text(const struct metrics *metrics, struct buf *text) {
	flow_text(&metrics->engine, text);
	metrics_flow_text(metrics, text);
	store_text(&metrics->store, text);
	gauge(text, "sofun_images_loaded", metrics->images.loaded, "Plugin images in the process.");
	counter(text, "sofun_images_unloaded_total", metrics->images.unloaded, "Plugin images taken out of the process.");
	gauge(text, "sofun_images_stuck", metrics->images.stuck, "Plugin images that do not leave the process.");
	gauge(text, "sofun_plugins_live", metrics->plugins_live, "Plugins that serve messages.");
	gauge(text, "sofun_plugins_refused", metrics->plugins_refused, "Plugin files that were refused.");
	if (metrics->instances.size > 0)
		metrics_head(
			text, "sofun_instances", "gauge", "Instances in the store by function type and schema of their state.");
	buf_append_bytes(text, bytes_buf(&metrics->instances));
	http_text(&metrics->http, text);
	gauge(text, "sofun_ready", metrics->ready, "1 from the ready line until the stop begins.");
	seconds(text, "sofun_uptime_seconds", "gauge", metrics->uptime_ms * 1000u, "Since the start of the process.");
	seconds(text, "sofun_cpu_seconds_total", "counter", metrics->cpu_us, "CPU time of the process.");
	gauge(text, "sofun_resident_memory_bytes", metrics->resident_bytes, "Resident memory of the process.");
}
