/* Preloaded into sofund: from the moment that the file named by FAILING_SYNC exists, every fdatasync fails with EIO, as
 * that of a dying disk does; while the one named by SLOW_SYNC exists it takes 500 ms more, as on a disk that others keep busy. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int there(const char *variable) {
	const char *name = getenv(variable);
	return name != NULL && access(name, F_OK) == 0;
}

__attribute__((visibility("default"))) int fdatasync(int fd) {
	if (there("SLOW_SYNC"))
		nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
	if (there("FAILING_SYNC")) {
		errno = EIO;
		return -1;
	}
	int (*real)(int);
	void *symbol = dlsym(RTLD_NEXT, "fdatasync");
	memcpy(&real, &symbol, sizeof real);
	return real(fd);
}
