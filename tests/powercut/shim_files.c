/* Files under watch: what their pages and sizes were at the last sync. */
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FDS = 65536, BUCKETS = 1024 };

struct tracked {
	struct tracked *next;
	uint64_t inode;
	unsigned references; /* open fds */
	pthread_mutex_t lock;
	int read_fd;
	int undo_fd;
	uint8_t *saved; /* one a page: its old content stands in the notes */
	uint64_t saved_pages;
	bool size_saved;
	bool dirty;
	uint64_t map_from, map_to; /* pages of a shared writable mapping */
};

static struct tracked *opened[FDS];
static struct tracked *buckets[BUCKETS];
static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;

static int raw_open(const char *path, int flags) {
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
}

static void raw_close(int *fd) {
	if (*fd >= 0)
		syscall(SYS_close, *fd);
	*fd = -1;
}

static void raw_unlink(const char *path) {
	syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static void saved_mark(struct tracked *file, uint64_t page) {
	if (page >= file->saved_pages) {
		uint64_t pages = page * 2 + 64;
		file->saved = realloc(file->saved, pages);
		if (file->saved == NULL)
			shim_fail("memory");
		memset(file->saved + file->saved_pages, 0, pages - file->saved_pages);
		file->saved_pages = pages;
	}
	file->saved[page] = 1;
}

static bool saved_is(const struct tracked *file, uint64_t page) {
	return page < file->saved_pages && file->saved[page] != 0;
}

static void undo_append(struct tracked *file, const struct undo_record *record) {
	if (syscall(SYS_write, file->undo_fd, record, sizeof *record) != (long)sizeof *record)
		shim_fail("cannot write notes");
	file->dirty = true;
}

/* What an earlier process noted of this file still holds, if there was no sync since. */
static void undo_load(struct tracked *file) {
	struct undo_record record;
	off_t at = 0;
	while (pread(file->undo_fd, &record, sizeof record, at) == (ssize_t)sizeof record) {
		if (record.kind == UNDO_SIZE)
			file->size_saved = true;
		else
			saved_mark(file, record.place);
		file->dirty = true;
		at += (off_t)sizeof record;
	}
	if (syscall(SYS_ftruncate, file->undo_fd, at) != 0) /* a record that a kill cut off: its write never happened */
		shim_fail("cannot mend notes");
}

static void link_by_fd(int fd, const char *path) {
	char from[64];
	snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
	if (syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0 && errno != EEXIST &&
		errno != ENOENT)
		shim_fail("cannot link");
}

static void undo_open(struct tracked *file, bool create) {
	char path[PATH_MAX];
	if (file->undo_fd >= 0)
		return;
	if (create) {
		shim_note_path(path, "files", file->inode);
		link_by_fd(file->read_fd, path);
	}
	shim_note_path(path, "undo", file->inode);
	file->undo_fd = raw_open(path, O_RDWR | O_APPEND | (create ? O_CREAT : 0));
	if (file->undo_fd < 0 && (create || errno != ENOENT))
		shim_fail("cannot open notes");
}

static struct tracked **place_of(uint64_t inode) {
	struct tracked **place = &buckets[inode % BUCKETS];
	while (*place != NULL && (*place)->inode != inode)
		place = &(*place)->next;
	return place;
}

/* REQUIRES table. */
static struct tracked *tracked_of(uint64_t inode, int fd) {
	struct tracked **place = place_of(inode), *file = *place;
	if (file == NULL) {
		file = calloc(1, sizeof *file);
		if (file == NULL)
			shim_fail("memory");
		file->inode = inode;
		file->read_fd = file->undo_fd = -1;
		pthread_mutex_init(&file->lock, NULL);
		undo_open(file, false);
		if (file->undo_fd >= 0)
			undo_load(file);
		*place = file;
	}
	if (file->read_fd < 0) {
		char path[64];
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		file->read_fd = raw_open(path, O_RDONLY);
		if (file->read_fd < 0)
			shim_fail("cannot reopen a file for reading");
	}
	return file;
}

/* REQUIRES table. Nobody has it open: nothing is kept but what is not synced. */
static void tracked_release(struct tracked *file) {
	char path[PATH_MAX];
	if (--file->references > 0)
		return;
	raw_close(&file->read_fd);
	raw_close(&file->undo_fd);
	if (file->dirty)
		return;
	*place_of(file->inode) = file->next;
	shim_note_path(path, "undo", file->inode);
	raw_unlink(path);
	shim_note_path(path, "files", file->inode);
	raw_unlink(path);
	pthread_mutex_destroy(&file->lock);
	free(file->saved);
	free(file);
}

/* REQUIRES table. */
static void fd_forget(int fd) {
	struct tracked *file = opened[fd];
	opened[fd] = NULL;
	if (file != NULL)
		tracked_release(file);
}

void shim_file_opened(int fd) {
	struct stat status;
	if (fd < 0 || fd >= FDS || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		return;
	pthread_mutex_lock(&table);
	fd_forget(fd);
	opened[fd] = tracked_of(status.st_ino, fd);
	opened[fd]->references++;
	pthread_mutex_unlock(&table);
}

void shim_file_closed(int fd) {
	if (fd < 0 || fd >= FDS)
		return;
	pthread_mutex_lock(&table);
	fd_forget(fd);
	pthread_mutex_unlock(&table);
}

/* The watched file behind the fd, locked. An fd that was closed past us and given out again is noticed by its inode. */
static struct tracked *file_enter(int fd, struct stat *ret_status) {
	if (fd < 0 || fd >= FDS || opened[fd] == NULL || fstat(fd, ret_status) != 0)
		return NULL;
	pthread_mutex_lock(&table);
	struct tracked *file = opened[fd];
	if (file != NULL && file->inode != ret_status->st_ino) {
		fd_forget(fd);
		file = NULL;
	}
	pthread_mutex_unlock(&table);
	if (file != NULL)
		pthread_mutex_lock(&file->lock); /* the open fd keeps it alive */
	return file;
}

static void page_save(struct tracked *file, uint64_t page) {
	struct undo_record record = {.place = page, .kind = UNDO_PAGE};
	if (saved_is(file, page))
		return;
	ssize_t got = pread(file->read_fd, record.data, PAGE_BYTES, (off_t)(page * PAGE_BYTES));
	if (got < 0)
		shim_fail("cannot read a page");
	record.bytes = (uint32_t)got;
	undo_append(file, &record);
	saved_mark(file, page);
}

static void range_save(struct tracked *file, uint64_t offset, uint64_t size) {
	if (size == 0)
		return;
	undo_open(file, true);
	for (uint64_t page = offset / PAGE_BYTES; page * PAGE_BYTES < offset + size; page++)
		page_save(file, page);
}

static void size_save(struct tracked *file, uint64_t size) {
	struct undo_record record = {.place = size, .kind = UNDO_SIZE};
	if (file->size_saved)
		return;
	undo_open(file, true);
	undo_append(file, &record);
	file->size_saved = true;
}

static void write_note(struct tracked *file, const struct stat *status, off_t offset, size_t size) {
	if (offset + (off_t)size > status->st_size)
		size_save(file, (uint64_t)status->st_size);
	range_save(file, (uint64_t)offset, size);
}

struct tracked *shim_append_begin(int fd, size_t size, bool has_offset, off_t offset) {
	struct stat status;
	int error = errno;
	struct tracked *file = file_enter(fd, &status);
	if (file == NULL)
		return NULL;
	if (fstat(fd, &status) != 0) /* again: now nobody else changes it */
		shim_fail("cannot stat");
	if (!has_offset)
		offset = (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? status.st_size : lseek(fd, 0, SEEK_CUR);
	write_note(file, &status, offset, size);
	errno = error;
	return file;
}

struct tracked *shim_write_begin(int fd, off_t offset, size_t size) {
	return shim_append_begin(fd, size, true, offset);
}

struct tracked *shim_resize_begin(int fd, off_t size) {
	struct stat status;
	struct tracked *file = file_enter(fd, &status);
	if (file == NULL)
		return NULL;
	if (fstat(fd, &status) != 0)
		shim_fail("cannot stat");
	if (size != status.st_size)
		size_save(file, (uint64_t)status.st_size);
	if (size < status.st_size)
		range_save(file, (uint64_t)size, (uint64_t)(status.st_size - size));
	return file;
}

void shim_write_end(struct tracked *file) {
	if (file != NULL)
		pthread_mutex_unlock(&file->lock);
}

/* An fd that was opened for reading syncs its file too. */
struct tracked *shim_sync_begin(int fd) {
	struct stat status;
	struct tracked *file = file_enter(fd, &status);
	if (file != NULL || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		return file;
	pthread_mutex_lock(&table);
	file = *place_of(status.st_ino);
	if (file != NULL)
		pthread_mutex_lock(&file->lock); /* with the table held: no open fd of ours keeps it alive */
	pthread_mutex_unlock(&table);
	return file;
}

void shim_sync_end(struct tracked *file, bool synced) {
	if (file == NULL)
		return;
	if (synced && file->dirty) {
		undo_open(file, true);
		if (syscall(SYS_ftruncate, file->undo_fd, 0) != 0)
			shim_fail("cannot empty notes");
		memset(file->saved, 0, file->saved_pages);
		file->size_saved = file->dirty = false;
		range_save(file, file->map_from * PAGE_BYTES, (file->map_to - file->map_from) * PAGE_BYTES);
	}
	pthread_mutex_unlock(&file->lock);
}

void shim_mapped(int fd, off_t offset, size_t size) {
	struct tracked *file = shim_write_begin(fd, offset, 0);
	if (file == NULL)
		return;
	uint64_t from = (uint64_t)offset / PAGE_BYTES, to = ((uint64_t)offset + size + PAGE_BYTES - 1) / PAGE_BYTES;
	bool first = file->map_to == file->map_from;
	file->map_from = first || from < file->map_from ? from : file->map_from;
	file->map_to = first || to > file->map_to ? to : file->map_to;
	range_save(file, (uint64_t)offset, size);
	shim_write_end(file);
}
