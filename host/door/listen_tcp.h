/* Opens listening TCP sockets: whoever does it (the host, or a process above it) hands the descriptors on. Used before the
 * loop turns. */
#ifndef HOST_DOOR_LISTEN_TCP_H
#define HOST_DOOR_LISTEN_TCP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { LISTEN_SOCKETS_MAX = 64 }; /* addresses of all listeners together: a name may stand for several */

struct listen_socket {
	int fd;           /* -1: a server has taken it over */
	bool http;        /* else data */
	char address[80]; /* as bound, with the port that the kernel chose for 0 */
};

struct listen_sockets {
	struct listen_socket items[LISTEN_SOCKETS_MAX];
	size_t count;
};

/* True in *ret_loopback if whoever connects to "tcp:HOST:PORT" is on this machine. ERROR_BAD_REQUEST: no such host. */
bool listen_tcp_loopback(const char *listen, bool *ret_loopback, struct error *error);

/* Binds and listens at "tcp:HOST:PORT"; "*" stands for every address. Adds to the sockets. */
bool listen_tcp_open(const char *listen, bool http, struct listen_sockets *sockets, struct error *error);

void listen_sockets_close(struct listen_sockets *sockets);

#endif
