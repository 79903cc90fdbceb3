#include "plugin/attempt.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

enum { PATH_BYTES_MAX = 4096, NOTE_MODE = 0600 };

/* What code can do to its own process by mistake. */
static const struct fatal {
	int number;
	const char *name;
} fatal[] = {
	{SIGSEGV, "SIGSEGV"},
	{SIGABRT, "SIGABRT"},
	{SIGBUS, "SIGBUS"},
	{SIGFPE, "SIGFPE"},
	{SIGILL, "SIGILL"},
	{SIGSYS, "SIGSYS"},
};
enum { FATAL_COUNT = sizeof(fatal) / sizeof(fatal[0]) };

/* A signal handler can know of the attempt by nothing but globals. */
static char note_path[PATH_BYTES_MAX];
static volatile pid_t note_thread;
static struct sigaction previous[FATAL_COUNT];

static void note_write(const char *text) {
	int fd = open(note_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, NOTE_MODE);
	if (fd < 0)
		return; /* nobody is left to be told; the next start counts the attempt instead */
	ssize_t written = write(fd, text, strlen(text));
	(void)written;
	close(fd);
}

/* Async-signal-safe. Puts the previous action back, then the same signal comes again and finds it. */
static void on_fatal(int number) {
	for (size_t i = 0; i < FATAL_COUNT; i++) {
		if (fatal[i].number != number)
			continue;
		if (gettid() == note_thread)
			note_write(fatal[i].name);
		sigaction(number, &previous[i], NULL);
	}
	raise(number);
}

void attempt_begin(const char *image_path) {
	check(note_thread == 0);
	size_t size = (size_t)snprintf(note_path, sizeof(note_path), "%s" ATTEMPT_SUFFIX, image_path);
	check(size < sizeof(note_path));
	note_thread = gettid();
	struct sigaction action = {.sa_handler = on_fatal, .sa_flags = SA_ONSTACK};
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < FATAL_COUNT; i++)
		sigaction(fatal[i].number, &action, &previous[i]);
}

void attempt_end(void) {
	check(note_thread == gettid());
	for (size_t i = 0; i < FATAL_COUNT; i++)
		sigaction(fatal[i].number, &previous[i], NULL);
	note_thread = 0;
}

bool attempt_died(const char *image_path, char ret_signal[ATTEMPT_TEXT_BYTES]) {
	char path[PATH_BYTES_MAX];
	if ((size_t)snprintf(path, sizeof(path), "%s" ATTEMPT_SUFFIX, image_path) >= sizeof(path))
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t size = read(fd, ret_signal, ATTEMPT_TEXT_BYTES - 1);
	close(fd);
	ret_signal[size < 0 ? 0 : size] = '\0';
	return true;
}
