/* Listening sockets. The supervisor opens them once and keeps them as long as it lives, so that who connects while the
 * worker restarts waits for its turn instead of being refused (INVARIANTS 37). Before any thread. */
#ifndef HOST_SUPERVISOR_LISTEN_H
#define HOST_SUPERVISOR_LISTEN_H

#include <stdbool.h>

#include "base/error.h"

/* The listening socket on a path, of mode 0600 from its first moment on, not blocking. A socket file that a killed host has
 * left is replaced: the caller holds the directory's lock. -1: ERROR_BAD_REQUEST, the path is too long; ERROR_REFUSED, it
 * cannot be bound. */
int listen_unix(const char *path, struct error *error);

/* From here on nobody connects any more, whoever else has the descriptor too. */
void listen_end(int fd);

/* Takes the socket file away. What others hold of the socket itself stays. */
void listen_unlink(const char *path);

#endif
