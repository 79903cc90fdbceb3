/* Threads that a plugin left behind: one that runs in code which dlclose takes away ends the host (ABI-NOTES, trap 8).
 * Threads are told apart by their ids; one that began after the image came is a stray if its stack leads back into the
 * image's code. Stager's thread. */
#ifndef HOST_PLUGIN_STRAYS_H
#define HOST_PLUGIN_STRAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct library;

/* The threads that there were at one moment. */
struct strays {
	int *known;
	size_t count;
};

void strays_note(struct strays *strays);
void strays_finish(struct strays *strays);

/* True if a thread that is not among the noted ones may be inside the library. When the kernel does not say where a
 * thread stands the answer is true: an image that stays is better than a host that dies. */
bool strays_inside(const struct strays *strays, const struct library *library);

/* How many threads this process has. */
size_t threads_count(void);

#endif
