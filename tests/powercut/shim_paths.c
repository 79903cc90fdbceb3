/* What is watched, and where the notes are. */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char root[PATH_MAX];
static size_t root_size;
static bool lying;
static _Atomic uint32_t counter;
static _Atomic long instants_left; /* 0: POWERCUT_DIE is not set, or its instant has passed */
static _Atomic bool manifest_unsynced;

_Noreturn void shim_fail(const char *what) {
	dprintf(STDERR_FILENO, "powercut: %s: %s\n", what, strerror(errno));
	_exit(70);
}

static void folder_make(const char *folder) {
	char path[PATH_MAX + 32];
	snprintf(path, sizeof path, "%s.powercut%s", root, folder);
	if (syscall(SYS_mkdirat, AT_FDCWD, path, 0700) != 0 && errno != EEXIST)
		shim_fail(path);
}

static void start(void) {
	const char *dir = getenv("POWERCUT_DIR"), *sync = getenv("POWERCUT_SYNC");
	if (dir == NULL || dir[0] != '/' || strlen(dir) + 64 > PATH_MAX)
		return;
	if (realpath(dir, root) == NULL) /* it may not be there yet */
		snprintf(root, sizeof root, "%s", dir);
	while (strlen(root) > 1 && root[strlen(root) - 1] == '/')
		root[strlen(root) - 1] = '\0';
	if (getenv("POWERCUT_DIE") != NULL)
		atomic_store(&instants_left, atol(getenv("POWERCUT_DIE")));
	lying = sync != NULL && strcmp(sync, "lie") == 0;
	folder_make("");
	folder_make("/undo");
	folder_make("/files");
	folder_make("/links");
	root_size = strlen(root);
}

bool shim_active(void) {
	pthread_once(&once, start);
	return root_size > 0;
}

bool shim_lying(void) {
	return shim_active() && lying;
}

void shim_manifest(int fd, bool synced) {
	if (atomic_load(&instants_left) == 0)
		return;
	char link[64], path[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t size = readlink(link, path, sizeof path - 1);
	if (size < 0)
		return;
	path[size] = '\0';
	if (strncmp(strrchr(path, '/') + 1, "MANIFEST-", 9) == 0)
		atomic_store(&manifest_unsynced, !synced);
}

void shim_manifest_instant(void) {
	if (!atomic_load(&manifest_unsynced) || atomic_load(&instants_left) == 0)
		return;
	if (atomic_fetch_sub(&instants_left, 1) == 1) {
		kill(getppid(), SIGKILL); /* a host's supervisor: power goes for both */
		kill(getpid(), SIGKILL);
		pause();
	}
}

void shim_note_path(char path[PATH_MAX], const char *folder, uint64_t number) {
	char name[32] = "";
	if (number != 0)
		snprintf(name, sizeof name, "/%llu", (unsigned long long)number);
	if (snprintf(path, PATH_MAX, "%s.powercut/%s%s", root, folder, name) >= PATH_MAX)
		shim_fail("path too long");
}

uint64_t shim_number(void) {
	struct timespec now;
	static _Atomic uint64_t first;
	if (atomic_load(&first) == 0) {
		clock_gettime(CLOCK_REALTIME, &now); /* a pid may come again */
		atomic_store(&first, ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) << 20);
	}
	return atomic_load(&first) + ((uint64_t)getpid() << 44) + atomic_fetch_add(&counter, 1) + 1;
}

static bool absolute_of(int directory, const char *path, char absolute[2 * PATH_MAX]) {
	char base[PATH_MAX] = "";
	if (path[0] != '/' && directory == AT_FDCWD) {
		if (getcwd(base, sizeof base) == NULL)
			return false;
	} else if (path[0] != '/') {
		char link[64];
		snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
		ssize_t size = readlink(link, base, sizeof base - 1);
		if (size < 0)
			return false;
		base[size] = '\0';
	}
	snprintf(absolute, 2 * PATH_MAX, "%s%s%s", base, path[0] != '/' ? "/" : "", path);
	size_t size = strlen(absolute);
	while (size > 1 && absolute[size - 1] == '/')
		absolute[--size] = '\0';
	return size < PATH_MAX;
}

/* The folder is resolved, the last name is not: it may be a link, or not be there. */
static bool canonical_of(char absolute[2 * PATH_MAX], char canonical[PATH_MAX]) {
	char *slash = strrchr(absolute, '/');
	if (strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0)
		return realpath(absolute, canonical) != NULL;
	const char *name = slash + 1;
	*slash = '\0';
	if (realpath(absolute[0] != '\0' ? absolute : "/", canonical) == NULL)
		return false;
	size_t size = strlen(canonical);
	return snprintf(canonical + size, PATH_MAX - size, "%s%s", size > 1 ? "/" : "", name) < (int)(PATH_MAX - size);
}

bool shim_resolve(int directory, const char *path, char relative[PATH_MAX]) {
	char absolute[2 * PATH_MAX], canonical[PATH_MAX];
	if (!shim_active() || path == NULL || path[0] == '\0')
		return false;
	int error = errno;
	bool found = absolute_of(directory, path, absolute) && canonical_of(absolute, canonical) &&
		strncmp(canonical, root, root_size) == 0 && (canonical[root_size] == '/' || canonical[root_size] == '\0');
	errno = error;
	if (found)
		snprintf(relative, PATH_MAX, "%s", canonical + root_size + (canonical[root_size] == '/'));
	return found;
}
