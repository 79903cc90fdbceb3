#include "state/store_leveldb_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"

static char *path_join(const char *dir, const char *name) {
	struct buf path = {0};
	buf_printf(&path, "%s/%s", dir, name);
	return (char *)path.data;
}

static bool name_ends(const char *name, const char *end) {
	size_t size = strlen(name);
	return size > strlen(end) && strcmp(name + size - strlen(end), end) == 0;
}

/* Calls each(from, to, name) for every plain entry until it fails. */
static int dir_each(const char *from, const char *to, int (*each)(const char *from, const char *to, const char *name)) {
	DIR *dir = opendir(from);
	if (dir == NULL)
		return -errno;
	int result = 0;
	struct dirent *entry;
	while (result == 0 && (entry = readdir(dir)) != NULL)
		if (entry->d_type != DT_DIR)
			result = each(from, to, entry->d_name);
	closedir(dir);
	return result;
}

static int log_move(const char *from, const char *to, const char *name) {
	if (!name_ends(name, ".log"))
		return 0;
	char *source = path_join(from, name);
	char *target = path_join(to, name);
	int result = rename(source, target) == 0 ? 0 : -errno;
	free(source);
	free(target);
	return result;
}

static unsigned logs_count(const char *path) {
	DIR *dir = opendir(path);
	unsigned count = 0;
	struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		count += name_ends(entry->d_name, ".log") ? 1 : 0;
	if (dir != NULL)
		closedir(dir);
	return count;
}

int leveldb_dir_set_aside(const char *path, unsigned *ret_count) {
	*ret_count = logs_count(path);
	if (*ret_count == 0)
		return 0;
	char *aside = path_join(path, "set-aside");
	int result = mkdir(aside, 0777) == 0 || errno == EEXIST ? 0 : -errno;
	if (result == 0)
		result = dir_each(path, aside, log_move);
	free(aside);
	return result;
}

int leveldb_dir_put_back(const char *path) {
	char *aside = path_join(path, "set-aside");
	int result = dir_each(aside, path, log_move);
	rmdir(aside);
	free(aside);
	return result;
}

int leveldb_dir_space(const char *path, uint64_t bytes) {
	char *probe = path_join(path, "space-probe");
	int file = open(probe, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	int result = file < 0 ? -errno : -posix_fallocate(file, 0, (off_t)bytes);
	if (file >= 0) {
		close(file);
		unlink(probe);
	}
	free(probe);
	return result;
}

static int file_copy(const char *source, const char *target) {
	int from = open(source, O_RDONLY | O_CLOEXEC);
	int to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int result = from < 0 || to < 0 ? -errno : 0;
	uint8_t piece[65536];
	for (ssize_t got = 1; result == 0 && got > 0;) {
		got = read(from, piece, sizeof piece);
		if (got < 0 || (got > 0 && write(to, piece, (size_t)got) != got))
			result = errno == 0 ? -EIO : -errno;
	}
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return result;
}

static int file_shadow(const char *from, const char *to, const char *name) {
	if (strcmp(name, "LOCK") == 0 || strcmp(name, "LOG") == 0 || strcmp(name, "LOG.old") == 0)
		return 0;
	char *source = path_join(from, name);
	char *target = path_join(to, name);
	char *real = realpath(source, NULL);
	int result;
	if (real == NULL)
		result = -errno;
	else if (name_ends(name, ".ldb") || name_ends(name, ".sst"))
		result = symlink(real, target) == 0 ? 0 : -errno;
	else
		result = file_copy(real, target);
	free(real);
	free(source);
	free(target);
	return result;
}

int leveldb_dir_shadow(const char *path, char **ret_shadow) {
	const char *temporary = access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp";
	char *shadow = path_join(temporary, "sofun-verify-XXXXXX");
	if (mkdtemp(shadow) == NULL) {
		free(shadow);
		return -errno;
	}
	int result = dir_each(path, shadow, file_shadow);
	if (result < 0)
		leveldb_dir_shadow_remove(shadow);
	else
		*ret_shadow = shadow;
	return result;
}

static int file_remove(const char *from, const char *to, const char *name) {
	(void)to;
	char *path = path_join(from, name);
	unlink(path);
	free(path);
	return 0;
}

void leveldb_dir_shadow_remove(char *shadow) {
	char *aside = path_join(shadow, "set-aside");
	dir_each(aside, NULL, file_remove);
	rmdir(aside);
	free(aside);
	dir_each(shadow, NULL, file_remove);
	rmdir(shadow);
	free(shadow);
}
