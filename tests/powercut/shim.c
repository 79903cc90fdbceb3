/* The calls that are intercepted. Each is the plain system call, with the note that undoes it written first. */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* ---- names ---- */

static bool exists(int directory, const char *path) {
	struct stat status;
	return fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static void opened_note(int fd, int flags, const char *relative) {
	struct stat status;
	if (fstat(fd, &status) != 0)
		return;
	shim_directory_opened(fd, S_ISDIR(status.st_mode) ? relative : NULL);
	if (S_ISREG(status.st_mode) && (flags & O_ACCMODE) != O_RDONLY)
		shim_file_opened(fd);
}

/* O_TRUNC is done as an ftruncate, which is noted. */
static int open_watched(int directory, const char *path, int flags, mode_t mode, const char *relative) {
	shim_names_lock();
	bool created = (flags & O_CREAT) != 0 && !exists(directory, path);
	int fd = (int)syscall(SYS_openat, directory, path, flags & ~O_TRUNC, mode);
	int error = errno;
	if (fd >= 0 && created)
		shim_name_created(relative, path, directory);
	if (fd >= 0)
		opened_note(fd, flags, relative);
	shim_names_unlock();
	if (fd >= 0 && (flags & O_TRUNC) != 0 && !created && ftruncate(fd, 0) != 0) {
		error = errno;
		close(fd);
		fd = -1;
	}
	errno = error;
	return fd;
}

static int open_any(int directory, const char *path, int flags, mode_t mode) {
	char relative[PATH_MAX];
	if (shim_resolve(directory, path, relative))
		return open_watched(directory, path, flags, mode, relative);
	return (int)syscall(SYS_openat, directory, path, flags, mode);
}

static mode_t mode_of(int flags, va_list arguments) {
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? (mode_t)va_arg(arguments, unsigned) : 0;
}

EXPORT int open(const char *path, int flags, ...) {
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = mode_of(flags, arguments);
	va_end(arguments);
	return open_any(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int directory, const char *path, int flags, ...) {
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = mode_of(flags, arguments);
	va_end(arguments);
	return open_any(directory, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...) __attribute__((alias("open")));
EXPORT int openat64(int directory, const char *path, int flags, ...) __attribute__((alias("openat")));

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int directory, const char *path, int flags);
int __openat64_2(int directory, const char *path, int flags);

EXPORT int __open_2(const char *path, int flags) {
	return open_any(AT_FDCWD, path, flags, 0);
}

EXPORT int __openat_2(int directory, const char *path, int flags) {
	return open_any(directory, path, flags, 0);
}

EXPORT int __open64_2(const char *path, int flags) __attribute__((alias("__open_2")));
EXPORT int __openat64_2(int directory, const char *path, int flags) __attribute__((alias("__openat_2")));

EXPORT int creat(const char *path, mode_t mode) {
	return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

EXPORT int creat64(const char *path, mode_t mode) __attribute__((alias("creat")));

EXPORT int close(int fd) {
	if (shim_active()) {
		shim_file_closed(fd);
		shim_directory_opened(fd, NULL);
	}
	return (int)syscall(SYS_close, fd);
}

static int rename_any(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
	char from_relative[PATH_MAX], to_relative[PATH_MAX];
	if (!shim_resolve(from_directory, from, from_relative) || !shim_resolve(to_directory, to, to_relative))
		return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
	shim_names_lock();
	shim_name_renames(from_relative, from_directory, from, to_relative, to_directory, to);
	int result = (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
	shim_names_unlock();
	return result;
}

EXPORT int rename(const char *from, const char *to) {
	return rename_any(AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int renameat(int from_directory, const char *from, int to_directory, const char *to) {
	return rename_any(from_directory, from, to_directory, to, 0);
}

EXPORT int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
	return rename_any(from_directory, from, to_directory, to, flags);
}

EXPORT int unlinkat(int directory, const char *path, int flags) {
	char relative[PATH_MAX];
	if (!shim_resolve(directory, path, relative))
		return (int)syscall(SYS_unlinkat, directory, path, flags);
	shim_names_lock();
	shim_name_unlinks(relative, directory, path, (flags & AT_REMOVEDIR) != 0);
	int result = (int)syscall(SYS_unlinkat, directory, path, flags);
	shim_names_unlock();
	return result;
}

EXPORT int unlink(const char *path) {
	return unlinkat(AT_FDCWD, path, 0);
}

EXPORT int rmdir(const char *path) {
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

EXPORT int remove(const char *path) {
	int result = unlinkat(AT_FDCWD, path, 0);
	return result != 0 && errno == EISDIR ? unlinkat(AT_FDCWD, path, AT_REMOVEDIR) : result;
}

EXPORT int mkdirat(int directory, const char *path, mode_t mode) {
	char relative[PATH_MAX];
	if (!shim_resolve(directory, path, relative) || relative[0] == '\0')
		return (int)syscall(SYS_mkdirat, directory, path, mode);
	shim_names_lock();
	int result = (int)syscall(SYS_mkdirat, directory, path, mode);
	if (result == 0)
		shim_name_mkdir(relative);
	shim_names_unlock();
	return result;
}

EXPORT int mkdir(const char *path, mode_t mode) {
	return mkdirat(AT_FDCWD, path, mode);
}

/* ---- contents ---- */

static size_t vector_bytes(const struct iovec *parts, int count) {
	size_t bytes = 0;
	for (int i = 0; i < count; i++)
		bytes += parts[i].iov_len;
	return bytes;
}

EXPORT ssize_t write(int fd, const void *data, size_t size) {
	struct tracked *file = shim_active() ? shim_append_begin(fd, size, false, 0) : NULL;
	ssize_t result = syscall(SYS_write, fd, data, size);
	shim_write_end(file);
	if (file != NULL)
		shim_manifest(fd, false);
	return result;
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
	struct tracked *file = shim_active() ? shim_write_begin(fd, offset, size) : NULL;
	ssize_t result = syscall(SYS_pwrite64, fd, data, size, offset);
	shim_write_end(file);
	return result;
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) __attribute__((alias("pwrite")));

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count) {
	struct tracked *file = shim_active() ? shim_append_begin(fd, vector_bytes(parts, count), false, 0) : NULL;
	ssize_t result = syscall(SYS_writev, fd, parts, count);
	shim_write_end(file);
	return result;
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
	struct tracked *file = shim_active() ? shim_write_begin(fd, offset, vector_bytes(parts, count)) : NULL;
	ssize_t result = syscall(SYS_pwritev, fd, parts, count, offset, 0);
	shim_write_end(file);
	return result;
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset) __attribute__((alias("pwritev")));

EXPORT ssize_t sendfile(int to, int from, off_t *offset, size_t size) {
	struct tracked *file = shim_active() ? shim_append_begin(to, size, false, 0) : NULL;
	ssize_t result = syscall(SYS_sendfile, to, from, offset, size);
	shim_write_end(file);
	return result;
}

EXPORT ssize_t sendfile64(int to, int from, off_t *offset, size_t size) __attribute__((alias("sendfile")));

EXPORT ssize_t copy_file_range(int from, off_t *from_offset, int to, off_t *to_offset, size_t size, unsigned flags) {
	bool placed = to_offset != NULL;
	struct tracked *file = shim_active() ? shim_append_begin(to, size, placed, placed ? *to_offset : 0) : NULL;
	ssize_t result = syscall(SYS_copy_file_range, from, from_offset, to, to_offset, size, flags);
	shim_write_end(file);
	return result;
}

EXPORT int ftruncate(int fd, off_t size) {
	struct tracked *file = shim_active() ? shim_resize_begin(fd, size) : NULL;
	int result = (int)syscall(SYS_ftruncate, fd, size);
	shim_write_end(file);
	return result;
}

EXPORT int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));

EXPORT int truncate(const char *path, off_t size) {
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int result = ftruncate(fd, size), error = errno;
	close(fd);
	errno = error;
	return result;
}

static int allocate_any(int fd, int mode, off_t offset, off_t size) {
	struct tracked *file = NULL;
	if (shim_active())
		file = mode == 0 ? shim_write_begin(fd, offset + size, 0) : shim_write_begin(fd, offset, (size_t)size);
	int result = (int)syscall(SYS_fallocate, fd, mode, offset, size);
	shim_write_end(file);
	return result;
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t size) {
	return allocate_any(fd, mode, offset, size);
}

EXPORT int posix_fallocate(int fd, off_t offset, off_t size) {
	return allocate_any(fd, 0, offset, size) == 0 ? 0 : errno;
}

EXPORT void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
	if (fd >= 0 && (protection & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0 && shim_active())
		shim_mapped(fd, offset, size);
	return (void *)syscall(
		SYS_mmap, address, size, protection, flags, fd, offset); /* NOLINT(performance-no-int-to-ptr) */
}

EXPORT void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset)
	__attribute__((alias("mmap")));

/* ---- syncs ---- */

static int sync_any(int fd, long call) {
	if (!shim_active())
		return (int)syscall(call, fd);
	if (shim_lying())
		return 0;
	shim_names_lock();
	bool folder = shim_directory_of(fd) != NULL;
	shim_names_unlock();
	if (folder)
		shim_manifest_instant();
	else
		shim_manifest(fd, true);
	struct tracked *file = shim_sync_begin(fd);
	int result = (int)syscall(call, fd);
	shim_sync_end(file, result == 0);
	shim_names_lock();
	const char *directory = shim_directory_of(fd);
	if (result == 0 && directory != NULL)
		shim_directory_synced(directory);
	shim_names_unlock();
	return result;
}

EXPORT int fsync(int fd) {
	return sync_any(fd, SYS_fsync);
}

EXPORT int fdatasync(int fd) {
	return sync_any(fd, SYS_fdatasync);
}

/* What a mapping wrote counts as unsynced until its file is synced: harsher than the kernel, never milder. */
EXPORT int msync(void *address, size_t size, int flags) {
	return shim_lying() ? 0 : (int)syscall(SYS_msync, address, size, flags);
}
