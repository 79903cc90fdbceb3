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

/* The same; its time stands, and moves by host_clock_advance alone. */
bool host_start_timeless(struct bench_host *host, struct bench *bench, const char *name, uint32_t shards);

/* Moves its time; all that fell due then has happened and is durable when this returns. False: told. */
bool host_clock_advance(struct bench_host *host, uint64_t ms);

/* Another plugin from where the bundled ones lie: "next/bench". Live when this returns. False: told. */
bool host_plugin_load(struct bench_host *host, const char *name);

/* SIGTERM, SIGKILL; removes nothing. */
void host_stop(struct bench_host *host, int signal);

/* All that was accepted is handled and durable. False: told. */
bool host_barrier(struct bench_host *host);

/* What the plugin bench's drivers send (README of plugins/bench). */
struct load {
	const char *target;
	uint64_t left; /* messages */
	uint64_t ids;
	uint64_t seed; /* and the `left` numbers from there on: different ones, different messages */
	uint64_t delay_ms;
};

/* All of it is accepted. False: told. */
bool host_drive(struct bench_host *host, const struct load *load);

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
