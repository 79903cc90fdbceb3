/* Names under watch: what was created, renamed and unlinked since the directory's last sync. */
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

enum { FDS = 65536 };

static char *directories[FDS];
static struct name_record *pending;
static size_t pending_count;
static int names_fd = -1;
static pthread_mutex_t names = PTHREAD_MUTEX_INITIALIZER;

static bool path_is_in(const char *path, const char *directory) {
	const char *slash = strrchr(path, '/');
	size_t size = slash != NULL ? (size_t)(slash - path) : 0;
	return strlen(directory) == size && strncmp(path, directory, size) == 0;
}

static void link_drop(uint64_t number) {
	char path[PATH_MAX];
	if (number == 0)
		return;
	shim_note_path(path, "links", number);
	syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static void pending_add(const struct name_record *record) {
	pending = realloc(pending, (pending_count + 1) * sizeof *pending);
	if (pending == NULL)
		shim_fail("memory");
	pending[pending_count++] = *record;
}

static void pending_settle(const char *directory) {
	size_t kept = 0;
	for (size_t i = 0; i < pending_count; i++) {
		if (path_is_in(pending[i].path, directory)) {
			link_drop(pending[i].before);
			link_drop(pending[i].after);
		} else {
			pending[kept++] = pending[i];
		}
	}
	pending_count = kept;
}

static void names_load(void) {
	struct name_record record;
	off_t at = 0;
	while (pread(names_fd, &record, sizeof record, at) == (ssize_t)sizeof record) {
		if (record.kind == NAME_SYNC)
			pending_settle(record.path);
		else
			pending_add(&record);
		at += (off_t)sizeof record;
	}
	if (syscall(SYS_ftruncate, names_fd, at) != 0)
		shim_fail("cannot mend notes");
}

void shim_names_lock(void) {
	pthread_mutex_lock(&names);
	if (names_fd >= 0)
		return;
	char path[PATH_MAX];
	shim_note_path(path, "names", 0);
	names_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (names_fd < 0)
		shim_fail(path);
	names_load();
}

void shim_names_unlock(void) {
	pthread_mutex_unlock(&names);
}

static void records_append(const struct name_record *records, size_t count) {
	if (syscall(SYS_write, names_fd, records, count * sizeof *records) != (long)(count * sizeof *records))
		shim_fail("cannot write notes");
	for (size_t i = 0; i < count; i++)
		if (records[i].kind != NAME_SYNC)
			pending_add(&records[i]);
}

static struct name_record record_of(enum name_kind kind, uint64_t operation, const char *relative) {
	struct name_record record;
	memset(&record, 0, sizeof record);
	record.operation = operation;
	record.kind = kind;
	if (strlen(relative) >= sizeof record.path)
		shim_fail("name too long");
	memcpy(record.path, relative, strlen(relative));
	return record;
}

/* Keeps what the name means now; 0 if there is nothing, or a directory, which cannot be kept so. */
static uint64_t link_keep(int directory, const char *path) {
	char to[PATH_MAX];
	uint64_t number = shim_number();
	shim_note_path(to, "links", number);
	if (syscall(SYS_linkat, directory, path, AT_FDCWD, to, 0) == 0)
		return number;
	if (errno != ENOENT && errno != EPERM)
		shim_fail("cannot keep a link");
	return 0;
}

static bool is_directory(int directory, const char *path) {
	struct stat status;
	return fstatat(directory, path, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

void shim_name_created(const char *relative, const char *path, int directory) {
	struct name_record record = record_of(NAME_CHANGE, shim_number(), relative);
	record.after = link_keep(directory, path);
	records_append(&record, 1);
}

void shim_name_unlinks(const char *relative, int directory, const char *path, bool removes_directory) {
	struct name_record record = record_of(removes_directory ? NAME_RMDIR : NAME_CHANGE, shim_number(), relative);
	record.before = removes_directory ? 0 : link_keep(directory, path);
	if (removes_directory || record.before != 0)
		records_append(&record, 1);
}

/* A renamed directory counts as durable: it cannot be kept by a link. */
void shim_name_renames(const char *from_relative, int from_directory, const char *from, const char *to_relative,
	int to_directory, const char *to) {
	uint64_t operation = shim_number();
	if (is_directory(from_directory, from))
		return;
	struct name_record records[2] = {
		record_of(NAME_CHANGE, operation, from_relative),
		record_of(NAME_CHANGE, operation, to_relative),
	};
	records[0].before = link_keep(from_directory, from);
	records[1].before = link_keep(to_directory, to);
	records[1].after = link_keep(from_directory, from);
	if (records[0].before != 0)
		records_append(records, 2);
}

void shim_name_mkdir(const char *relative) {
	struct name_record record = record_of(NAME_MKDIR, shim_number(), relative);
	records_append(&record, 1);
}

void shim_directory_opened(int fd, const char *relative) {
	if (fd < 0 || fd >= FDS)
		return;
	free(directories[fd]);
	directories[fd] = relative != NULL ? strdup(relative) : NULL;
}

const char *shim_directory_of(int fd) {
	return fd >= 0 && fd < FDS ? directories[fd] : NULL;
}

void shim_directory_synced(const char *relative) {
	struct name_record record = record_of(NAME_SYNC, shim_number(), relative);
	records_append(&record, 1);
	pending_settle(relative);
}
