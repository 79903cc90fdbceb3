/* The fault disk's seam: the calls of disk.h, each asking first whether it is to fail, and the ends of a process. */
#include "fault_disk.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault_disk_inside.h"

struct fault_file {
	struct disk_file file;
	struct fault_disk *faults;
	struct inode *inode;
	char *path;
	uint64_t process;
	bool writable;
};

static struct fault_file *file_of(struct disk_file *file) {
	return (struct fault_file *)file;
}

static bool data_is_zero(struct bytes data) {
	return data.size > 0 && data.data[0] == 0 && memcmp(data.data, data.data + 1, data.size - 1) == 0;
}

void fault_event_name(const struct fault_event *event, char *name, size_t size) {
	const char *base = strrchr(event->path, '/');
	base = base != NULL ? base + 1 : event->path;
	const char *part = "";
	if (strstr(base, ".segment") != NULL && strcmp(event->operation, "write") == 0)
		part = data_is_zero(event->data) ? " zeros" : event->offset == 0 ? " header" : " record";
	int used = snprintf(name, size, "%s ", event->operation);
	while (*base != '\0' && (isdigit((unsigned char)*base) || *base == '.'))
		base++; /* "000001.segment" plays the role of a segment */
	snprintf(name + used, size - (size_t)used, "%s%s", base, part);
}

static enum fault_action event_judge(struct fault_disk *faults, const struct fault_event *event) {
	char name[256];
	if (faults->fail_countdown > 0) {
		fault_event_name(event, name, sizeof name);
		if (strstr(name, faults->fail_name) != NULL && --faults->fail_countdown == 0)
			return faults->fail_action;
	}
	return faults->decide != NULL ? faults->decide(faults->arg, event) : FAULT_NONE;
}

/* What a call returns instead of acting; 0: it acts. */
static int event_begin(struct fault_disk *faults, struct fault_event event) {
	if (faults->crashed)
		return -EIO;
	event.number = ++faults->events;
	switch (event_judge(faults, &event)) {
	case FAULT_CRASH:
		faults->crashed = true;
		return -EIO;
	case FAULT_EIO:
		return -EIO;
	case FAULT_ENOSPC:
		return -ENOSPC;
	case FAULT_NONE:
		break;
	}
	return 0;
}

static struct fault_disk *disk_enter(struct disk *disk) {
	struct fault_disk *faults = (struct fault_disk *)disk;
	pthread_mutex_lock(&faults->lock);
	return faults;
}

static int disk_leave(struct fault_disk *faults, int result) {
	pthread_mutex_unlock(&faults->lock);
	return result;
}

static void change_note(struct fault_disk *faults, const char *from, const char *to, struct inode *inode) {
	struct change change = {
		.from = from != NULL ? check_strdup(from) : NULL,
		.to = to != NULL ? check_strdup(to) : NULL,
		.inode = inode,
	};
	inode->references++;
	change_apply(&faults->now, &change);
	faults->changes = realloc(faults->changes, (faults->change_count + 1) * sizeof *faults->changes);
	check_memory(faults->changes);
	faults->changes[faults->change_count++] = change;
}

static uint64_t bytes_used(const struct fault_disk *faults) {
	uint64_t used = 0;
	for (size_t i = 0; i < faults->now.count; i++)
		used += faults->now.entries[i].inode->size;
	return used;
}

/* REQUIRES the lock. Some of a write that did not happen may have happened all the same. */
static void write_partly(
	struct fault_disk *faults, struct inode *inode, const uint8_t *data, size_t size, uint64_t offset) {
	size_t pages = size / FAULT_PAGE_BYTES;
	size_t done = pages > 0 ? (size_t)(fault_random(faults) % (pages + 1)) * FAULT_PAGE_BYTES : 0;
	inode_put(inode, data, done, (size_t)offset);
}

static int fault_write(struct disk_file *file, const void *data, size_t size, uint64_t offset) {
	struct fault_file *open = file_of(file);
	struct fault_disk *faults = disk_enter(&open->faults->disk);
	check(open->writable);
	bool alive = open->process == faults->process && !faults->crashed;
	int result = alive
		? event_begin(faults,
			  (struct fault_event){
				  .operation = "write", .path = open->path, .data = bytes_of(data, size), .offset = offset})
		: -EIO;
	uint64_t growth = offset + size > open->inode->size ? offset + size - open->inode->size : 0;
	if (result == 0 && growth > 0 && bytes_used(faults) + growth > faults->capacity)
		result = -ENOSPC;
	if (result == 0)
		inode_put(open->inode, data, size, (size_t)offset);
	else if (alive && result == -EIO)
		write_partly(faults, open->inode, data, size, offset);
	return disk_leave(faults, result);
}

static int64_t fault_read(struct disk_file *file, void *data, size_t size, uint64_t offset) {
	struct fault_file *open = file_of(file);
	struct fault_disk *faults = disk_enter(&open->faults->disk);
	int64_t got = -EIO;
	if (open->process == faults->process && !faults->crashed) {
		size_t rest = offset < open->inode->size ? open->inode->size - (size_t)offset : 0;
		got = (int64_t)(size < rest ? size : rest);
		if (got > 0)
			memcpy(data, open->inode->now + offset, (size_t)got);
	}
	disk_leave(faults, 0);
	return got;
}

static int fault_sync(struct disk_file *file) {
	struct fault_file *open = file_of(file);
	struct fault_disk *faults = disk_enter(&open->faults->disk);
	bool alive = open->process == faults->process && !faults->crashed;
	int result = alive ? event_begin(faults, (struct fault_event){.operation = "sync", .path = open->path}) : -EIO;
	if (alive && !faults->crashed && !faults->lying)
		inode_sync(faults, open->inode, result < 0);
	return disk_leave(faults, result);
}

static int fault_truncate(struct disk_file *file, uint64_t size) {
	struct fault_file *open = file_of(file);
	struct fault_disk *faults = disk_enter(&open->faults->disk);
	check(open->writable);
	int result = open->process != faults->process
		? -EIO
		: event_begin(faults, (struct fault_event){.operation = "truncate", .path = open->path, .offset = size});
	if (result == 0)
		inode_resize(open->inode, (size_t)size);
	return disk_leave(faults, result);
}

static int64_t fault_size(struct disk_file *file) {
	struct fault_file *open = file_of(file);
	struct fault_disk *faults = disk_enter(&open->faults->disk);
	int64_t size = open->process == faults->process && !faults->crashed ? (int64_t)open->inode->size : -EIO;
	disk_leave(faults, 0);
	return size;
}

static void fault_close(struct disk_file *file) {
	struct fault_file *open = file_of(file);
	struct fault_disk *faults = disk_enter(&open->faults->disk);
	inode_release(open->inode);
	disk_leave(faults, 0);
	free(open->path);
	free(open);
}

static const struct disk_file_ops fault_file_ops = {
	.read = fault_read,
	.write = fault_write,
	.sync = fault_sync,
	.truncate = fault_truncate,
	.size = fault_size,
	.close = fault_close,
};

/* REQUIRES the lock. */
static int file_find(struct fault_disk *faults, const char *path, unsigned flags, struct inode **ret_inode) {
	struct inode *inode = names_find(&faults->now, path);
	if (inode != NULL && (flags & DISK_EXCLUSIVE) != 0)
		return -EEXIST;
	if (inode == NULL && ((flags & DISK_CREATE) == 0 || !names_hold_parent(&faults->now, path)))
		return -ENOENT;
	if (inode == NULL) {
		int result = event_begin(faults, (struct fault_event){.operation = "create", .path = path});
		if (result < 0)
			return result;
		inode = inode_create(false);
		change_note(faults, NULL, path, inode);
		inode_release(inode);
	}
	*ret_inode = inode;
	return inode->directory ? -EISDIR : 0;
}

static int fault_open(struct disk *disk, const char *path, unsigned flags, struct disk_file **ret_file) {
	struct fault_disk *faults = disk_enter(disk);
	struct inode *inode = NULL;
	int result = faults->crashed ? -EIO : file_find(faults, path, flags, &inode);
	if (result < 0)
		return disk_leave(faults, result);
	struct fault_file *open = check_alloc(1, sizeof *open);
	*open = (struct fault_file){
		.file.ops = &fault_file_ops,
		.faults = faults,
		.inode = inode,
		.path = check_strdup(path),
		.process = faults->process,
		.writable = (flags & DISK_WRITE) != 0,
	};
	inode->references++;
	*ret_file = &open->file;
	return disk_leave(faults, 0);
}

static int fault_rename(struct disk *disk, const char *from, const char *to) {
	struct fault_disk *faults = disk_enter(disk);
	int result = event_begin(faults, (struct fault_event){.operation = "rename", .path = to});
	struct inode *inode = names_find(&faults->now, from);
	if (result == 0 && inode == NULL)
		result = -ENOENT;
	if (result == 0)
		change_note(faults, from, to, inode);
	return disk_leave(faults, result);
}

static int fault_unlink(struct disk *disk, const char *path) {
	struct fault_disk *faults = disk_enter(disk);
	int result = event_begin(faults, (struct fault_event){.operation = "unlink", .path = path});
	struct inode *inode = names_find(&faults->now, path);
	if (result == 0 && inode == NULL)
		result = -ENOENT;
	if (result == 0)
		change_note(faults, path, NULL, inode);
	return disk_leave(faults, result);
}

static int fault_mkdir(struct disk *disk, const char *path) {
	struct fault_disk *faults = disk_enter(disk);
	struct inode *inode = names_find(&faults->now, path);
	if (inode != NULL)
		return disk_leave(faults, faults->crashed ? -EIO : inode->directory ? 0 : -ENOTDIR);
	int result = event_begin(faults, (struct fault_event){.operation = "mkdir", .path = path});
	if (result == 0) {
		inode = inode_create(true);
		change_note(faults, NULL, path, inode);
		inode_release(inode);
	}
	return disk_leave(faults, result);
}

static int fault_sync_dir(struct disk *disk, const char *path) {
	struct fault_disk *faults = disk_enter(disk);
	int result = event_begin(faults, (struct fault_event){.operation = "sync_dir", .path = path});
	size_t kept = 0;
	for (size_t i = 0; result == 0 && !faults->lying && i < faults->change_count; i++) {
		struct change *change = &faults->changes[i];
		bool here = (change->from != NULL && path_is_in(change->from, path)) ||
			(change->to != NULL && path_is_in(change->to, path));
		if (here) {
			change_apply(&faults->durable, change);
			change_finish(change);
		} else {
			faults->changes[kept++] = *change;
		}
	}
	if (result == 0 && !faults->lying)
		faults->change_count = kept;
	return disk_leave(faults, result);
}

static int fault_list(struct disk *disk, const char *path, void (*each)(void *arg, const char *name), void *arg) {
	struct fault_disk *faults = disk_enter(disk);
	struct names found = {0};
	struct inode *dir = names_find(&faults->now, path);
	int result = faults->crashed ? -EIO : dir == NULL ? -ENOENT : dir->directory ? 0 : -ENOTDIR;
	for (size_t i = 0; result == 0 && i < faults->now.count; i++)
		if (path_is_in(faults->now.entries[i].path, path))
			names_set(&found, faults->now.entries[i].path, faults->now.entries[i].inode);
	disk_leave(faults, 0);
	for (size_t i = 0; i < found.count; i++) { /* without the lock: each() may use the disk */
		const char *slash = strrchr(found.entries[i].path, '/');
		each(arg, slash != NULL ? slash + 1 : found.entries[i].path);
	}
	faults = disk_enter(disk);
	names_finish(&found);
	return disk_leave(faults, result);
}

struct fault_disk *fault_disk_create(uint64_t seed) {
	struct fault_disk *faults = check_alloc(1, sizeof *faults);
	faults->disk = (struct disk){
		.open = fault_open,
		.rename = fault_rename,
		.unlink = fault_unlink,
		.mkdir = fault_mkdir,
		.sync_dir = fault_sync_dir,
		.list = fault_list,
	};
	faults->random = seed;
	faults->capacity = UINT64_MAX;
	pthread_mutex_init(&faults->lock, NULL);
	return faults;
}

struct disk *fault_disk_seam(struct fault_disk *faults) {
	return &faults->disk;
}
