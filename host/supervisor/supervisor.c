#include "supervisor/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/sanitizer.h"
#include "supervisor/crash_file.h"
#include "supervisor/inquest.h"
#include "supervisor/notify.h"

enum {
	/* A worker that dies before it was ready is started again after a pause that doubles: a start costs a recovery. */
	PAUSE_MS_MIN = 100,
	PAUSE_MS_MAX = 5000,
	/* A host that was never ready, and that nobody knows how to help: so many starts, then whoever started it is told. */
	STARTS_MAX = 5,
	READY_LOOK_MS = 20, /* how often a service manager that waits makes us look whether the worker serves */
};

struct supervisor {
	const struct supervisor_options *options;
	struct seat seat;
	struct supervised *supervised;
	int signal_fd;
	int notice_fd;    /* eventfd: the worker has turned an outcome in the crash table */
	pid_t worker;     /* 0: none */
	bool stopping;    /* SIGTERM or SIGINT was there */
	uint32_t unready; /* workers in a row that died before they were ready */
	int code;
	struct notify notify;
	bool told_ready;
	uint32_t beats;    /* of the worker, at the last sign of life that was passed on */
	uint64_t alive_ms; /* when that was */
};

static uint64_t clock_ms(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

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
	if (!supervisor->options->cores)
		cores_forbid();
	notes_open(&supervisor->supervised->notes);
	crash_open(&supervisor->supervised->crashes, supervisor->notice_fd);
	fault_watch(&supervisor->supervised->fault);
	fault_thread_begin(NOTE_PLACE_LOOP);
	int code = supervisor->options->work(supervisor->options->arg, &supervisor->seat);
	fault_thread_end();
	fault_watch_end();
	atomic_store(&supervisor->supervised->ended, true);
	exit(code);
}

static bool worker_start(struct supervisor *supervisor) {
	memset(&supervisor->supervised->notes, 0, sizeof supervisor->supervised->notes);
	supervisor->supervised->fault = (struct fault){0};
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

/* True if it ended as it wanted to: then so does the supervisor. A sanitizer's report counts, too: whoever looks for it
 * looks at the exit code. */
static bool worker_ended(struct supervisor *supervisor, int status) {
	bool ended = atomic_load(&supervisor->supervised->ended);
	if (!WIFEXITED(status) || (!ended && !UNDER_SANITIZER))
		return false;
	supervisor->code = WEXITSTATUS(status);
	return true;
}

/* Who did it, in one line; what is not known is not said. */
static void crash_tell(const struct crash_row *row) {
	struct buf line = {0};
	buf_printf(&line, "cause=\"%s\" verdict=%s", row->cause, crash_outcome_name(atomic_load(&row->outcome)));
	if (row->plugin[0] != '\0')
		buf_printf(&line, " plugin=%s version=%s in=%s", row->plugin, row->version, crash_kind_name(row->kind));
	if (row->name[0] != '\0') {
		buf_printf(&line, " %s=%s id=\"", row->kind == NOTE_ROUTER ? "ingress" : "function", row->name);
		bytes_clean(crash_row_id(row), &line);
		buf_printf(&line, "\" payload=%016llx deaths=%llu alone=%llu", (unsigned long long)row->payload_hash,
			(unsigned long long)row->count, (unsigned long long)row->alone);
	}
	log_event(LOG_ERROR, "crash", "%.*s", (int)line.size, (const char *)line.data);
	buf_finish(&line);
}

static const struct crash_row *worker_crashed(struct supervisor *supervisor, int status) {
	struct supervised *supervised = supervisor->supervised;
	struct crash_row death;
	inquest(status, &supervised->fault, &supervised->notes, &supervised->crashes, clock_ms(CLOCK_REALTIME), &death);
	const struct crash_row *row = crash_enter(&supervised->crashes, &death);
	crash_tell(row);
	crash_file_write(supervisor->options->data, &supervised->crashes);
	return row;
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

static uint32_t pause_ms(const struct supervisor *supervisor) {
	uint32_t pause = PAUSE_MS_MIN;
	for (uint32_t i = 1; i < supervisor->unready && pause < PAUSE_MS_MAX; i++)
		pause *= 2;
	return pause < PAUSE_MS_MAX ? pause : PAUSE_MS_MAX;
}

/* A SIGHUP that meets no worker is done with: the next one reads the file anyway. */
static void signal_forward(struct supervisor *supervisor, int number) {
	if (number != SIGHUP && !supervisor->stopping) {
		supervisor->stopping = true;
		notify_send(&supervisor->notify, "STOPPING=1");
	}
	if (supervisor->worker != 0)
		kill(supervisor->worker, number);
}

static void signal_take(struct supervisor *supervisor) {
	struct signalfd_siginfo info;
	if (read(supervisor->signal_fd, &info, sizeof info) == sizeof info && info.ssi_signo != SIGCHLD)
		signal_forward(supervisor, (int)info.ssi_signo);
}

static void notice_take(struct supervisor *supervisor) {
	uint64_t count;
	if (read(supervisor->notice_fd, &count, sizeof count) == sizeof count)
		crash_file_write(supervisor->options->data, &supervisor->supervised->crashes);
}

/* Until something has happened, for limit_ms at most; -1: no limit. */
static void supervisor_wait(struct supervisor *supervisor, int limit_ms) {
	struct pollfd fds[] = {
		{.fd = supervisor->signal_fd, .events = POLLIN},
		{.fd = supervisor->notice_fd, .events = POLLIN},
	};
	if (poll(fds, 2, limit_ms) <= 0)
		return;
	if (fds[0].revents != 0)
		signal_take(supervisor);
	if (fds[1].revents != 0)
		notice_take(supervisor);
}

/* The status of a worker that has gone; false: it lives. */
static bool worker_gone(struct supervisor *supervisor, int *ret_status) {
	pid_t pid = waitpid(supervisor->worker, ret_status, WNOHANG);
	check(pid >= 0 || errno == EINTR);
	return pid == supervisor->worker;
}

/* ---- a service manager, if one started us ---- */

/* A worker that recovers or stops may take its time; one that serves must turn its loop. */
static bool worker_alive(struct supervisor *supervisor) {
	const uint32_t beats = atomic_load(&supervisor->supervised->beats);
	const bool moved = beats != supervisor->beats;
	supervisor->beats = beats;
	return moved || supervisor->stopping || !atomic_load(&supervisor->supervised->serving);
}

static void manager_tell(struct supervisor *supervisor) {
	const struct notify *notify = &supervisor->notify;
	if (!supervisor->told_ready && atomic_load(&supervisor->supervised->ready)) {
		supervisor->told_ready = true;
		notify_send(notify, "READY=1\nSTATUS=serving");
	}
	if (notify->watchdog_ms == 0 || clock_ms(CLOCK_MONOTONIC) - supervisor->alive_ms < notify->watchdog_ms / 4)
		return;
	supervisor->alive_ms = clock_ms(CLOCK_MONOTONIC);
	if (worker_alive(supervisor))
		notify_send(notify, "WATCHDOG=1");
}

/* Until there is something to tell; -1: there never is. */
static int manager_pause_ms(const struct supervisor *supervisor) {
	const struct notify *notify = &supervisor->notify;
	if (notify->socket >= 0 && !supervisor->told_ready)
		return READY_LOOK_MS;
	return notify->watchdog_ms == 0 ? -1 : (int)(notify->watchdog_ms / 8 + 1);
}

static void worker_wait(struct supervisor *supervisor, int *ret_status) {
	while (!worker_gone(supervisor, ret_status)) {
		manager_tell(supervisor);
		supervisor_wait(supervisor, manager_pause_ms(supervisor));
	}
	supervisor->worker = 0;
}

/* Before the next start; nothing if the last worker had served. A signal that asks for the end ends the pause. */
static void worker_pause(struct supervisor *supervisor) {
	uint64_t until_ms = clock_ms(CLOCK_MONOTONIC) + pause_ms(supervisor);
	for (uint64_t now = clock_ms(CLOCK_MONOTONIC); !supervisor->stopping && now < until_ms;
		 now = clock_ms(CLOCK_MONOTONIC))
		supervisor_wait(supervisor, (int)(until_ms - now));
}

/* ---- life ---- */

static void supervised_map(struct supervisor *supervisor) {
	void *memory =
		mmap(NULL, sizeof *supervisor->supervised, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(memory != MAP_FAILED);
	supervisor->supervised = memory;
	supervisor->seat.supervised = memory;
}

static void waiting_open(struct supervisor *supervisor) {
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	check(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	supervisor->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	supervisor->notice_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	check(supervisor->signal_fd >= 0 && supervisor->notice_fd >= 0);
}

/* True if another worker is to be started. */
static bool worker_live(struct supervisor *supervisor) {
	int status = 0;
	if (!worker_start(supervisor))
		return false;
	worker_wait(supervisor, &status);
	if (worker_ended(supervisor, status))
		return false;
	const struct crash_row *row = worker_crashed(supervisor, status);
	/* a plugin that is not loaded again, or a message on its way to a verdict, is progress, too */
	bool progress = atomic_load(&supervisor->supervised->serving) || crash_row_is(row, CRASH_LOADING) ||
		crash_row_is(row, CRASH_CONVICTED);
	supervisor->unready = progress ? 0 : supervisor->unready + 1;
	if (supervisor->stopping || starts_spent(supervisor)) {
		/* killed while it stopped, or by a fini, the last that it calls: what was acknowledged is durable, and the end is
		 * what was asked for */
		bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		supervisor->code = supervisor->stopping && (killed || row->kind == NOTE_FINI) ? EXIT_GOOD : EXIT_INTERNAL;
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
	notify_open(&supervisor.notify);
	waiting_open(&supervisor);
	crash_file_read(options->data, &supervisor.supervised->crashes);
	while (worker_live(&supervisor)) {
	}
	close(supervisor.signal_fd);
	close(supervisor.notice_fd);
	notify_close(&supervisor.notify);
	munmap(supervisor.supervised, sizeof *supervisor.supervised);
	return supervisor.code;
}
