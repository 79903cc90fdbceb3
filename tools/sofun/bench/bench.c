/* bench: how fast the host is on this machine, against baselines without any code of ours. */
#include "bench/bench.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "bench/machine.h"
#include "bench/report.h"
#include "commands.h"
#include "fail.h"

enum {
	ATTEMPTS = 3, /* of a workload while the machine is not quiet */
	ATTEMPTS_MAX = 100,
	DESCRIPTORS = 32, /* open at once while a directory is removed */
};

static const struct workload {
	const char *name;
	bool (*run)(struct bench *bench);
} workloads[] = {
	{"counter", bench_counter},
	{"chain", bench_chain},
	{"ingest", bench_ingest},
	{"call", bench_call},
	{"steady", bench_steady},
	{"chain-calls", bench_chain_calls},
	{"restart", bench_restart},
	{"swap", bench_swap},
	{"expiry", bench_expiry},
	{"timers", bench_timers},
	{"operations", bench_operations},
	{"tables", bench_tables},
};

enum { WORKLOADS = sizeof workloads / sizeof *workloads };

struct figures *bench_figures(struct bench *bench, const char *unit, const char *format, ...) {
	check(bench->figure_count < FIGURES_MAX);
	struct figures *figures = &bench->figures[bench->figure_count++];
	*figures = (struct figures){.unit = unit};
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(figures->name, sizeof figures->name, format, arguments);
	va_end(arguments);
	return figures;
}

void bench_say(const struct bench *bench, const char *format, ...) {
	if (bench->run->json)
		return;
	va_list arguments;
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

/* ---- a workload, again while others disturb it ---- */

static void noise_mark(struct bench *bench, size_t figures_from, size_t targets_from) {
	for (size_t i = figures_from; i < bench->figure_count; i++)
		bench->figures[i].noisy = true;
	for (size_t i = targets_from; i < bench->target_count; i++)
		bench->targets[i].noisy = true;
}

static bool workload_run(struct bench *bench, const struct workload *workload) {
	const size_t figures_from = bench->figure_count, targets_from = bench->target_count;

	for (uint32_t attempt = 1;; attempt++) {
		bool quiet = machine_quiet(bench);
		if (!workload->run(bench))
			return false;
		quiet = machine_quiet(bench) && quiet;
		if (quiet)
			return true;
		if (attempt >= bench->attempts) {
			noise_mark(bench, figures_from, targets_from);
			return true;
		}
		bench_say(bench, "the machine was not quiet during %s: once more", workload->name);
		bench->figure_count = figures_from;
		bench->target_count = targets_from;
	}
}

static bool workloads_run(struct bench *bench) {
	for (size_t i = 0; i < WORKLOADS; i++)
		if ((bench->only == NULL || strcmp(bench->only, workloads[i].name) == 0) && !workload_run(bench, &workloads[i]))
			return false;
	return true;
}

/* ---- what it needs ---- */

static bool programs_find(struct bench *bench) {
	char path[PATH_BYTES + NAME_BYTES];
	const ssize_t size = readlink("/proc/self/exe", bench->programs, sizeof bench->programs - 1);
	if (size <= 0)
		return fail_here(bench->run, "/proc/self/exe: %s", strerror(errno)), false;
	bench->programs[size] = '\0';
	*strrchr(bench->programs, '/') = '\0';
	snprintf(path, sizeof path, "%s/sofund", bench->programs);
	if (access(path, X_OK) != 0)
		return fail_here(bench->run, "no host to measure: %s: %s", path, strerror(errno)), false;
	snprintf(path, sizeof path, "%s/../tests/bench", bench->programs);
	char probe[PATH_BYTES + 2 * NAME_BYTES];
	snprintf(probe, sizeof probe, "%s/baseline_table", path);
	char *real = access(probe, X_OK) == 0 ? realpath(path, NULL) : NULL;
	if (real != NULL && strlen(real) < sizeof bench->baselines)
		memcpy(bench->baselines, real, strlen(real) + 1);
	free(real);
	if (bench->baselines[0] == '\0')
		fprintf(stderr,
			"sofun: no baselines at %s: ratios to them will be missing, and void. They are in a build tree, with "
			"tests (cmake -S . -B B && cmake --build B && B/bin/sofun bench), not in an installation.\n",
			probe);
	return true;
}

static int entry_remove(const char *path, const struct stat *info, int kind, struct FTW *place) {
	(void)info, (void)kind, (void)place;
	return remove(path);
}

/* The measuring process: everything it started ends with it. */
static int bench_measure(struct bench *bench) {
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench->rounds = bench->quick ? ROUNDS_QUICK : ROUNDS;
	if (!programs_find(bench) || !machine_look(bench))
		return EXIT_OPERATION_FAILED;
	if (bench->is_tmpfs)
		return fail_here(bench->run,
			"%s is on a tmpfs, where a sync costs nothing: figures for durability sync would be a lie; use --directory",
			bench->directory);
	if (!workloads_run(bench))
		return EXIT_OPERATION_FAILED;
	report_print(bench);
	fflush(stdout);
	return bench->quick || report_good(bench) ? EXIT_OK : EXIT_OPERATION_FAILED;
}

static void signal_note(int signal) {
	(void)signal; /* waitpid ends, and the directory is removed */
}

static bool only_known(const struct bench *bench) {
	for (size_t i = 0; i < WORKLOADS; i++)
		if (bench->only == NULL || strcmp(bench->only, workloads[i].name) == 0)
			return true;
	fail_usage(bench->run, "there is no workload '%s'; sofun bench --help lists them", bench->only);
	return false;
}

/* A process measures, and this one cleans up behind it, however that ends. */
static int bench_in_child(struct bench *bench) {
	const struct sigaction note = {.sa_handler = signal_note};
	int status = 0;
	const pid_t child = fork();
	if (child < 0)
		return fail_here(bench->run, "no process: %s", strerror(errno));
	if (child == 0)
		exit(bench_measure(bench));
	sigaction(SIGINT, &note, NULL);
	sigaction(SIGTERM, &note, NULL);
	if (waitpid(child, &status, 0) != child) {
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : fail_here(bench->run, "it was interrupted");
}

static int bench_run(const struct invocation *run) {
	struct bench *bench = check_alloc(1, sizeof *bench);
	const char *directory = option_value(run, "--directory");
	bench->run = run;
	bench->details = json_object();
	check_memory(bench->details);
	bench->quick = option_value(run, "--quick") != NULL;
	bench->only = option_value(run, "--only");
	int result = EXIT_USAGE;
	unsigned long long attempts = bench->quick ? 1 : ATTEMPTS;
	if (!only_known(bench) || !option_number(run, "--attempts", ATTEMPTS_MAX, &attempts))
		goto done;
	bench->attempts = (uint32_t)attempts;
	snprintf(bench->directory, sizeof bench->directory, "%s/sofun-bench-XXXXXX", directory == NULL ? "." : directory);
	if (mkdtemp(bench->directory) == NULL) {
		result = fail_here(run, "%s: %s", bench->directory, strerror(errno));
		goto done;
	}
	result = bench_in_child(bench);
	if (nftw(bench->directory, entry_remove, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) != 0)
		result = fail_here(run, "%s could not be removed: %s", bench->directory, strerror(errno));
done:
	json_decref(bench->details);
	free(bench);
	return result;
}

static const struct option bench_options[] = {
	{"--only", "NAME", "one workload, by its name above"},
	{"--quick", NULL,
		"one short round of each: does it work; the figures mean little, and no target decides the exit code"},
	{"--attempts", "N",
		"how often a workload is run at most while the machine is not quiet (default 3, with --quick 1)"},
	{"--directory", "DIR", "where the data lies while it runs (default: here); its file system is what is measured"},
	{NULL, NULL, NULL},
};

const struct command bench_command = {
	.name = "bench",
	.usage = "[--only NAME] [--quick] [--attempts N] [--directory DIR]",
	.summary = "how fast the host is on this machine",
	.help =
		"Starts a sofund of its own in a fresh directory, drives it over its sockets, and prints rates, latencies, CPU,\n"
		"disk bytes and memory; then a table of targets. Both sides of a ratio run in turns. A workload is repeated\n"
		"while the machine is not quiet. The directory is removed afterwards.\n\n"
		"  counter      messages inside the host, to 1, 1,000, 100,000 and 1,000,000 ids\n"
		"  chain        three functions that pass a message on\n"
		"  ingest       records of 100 bytes over the socket, in batches of 256, each durable\n"
		"  call         1 and 64 connections, 1 and 16 calls in flight on each\n"
		"  steady       100,000 calls a second\n"
		"  chain-calls  a call through three functions; the third replies\n"
		"  restart      a crash and a SIGKILL with 1,000,000 instances: first reply, all written back\n"
		"  swap         the pause that a swap makes at half load, and what it takes from full load; with --json also what\n"
		"               the client saw as time went by (tests/bench/plot.py draws it)\n"
		"  expiry       a counter with and without idle_ttl; the sweep of ended instances, and what calls beside it feel\n"
		"  timers       set, cancelled and fired while 10,000,000 are pending, and the memory that they take\n"
		"  operations   started, worked for and counted, a second\n"
		"  tables       an entry set or read by each message, in tables of 1,000,000 entries\n\n"
		"It exits with 1 if a target is missed or void (not with --quick).",
	.options = bench_options,
	.run = bench_run,
};
