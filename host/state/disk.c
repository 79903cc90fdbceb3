/* The machine's own disk behind the seam of disk.h. Any thread; one file is used by one thread at a time. */
#include "state/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mutant.h"

enum {
	FILE_MODE = 0600, /* state is its owner's business */
	DIRECTORY_MODE = 0700,
	TRANSFER_BYTES_MAX = 1 << 30, /* the kernel moves at most 2 GiB a call */
};

struct machine_file {
	struct disk_file file;
	int fd;
};

static struct machine_file *machine_file_of(struct disk_file *file) {
	return (struct machine_file *)file;
}

static size_t transfer_size(size_t size) {
	return size < TRANSFER_BYTES_MAX ? size : TRANSFER_BYTES_MAX;
}

static int64_t machine_read(struct disk_file *file, void *data, size_t size, uint64_t offset) {
	int fd = machine_file_of(file)->fd;
	size_t done = 0;
	while (done < size) {
		ssize_t got = pread(fd, (uint8_t *)data + done, transfer_size(size - done), (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (int64_t)done;
}

static int machine_write(struct disk_file *file, const void *data, size_t size, uint64_t offset) {
	int fd = machine_file_of(file)->fd;
	size_t done = 0;
	while (done < size) {
		ssize_t put = pwrite(fd, (const uint8_t *)data + done, transfer_size(size - done), (off_t)(offset + done));
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno == EDQUOT ? -ENOSPC : -errno; /* a full quota is a full disk to whoever asks */
		if (put == 0)
			return -EIO; /* a regular file takes at least one byte or says why not */
		done += (size_t)put;
	}
	return 0;
}

/* fdatasync is not retried at EINTR by way of caution: Linux does not return it for regular files, and a retry after
 * a failed sync would be told nothing (rule 7). */
static int machine_sync(struct disk_file *file) {
	if (mutant_is(MUTANT_NO_SYNC))
		return 0;
	return fdatasync(machine_file_of(file)->fd) == 0 ? 0 : -errno;
}

static int machine_truncate(struct disk_file *file, uint64_t size) {
	int result;
	do
		result = ftruncate(machine_file_of(file)->fd, (off_t)size);
	while (result < 0 && errno == EINTR);
	return result == 0 ? 0 : -errno;
}

static int64_t machine_size(struct disk_file *file) {
	struct stat status;
	return fstat(machine_file_of(file)->fd, &status) == 0 ? (int64_t)status.st_size : -errno;
}

static void machine_close(struct disk_file *file) {
	close(machine_file_of(file)->fd); /* what was synced is synced; nothing else was promised */
	free(file);
}

static const struct disk_file_ops machine_file_ops = {
	.read = machine_read,
	.write = machine_write,
	.sync = machine_sync,
	.truncate = machine_truncate,
	.size = machine_size,
	.close = machine_close,
};

static int open_flags(unsigned flags) {
	int result = O_CLOEXEC;
	if ((flags & DISK_WRITE) != 0)
		result |= (flags & DISK_READ) != 0 ? O_RDWR : O_WRONLY;
	if ((flags & DISK_CREATE) != 0)
		result |= O_CREAT;
	if ((flags & DISK_EXCLUSIVE) != 0)
		result |= O_EXCL;
	return result;
}

static int open_retried(const char *path, int flags) {
	int fd;
	do
		fd = open(path, flags, FILE_MODE);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

static int machine_open(struct disk *disk, const char *path, unsigned flags, struct disk_file **ret_file) {
	(void)disk;
	check((flags & (DISK_READ | DISK_WRITE)) != 0);
	int fd = open_retried(path, open_flags(flags));
	if (fd < 0)
		return fd;
	struct machine_file *file = check_alloc(1, sizeof *file);
	file->file.ops = &machine_file_ops;
	file->fd = fd;
	*ret_file = &file->file;
	return 0;
}

static int machine_rename(struct disk *disk, const char *from, const char *to) {
	(void)disk;
	return rename(from, to) == 0 ? 0 : -errno;
}

static int machine_unlink(struct disk *disk, const char *path) {
	(void)disk;
	return unlink(path) == 0 ? 0 : -errno;
}

static int machine_mkdir(struct disk *disk, const char *path) {
	(void)disk;
	if (mkdir(path, DIRECTORY_MODE) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	struct stat status;
	if (stat(path, &status) != 0)
		return -errno;
	return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

static int machine_sync_dir(struct disk *disk, const char *path) {
	(void)disk;
	int fd = open_retried(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	int result = fsync(fd) == 0 ? 0 : -errno;
	close(fd);
	return result;
}

static int machine_list(struct disk *disk, const char *path, void (*each)(void *arg, const char *name), void *arg) {
	(void)disk;
	DIR *dir = opendir(path);
	if (dir == NULL)
		return -errno;
	struct dirent *entry;
	while (errno = 0, (entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			each(arg, entry->d_name);
	int result = -errno;
	closedir(dir);
	return result;
}

struct disk *disk_machine(void) {
	static struct disk machine = {
		.open = machine_open,
		.rename = machine_rename,
		.unlink = machine_unlink,
		.mkdir = machine_mkdir,
		.sync_dir = machine_sync_dir,
		.list = machine_list,
	};
	return &machine;
}
