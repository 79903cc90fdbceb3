/* Preloaded into sofund: from the moment that the file named by FAILING_SYNC exists, every fdatasync fails with EIO, as
 * that of a dying disk does. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((visibility("default"))) int fdatasync(int fd) {
	const char *name = getenv("FAILING_SYNC");
	if (name != NULL && access(name, F_OK) == 0) {
		errno = EIO;
		return -1;
	}
	int (*real)(int);
	void *symbol = dlsym(RTLD_NEXT, "fdatasync");
	memcpy(&real, &symbol, sizeof real);
	return real(fd);
}
