/* Many timeouts that hardly ever come true: arming and stopping one is a few instructions, whatever their number. A
 * wheel of slots under one timer of the loop; a timeout comes true up to DEADLINE_TICK_MS and a tick of the kernel
 * late, never early. Real time (CLOCK_MONOTONIC), not the test clock. [loop thread] */
#ifndef HOST_INGRESS_DEADLINE_H
#define HOST_INGRESS_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct event_base;
struct deadlines;

enum { DEADLINE_TICK_MS = 10 };

/* Zero-initialised is not armed; it lives in what waits. */
struct deadline {
	LIST_ENTRY(deadline) link;
	uint64_t at_ms;
	void (*due)(struct deadline *deadline); /* NULL: not armed */
};

struct deadlines *deadlines_create(struct event_base *base);
void deadlines_destroy(struct deadlines *deadlines); /* none may be armed; NULL is fine */

/* Calls due() in that time, once, and it is no longer armed then. It must not be armed. */
void deadline_start(
	struct deadlines *deadlines, struct deadline *deadline, uint64_t in_ms, void (*due)(struct deadline *deadline));

/* Not armed is fine. due() may stop any. */
void deadline_stop(struct deadlines *deadlines, struct deadline *deadline);

#endif
