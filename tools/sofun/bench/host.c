#include "bench/host.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "bench/machine.h"
#include "client/http.h"
#include "client/rpc.h"
#include "fail.h"
#include "wire/pack.h"

enum {
	SHARDS_TEXT_BYTES = 32,
	ANSWER_MS_MAX = 300000, /* of ten million messages */
	DRIVER_BATCH = 1024,    /* the most that the driver takes: the fewest messages besides those counted */
	DRIVERS_A_SHARD = 8,    /* so that their hashes find every shard; a single shard needs one */
	PROBLEM_BYTES = 256,
};

static bool plugin_copy(const struct bench *bench, const char *name, const char *directory) {
	char from[PATH_BYTES + NAME_BYTES], to[PATH_BYTES + 2 * NAME_BYTES];
	struct stat info = {.st_size = 0};
	snprintf(from, sizeof from, "%s/../lib/sofun/plugins/%s.so", bench->programs, name);
	snprintf(to, sizeof to, "%s/%s.so", directory, name);
	const int source = open(from, O_RDONLY | O_CLOEXEC);
	const int target = source < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const bool good = target >= 0 && fstat(source, &info) == 0 &&
		sendfile(target, source, NULL, (size_t)info.st_size) == (ssize_t)info.st_size;
	const int problem = errno;
	if (source >= 0)
		close(source);
	if (target >= 0)
		close(target);
	return good || (fail_here(bench->run, "the plugin %s could not be copied: %s", from, strerror(problem)), false);
}

static bool directories_make(const struct bench_host *host) {
	char plugins[PATH_BYTES + 2 * NAME_BYTES];
	struct stat info;
	if (stat(host->data, &info) == 0)
		return true; /* an earlier life's */
	snprintf(plugins, sizeof plugins, "%s/plugins", host->data);
	if (mkdir(host->data, 0700) != 0 || mkdir(plugins, 0700) != 0)
		return fail_here(host->bench->run, "%s: %s", plugins, strerror(errno)), false;
	return plugin_copy(host->bench, "counter", plugins) && plugin_copy(host->bench, "bench", plugins);
}

/* clock NULL: the machine's. */
static bool host_begin(
	struct bench_host *host, struct bench *bench, const char *name, uint32_t shards, const char *clock) {
	char path[PATH_BYTES + NAME_BYTES], log[PATH_BYTES + NAME_BYTES], setting[SHARDS_TEXT_BYTES];
	*host = (struct bench_host){.bench = bench, .run = *bench->run, .shards = shards};
	snprintf(host->data, sizeof host->data, "%s/%s", bench->directory, name);
	snprintf(host->control_path, sizeof host->control_path, "%s/control.sock", host->data);
	snprintf(host->data_path, sizeof host->data_path, "%s/data.sock", host->data);
	host->run.control = host->control_path;
	host->run.data = host->data_path;
	snprintf(path, sizeof path, "%s/sofund", bench->programs);
	snprintf(log, sizeof log, "%s/%s.log", bench->directory, name);
	snprintf(setting, sizeof setting, "shards=%u", shards);
	const char *const arguments[] = {
		path, "--data", host->data, "--set", setting, clock == NULL ? NULL : "--test-clock", clock, NULL};
	return directories_make(host) && program_start(bench, &host->program, arguments, "sofund ready", log);
}

bool host_start(struct bench_host *host, struct bench *bench, const char *name, uint32_t shards) {
	return host_begin(host, bench, name, shards, NULL);
}

bool host_start_timeless(struct bench_host *host, struct bench *bench, const char *name, uint32_t shards) {
	return host_begin(host, bench, name, shards, "1000000000000"); /* any */
}

/* A request with one number, of which only the success counts. */
static bool number_post(struct bench_host *host, const char *target, const char *name, uint64_t number) {
	char body[64];
	json_t *answer = NULL;
	snprintf(body, sizeof body, "{\"%s\":%llu}", name, (unsigned long long)number);
	const bool good = http_call(&host->run, "POST", target, bytes_text(body), ANSWER_MS_MAX, &answer) == EXIT_OK;
	json_decref(answer);
	return good;
}

bool host_clock_advance(struct bench_host *host, uint64_t ms) {
	return number_post(host, "/v1/clock", "advance_ms", ms);
}

bool host_plugin_load(struct bench_host *host, const char *name) {
	char path[PATH_BYTES + NAME_BYTES];
	json_t *answer = NULL;
	snprintf(path, sizeof path, "%s/../lib/sofun/plugins/%s.so", host->bench->programs, name);
	json_t *body = json_pack("{s:s}", "path", path);
	check_memory(body);
	const bool good = http_json(&host->run, "POST", "/v1/plugins", body, &answer) == EXIT_OK;
	json_decref(body);
	json_decref(answer);
	return good;
}

void host_stop(struct bench_host *host, int signal) {
	program_stop(&host->program, signal);
}

bool host_barrier(struct bench_host *host) {
	return number_post(host, "/v1/barrier", "timeout_ms", ANSWER_MS_MAX);
}

static void load_pack(struct buf *params, const struct load *load) {
	pack_map(params, 6);
	pack_text(params, "left");
	pack_uint(params, load->left);
	pack_text(params, "ids");
	pack_uint(params, load->ids);
	pack_text(params, "seed");
	pack_uint(params, load->seed);
	pack_text(params, "batch");
	pack_uint(params, DRIVER_BATCH);
	pack_text(params, "delay_ms");
	pack_uint(params, load->delay_ms);
	pack_text(params, "target");
	pack_text(params, load->target);
}

static bool driver_start(struct bench_host *host, const char *id, const struct load *load) {
	struct buf params = {0};
	json_t *answer = NULL;
	pack_map(&params, 3);
	pack_text(&params, "to");
	pack_text(&params, "bench/driver");
	pack_text(&params, "id");
	pack_text(&params, id);
	pack_text(&params, "payload");
	load_pack(&params, load);
	const int result =
		rpc_call(&host->run, "send", bytes_buf(&params), &(struct rpc_patience){.limit_ms = ANSWER_MS_MAX}, &answer);
	buf_finish(&params);
	json_decref(answer);
	return result == EXIT_OK;
}

bool host_drive(struct bench_host *host, const struct load *load) {
	const uint32_t drivers = host->shards == 1 ? 1 : host->shards * DRIVERS_A_SHARD;
	struct load part = *load;
	bool good = true;
	for (uint32_t i = 0; good && i < drivers; i++) {
		char id[32];
		part.left = load->left / drivers + (i < load->left % drivers);
		snprintf(id, sizeof id, "driver-%u", i);
		good = driver_start(host, id, &part);
		part.seed += part.left;
	}
	return good;
}

bool host_status(struct bench_host *host, const char *name, uint64_t *ret_number) {
	json_t *status;
	if (http_json(&host->run, "GET", "/v1/status", NULL, &status) != EXIT_OK)
		return false;
	const json_t *number = json_object_get(status, name);
	const bool good = json_is_integer(number);
	*ret_number = good ? (uint64_t)json_integer_value(number) : 0;
	json_decref(status);
	return good || (fail_here(&host->run, "/v1/status has no number %s", name), false);
}

/* Its line is "name value". */
static bool metric_find(const char *text, const char *name, uint64_t *ret_number) {
	const size_t size = strlen(name);
	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, size) == 0 && line[size] == ' ') {
			*ret_number = strtoull(line + size, NULL, 10);
			return true;
		}
	}
	return false;
}

bool host_metric(struct bench_host *host, const char *name, uint64_t *ret_number) {
	struct http_answer answer = {.status = 0};
	char problem[PROBLEM_BYTES] = "no such number";
	bool good = http_request(host->run.control, "GET", "/metrics", bytes_of(NULL, 0), ANSWER_MS_MAX, &answer,
					problem) == HTTP_OK &&
		answer.status == 200;
	if (good) {
		buf_append_u8(&answer.body, '\0');
		good = metric_find((const char *)answer.body.data, name, ret_number);
	}
	buf_finish(&answer.body);
	return good || (fail_here(&host->run, "/metrics, %s: %s", name, problem), false);
}

void host_account_begin(struct bench_host *host, struct host_account *account) {
	account->disk_bytes = machine_disk_bytes(host->bench);
	if (!usage_read(host->program.works, &account->usage))
		account->usage.peak_bytes = 0; /* /proc says nothing: then these columns stay empty */
	account->own_cpu_us = usage_own_cpu_us();
}

void host_account_end(
	struct bench_host *host, const struct host_account *account, double operations, struct figures *figures) {
	struct usage now;
	const double own_cpu_us = usage_own_cpu_us() - account->own_cpu_us;
	samples_add(&figures->client_cpu_us, own_cpu_us / operations);
	if (account->usage.peak_bytes > 0 && usage_read(host->program.works, &now)) {
		samples_add(&figures->host_cpu_us, (now.cpu_us - account->usage.cpu_us) / operations);
		samples_add(&figures->counted_bytes, (now.counted_bytes - account->usage.counted_bytes) / operations);
		figures->memory_peak_bytes = now.peak_bytes;
	}
	if (account->disk_bytes >= 0)
		samples_add(&figures->disk_bytes, (machine_disk_bytes(host->bench) - account->disk_bytes) / operations);
}
