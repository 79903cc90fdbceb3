/* An egress piped to a command's standard input, at least once. [the sink's thread]
 *
 * The command is run by /bin/sh with the host's standard error as its output. Records count as delivered once it has read
 * them all: the pipe is empty. When it ends, it is started again after SINK_RETRY_MS, and gets what it had not read; of a
 * batch that it had read in part, all. At the stop, or when the host is killed, it sees the end of its input. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "egress/sink_inside.h"

extern char **environ;

enum {
	/* How often to look whether the command has read everything: at first, and when it takes its time. */
	READ_LOOK_MS = 1,
	READ_LOOK_MS_MAX = 50,
	/* How often to look whether it has ended by itself at the stop. */
	END_LOOK_MS = 10,
};

struct sink_command {
	struct sink_target target;
	char *command;
	pid_t pid; /* 0: it does not run */
	int input; /* our end of its standard input */
	struct buf lines;
};

/* ---- the process ---- */

static bool process_spawn(struct sink_command *sink, int input) {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, pipe_only;
	char *const words[] = {"sh", "-c", sink->command, NULL};
	sigemptyset(&none);
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE); /* the host ignores it, a command should not */
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &pipe_only);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	int result = posix_spawn(&sink->pid, "/bin/sh", &actions, &attributes, words, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	errno = result;
	if (result != 0)
		sink->pid = 0;
	return result == 0;
}

static enum sink_result command_start(struct sink_command *sink, struct error *error) {
	int ends[2];
	if (sink->pid != 0)
		return SINK_GOOD;
	if (pipe2(ends, O_CLOEXEC) != 0) {
		error_system(error, ERROR_INTERNAL, errno, "no pipe for the command");
		error_advise(error, "room for two more files", "raise the limit of open files (ulimit -n)");
		return SINK_AGAIN;
	}
	bool good = process_spawn(sink, ends[0]);
	close(ends[0]);
	if (!good) {
		error_system(error, ERROR_INTERNAL, errno, "cannot start the command");
		error_advise(error, "a command that /bin/sh can start", "egresses.<name>.sink names it");
		close(ends[1]);
		return SINK_AGAIN;
	}
	sink->input = ends[1];
	check(fcntl(sink->input, F_SETFL, O_NONBLOCK) == 0);
	log_event(LOG_INFO, "sink_command_started", "egress=%s pid=%d", sink->target.egress, (int)sink->pid);
	return SINK_GOOD;
}

/* It has ended, or has closed its input: then it is not waited for long. */
static enum sink_result command_ended(struct sink_command *sink, struct error *error) {
	int status = 0;
	close(sink->input);
	pid_t gone = waitpid(sink->pid, &status, WNOHANG);
	if (gone == 0) {
		kill(sink->pid, SIGTERM);
		gone = waitpid(sink->pid, &status, 0);
	}
	sink->pid = 0;
	if (gone > 0 && WIFSIGNALED(status))
		error_set(error, ERROR_INTERNAL, "the command was ended by signal %d", WTERMSIG(status));
	else
		error_set(error, ERROR_INTERNAL, "the command ended with exit code %d", WEXITSTATUS(status));
	error_found(error, "status %d", status);
	error_advise(
		error, "a command that reads until the end of its input", "it is started again, with what it may have missed");
	return SINK_AGAIN;
}

/* ---- writing ---- */

/* SINK_GOOD: there is room, or time has passed. SINK_AGAIN: nobody reads any more. */
static enum sink_result input_wait(const struct sink_command *sink, bool for_room, int timeout_ms) {
	struct pollfd fds[] = {
		{.fd = sink->target.stop_fd, .events = POLLIN},
		{.fd = sink->input, .events = (short)(for_room ? POLLOUT : 0)},
	};
	if (poll(fds, 2, timeout_ms) < 0)
		return SINK_GOOD; /* a signal */
	if (fds[0].revents != 0)
		return SINK_STOP;
	return (fds[1].revents & (POLLERR | POLLHUP)) != 0 ? SINK_AGAIN : SINK_GOOD;
}

/* Whole lines as many as a pipe takes at once or not at all: so a command whose host is killed sees no half line, but for
 * lines that are longer than that. */
static size_t piece_size(const struct sink_command *sink, size_t from) {
	const uint8_t *lines = sink->lines.data + from;
	size_t left = sink->lines.size - from;
	if (left <= PIPE_BUF)
		return left;
	const uint8_t *end = memrchr(lines, '\n', PIPE_BUF);
	return end == NULL ? PIPE_BUF : (size_t)(end - lines) + 1;
}

static enum sink_result lines_write(struct sink_command *sink) {
	for (size_t done = 0; done < sink->lines.size;) {
		ssize_t size = write(sink->input, sink->lines.data + done, piece_size(sink, done));
		if (size > 0) {
			done += (size_t)size;
			continue;
		}
		if (size < 0 && errno == EPIPE)
			return SINK_AGAIN;
		enum sink_result result = input_wait(sink, true, -1);
		if (result != SINK_GOOD)
			return result;
	}
	return SINK_GOOD;
}

/* Until the pipe is empty: nothing tells that, so it is looked for. A stop waits for it a while, so that less is repeated. */
static enum sink_result lines_wait(const struct sink_command *sink) {
	int look_ms = READ_LOOK_MS, stop_ms = SINK_COMMAND_END_MS;
	enum sink_result result = SINK_GOOD;
	for (;;) {
		int left = 0;
		check(ioctl(sink->input, FIONREAD, &left) == 0);
		if (left == 0)
			return SINK_GOOD; /* also of a command that has read it all and ended */
		if (result == SINK_AGAIN || (result == SINK_STOP && stop_ms <= 0))
			return result;
		if (result == SINK_STOP) {
			poll(NULL, 0, END_LOOK_MS);
			stop_ms -= END_LOOK_MS;
		}
		result = input_wait(sink, false, look_ms);
		look_ms = look_ms * 2 < READ_LOOK_MS_MAX ? look_ms * 2 : READ_LOOK_MS_MAX;
	}
}

static enum sink_result command_open(
	struct sink_target *target, const struct sink_mark *recorded, struct sink_mark *ret_mark, struct error *error) {
	(void)recorded;
	*ret_mark = (struct sink_mark){0};
	return command_start((struct sink_command *)target, error);
}

static enum sink_result command_write(struct sink_target *target, const struct egress_batch *batch, uint64_t skipped,
	size_t *ret_count, struct sink_mark *ret_mark, struct error *error) {
	struct sink_command *sink = (struct sink_command *)target;
	buf_reset(&sink->lines);
	for (size_t i = 0; i < batch->count; i++)
		sink_line(&sink->lines, batch, i, i == 0 ? skipped : 0);
	enum sink_result result = command_start(sink, error);
	if (result != SINK_GOOD)
		return result;
	result = lines_write(sink);
	if (result == SINK_GOOD)
		result = lines_wait(sink);
	*ret_count = batch->count;
	*ret_mark = (struct sink_mark){0};
	return result == SINK_AGAIN ? command_ended(sink, error) : result;
}

/* ---- life ---- */

static void command_close(struct sink_target *target) {
	struct sink_command *sink = (struct sink_command *)target;
	if (sink->pid != 0) {
		close(sink->input);
		int left_ms = SINK_COMMAND_END_MS;
		for (; waitpid(sink->pid, NULL, WNOHANG) == 0 && left_ms > 0; left_ms -= END_LOOK_MS)
			poll(NULL, 0, END_LOOK_MS);
		if (left_ms <= 0)
			log_event(LOG_WARN, "sink_command_left", "egress=%s pid=%d", target->egress, (int)sink->pid);
	}
	buf_finish(&sink->lines);
	free(sink->command);
	free(sink);
}

static const struct sink_target_ops command_ops = {
	.open = command_open, .write = command_write, .close = command_close};

struct sink_target *sink_command_create(const struct sink_config *config, int stop_fd) {
	struct sink_command *sink = check_alloc(1, sizeof *sink);
	sink->target = (struct sink_target){.ops = &command_ops, .egress = config->egress, .stop_fd = stop_fd};
	sink->command = check_strdup(config->command);
	return &sink->target;
}
