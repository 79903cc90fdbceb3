#include "supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/sanitizer.h"
#include "supervisor/listen.h"

enum {
	/* A worker that dies before it was ready is started again after a pause that doubles: a start costs a recovery. */
	PAUSE_MS_MIN = 100,
	PAUSE_MS_MAX = 5000,
	/* A host that was never ready, and that nobody knows how to help: so many starts, then whoever started it is told. */
	STARTS_MAX = 5,
};

struct supervisor {
	const struct supervisor_options *options;
	struct seat seat;
	struct supervised *supervised;
	sigset_t signals; /* that it waits for */
	pid_t worker;     /* 0: none */
	bool stopping;    /* SIGTERM or SIGINT was there */
	uint32_t unready; /* workers in a row that died before they were ready */
	int code;
};

/* ---- the worker ---- */

/* A core of hundreds of MiB would take longer to write than the host takes to come back. 1, not 0: a limit of 0 does not
 * keep the kernel from piping a core to a collector (core(5)). */
static void cores_forbid(void) {
	struct rlimit limit;
	if (getrlimit(RLIMIT_CORE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max < 1 ? limit.rlim_max : 1;
	if (setrlimit(RLIMIT_CORE, &limit) != 0)
		log_event(LOG_WARN, "cores", "reason=\"%s\"", strerror(errno));
}

/* In the child: dies with its parent, whatever ends that, and is the host from here on. */
static _Noreturn void worker_become(struct supervisor *supervisor) {
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	check(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	if (getppid() != supervisor->seat.supervisor)
		_exit(EXIT_INTERNAL); /* it has gone already */
	check(sigprocmask(SIG_UNBLOCK, &child, NULL) == 0);
	cores_forbid();
	int code = supervisor->options->work(supervisor->options->arg, &supervisor->seat);
	atomic_store(&supervisor->supervised->ended, true);
	exit(code);
}

static bool worker_start(struct supervisor *supervisor) {
	atomic_store(&supervisor->supervised->ended, false);
	atomic_store(&supervisor->supervised->serving, false);
	pid_t pid = fork();
	if (pid == 0)
		worker_become(supervisor);
	supervisor->worker = pid;
	supervisor->seat.restarts++;
	if (pid > 0)
		return true;
	log_event(LOG_ERROR, "worker_start_failed", "reason=\"%s\"", strerror(errno));
	supervisor->code = EXIT_INTERNAL;
	return false;
}

/* ---- its end ---- */

static void end_describe(int status, char *text, size_t size) {
	if (WIFSIGNALED(status))
		snprintf(text, size, "SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(text, size, "exit code %d", WEXITSTATUS(status));
}

/* True if it ended as it wanted to: then so does the supervisor. A sanitizer's report counts, too: whoever looks for it
 * looks at the exit code. */
static bool worker_ended(struct supervisor *supervisor, int status) {
	bool ended = atomic_load(&supervisor->supervised->ended);
	if (!WIFEXITED(status) || (!ended && !UNDER_SANITIZER))
		return false;
	supervisor->code = WEXITSTATUS(status);
	return true;
}

static void worker_crashed(int status) {
	char how[64];
	end_describe(status, how, sizeof how);
	log_event(LOG_ERROR, "worker_died", "how=\"%s\"", how);
}

/* Nobody was ever served by this host, and starting it again does not help: whoever started it must be told. */
static bool starts_spent(const struct supervisor *supervisor) {
	if (atomic_load(&supervisor->supervised->ready) || supervisor->unready < STARTS_MAX)
		return false;
	log_event(
		LOG_ERROR, "start_given_up", "starts=%u hint=\"see above what each of them died of\"", supervisor->unready);
	return true;
}

/* ---- waiting ---- */

static uint64_t now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint32_t pause_ms(const struct supervisor *supervisor) {
	uint32_t pause = PAUSE_MS_MIN;
	for (uint32_t i = 1; i < supervisor->unready && pause < PAUSE_MS_MAX; i++)
		pause *= 2;
	return pause < PAUSE_MS_MAX ? pause : PAUSE_MS_MAX;
}

/* A SIGHUP that meets no worker is done with: the next one reads the file anyway. */
static void signal_forward(struct supervisor *supervisor, int number) {
	supervisor->stopping |= number != SIGHUP;
	if (supervisor->worker != 0)
		kill(supervisor->worker, number);
}

/* False: the time is over. */
static bool signal_wait(struct supervisor *supervisor, uint32_t limit_ms) {
	const struct timespec limit = {.tv_sec = limit_ms / 1000, .tv_nsec = (long)(limit_ms % 1000) * 1000000};
	int number =
		limit_ms == 0 ? sigwaitinfo(&supervisor->signals, NULL) : sigtimedwait(&supervisor->signals, NULL, &limit);
	if (number == SIGTERM || number == SIGINT || number == SIGHUP)
		signal_forward(supervisor, number);
	return number > 0 || errno == EINTR;
}

/* The status of a worker that has gone; false: it lives. */
static bool worker_gone(struct supervisor *supervisor, int *ret_status) {
	pid_t pid = waitpid(supervisor->worker, ret_status, WNOHANG);
	check(pid >= 0 || errno == EINTR);
	return pid == supervisor->worker;
}

static void worker_wait(struct supervisor *supervisor, int *ret_status) {
	while (!worker_gone(supervisor, ret_status))
		signal_wait(supervisor, 0);
	supervisor->worker = 0;
}

/* Before the next start; nothing if the last worker had served. A signal that asks for the end ends the pause. */
static void worker_pause(struct supervisor *supervisor) {
	uint64_t until_ms = now_ms() + pause_ms(supervisor);
	for (uint64_t now = now_ms(); !supervisor->stopping && now < until_ms; now = now_ms())
		signal_wait(supervisor, (uint32_t)(until_ms - now));
}

/* ---- life ---- */

static void supervised_map(struct supervisor *supervisor) {
	void *memory =
		mmap(NULL, sizeof *supervisor->supervised, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(memory != MAP_FAILED);
	supervisor->supervised = memory;
	supervisor->seat.supervised = memory;
}

static void signals_hold(struct supervisor *supervisor) {
	sigset_t *set = &supervisor->signals;
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	check(sigprocmask(SIG_BLOCK, set, NULL) == 0);
}

/* True if another worker is to be started. */
static bool worker_live(struct supervisor *supervisor) {
	int status = 0;
	if (!worker_start(supervisor))
		return false;
	worker_wait(supervisor, &status);
	if (worker_ended(supervisor, status))
		return false;
	worker_crashed(status);
	supervisor->unready = atomic_load(&supervisor->supervised->serving) ? 0 : supervisor->unready + 1;
	if (supervisor->stopping || starts_spent(supervisor)) {
		/* killed while it stopped: what was acknowledged is durable, and the end is what was asked for */
		bool killed = supervisor->stopping && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		supervisor->code = killed ? EXIT_GOOD : EXIT_INTERNAL;
		return false;
	}
	if (supervisor->unready > 0)
		worker_pause(supervisor);
	return !supervisor->stopping;
}

int supervisor_run(const struct supervisor_options *options) {
	struct supervisor supervisor = {
		.options = options,
		.seat = {.supervisor = getpid(), .control_fd = options->control_fd, .data_fd = options->data_fd},
	};
	supervised_map(&supervisor);
	signals_hold(&supervisor);
	while (worker_live(&supervisor)) {
	}
	munmap(supervisor.supervised, sizeof *supervisor.supervised);
	return supervisor.code;
}
