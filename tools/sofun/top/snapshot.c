#include "top/snapshot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "client/http.h"
#include "client/socket.h"

enum { TIMEOUT_MS = 5000 };

static bool answer_get(const struct invocation *run, const char *target, struct buf *ret_body, char *problem) {
	struct http_answer answer;
	const enum http_result result =
		http_request(run->control, "GET", target, bytes_of(NULL, 0), TIMEOUT_MS, &answer, problem);
	if (result == HTTP_TIMEOUT)
		(void)snprintf(problem, LOOK_PROBLEM_BYTES, "the host does not answer within %d s", TIMEOUT_MS / 1000);
	else if (result == HTTP_OK && answer.status != 200)
		(void)snprintf(problem, LOOK_PROBLEM_BYTES, "the host answers %s with status %d", target, answer.status);
	*ret_body = answer.body;
	if (result == HTTP_OK && answer.status == 200)
		return true;
	buf_finish(ret_body);
	return false;
}

bool look_take(const struct invocation *run, struct look *ret_look, char problem[LOOK_PROBLEM_BYTES]) {
	struct buf metrics, status;
	*ret_look = (struct look){.at_ms = clock_ms()};
	if (!answer_get(run, "/metrics", &metrics, problem))
		return false;
	figures_read(&ret_look->figures, metrics);
	if (answer_get(run, "/v1/status", &status, problem)) {
		ret_look->status = json_loadb((const char *)status.data, status.size, 0, NULL);
		buf_finish(&status);
		if (ret_look->status != NULL)
			return true;
		(void)snprintf(problem, LOOK_PROBLEM_BYTES, "the host's status is no JSON");
	}
	look_finish(ret_look);
	return false;
}

void look_finish(struct look *look) {
	figures_finish(&look->figures);
	json_decref(look->status);
	look->status = NULL;
}

/* ---- figures ---- */

static json_t *number_or_null(double number) {
	return isnan(number) || number < 0 ? json_null() : json_real(number);
}

struct between {
	const struct look *before;
	const struct look *after;
	double seconds;
};

/* How fast a counter grew; NAN: the host has none of that name. */
static double rate(const struct between *at, const char *name, const struct figure_choice *choice) {
	const double now = figure_value(&at->after->figures, name, choice, NAN);
	const double then = figure_value(&at->before->figures, name, choice, 0);
	return now < then ? now / at->seconds : (now - then) / at->seconds; /* a new process begins at 0 */
}

static const struct figure_choice all_of_it = {NULL, NULL, NULL, NULL};

static void rate_set(json_t *object, const struct between *at, const char *key, const char *name) {
	json_object_set_new(object, key, number_or_null(rate(at, name, &all_of_it)));
}

static void quantiles_set(
	json_t *object, const struct between *at, const char *name, const struct figure_choice *choice) {
	const struct figures *before = &at->before->figures, *after = &at->after->figures;
	json_object_set_new(object, "p50_s", number_or_null(figure_quantile(before, after, name, choice, 0.5)));
	json_object_set_new(object, "p99_s", number_or_null(figure_quantile(before, after, name, choice, 0.99)));
}

/* ---- functions and shards ---- */

/* Messages that wait for the type to have a live version; 0 if none does. */
static json_int_t waiting_of(const json_t *status, const char *type) {
	size_t i;
	json_t *row;
	json_array_foreach(json_object_get(status, "waiting"), i, row) {
		const char *name = json_string_value(json_object_get(row, "type"));
		if (name != NULL && strcmp(name, type) == 0)
			return json_integer_value(json_object_get(row, "messages"));
	}
	return 0;
}

/* Of the version alone, where the host tells its versions apart. */
static json_t *function_make(const struct between *at, const json_t *plugin, const char *type) {
	static const char *const rates[][3] = {
		{"in_per_s", "sofun_version_attempts_total", "sofun_function_messages_in_total"},
		{"out_per_s", "sofun_version_messages_out_total", "sofun_function_messages_out_total"},
		{"egress_per_s", "sofun_version_egress_records_total", "sofun_function_egress_records_total"},
		{"failures_per_s", "sofun_version_failures_total", "sofun_function_failures_total"},
		{"retries_per_s", "sofun_version_retries_total", "sofun_function_retries_total"}};
	const struct figure_choice function = {"function", type, NULL, NULL};
	const struct figure_choice version = {
		"function", type, "version", json_string_value(json_object_get(plugin, "version"))};
	const struct figure_choice of_type = {"type", type, NULL, NULL};
	const bool apart = !isnan(figure_value(&at->after->figures, rates[0][1], &version, NAN));
	json_t *row = json_pack("{s:s, s:O, s:O, s:O}", "type", type, "plugin", json_object_get(plugin, "name"), "version",
		json_object_get(plugin, "version"), "state", json_object_get(plugin, "state"));
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
		json_object_set_new(row, rates[i][0],
			number_or_null(apart ? rate(at, rates[i][1], &version) : rate(at, rates[i][2], &function)));
	quantiles_set(row, at, apart ? "sofun_version_seconds" : "sofun_function_seconds", apart ? &version : &function);
	json_object_set_new(row, "waiting", json_integer(waiting_of(at->after->status, type)));
	json_object_set_new(
		row, "instances", number_or_null(figure_value(&at->after->figures, "sofun_instances", &of_type, NAN)));
	return row;
}

static json_t *functions_make(const struct between *at) {
	json_t *list = json_array();
	size_t i, k;
	json_t *plugin, *function;
	json_array_foreach(json_object_get(at->after->status, "plugins"), i, plugin) {
		json_array_foreach(json_object_get(plugin, "functions"), k, function) {
			json_array_append_new(list, function_make(at, plugin, json_string_value(function)));
		}
	}
	return list;
}

static json_t *shards_make(const struct between *at) {
	static const char *const gauges[][2] = {{"backlog_bytes", "sofun_shard_backlog_bytes"},
		{"input_bytes", "sofun_shard_input_bytes"}, {"epoch_messages", "sofun_shard_epoch_messages"},
		{"epoch_bytes", "sofun_shard_epoch_bytes"}, {"cache_instances", "sofun_cache_instances"}};
	json_t *list = json_array();
	const json_int_t count = json_integer_value(json_object_get(at->after->status, "shards"));
	for (json_int_t i = 0; i < count; i++) {
		char number[24];
		(void)snprintf(number, sizeof number, "%lld", (long long)i);
		const struct figure_choice shard = {"shard", number, NULL, NULL};
		json_t *row = json_pack("{s:I}", "shard", i);
		for (size_t k = 0; k < sizeof gauges / sizeof gauges[0]; k++)
			json_object_set_new(
				row, gauges[k][0], number_or_null(figure_value(&at->after->figures, gauges[k][1], &shard, NAN)));
		json_object_set_new(row, "cache_misses_per_s", number_or_null(rate(at, "sofun_cache_misses_total", &shard)));
		json_array_append_new(list, row);
	}
	return list;
}

/* ---- the whole ---- */

/* What is under way or held up besides messages; a host of before knows none of it. */
static void held_set(json_t *all, const json_t *status) {
	static const char *const figures[][3] = {{"operations_running", "operations", "running"},
		{"operations_queued", "operations", "queued"}, {"blocked", "blocked", "count"},
		{"undecided", "undecided", "count"}};
	for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
		json_t *value = json_object_get(json_object_get(status, figures[i][1]), figures[i][2]);
		json_object_set(all, figures[i][0], value == NULL ? json_null() : value);
	}
}

json_t *snapshot_make(const struct look *before, const struct look *after) {
	static const char *const copied[] = {"version", "pid", "worker_pid", "uptime_ms", "recovered", "durability",
		"epoch", "accepted", "handled", "in_flight", "retried", "dead", "memory_bytes"};
	static const char *const rates[][2] = {{"accepted_per_s", "sofun_messages_accepted_total"},
		{"handled_per_s", "sofun_messages_handled_total"}, {"retried_per_s", "sofun_messages_retried_total"},
		{"dead_per_s", "sofun_messages_dead_total"}, {"records_per_s", "sofun_records_ingested_total"},
		{"journal_bytes_per_s", "sofun_journal_written_bytes_total"}, {"cpus", "sofun_cpu_seconds_total"}};
	const struct between at = {before, after, (double)(after->at_ms - before->at_ms) / 1000};
	json_t *all = json_object(), *commit = json_object();
	json_object_set_new(all, "interval_s", json_real(at.seconds));
	for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
		json_t *value = json_object_get(after->status, copied[i]);
		json_object_set(all, copied[i], value == NULL ? json_null() : value);
	}
	held_set(all, after->status);
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
		rate_set(all, &at, rates[i][0], rates[i][1]);
	quantiles_set(commit, &at, "sofun_commit_seconds", &all_of_it);
	json_object_set_new(all, "commit", commit);
	json_object_set_new(all, "functions", functions_make(&at));
	json_object_set_new(all, "shards", shards_make(&at));
	return all;
}
