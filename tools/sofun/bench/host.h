/* A sofund of bench's own: started in a fresh data directory with the plugins it needs, asked over its sockets, and
 * measured. */
#ifndef SOFUN_BENCH_HOST_H
#define SOFUN_BENCH_HOST_H

#include "bench/program.h"

struct bench_host {
	struct bench *bench;
	struct program program;
	struct invocation run; /* as a subcommand would be given it: its sockets */
	char data[PATH_BYTES + NAME_BYTES];
	char control_path[PATH_BYTES + 2 * NAME_BYTES];
	char data_path[PATH_BYTES + 2 * NAME_BYTES];
	uint32_t shards;
};

/* In <directory>/<name>, which may hold the data of an earlier life. False: told. */
bool host_start(struct bench_host *host, struct bench *bench, const char *name, uint32_t shards);

/* SIGTERM, SIGKILL; removes nothing. */
void host_stop(struct bench_host *host, int signal);

/* All that was accepted is handled and durable. False: told. */
bool host_barrier(struct bench_host *host);

/* `left` messages of the plugin bench's drivers are accepted (README of plugins/bench). False: told. */
bool host_drive(struct bench_host *host, const char *target, uint64_t left, uint64_t ids, uint64_t seed);

/* A number of /v1/status. False: told. */
bool host_status(struct bench_host *host, const char *name, uint64_t *ret_number);

/* A number of /metrics. False: told. */
bool host_metric(struct bench_host *host, const char *name, uint64_t *ret_number);

/* Before and after a round: adds what `operations` of them cost. The disk's share is read
 * after the processors', so that its sync is nobody's. */
struct host_account {
	struct usage usage;
	double own_cpu_us;
	double disk_bytes;
};
void host_account_begin(struct bench_host *host, struct host_account *account);
void host_account_end(
	struct bench_host *host, const struct host_account *account, double operations, struct figures *figures);

#endif
