/* The started process: a small parent that keeps what must outlive a crash (the lock of the data directory, the listening
 * sockets) and starts the worker, which is the host proper, again whenever a crash has ended it. One thread; it never
 * runs plugin code, and holds next to no memory. Used by main.c. */
#ifndef HOST_SUPERVISOR_SUPERVISOR_H
#define HOST_SUPERVISOR_SUPERVISOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/crash.h"

/* The exit codes of INTERFACE. */
enum { EXIT_GOOD = 0, EXIT_INTERNAL = 1, EXIT_USAGE = 2, EXIT_DATA = 3, EXIT_STORE = 4 };

/* The worker's sign of life, for a service manager's watchdog: well below any interval that makes sense. */
enum { HEARTBEAT_MS = 200 };

/* What both processes see: made before the first fork, one writer each. */
struct supervised {
	_Atomic bool ready;     /* [worker] the ready line is out: said once, however many workers there will be */
	_Atomic bool serving;   /* [worker] this one is ready */
	_Atomic uint32_t beats; /* [worker] grows while its loop turns: HEARTBEAT_MS apart */
	_Atomic bool ended; /* [worker] this one has done all it wanted to do: what ends it now is an end, not a crash */
	struct fault fault; /* [worker] its last words */
	struct notes notes; /* [worker] */
	struct crash_table crashes;
};

/* A worker's place: what its supervisor hands it. */
struct seat {
	pid_t supervisor; /* the started process */
	int control_fd;   /* listening sockets; the worker closes its own descriptor, and never removes their files */
	int data_fd;
	uint32_t restarts; /* workers before this one */
	struct supervised *supervised;
};

struct supervisor_options {
	const char *data; /* directory of the crash file */
	bool cores;       /* a crash may leave one */
	int control_fd;   /* listening */
	int data_fd;
	/* The whole life of a worker; its value is the exit code. Called in a process of its own, with SIGTERM, SIGINT and
	 * SIGHUP blocked, again after each crash. */
	int (*work)(void *arg, const struct seat *seat);
	void *arg;
};

/* Until the worker has ended by itself or a signal asks for the end: the exit code. REQUIRES one thread, and that the
 * lock of the data directory is held by a descriptor that the worker inherits. */
int supervisor_run(const struct supervisor_options *options);

#endif
