/* Places for frames that are larger than CARRY_BYTES_MAX and still arriving: few, so that many half-sent frames cannot fill
 * the memory. Who finds none is not read until one is free; who has one and sends nothing, while others wait, is refused.
 * Private to host/ingress. [loop thread] */
#ifndef HOST_INGRESS_LARGE_H
#define HOST_INGRESS_LARGE_H

#include "ingress/connection.h"

enum {
	/* All large frames together may take one part in so many of limits.memory_bytes. */
	LARGE_MEMORY_PART = 8,
	/* But so many may always arrive at once. */
	LARGE_FRAMES_MIN = 2,
	/* Without a byte for so long, a place is taken away when others wait for one. */
	LARGE_STALL_MS = 2000,
};

size_t large_places(const struct config *config);

/* True: it has a place now. False: it waits, and is due when it has one. */
bool large_enter(struct connection *connection);

/* More of its frame has come. */
void large_progress(struct connection *connection);

/* Gives back its place, or its place in the queue; neither is fine. */
void large_leave(struct connection *connection);

#endif
