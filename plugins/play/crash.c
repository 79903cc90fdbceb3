#include "crash.h"

#include <limits.h>
#include <stdlib.h>

/* Volatile, so that no compiler sees through them and makes something else of an invalid access or an endless loop. */
static int *volatile nowhere;
static volatile unsigned long depth_max = ULONG_MAX;
static volatile bool spinning = true;

/* Small frames: none steps over the guard page. */
static unsigned long stack_fill(unsigned long depth) {
	volatile unsigned char frame[512];
	frame[0] = (unsigned char)depth;
	return depth == depth_max ? frame[0] : stack_fill(depth + 1) + frame[0];
}

void crash(enum program_crash kind) {
	switch (kind) {
	case CRASH_NONE:
		return;
	case CRASH_SEGV:
		*nowhere = 1;
		break;
	case CRASH_ABORT:
		abort();
	case CRASH_LOOP:
		while (spinning) {
		}
		break;
	case CRASH_STACK:
		(void)stack_fill(0);
		break;
	}
	abort();
}
