#include "plugin/strays.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "plugin/load.h"

enum {
	/* A thread on a processor has no place to be read: it is asked again, this often, a millisecond apart. */
	RUNNING_LOOKS = 50,
	LOOK_PAUSE_NS = 1000000,
	/* Of a thread's stack above its stack pointer: its callers. Not the whole stack: what lies above it is not its own. */
	STACK_BYTES_MAX = 256 << 10,
	STACK_PIECE_BYTES = 4096,
	TASK_PATH_BYTES = 64,
};

/* Calls each(arg, tid) for every thread of this process until it returns false. */
static void tasks_each(bool (*each)(void *arg, int tid), void *arg) {
	DIR *tasks = opendir("/proc/self/task");
	check(tasks != NULL);
	struct dirent *entry;
	while ((entry = readdir(tasks)) != NULL)
		if (entry->d_name[0] != '.' && !each(arg, (int)strtol(entry->d_name, NULL, 10)))
			break;
	closedir(tasks);
}

static bool task_count(void *arg, int tid) {
	(void)tid;
	++*(size_t *)arg;
	return true;
}

size_t threads_count(void) {
	size_t count = 0;
	tasks_each(task_count, &count);
	return count;
}

static bool task_note(void *arg, int tid) {
	struct strays *strays = arg;
	strays->known = realloc(strays->known, (strays->count + 1) * sizeof(int));
	check_memory(strays->known);
	strays->known[strays->count++] = tid;
	return true;
}

void strays_note(struct strays *strays) {
	strays_finish(strays);
	tasks_each(task_note, strays);
}

void strays_finish(struct strays *strays) {
	free(strays->known);
	*strays = (struct strays){0};
}

static bool strays_known(const struct strays *strays, int tid) {
	for (size_t i = 0; i < strays->count; i++)
		if (strays->known[i] == tid)
			return true;
	return false;
}

/* ---- where a thread stands ---- */

enum place { PLACE_KNOWN, PLACE_RUNNING, PLACE_GONE, PLACE_SECRET };

/* The kernel's line is `NUMBER args... sp pc` of the system call that the thread sleeps in, `-1 sp pc` elsewhere, or
 * `running`. */
static enum place task_place(int tid, uintptr_t *ret_stack, uintptr_t *ret_code) {
	char path[TASK_PATH_BYTES];
	char line[256];
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(path, sizeof(path), "/proc/self/task/%d", tid);
		return access(path, F_OK) == 0 ? PLACE_SECRET : PLACE_GONE;
	}
	ssize_t size = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (size <= 0)
		return size == 0 ? PLACE_SECRET : PLACE_GONE;
	line[size] = '\0';
	if (strncmp(line, "running", 7) == 0)
		return PLACE_RUNNING;
	char *code = strrchr(line, ' ');
	if (code == NULL)
		return PLACE_SECRET;
	*code = '\0';
	char *stack = strrchr(line, ' ');
	if (stack == NULL)
		return PLACE_SECRET;
	*ret_stack = strtoul(stack + 1, NULL, 16);
	*ret_code = strtoul(code + 1, NULL, 16);
	return PLACE_KNOWN;
}

/* Where the mapping that holds the address ends; 0 if none does. */
static uintptr_t mapping_end(uintptr_t address) {
	FILE *maps = fopen("/proc/self/maps", "re");
	check(maps != NULL);
	char *line = NULL;
	size_t room = 0;
	uintptr_t found = 0;
	while (found == 0 && getline(&line, &room, maps) > 0) {
		char *next;
		uintptr_t begin = strtoul(line, &next, 16);
		uintptr_t end = strtoul(next + 1, NULL, 16); /* behind the dash */
		if (address >= begin && address < end)
			found = end;
	}
	free(line);
	fclose(maps);
	return found;
}

/* The words above the stack pointer, read through the kernel: a stack that goes away meanwhile ends the reading, not
 * the host. Not beyond its mapping: there may lie the image itself, which is full of its own addresses. */
static bool stack_leads_into(uintptr_t stack, const struct library *library) {
	uintptr_t words[STACK_PIECE_BYTES / sizeof(uintptr_t)];
	uintptr_t at = stack & ~(uintptr_t)(sizeof(uintptr_t) - 1);
	uintptr_t end = mapping_end(at);
	for (size_t done = 0; done < STACK_BYTES_MAX && at < end; done += sizeof(words)) {
		/* up to the next page's begin, so that the last page of a stack is read although the next is not there */
		size_t room = STACK_PIECE_BYTES - at % STACK_PIECE_BYTES;
		struct iovec to = {words, room};
		struct iovec from = {(void *)at, room};
		if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != (ssize_t)room)
			return false;
		for (size_t i = 0; i < room / sizeof(words[0]); i++)
			if (library_holds(library, words[i]))
				return true;
		at += room;
	}
	return false;
}

static bool task_inside(int tid, const struct library *library) {
	uintptr_t stack = 0;
	uintptr_t code = 0;
	for (int look = 0; look < RUNNING_LOOKS; look++) {
		switch (task_place(tid, &stack, &code)) {
		case PLACE_KNOWN:
			return library_holds(library, code) || stack_leads_into(stack, library);
		case PLACE_GONE:
			return false;
		case PLACE_SECRET:
			return true;
		case PLACE_RUNNING:
			nanosleep(&(struct timespec){.tv_nsec = LOOK_PAUSE_NS}, NULL);
		}
	}
	return true;
}

struct search {
	const struct strays *strays;
	const struct library *library;
	bool found;
};

static bool task_search(void *arg, int tid) {
	struct search *search = arg;
	if (tid != gettid() && !strays_known(search->strays, tid))
		search->found = task_inside(tid, search->library);
	return !search->found;
}

bool strays_inside(const struct strays *strays, const struct library *library) {
	struct search search = {strays, library, false};
	tasks_each(task_search, &search);
	return search.found;
}
