/* Large memory straight from the kernel, for what is read at random: in huge pages where the kernel gives them, since at a
 * million entries a miss of the address cache costs as much as one of the data. Any thread. */
#ifndef HOST_BASE_PAGES_H
#define HOST_BASE_PAGES_H

#include <stddef.h>

/* From here on it pays; below it use malloc. */
#define PAGES_BYTES_MIN ((size_t)2 << 20)

/* Zeroed. REQUIRES bytes > 0; failure ends the process (check.h). */
void *pages_alloc(size_t bytes);

/* bytes as it was asked for; NULL is fine. */
void pages_free(void *memory, size_t bytes);

#endif
