#include "plugin/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "plugin/refusal.h"

extern char **environ;

enum {
	REPORT_FD = 3,
	REPORT_BYTES_MAX = 4096,
	/* What the plugin or the loader wrote before it died: its last words are enough. */
	OUTPUT_BYTES_MAX = 4096,
	OUTPUT_SHOWN = 120,
};

/* One child and what came out of it. */
struct probing {
	pid_t pid;
	int pidfd;
	int report_fd;
	int output_fd;
	struct buf report;
	struct buf output;
	int status; /* as of waitpid */
	int limit_ms;
	bool late;
};

static uint64_t now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- starting ---- */

static int probing_spawn(struct probing *probing, const char *image_path, int report_end, int output_end) {
	char *const argv[] = {(char[]){"sofund"}, (char[]){"--probe"}, (char *)(uintptr_t)image_path, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigset_t all;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, output_end, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, output_end, STDERR_FILENO);
	posix_spawn_file_actions_adddup2(&files, report_end, REPORT_FD);
	posix_spawn_file_actions_addclosefrom_np(&files, REPORT_FD + 1);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	int failed = posix_spawn(&probing->pid, "/proc/self/exe", &files, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return failed;
}

static void fd_close(int fd) {
	if (fd >= 0)
		close(fd);
}

static bool probing_start(struct probing *probing, const char *image_path, struct error *error) {
	int report[2] = {-1, -1};
	int output[2] = {-1, -1};
	int failed = pipe2(report, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0 ? errno : 0;
	if (failed == 0)
		failed = probing_spawn(probing, image_path, report[1], output[1]);
	fd_close(report[1]);
	fd_close(output[1]);
	probing->report_fd = report[0];
	probing->output_fd = output[0];
	if (failed == 0)
		return true;
	error_system(error, ERROR_REFUSED, failed, "the probe could not be started");
	error_found(error, "%s", strerror(failed));
	error_expected(error, "a child process of sofund");
	error_hint(error, "look at the limits of processes and open files");
	return false;
}

/* ---- listening ---- */

/* Takes what is there; false at the end. */
static bool pipe_take(int fd, struct buf *into, size_t bytes_max) {
	ssize_t got = read(fd, buf_reserve(into, REPORT_BYTES_MAX), REPORT_BYTES_MAX);
	if (got <= 0)
		return got < 0 && errno == EINTR;
	into->size += (size_t)got;
	if (into->size > bytes_max) {
		memmove(into->data, into->data + (into->size - bytes_max), bytes_max);
		into->size = bytes_max;
	}
	return true;
}

/* Until the child has ended (its own children may hold the pipes longer) or the time is over. */
static void probing_listen(struct probing *probing, uint64_t deadline_ms) {
	enum { REPORT, OUTPUT, CHILD };
	struct pollfd fds[] = {
		{.fd = probing->report_fd, .events = POLLIN},
		{.fd = probing->output_fd, .events = POLLIN},
		{.fd = probing->pidfd, .events = POLLIN},
	};
	for (;;) {
		uint64_t now = now_ms();
		int ready = poll(fds, 3, now < deadline_ms ? (int)(deadline_ms - now) : 0);
		probing->late = ready == 0;
		if (probing->late || (ready < 0 && errno != EINTR))
			return;
		if (fds[REPORT].revents != 0 && !pipe_take(fds[REPORT].fd, &probing->report, REPORT_BYTES_MAX))
			fds[REPORT].fd = -1;
		if (fds[OUTPUT].revents != 0 && !pipe_take(fds[OUTPUT].fd, &probing->output, OUTPUT_BYTES_MAX))
			fds[OUTPUT].fd = -1;
		/* What it had written stands in the pipes before it is gone. */
		if (fds[CHILD].revents != 0 && (fds[REPORT].revents & POLLIN) == 0 && (fds[OUTPUT].revents & POLLIN) == 0)
			return;
	}
}

static void probing_wait(struct probing *probing) {
	probing->pidfd = pidfd_open(probing->pid, 0);
	check(probing->pidfd >= 0);
	probing_listen(probing, now_ms() + (uint64_t)probing->limit_ms);
	if (probing->late)
		kill(probing->pid, SIGKILL);
	while (waitpid(probing->pid, &probing->status, 0) < 0)
		check(errno == EINTR);
	close(probing->pidfd);
}

static void probing_finish(struct probing *probing) {
	fd_close(probing->report_fd);
	fd_close(probing->output_fd);
	buf_finish(&probing->report);
	buf_finish(&probing->output);
}

/* ---- judging ---- */

static const char *step_meaning(const char *step) {
	static const char *const meanings[][2] = {
		{"read", "while its copy was read"},
		{"load", "while it was loaded: a damaged file, or a constructor that fails"},
		{"init", "in its init"},
		{"fini", "in its fini"},
		{"threads", "after its fini: a thread it left behind"},
		{"unload", "while it was unloaded: a destructor or an atexit handler"},
		{"thread-end", "when a thread ended after the unloading: a thread-specific destructor is left behind"},
	};
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (strcmp(step, meanings[i][0]) == 0)
			return meanings[i][1];
	return "before it began";
}

/* The last line of a text, cut to what is shown. */
static const char *line_last(struct buf *text) {
	while (text->size > 0 && text->data[text->size - 1] == '\n')
		text->size--;
	buf_append_u8(text, '\0');
	const char *line = strrchr((const char *)text->data, '\n');
	return line == NULL ? (const char *)text->data : line + 1;
}

static bool probing_died(struct probing *probing, const char *last, struct error *error) {
	const char *step = strncmp(last, "step ", 5) == 0 ? last + 5 : "";
	const char *words = line_last(&probing->output);
	error_set(
		error, ERROR_REFUSED, "the plugin %s %s", probing->late ? "hung" : "killed the probe", step_meaning(step));
	if (probing->late)
		error_found(error, "no end within %d ms", probing->limit_ms);
	else if (WIFSIGNALED(probing->status))
		error_found(error, "SIG%s%s%.*s", sigabbrev_np(WTERMSIG(probing->status)), *words == '\0' ? "" : ", ",
			OUTPUT_SHOWN, words);
	else
		error_found(
			error, "exit code %d%s%.*s", WEXITSTATUS(probing->status), *words == '\0' ? "" : ", ", OUTPUT_SHOWN, words);
	error_expected(error, "load, init, fini and unload without a trace");
	error_hint(error, "run `sofund --probe FILE` under a debugger; copy the file again if it may be damaged");
	return false;
}

static bool probing_judge(struct probing *probing, bool *ret_unmaps, struct error *error) {
	const char *last = line_last(&probing->report);
	if (strcmp(last, "good unmapped") == 0 || strcmp(last, "good mapped") == 0) {
		*ret_unmaps = strcmp(last, "good unmapped") == 0;
		return true;
	}
	if (strncmp(last, "refused ", 8) != 0)
		return probing_died(probing, last, error);
	refusal_read(last + 8, error);
	return false;
}

bool probe_run(const char *image_path, int limit_ms, bool *ret_unmaps, struct error *error) {
	struct probing probing = {.report_fd = -1, .output_fd = -1, .limit_ms = limit_ms};
	bool good = probing_start(&probing, image_path, error);
	if (good) {
		probing_wait(&probing);
		good = probing_judge(&probing, ret_unmaps, error);
	}
	probing_finish(&probing);
	return good;
}
