/* What the files of `sofun bench` share: one run of it, and what it found. One thread, but for the ends of rounds
 * (inside.c) and what is done to a host under load (swap.c). */
#ifndef SOFUN_BENCH_H
#define SOFUN_BENCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/samples.h"
#include "command.h"

enum {
	ROUNDS = 5, /* of both sides in turns: an odd number has a median that was measured */
	ROUNDS_QUICK = 1,
	FIGURES_MAX = 64, /* more than there are workloads */
	TARGETS_MAX = 64,
	NAME_BYTES = 96,
	TEXT_BYTES = 192,
	PATH_BYTES = 512,
};

/* What was measured of one workload: a value a round, of each that applies. Times are per operation. */
struct figures {
	char name[NAME_BYTES];
	const char *unit; /* of the rate: "messages", "calls", "records" */
	bool is_baseline;
	struct samples rate; /* a second */
	struct samples p50_us, p99_us;
	struct samples host_cpu_us, client_cpu_us;
	struct samples disk_bytes;    /* that the device wrote meanwhile, for whomever */
	struct samples counted_bytes; /* that the kernel counted for the process: see machine_disk_bytes */
	uint64_t memory_peak_bytes;   /* 0: not measured */
	bool noisy;                   /* the machine was not quiet, however often it was repeated */
};

enum verdict { VERDICT_MET, VERDICT_NOT_MET, VERDICT_VOID, VERDICT_ORIENTATION };

/* A row of the last table. */
struct target {
	char work[NAME_BYTES];
	char target[NAME_BYTES];
	char measured[TEXT_BYTES];
	double bound, value, ratio; /* value against bound; ratio: to the baseline, or else to the bound */
	bool has_ratio;
	enum verdict verdict;
	bool noisy;
};

struct bench {
	const struct invocation *run;
	bool quick;
	const char *only;           /* NULL: all */
	char directory[PATH_BYTES]; /* fresh, of this run */
	char programs[PATH_BYTES];  /* where sofun lies */
	char baselines[PATH_BYTES]; /* where they should lie; "" if they do not */
	uint32_t cpus;
	uint32_t rounds;
	double spin_best; /* of one core alone: what quiet means */
	double sync_p50_us;
	char file_system[NAME_BYTES];
	bool is_tmpfs;
	char device[NAME_BYTES]; /* its figures in /sys; "": it has none */
	uint32_t attempts;       /* of a workload while the machine is not quiet */
	bool failed;             /* told already */

	struct figures figures[FIGURES_MAX];
	size_t figure_count;
	struct target targets[TARGETS_MAX];
	size_t target_count;
	json_t *details; /* an object: what a workload saw as time went by, by its name; for --json */
};

/* A new row, empty. */
struct figures *bench_figures(struct bench *bench, const char *unit, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Says what is being done, to people. */
void bench_say(const struct bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Workloads, each with its targets. False: it could not be measured, and that was told. */
bool bench_counter(struct bench *bench);
bool bench_chain(struct bench *bench);
bool bench_ingest(struct bench *bench);
bool bench_call(struct bench *bench);
bool bench_steady(struct bench *bench);
bool bench_chain_calls(struct bench *bench);
bool bench_restart(struct bench *bench);
bool bench_swap(struct bench *bench);
bool bench_expiry(struct bench *bench);
bool bench_timers(struct bench *bench);
bool bench_operations(struct bench *bench);
bool bench_tables(struct bench *bench);

#endif
