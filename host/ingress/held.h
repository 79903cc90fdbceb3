/* What connections hold of unfinished frames and unread answers: each alone is bounded, and all together, too, so that ten
 * thousand that send half a frame, or do not read, do not fill the memory. Private to host/ingress. [loop thread] */
#ifndef HOST_INGRESS_HELD_H
#define HOST_INGRESS_HELD_H

struct connection;

enum {
	/* All together take one part in so many of limits.memory_bytes. Beyond it who holds more than HELD_SHARE_BYTES, and for
	 * HELD_STILL_MS neither sent nor took anything, is dropped; beyond HELD_PARTS_MAX of them, whoever holds more. One read of small calls may be answered by a part and more. */
	HELD_MEMORY_PART = 8,
	HELD_PARTS_MAX = 3,
	HELD_SHARE_BYTES = 4 << 10,
	HELD_STILL_MS = 1000,
	HELD_LOOK_MS = 250, /* looking at all of them is not for every turn */
};

/* At the end of each turn of a connection: counts anew what it holds. It, or others, may be lost then. */
void held_count(struct connection *connection);

/* It goes away. */
void held_forget(struct connection *connection);

#endif
