/* The fault disk's other side: what a test tells it to do, and what it looks at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault_disk_inside.h"

static void changes_drop(struct fault_disk *faults) {
	for (size_t i = 0; i < faults->change_count; i++)
		change_finish(&faults->changes[i]);
	faults->change_count = 0;
}

void fault_disk_destroy(struct fault_disk *faults) {
	changes_drop(faults);
	names_finish(&faults->now);
	names_finish(&faults->durable);
	free(faults->changes);
	pthread_mutex_destroy(&faults->lock);
	free(faults);
}

/* Inodes that several names and changes share stay shared: originals and copies are kept in two lists. */
struct copies {
	struct inode **from;
	struct inode **to;
	size_t count;
};

static struct inode *copy_of(struct copies *copies, struct inode *inode) {
	for (size_t i = 0; i < copies->count; i++)
		if (copies->from[i] == inode)
			return copies->to[i];
	copies->from = realloc(copies->from, (copies->count + 1) * sizeof(struct inode *));
	copies->to = realloc(copies->to, (copies->count + 1) * sizeof(struct inode *));
	check(copies->from != NULL && copies->to != NULL);
	copies->from[copies->count] = inode;
	copies->to[copies->count] = inode_copy(inode);
	return copies->to[copies->count++];
}

static void names_copy(struct names *to, const struct names *from, struct copies *copies) {
	for (size_t i = 0; i < from->count; i++)
		names_set(to, from->entries[i].path, copy_of(copies, from->entries[i].inode));
}

struct fault_disk *fault_disk_copy(struct fault_disk *faults, uint64_t seed) {
	struct fault_disk *copy = fault_disk_create(seed);
	struct copies copies = {0};
	pthread_mutex_lock(&faults->lock);
	names_copy(&copy->now, &faults->now, &copies);
	names_copy(&copy->durable, &faults->durable, &copies);
	copy->changes = check_alloc(faults->change_count, sizeof *copy->changes);
	copy->change_count = faults->change_count;
	for (size_t i = 0; i < faults->change_count; i++) {
		const struct change *change = &faults->changes[i];
		copy->changes[i] = (struct change){
			.from = change->from != NULL ? check_strdup(change->from) : NULL,
			.to = change->to != NULL ? check_strdup(change->to) : NULL,
			.inode = copy_of(&copies, change->inode),
		};
		copy->changes[i].inode->references++;
	}
	copy->lying = faults->lying;
	copy->capacity = faults->capacity;
	pthread_mutex_unlock(&faults->lock);
	for (size_t i = 0; i < copies.count; i++)
		inode_release(copies.to[i]);
	free(copies.from);
	free(copies.to);
	return copy;
}

void fault_disk_decide(
	struct fault_disk *faults, enum fault_action (*decide)(void *arg, const struct fault_event *event), void *arg) {
	pthread_mutex_lock(&faults->lock);
	faults->decide = decide;
	faults->arg = arg;
	pthread_mutex_unlock(&faults->lock);
}

void fault_disk_fail(struct fault_disk *faults, const char *name, uint64_t countdown, enum fault_action action) {
	pthread_mutex_lock(&faults->lock);
	snprintf(faults->fail_name, sizeof faults->fail_name, "%s", name);
	faults->fail_countdown = countdown;
	faults->fail_action = action;
	pthread_mutex_unlock(&faults->lock);
}

uint64_t fault_disk_events(struct fault_disk *faults) {
	pthread_mutex_lock(&faults->lock);
	uint64_t events = faults->events;
	pthread_mutex_unlock(&faults->lock);
	return events;
}

bool fault_disk_crashed(struct fault_disk *faults) {
	pthread_mutex_lock(&faults->lock);
	bool crashed = faults->crashed;
	pthread_mutex_unlock(&faults->lock);
	return crashed;
}

void fault_disk_kill(struct fault_disk *faults) {
	pthread_mutex_lock(&faults->lock);
	faults->process++;
	faults->crashed = false;
	pthread_mutex_unlock(&faults->lock);
}

/* A file in a directory that was lost is lost with it. */
static void orphans_remove(struct names *names) {
	for (size_t i = 0; i < names->count;) {
		if (!names_hold_parent(names, names->entries[i].path)) {
			names_remove(names, names->entries[i].path);
			i = 0; /* what stood in it is an orphan now */
		} else {
			i++;
		}
	}
}

void fault_disk_cut(struct fault_disk *faults) {
	pthread_mutex_lock(&faults->lock);
	faults->process++;
	faults->crashed = false;
	for (size_t i = 0; i < faults->change_count; i++)
		if (fault_chance(faults))
			change_apply(&faults->durable, &faults->changes[i]);
	changes_drop(faults);
	orphans_remove(&faults->durable);
	names_finish(&faults->now);
	for (size_t i = 0; i < faults->durable.count; i++) {
		inode_cut(faults, faults->durable.entries[i].inode);
		names_set(&faults->now, faults->durable.entries[i].path, faults->durable.entries[i].inode);
	}
	pthread_mutex_unlock(&faults->lock);
}

void fault_disk_lie(struct fault_disk *faults) {
	pthread_mutex_lock(&faults->lock);
	faults->lying = true;
	pthread_mutex_unlock(&faults->lock);
}

void fault_disk_capacity(struct fault_disk *faults, uint64_t bytes) {
	pthread_mutex_lock(&faults->lock);
	faults->capacity = bytes;
	pthread_mutex_unlock(&faults->lock);
}

struct bytes fault_disk_peek(struct fault_disk *faults, const char *path) {
	pthread_mutex_lock(&faults->lock);
	const struct inode *inode = names_find(&faults->now, path);
	check(inode != NULL);
	struct bytes content = bytes_of(inode->now, inode->size);
	pthread_mutex_unlock(&faults->lock);
	return content;
}

void fault_disk_poke(struct fault_disk *faults, const char *path, uint64_t offset, struct bytes data) {
	pthread_mutex_lock(&faults->lock);
	struct inode *inode = names_find(&faults->now, path);
	check(inode != NULL && offset + data.size <= inode->size);
	memcpy(inode->now + offset, data.data, data.size);
	memcpy(inode->durable + offset, data.data, data.size);
	pthread_mutex_unlock(&faults->lock);
}
