/* Notes: what each thread that enters plugin code is executing, in memory that the supervisor shares, so that a death can
 * be laid at a door (INVARIANTS 34). On the message path a note is a few plain stores into one cache line: pointers into
 * the worker's memory. The signal handler and the watchdog (fault.h), which are in the same process, follow them; the
 * supervisor reads only the numbers.
 *
 * Without a supervisor (unit tests, the simulation) the notes are ordinary memory that nobody reads. */
#ifndef HOST_SUPERVISOR_NOTE_H
#define HOST_SUPERVISOR_NOTE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "limits.h"

enum {
	NOTE_IMAGES_MAX = 1024, /* images known at once, stuck ones included; those beyond it are not told apart */
	NOTE_HASH_BYTES = 32,
	NOTE_NAME_BYTES = 64,
	NOTE_IMAGE_NONE = 0,
	NOTE_ALONE_OTHER = 1 << 16, /* another message for the address of a suspect runs alone */
};

/* What runs. After a call its note says LEFT until its effects are done: heap that it damaged shows about then. */
enum note_kind {
	NOTE_NOTHING,
	NOTE_FUNCTION,
	NOTE_ROUTER,
	NOTE_MIGRATE,
	NOTE_LOAD, /* dlopen, constructors, init */
	NOTE_FINI, /* fini, dlclose, destructors */
	NOTE_WORK, /* of an operation, on the pool */
	NOTE_LEFT = 16,
};

/* A place for each thread that may enter plugin code: the shards by their index, then these. */
enum note_place {
	NOTE_PLACE_LOOP = SHARDS_MAX,
	NOTE_PLACE_STAGER,
	NOTE_PLACE_POOL,
	NOTE_PLACES = NOTE_PLACE_POOL + OPERATION_THREADS_MAX,
};

/* Written by its thread alone. */
struct note {
	_Alignas(64) _Atomic uint32_t kind; /* enum note_kind; written last at entry, first at the end */
	uint32_t image;
	const void *what;         /* FUNCTION, MIGRATE, WORK: sofun_message; ROUTER: sofun_record; alive until note_end */
	_Atomic uint64_t entries; /* rises with each entry */
	uint64_t alone;           /* nothing else runs: 1 + the row of the suspect that is tried; else 0 */
	uint64_t place;           /* alone: which of its equals it is, by birth epoch or sequence number */
	/* what the watchdog needs to know of the thread, from fault_thread_begin on */
	_Atomic bool running;
	clockid_t clock; /* its CPU time */
};

/* A mapped image. Written by the stager's thread (at recovery: the loop's). */
struct note_image {
	_Atomic bool used;
	char name[NOTE_NAME_BYTES];
	char version[NOTE_NAME_BYTES];
	uint8_t hash[NOTE_HASH_BYTES];
	_Atomic uintptr_t begin; /* of its code; 0: not mapped yet */
	_Atomic uintptr_t end;
};

struct notes {
	struct note notes[NOTE_PLACES];
	struct note_image images[NOTE_IMAGES_MAX]; /* [0] stays unused */
};

/* The notes are in shared memory from here on. Before any thread. */
void notes_open(struct notes *notes);

/* The worker's notes. [any thread] */
struct notes *notes_current(void);

static inline struct note *note_of(uint32_t place) {
	return &notes_current()->notes[place];
}

/* The calling thread's own; NULL: it never enters plugin code. */
struct note *note_mine(void);
void note_mine_set(struct note *note);

/* ---- images ---- */

/* Its number; NOTE_IMAGE_NONE if there are too many. note_image_code: where its code lies; note_image_remove: it is gone. */
uint32_t note_image_add(const char *name, const char *version, const uint8_t hash[NOTE_HASH_BYTES]);
void note_image_code(uint32_t image, uintptr_t begin, uintptr_t end);
void note_image_remove(uint32_t image);

/* Whose code the address is. Async-signal-safe. */
uint32_t note_image_find(uintptr_t address);

/* ---- entering and leaving [the note's thread] ---- */

static inline void note_enter(struct note *note, enum note_kind kind, uint32_t image, const void *what) {
	note->image = image;
	note->what = what;
	atomic_store_explicit(
		&note->entries, atomic_load_explicit(&note->entries, memory_order_relaxed) + 1, memory_order_relaxed);
	atomic_store_explicit(&note->kind, (uint32_t)kind, memory_order_release);
}

/* The call of that kind has returned; what it left behind is being worked in. */
static inline void note_left(struct note *note, enum note_kind kind) {
	atomic_store_explicit(&note->kind, (uint32_t)kind | NOTE_LEFT, memory_order_release);
}

/* Nothing of a plugin runs here. */
static inline void note_end(struct note *note) {
	atomic_store_explicit(&note->kind, NOTE_NOTHING, memory_order_release);
}

#endif
