/* What a service manager that started the host is told, by the protocol of sd_notify(3): one datagram a word, to the socket
 * that it named. Twenty lines of our own rather than libsystemd, which would bring a dozen libraries along. Without such a
 * manager nothing is told. The only environment that the host reads: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID. One thread,
 * the supervisor's. */
#ifndef HOST_SUPERVISOR_NOTIFY_H
#define HOST_SUPERVISOR_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
	int socket; /* -1: nobody wants to know */
	struct sockaddr_un address;
	socklen_t address_size;
	uint64_t watchdog_ms; /* a sign of life is wanted within this time; 0: none */
};

/* Takes the three out of the environment, so that no child of ours speaks for us. */
void notify_open(struct notify *ret_notify);
void notify_close(struct notify *notify);

/* "READY=1", "STOPPING=1", "WATCHDOG=1"; lines are joined by LF. A manager that does not listen is no failure of ours. */
void notify_send(const struct notify *notify, const char *words);

#endif
