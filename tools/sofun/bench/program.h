/* Programs that bench starts: they die with it, and say on stdout when they are ready. Also what the kernel knows of a
 * process. */
#ifndef SOFUN_BENCH_PROGRAM_H
#define SOFUN_BENCH_PROGRAM_H

#include <stdio.h>
#include <sys/types.h>

#include "bench/bench.h"

enum { PROGRAM_ARGUMENTS_MAX = 16 };

struct program {
	pid_t pid;
	pid_t works;  /* who does the work: a process that the ready line names as worker=PID, else pid itself */
	FILE *input;  /* its stdin */
	FILE *output; /* its stdout */
	const char *name;
};

/* arguments: NULL-terminated, [0] the path. Waits for a line on its stdout, which must begin with `ready`; `log` takes its
 * stderr. False: told, with what the log says. */
bool program_start(const struct bench *bench, struct program *program, const char *const *arguments, const char *ready,
	const char *log);

/* Ends it by a signal (0: by the end of its stdin) and waits. An empty one (pid 0) is fine. */
void program_stop(struct program *program, int signal);

/* ---- baselines ---- */

/* A baseline program by its name, with its arguments (NULL-terminated, at most three). False: told. */
bool baseline_start(struct bench *bench, struct program *program, const char *name, const char *const *arguments);

/* A round of N messages. False: told. */
bool baseline_round(struct bench *bench, struct program *program, uint64_t messages, struct figures *figures);

/* The same, of a baseline that does several things: the round is begun by the line "<what> <N>". */
bool baseline_do(
	struct bench *bench, struct program *program, const char *what, uint64_t messages, struct figures *figures);

/* ---- the kernel's figures ---- */

struct usage {
	double cpu_us;         /* user and system, all threads; the kernel counts in steps of 10 ms */
	double counted_bytes;  /* that the kernel says it caused to be written */
	uint64_t peak_bytes;   /* VmHWM */
	uint64_t memory_bytes; /* VmRSS */
	uint64_t own_bytes;    /* RssAnon: without the files that it has mapped, which LevelDB does */
};

/* False: /proc does not say. */
bool usage_read(pid_t pid, struct usage *ret_usage);

double usage_own_cpu_us(void);

/* Until the process has done nothing for a moment (checkpoints and compactions go on behind a round), or half a minute. */
void program_settle(pid_t pid);

uint64_t clock_ns(void);
void pause_ms(uint32_t ms);

#endif
