/* The last words of a worker: what it dies of, written into shared memory by the signal handler, the watchdog or exit(),
 * before it is gone. The supervisor reads them (inquest.h). */
#ifndef HOST_SUPERVISOR_FAULT_H
#define HOST_SUPERVISOR_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "supervisor/note.h"

enum { FAULT_NAME_BYTES = 128, FAULT_ID_BYTES = 256 };

enum fault_cause {
	FAULT_NONE,
	FAULT_SIGNAL,  /* of its own making */
	FAULT_OUTSIDE, /* a signal that another process sent: convicts nobody */
	FAULT_CPU,     /* a call used more CPU time than limits.invocation_cpu_ms */
	FAULT_WALL,    /* a call did not end within ten times that */
	FAULT_EXIT,    /* a thread called exit() */
};

struct fault {
	_Atomic bool claimed;  /* the first one counts */
	_Atomic bool complete; /* all below is written; else the writer died over it */
	uint32_t cause;
	int32_t signal;
	uint64_t limit_ms;   /* CPU, WALL */
	uint32_t kind;       /* of the thread's note, NOTE_LEFT included; NOTE_NOTHING: it was in no call */
	uint32_t image;      /* of the note */
	uint32_t code_image; /* whose code the instruction was, or else, in a thread of no note, the nearest caller's */
	bool noted;          /* the thread is one of those that have notes */
	bool alone;
	uint64_t address; /* that could not be accessed, or 0 */
	uint64_t instruction;
	uint64_t payload_hash;
	uint64_t place; /* alone: as in its note */
	uint32_t name_size;
	uint32_t id_size;
	char name[FAULT_NAME_BYTES];
	uint8_t id[FAULT_ID_BYTES];
};

/* Handlers of fatal signals, and of exit(), for the whole process. Before any thread of the worker. */
void fault_watch(struct fault *fault);

/* exit() is the worker's own from here on. */
void fault_watch_end(void);

/* The calling thread enters plugin code, as that place: it gets its note, and a stack of its own for handlers, so that an
 * overflow of its stack is seen. fault_thread_end: before it ends. */
void fault_thread_begin(uint32_t place);
void fault_thread_end(void);

/* Ends the process because of what the note of another thread says. Returns only if that thread has gone on meanwhile. */
void fault_overrun(struct note *note, uint64_t entries, enum fault_cause cause, uint64_t limit_ms);

/* The key under which a payload is counted. */
uint64_t fault_payload_hash(struct bytes payload);

#endif
