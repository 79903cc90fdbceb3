#include "supervisor/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

static bool path_fill(struct sockaddr_un *address, const char *path, struct error *error) {
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) < sizeof address->sun_path) {
		memcpy(address->sun_path, path, strlen(path));
		return true;
	}
	error_set(error, ERROR_BAD_REQUEST, "the path of a socket is too long: %s", path);
	error_found(error, "%zu bytes", strlen(path));
	error_expected(error, "at most %zu", sizeof address->sun_path - 1);
	error_hint(error, "choose a data directory with a shorter path: --data DIR");
	return false;
}

int listen_unix(const char *path, struct error *error) {
	struct sockaddr_un address;
	struct stat old;
	if (!path_fill(&address, path, error))
		return -1;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		error_system(error, ERROR_REFUSED, errno, "no socket for %s", path);
		error_advise(error, "room for one more file", "raise the limit of open files (ulimit -n)");
		return -1;
	}
	if (lstat(path, &old) == 0 && S_ISSOCK(old.st_mode))
		unlink(path);
	/* the node takes the mode that the socket has at bind: no moment at which others could connect */
	if (fchmod(fd, 0600) == 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && chmod(path, 0600) == 0 &&
		listen(fd, SOMAXCONN) == 0)
		return fd;
	error_system(error, ERROR_REFUSED, errno, "cannot listen on %s", path);
	error_advise(error, "a directory that takes sockets, and no other file of that name",
		"move what stands there away, or choose another directory with --data DIR");
	close(fd);
	return -1;
}

void listen_end(int fd) {
	if (shutdown(fd, SHUT_RDWR) != 0 && errno != ENOTCONN) /* TCP says so, and ends the listening all the same */
		log_event(LOG_WARN, "shutdown_failed", "reason=\"%s\"", strerror(errno));
}

void listen_unlink(const char *path) {
	if (unlink(path) != 0 && errno != ENOENT)
		log_event(LOG_WARN, "unlink_failed", "path=\"%s\" reason=\"%s\"", path, strerror(errno));
}
