/* The fault disk's contents: inodes with pages, names, and what is not durable yet. */
#include <stdlib.h>
#include <string.h>

#include "fault_disk_inside.h"

uint64_t fault_random(struct fault_disk *faults) {
	uint64_t value = faults->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}

bool fault_chance(struct fault_disk *faults) {
	return (fault_random(faults) & 1) != 0;
}

struct inode *inode_create(bool directory) {
	struct inode *inode = check_alloc(1, sizeof *inode);
	inode->references = 1;
	inode->directory = directory;
	return inode;
}

void inode_release(struct inode *inode) {
	if (--inode->references > 0)
		return;
	free(inode->now);
	free(inode->durable);
	free(inode->dirty);
	free(inode);
}

static void *zero_grown(void *memory, size_t from, size_t to) {
	uint8_t *grown = realloc(memory, to);
	check_memory(grown);
	memset(grown + from, 0, to - from);
	return grown;
}

static void inode_reserve(struct inode *inode, size_t size) {
	if (size <= inode->capacity)
		return;
	size_t capacity = inode->capacity == 0 ? FAULT_PAGE_BYTES : inode->capacity;
	while (capacity < size)
		capacity *= 2;
	inode->now = zero_grown(inode->now, inode->capacity, capacity);
	inode->durable = zero_grown(inode->durable, inode->capacity, capacity);
	inode->dirty = zero_grown(inode->dirty, inode->capacity / FAULT_PAGE_BYTES, capacity / FAULT_PAGE_BYTES);
	inode->capacity = capacity;
}

static void pages_dirty(struct inode *inode, size_t from, size_t to) {
	for (size_t page = from / FAULT_PAGE_BYTES; page * FAULT_PAGE_BYTES < to; page++)
		inode->dirty[page] = true;
}

void inode_resize(struct inode *inode, size_t size) {
	inode_reserve(inode, size);
	if (size < inode->size) {
		memset(inode->now + size, 0, inode->size - size);
		pages_dirty(inode, size, inode->size);
	}
	inode->size_dirty = inode->size_dirty || size != inode->size;
	inode->size = size;
}

void inode_put(struct inode *inode, const void *data, size_t size, size_t offset) {
	if (size == 0)
		return;
	if (offset + size > inode->size)
		inode_resize(inode, offset + size);
	memcpy(inode->now + offset, data, size);
	pages_dirty(inode, offset, offset + size);
}

static void page_settle(struct inode *inode, size_t page, bool keep) {
	if (keep)
		memcpy(inode->durable + page * FAULT_PAGE_BYTES, inode->now + page * FAULT_PAGE_BYTES, FAULT_PAGE_BYTES);
	inode->dirty[page] = false;
}

/* A sync that fails leaves each page written or not, and none of them dirty. */
void inode_sync(struct fault_disk *faults, struct inode *inode, bool fails) {
	for (size_t page = 0; page < inode->capacity / FAULT_PAGE_BYTES; page++)
		if (inode->dirty[page])
			page_settle(inode, page, !fails || fault_chance(faults));
	if (!fails)
		inode->durable_size = inode->size;
	inode->size_dirty = false;
}

void inode_cut(struct fault_disk *faults, struct inode *inode) {
	for (size_t page = 0; page < inode->capacity / FAULT_PAGE_BYTES; page++)
		if (inode->dirty[page])
			page_settle(inode, page, fault_chance(faults));
	if (inode->size_dirty && fault_chance(faults))
		inode->durable_size = inode->size;
	inode->size_dirty = false;
	inode->size = inode->durable_size;
	if (inode->capacity == 0)
		return;
	memset(inode->durable + inode->size, 0, inode->capacity - inode->size);
	memcpy(inode->now, inode->durable, inode->capacity);
}

struct inode *inode_copy(const struct inode *inode) {
	struct inode *copy = inode_create(inode->directory);
	inode_reserve(copy, inode->capacity);
	copy->size = inode->size;
	copy->durable_size = inode->durable_size;
	copy->size_dirty = inode->size_dirty;
	if (inode->capacity == 0)
		return copy;
	memcpy(copy->now, inode->now, inode->capacity);
	memcpy(copy->durable, inode->durable, inode->capacity);
	memcpy(copy->dirty, inode->dirty, inode->capacity / FAULT_PAGE_BYTES);
	return copy;
}

static struct entry *entry_find(const struct names *names, const char *path) {
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->entries[i].path, path) == 0)
			return &names->entries[i];
	return NULL;
}

struct inode *names_find(const struct names *names, const char *path) {
	struct entry *entry = entry_find(names, path);
	return entry != NULL ? entry->inode : NULL;
}

void names_set(struct names *names, const char *path, struct inode *inode) {
	struct entry *entry = entry_find(names, path);
	inode->references++;
	if (entry != NULL) {
		inode_release(entry->inode);
		entry->inode = inode;
		return;
	}
	names->entries = realloc(names->entries, (names->count + 1) * sizeof *names->entries);
	check_memory(names->entries);
	names->entries[names->count++] = (struct entry){.path = check_strdup(path), .inode = inode};
}

void names_remove(struct names *names, const char *path) {
	struct entry *entry = entry_find(names, path);
	if (entry == NULL)
		return;
	free(entry->path);
	inode_release(entry->inode);
	memmove(entry, entry + 1, (size_t)(names->entries + names->count - (entry + 1)) * sizeof *entry);
	names->count--;
}

void names_finish(struct names *names) {
	while (names->count > 0)
		names_remove(names, names->entries[names->count - 1].path);
	free(names->entries);
	*names = (struct names){0};
}

void change_apply(struct names *names, const struct change *change) {
	if (change->from != NULL)
		names_remove(names, change->from);
	if (change->to != NULL)
		names_set(names, change->to, change->inode);
}

void change_finish(struct change *change) {
	free(change->from);
	free(change->to);
	inode_release(change->inode);
}

bool names_hold_parent(const struct names *names, const char *path) {
	char *parent = check_strdup(path);
	char *slash = strrchr(parent, '/');
	bool held = slash == NULL || slash == parent; /* the root and the working directory are always there */
	if (!held) {
		*slash = '\0';
		struct inode *inode = names_find(names, parent);
		held = inode != NULL && inode->directory;
	}
	free(parent);
	return held;
}

bool path_is_in(const char *path, const char *dir) {
	const char *slash = strrchr(path, '/');
	if (slash == NULL)
		return strcmp(dir, ".") == 0;
	size_t size = (size_t)(slash - path);
	return strlen(dir) == size && strncmp(path, dir, size) == 0;
}
