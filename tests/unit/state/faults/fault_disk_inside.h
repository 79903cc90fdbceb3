/* What the parts of the fault disk share. No other code should include this file. */
#ifndef TESTS_FAULT_DISK_INSIDE_H
#define TESTS_FAULT_DISK_INSIDE_H

#include <pthread.h>

#include "base/check.h"
#include "fault_disk.h"

/* A file or directory. `now` is what reads see, `durable` what the platter holds; both are capacity bytes long, and
 * zero beyond their sizes. */
struct inode {
	unsigned references; /* names, pending changes, open files */
	bool directory;
	uint8_t *now;
	uint8_t *durable;
	bool *dirty; /* one a page: written since the last sync */
	size_t size;
	size_t durable_size;
	bool size_dirty;
	size_t capacity;
};

struct entry {
	char *path;
	struct inode *inode;
};

struct names {
	struct entry *entries;
	size_t count;
};

/* A change of names that no sync_dir has covered yet: `from` goes (NULL: nothing goes), `to` comes (NULL likewise). */
struct change {
	char *from;
	char *to;
	struct inode *inode;
};

struct fault_disk {
	struct disk disk; /* first: the seam is the object */
	pthread_mutex_t lock;
	uint64_t random;
	struct names now;
	struct names durable;
	struct change *changes;
	size_t change_count;
	uint64_t events;
	uint64_t process; /* changes at kill and cut: files of an older process are dead */
	bool crashed;
	bool lying;
	uint64_t capacity;
	enum fault_action (*decide)(void *arg, const struct fault_event *event);
	void *arg;
	char fail_name[64];
	uint64_t fail_countdown;
	enum fault_action fail_action;
};

/* fault_disk_model.c */
uint64_t fault_random(struct fault_disk *faults);
bool fault_chance(struct fault_disk *faults);
struct inode *inode_create(bool directory);
void inode_release(struct inode *inode);
void inode_resize(struct inode *inode, size_t size);
void inode_put(struct inode *inode, const void *data, size_t size, size_t offset);
void inode_sync(struct fault_disk *faults, struct inode *inode, bool fails);
void inode_cut(struct fault_disk *faults, struct inode *inode);
struct inode *inode_copy(const struct inode *inode);
struct inode *names_find(const struct names *names, const char *path);
void names_set(struct names *names, const char *path, struct inode *inode);
void names_remove(struct names *names, const char *path);
void names_finish(struct names *names);
void change_apply(struct names *names, const struct change *change);
void change_finish(struct change *change);
bool names_hold_parent(const struct names *names, const char *path);
bool path_is_in(const char *path, const char *dir);

#endif
