#include "data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "supervisor/crash_file.h"

enum { LOCK_POLL_MS = 10 };

/* As mkdir -p; what is made is for the owner only. */
static bool directory_make(const char *path, struct error *error) {
	char *copy = check_strdup(path);
	bool good = true;
	for (char *at = copy + 1; good && at[-1] != '\0'; at++) {
		if (*at != '/' && *at != '\0')
			continue;
		char kept = *at;
		*at = '\0';
		good = mkdir(copy, 0700) == 0 || errno == EEXIST || errno == EISDIR;
		if (!good) {
			error_system(error, ERROR_REFUSED, errno, "cannot make the data directory %s", copy);
			error_advise(
				error, "a directory that this user may make", "make it by hand, or choose another with --data DIR");
		}
		*at = kept;
		if (kept == '\0')
			break;
	}
	free(copy);
	return good;
}

/* What a start that ended half way may have left, what people prepare, and what a mounted disk brings. */
static bool name_is_ours(const char *name) {
	static const char *const names[] = {"plugins", "sofun.yaml", "LOCK", CRASH_FILE_NAME, "runtime", "types", "egress",
		"journal", "images", "control.sock", "data.sock", "write-test", "lost+found", ".", ".."};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static bool store_is_there(const char *path) {
	struct buf text = {0};
	buf_printf(&text, "%s/runtime/CURRENT", path);
	buf_append_u8(&text, '\0');
	bool there = access((const char *)text.data, F_OK) == 0;
	buf_finish(&text);
	return there;
}

/* Somebody's folder of something else is no place to make a store in: a mistyped --data would scatter one over it. */
static bool directory_check(const char *path, struct error *error) {
	if (store_is_there(path))
		return true;
	DIR *dir = opendir(path);
	if (dir == NULL)
		return true; /* whoever may not look there will not write there either, and says why */
	bool good = true;
	for (const struct dirent *entry = readdir(dir); good && entry != NULL; entry = readdir(dir)) {
		if (name_is_ours(entry->d_name))
			continue;
		good = error_set(error, ERROR_REFUSED, "the directory %s holds other things, and no store", path);
		error_found(error, "%s", entry->d_name);
		error_expected(error, "an empty or absent directory, or one with plugins/ or sofun.yaml in it");
		error_hint(error, "choose another directory with --data DIR, or move what is in this one away");
	}
	closedir(dir);
	return good;
}

static char *lock_path(const char *path) {
	struct buf text = {0};
	buf_printf(&text, "%s/LOCK", path);
	buf_append_u8(&text, '\0');
	return (char *)text.data;
}

/* "process 4711", as the holder wrote it. */
static void holder_read(int fd, char *text, size_t size) {
	char pid[32] = {0};
	ssize_t got = pread(fd, pid, sizeof pid - 1, 0);
	pid[strspn(pid, "0123456789")] = '\0';
	if (got <= 0 || pid[0] == '\0')
		snprintf(text, size, "another process");
	else
		snprintf(text, size, "process %s", pid);
}

static bool lock_wait(int fd, const char *path, struct error *error) {
	const struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000};
	for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited_ms += LOCK_POLL_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			error_system(error, ERROR_REFUSED, errno, "cannot lock the data directory %s", path);
			return error_advise(error, "a file system that knows flock", "choose a local disk with --data DIR");
		}
		if (waited_ms < LOCK_WAIT_MS) {
			nanosleep(&pause, NULL);
			continue;
		}
		char holder[64];
		holder_read(fd, holder, sizeof holder);
		error_set(error, ERROR_CONFLICT, "the data directory %s is locked", path);
		error_found(error, "%s has it", holder);
		error_expected(error, "no other sofund on this directory");
		error_hint(error, "stop that one, or choose another directory with --data DIR");
		return false;
	}
	return true;
}

static bool holder_write(int fd, const char *path, struct error *error) {
	char text[32];
	int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)size, 0) == size)
		return true;
	if (errno == ENOSPC ||
		errno == EDQUOT) /* the name is only for people: a full disk must not keep the host from it */
		return true;
	error_system(error, ERROR_REFUSED, errno, "cannot write to the data directory %s", path);
	return error_advise(error, "a directory that this user may write to", "choose another with --data DIR");
}

bool data_dir_open(const char *path, struct data_dir *ret_dir, struct error *error) {
	if (!directory_make(path, error) || !directory_check(path, error))
		return false;
	char *name = lock_path(path);
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		error_system(error, ERROR_REFUSED, errno, "cannot open %s", name);
		error_advise(error, "a data directory that this user may write to",
			"give it to the user that runs sofund, or choose another with --data DIR");
	}
	free(name);
	if (fd < 0)
		return false;
	if (lock_wait(fd, path, error) && holder_write(fd, path, error)) {
		ret_dir->lock_fd = fd;
		return true;
	}
	close(fd);
	return false;
}

bool data_dir_open_readonly(const char *path, struct data_dir *ret_dir, struct error *error) {
	struct stat info;
	ret_dir->lock_fd = -1;
	if (stat(path, &info) != 0) {
		error_system(error, ERROR_REFUSED, errno, "cannot look into the data directory %s", path);
		return error_advise(error, "a data directory of sofund", "name it with --data DIR");
	}
	if (!S_ISDIR(info.st_mode)) {
		error_set(error, ERROR_REFUSED, "%s is not a directory", path);
		error_found(error, "a file");
		return error_advise(error, "a data directory of sofund", "name it with --data DIR");
	}
	char *name = lock_path(path);
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	free(name);
	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd < 0) {
		error_system(error, ERROR_REFUSED, errno, "cannot open LOCK in the data directory %s", path);
		return error_advise(error, "a data directory that this user may read", "run it as the user of the host");
	}
	if (lock_wait(fd, path, error)) {
		ret_dir->lock_fd = fd;
		return true;
	}
	close(fd);
	return false;
}

void data_dir_close(struct data_dir *dir) {
	if (dir->lock_fd >= 0)
		close(dir->lock_fd);
	dir->lock_fd = -1;
}
