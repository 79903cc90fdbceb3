#include "client/socket.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

uint64_t clock_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int socket_connect(const char *path) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (made < 0)
		return -errno;
	/* Blocking, since a full backlog answers EAGAIN to a non-blocking connect, and poll cannot wait for that. */
	int result = connect(made, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : -errno;
	if (result == 0)
		return made;
	close(made);
	return result;
}

int socket_wait(int socket, short events, uint64_t deadline_ms) {
	for (;;) {
		int left_ms = -1;
		if (deadline_ms != DEADLINE_NONE) {
			uint64_t now_ms = clock_ms();
			uint64_t left = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
			left_ms = left > 3600000 ? 3600000 : (int)left;
		}
		struct pollfd poll_set = {.fd = socket, .events = events};
		int ready = poll(&poll_set, 1, left_ms);
		if (ready > 0)
			return poll_set.revents;
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready == 0 && (left_ms == 0 || clock_ms() >= deadline_ms))
			return 0;
	}
}
