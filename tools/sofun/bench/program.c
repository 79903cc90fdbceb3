#include "bench/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "bench/machine.h"
#include "fail.h"

enum {
	READY_MS_MAX = 300000,  /* a database that must be filled first */
	ANSWER_MS_MAX = 120000, /* a round of synced puts on a slow disk */
	SETTLE_LOOK_MS = 100,
	SETTLE_LOOKS_MAX = 300, /* half a minute */
	LINE_BYTES = 256,
	LOG_SHOWN_BYTES = 600,
};

uint64_t clock_ns(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void pause_ms(uint32_t ms) {
	poll(NULL, 0, (int)ms);
}

/* The child's side. It must not outlive bench, whatever becomes of that. */
static void program_become(const char *const *arguments, int input, int output, const char *log) {
	const int error = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	if (error < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(error, STDERR_FILENO) < 0)
		_exit(127);
	execv(arguments[0], (char *const *)(uintptr_t)arguments); /* it promises to leave them alone */
	fprintf(stderr, "cannot be run: %s\n", strerror(errno));
	fflush(stderr);
	_exit(127);
}

/* The end of what it said on stderr. */
static void log_show(const char *path, char *text, size_t size) {
	text[0] = '\0';
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return;
	if (fseek(file, -(long)(size - 1), SEEK_END) != 0)
		rewind(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
	for (char *end = text + strlen(text); end > text && end[-1] == '\n';)
		*--end = '\0';
}

/* Whose time and memory count. */
static pid_t works_read(const struct program *program, const char *line) {
	static const char word[] = " worker=";
	const char *at = strstr(line, word);
	return at == NULL ? program->pid : (pid_t)strtol(at + sizeof word - 1, NULL, 10);
}

/* One line within the time. */
static bool line_read(struct program *program, char *line, size_t size, int ms) {
	struct pollfd wait = {.fd = fileno(program->output), .events = POLLIN};
	return poll(&wait, 1, ms) == 1 && fgets(line, (int)size, program->output) != NULL;
}

bool program_start(const struct bench *bench, struct program *program, const char *const *arguments, const char *ready,
	const char *log) {
	int input[2], output[2];
	char line[LINE_BYTES], said[LOG_SHOWN_BYTES];
	const char *slash = strrchr(arguments[0], '/');
	*program = (struct program){.name = slash == NULL ? arguments[0] : slash + 1};
	if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0)
		return fail_here(bench->run, "no pipe: %s", strerror(errno)), false;
	program->pid = fork();
	if (program->pid == 0)
		program_become(arguments, input[0], output[1], log);
	close(input[0]);
	close(output[1]);
	program->input = fdopen(input[1], "w");
	program->output = fdopen(output[0], "r");
	check(program->input != NULL && program->output != NULL);
	if (program->pid > 0 && line_read(program, line, sizeof line, READY_MS_MAX) &&
		strncmp(line, ready, strlen(ready)) == 0) {
		program->works = works_read(program, line);
		return true;
	}
	program_stop(program, SIGKILL);
	log_show(log, said, sizeof said);
	fail_here(bench->run, "%s did not start: %s", arguments[0], said[0] == '\0' ? "it said nothing" : said);
	return false;
}

void program_stop(struct program *program, int signal) {
	if (program->input != NULL)
		fclose(program->input);
	if (program->pid > 0 && signal != 0)
		kill(program->pid, signal);
	if (program->pid > 0)
		waitpid(program->pid, NULL, 0);
	if (program->output != NULL)
		fclose(program->output);
	*program = (struct program){.pid = 0};
}

/* ---- baselines ---- */

bool baseline_start(struct bench *bench, struct program *program, const char *name, const char *const *arguments) {
	char path[PATH_BYTES + NAME_BYTES], log[PATH_BYTES + NAME_BYTES];
	const char *words[PROGRAM_ARGUMENTS_MAX] = {path};
	snprintf(path, sizeof path, "%s/%s", bench->baselines, name);
	snprintf(log, sizeof log, "%s/%s.log", bench->directory, name);
	for (size_t i = 0; arguments[i] != NULL; i++) {
		check(i + 2 < PROGRAM_ARGUMENTS_MAX);
		words[i + 1] = arguments[i];
	}
	return program_start(bench, program, words, "ready", log);
}

/* begin: the line that begins it. */
static bool round_do(
	struct bench *bench, struct program *program, const char *begin, uint64_t messages, struct figures *figures) {
	char line[LINE_BYTES];
	double seconds, p50_us, p99_us;
	struct usage before, after;
	const double disk_bytes = machine_disk_bytes(bench);
	const bool counted = usage_read(program->works, &before);
	fprintf(program->input, "%s\n", begin);
	if (fflush(program->input) != 0 || !line_read(program, line, sizeof line, ANSWER_MS_MAX) ||
		sscanf(line, "%lf %lf %lf", &seconds, &p50_us, &p99_us) != 3 || seconds <= 0)
		return fail_here(bench->run, "the baseline %s gave no figures", program->name), false;
	samples_add(&figures->rate, (double)messages / seconds);
	if (p50_us > 0) {
		samples_add(&figures->p50_us, p50_us);
		samples_add(&figures->p99_us, p99_us);
	}
	if (counted && usage_read(program->works, &after)) {
		samples_add(&figures->host_cpu_us, (after.cpu_us - before.cpu_us) / (double)messages);
		samples_add(&figures->counted_bytes, (after.counted_bytes - before.counted_bytes) / (double)messages);
		figures->memory_peak_bytes = after.peak_bytes;
	}
	if (disk_bytes >= 0)
		samples_add(&figures->disk_bytes, (machine_disk_bytes(bench) - disk_bytes) / (double)messages);
	return true;
}

bool baseline_round(struct bench *bench, struct program *program, uint64_t messages, struct figures *figures) {
	char begin[LINE_BYTES];
	snprintf(begin, sizeof begin, "%llu", (unsigned long long)messages);
	return round_do(bench, program, begin, messages, figures);
}

bool baseline_do(
	struct bench *bench, struct program *program, const char *what, uint64_t messages, struct figures *figures) {
	char begin[LINE_BYTES];
	snprintf(begin, sizeof begin, "%s %llu", what, (unsigned long long)messages);
	return round_do(bench, program, begin, messages, figures);
}

/* ---- the kernel's figures ---- */

/* Reads /proc/PID/name as text; false if it is not there. */
static bool process_file(pid_t pid, const char *name, char *text, size_t size) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return false;
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
	return text[0] != '\0';
}

/* The number behind a word at the start of a line. */
static bool number_after(const char *text, const char *word, unsigned long long *ret_number) {
	const char *at = strstr(text, word);
	return at != NULL && sscanf(at + strlen(word), "%llu", ret_number) == 1;
}

/* The command's name stands in brackets and may hold anything: fields count from behind the last one. */
static bool cpu_read(pid_t pid, double *ret_us) {
	char text[1024];
	unsigned long long user, system;
	if (!process_file(pid, "stat", text, sizeof text))
		return false;
	const char *at = strrchr(text, ')');
	if (at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		return false;
	*ret_us = (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
	return true;
}

bool usage_read(pid_t pid, struct usage *ret_usage) {
	char text[4096];
	unsigned long long written, peak_kib, memory_kib, own_kib;
	if (!cpu_read(pid, &ret_usage->cpu_us) || !process_file(pid, "io", text, sizeof text) ||
		!number_after(text, "\nwrite_bytes:", &written) || !process_file(pid, "status", text, sizeof text) ||
		!number_after(text, "\nVmHWM:", &peak_kib) || !number_after(text, "\nVmRSS:", &memory_kib) ||
		!number_after(text, "\nRssAnon:", &own_kib))
		return false;
	ret_usage->counted_bytes = (double)written;
	ret_usage->peak_bytes = (uint64_t)peak_kib << 10;
	ret_usage->memory_bytes = (uint64_t)memory_kib << 10;
	ret_usage->own_bytes = (uint64_t)own_kib << 10;
	return true;
}

double usage_own_cpu_us(void) {
	struct rusage usage;
	check(getrusage(RUSAGE_SELF, &usage) == 0);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

void program_settle(pid_t pid) {
	double before, after;
	uint32_t still = 0;
	if (!cpu_read(pid, &before))
		return;
	for (uint32_t i = 0; i < SETTLE_LOOKS_MAX && still < 2; i++) {
		pause_ms(SETTLE_LOOK_MS);
		if (!cpu_read(pid, &after))
			return;
		still = after - before < 2e4 ? still + 1 : 0; /* two ticks of the kernel's clock */
		before = after;
	}
}
