/* Unix sockets with a deadline; what http.c and rpc.c stand on. */
#ifndef SOFUN_SOCKET_H
#define SOFUN_SOCKET_H

#include <stdint.h>

enum { DEADLINE_NONE = 0 };

/* Milliseconds of the monotonic clock. */
uint64_t clock_ms(void);

/* A connected, non-blocking socket; or -errno. */
int socket_connect(const char *path);

/* Waits for the poll events until the deadline (DEADLINE_NONE: for ever): the events, 0 in time-out, -errno. */
int socket_wait(int socket, short events, uint64_t deadline_ms);

#endif
