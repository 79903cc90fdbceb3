/* The dynamic loader's face to the host: the only file with <dlfcn.h>. Always RTLD_NOW | RTLD_LOCAL, never a namespace
 * of its own, never a file of the user's (ABI-NOTES, traps 1 to 4, 13, 14, 16). Called on the stager's thread, in the
 * probe's child, and at recovery. */
#ifndef HOST_PLUGIN_LOAD_H
#define HOST_PLUGIN_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct library; /* one mapped shared object */

/* path: a private copy under a name that this process never loaded before. ERROR_REFUSED: the loader's text. */
struct library *library_open(const char *path, struct error *error);

/* NULL if there is no such symbol. */
const void *library_symbol(struct library *library, const char *name);

/* Lets go of it. True: it is unmapped, which was verified. False: dlclose came back and it is still there (traps 7,
 * 19); the path must not be loaded again. keep: do not even try. */
bool library_close(struct library *library, bool keep);

/* Never unmapped in this build: a sanitizer needs the code for its reports (trap 19). */
bool library_kept_always(void);

/* Where its code lies. */
void library_code(const struct library *library, uintptr_t *ret_begin, uintptr_t *ret_end);

/* True if the address lies in the library's mapping. */
bool library_holds(const struct library *library, uintptr_t address);

/* Libraries that are mapped now, and how many of those will not go. [any thread] */
struct library_figures {
	uint64_t mapped;
	uint64_t stuck;
	uint64_t unmapped; /* since the start */
};
void library_figures(struct library_figures *ret_figures);

#endif
