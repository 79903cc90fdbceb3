/* The disk behind one seam: the journal, the egress logs and the registry of images write through it, so that the
 * simulation can tear, lose and refuse what they do. Every call returns 0 or a size, or a negative errno. */
#ifndef HOST_STATE_DISK_H
#define HOST_STATE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct disk_file;

enum disk_open_flags { DISK_READ = 1, DISK_WRITE = 2, DISK_CREATE = 4, DISK_EXCLUSIVE = 8 };

struct disk {
	int (*open)(struct disk *disk, const char *path, unsigned flags, struct disk_file **ret_file);
	int (*rename)(struct disk *disk, const char *from, const char *to);
	int (*unlink)(struct disk *disk, const char *path);
	int (*mkdir)(struct disk *disk, const char *path); /* an existing directory is 0 */
	int (*sync_dir)(struct disk *disk, const char *path);
	/* Calls each(arg, name) for every entry but "." and ".."; order is unspecified. */
	int (*list)(struct disk *disk, const char *path, void (*each)(void *arg, const char *name), void *arg);
};

struct disk_file_ops {
	int64_t (*read)(struct disk_file *file, void *data, size_t size, uint64_t offset);    /* short only at the end */
	int (*write)(struct disk_file *file, const void *data, size_t size, uint64_t offset); /* all or an error */
	int (*sync)(struct disk_file *file);                                                  /* fdatasync */
	int (*truncate)(struct disk_file *file, uint64_t size);
	int64_t (*size)(struct disk_file *file);
	void (*close)(struct disk_file *file);
};

struct disk_file {
	const struct disk_file_ops *ops;
};

/* The machine's own disk; one object, never freed. Makes no crash point of its own. */
struct disk *disk_machine(void);

/* Makes durable that the file or directory of this name is where it is (or is not). */
int disk_sync_parent(struct disk *disk, const char *path);

/* Whole file; -ENOENT and so on. */
int disk_read_all(struct disk *disk, const char *path, struct buf *ret_content);

/* Atomically and durably: temporary file, sync, rename, sync of the directory. */
int disk_replace(struct disk *disk, const char *path, struct bytes content);

#endif
