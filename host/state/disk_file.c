/* What is built from the calls of disk.h alone, so that it works on every disk, the simulated one too. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "state/disk.h"

int disk_read_all(struct disk *disk, const char *path, struct buf *ret_content) {
	struct disk_file *file;
	int result = disk->open(disk, path, DISK_READ, &file);
	if (result < 0)
		return result;
	int64_t size = file->ops->size(file);
	int64_t got = size < 0 ? size : file->ops->read(file, buf_reserve(ret_content, (size_t)size), (size_t)size, 0);
	file->ops->close(file);
	if (got < 0)
		return (int)got;
	ret_content->size += (size_t)got;
	return 0;
}

static int temporary_write(struct disk *disk, const char *path, struct bytes content) {
	struct disk_file *file;
	int result = disk->open(disk, path, DISK_WRITE | DISK_CREATE, &file);
	if (result < 0)
		return result;
	result = file->ops->truncate(file, 0); /* one may be left from a crash */
	if (result == 0)
		result = file->ops->write(file, content.data, content.size, 0);
	if (result == 0)
		result = file->ops->sync(file);
	file->ops->close(file);
	return result;
}

int disk_sync_parent(struct disk *disk, const char *path) {
	char *parent = check_strdup(path);
	char *slash = strrchr(parent, '/');
	if (slash != NULL)
		slash[slash == parent ? 1 : 0] = '\0';
	int result = disk->sync_dir(disk, slash != NULL ? parent : ".");
	free(parent);
	return result;
}

int disk_replace(struct disk *disk, const char *path, struct bytes content) {
	struct buf temporary = {0};
	buf_printf(&temporary, "%s.new", path);
	int result = temporary_write(disk, (const char *)temporary.data, content);
	if (result == 0)
		result = disk->rename(disk, (const char *)temporary.data, path);
	if (result < 0)
		disk->unlink(disk, (const char *)temporary.data); /* frees the space; a leftover is overwritten next time */
	buf_finish(&temporary);
	return result < 0 ? result : disk_sync_parent(disk, path);
}
