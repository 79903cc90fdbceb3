#include "state/leveldb/dir.h"

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
#include "state/disk.h"
#include "state/leveldb/manifest.h"

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

static int file_copy(const char *source, const char *target, bool sync) {
	int from = open(source, O_RDONLY | O_CLOEXEC);
	int to = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int result = from < 0 || to < 0 ? -errno : 0;
	uint8_t piece[65536];
	for (ssize_t got = 1; result == 0 && got > 0;) {
		got = read(from, piece, sizeof piece);
		if (got < 0 || (got > 0 && write(to, piece, (size_t)got) != got))
			result = errno == 0 ? -EIO : -errno;
	}
	if (result == 0 && sync && fsync(to) != 0)
		result = -errno;
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return result;
}

static bool is_log(const char *name) {
	return name_ends(name, ".log");
}

static bool is_manifest(const char *name) {
	return strncmp(name, "MANIFEST-", strlen("MANIFEST-")) == 0;
}

static bool is_table(const char *name) {
	return name_ends(name, ".ldb") || name_ends(name, ".sst");
}

static int file_move(const char *from, const char *to, const char *name) {
	char *source = path_join(from, name);
	char *target = path_join(to, name);
	int result = rename(source, target) == 0 ? 0 : -errno;
	free(source);
	free(target);
	return result;
}

static int log_move(const char *from, const char *to, const char *name) {
	return is_log(name) ? file_move(from, to, name) : 0;
}

static unsigned files_count(const char *path, bool (*counts)(const char *name)) {
	DIR *dir = opendir(path);
	unsigned count = 0;
	struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		count += counts(entry->d_name) ? 1 : 0;
	if (dir != NULL)
		closedir(dir);
	return count;
}

static char *aside_make(const char *path, int *ret_result) {
	char *aside = path_join(path, "set-aside");
	*ret_result = mkdir(aside, 0700) == 0 || errno == EEXIST ? 0 : -errno;
	return aside;
}

int leveldb_dir_set_aside(const char *path, unsigned *ret_count) {
	*ret_count = files_count(path, is_log);
	if (*ret_count == 0)
		return 0;
	int result;
	char *aside = aside_make(path, &result);
	if (result == 0)
		result = dir_each(path, aside, log_move);
	free(aside);
	return result;
}

bool leveldb_dir_headless(const char *path) {
	char *current = path_join(path, "CURRENT");
	bool gone = access(current, F_OK) != 0 && errno == ENOENT;
	free(current);
	return gone && files_count(path, is_table) > 0;
}

/* ---- the end of a MANIFEST ---- */

static int dir_sync(const char *path) {
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = dir >= 0 && fsync(dir) == 0 ? 0 : -errno;
	if (dir >= 0)
		close(dir);
	return result;
}

static int table_link(const char *from, const char *to, const char *name) {
	if (!is_table(name))
		return 0;
	char *source = path_join(from, name);
	char *target = path_join(to, name);
	int result = link(source, target) == 0 || errno == EEXIST ? 0 : -errno;
	free(source);
	free(target);
	return result;
}

/* The link in `from` of a table that is still there in `to`. */
static int table_unlink(const char *from, const char *to, const char *name) {
	if (!is_table(name))
		return 0;
	char *source = path_join(from, name);
	char *target = path_join(to, name);
	if (access(target, F_OK) == 0)
		unlink(source);
	free(source);
	free(target);
	return 0;
}

/* The name of the MANIFEST that CURRENT names; the caller frees it. */
static char *manifest_name(const char *path) {
	char *current = path_join(path, "CURRENT");
	struct buf name = {0};
	int result = disk_read_all(disk_machine(), current, &name);
	free(current);
	if (result == 0 && name.size > 0 && name.data[name.size - 1] == '\n')
		name.size--;
	buf_append_u8(&name, '\0');
	if (result == 0 && is_manifest((const char *)name.data) && strchr((const char *)name.data, '/') == NULL)
		return (char *)name.data;
	buf_finish(&name);
	return NULL;
}

/* A whole copy is durable in `aside` before the first byte goes. */
static int manifest_shorten(const char *manifest, const char *aside, const char *kept, uint64_t size) {
	char *copy = path_join(aside, "copy");
	int result = file_copy(manifest, copy, true);
	if (result == 0 && rename(copy, kept) != 0)
		result = -errno;
	free(copy);
	if (result == 0)
		result = dir_sync(aside);
	int file = result == 0 ? open(manifest, O_WRONLY | O_CLOEXEC) : -1;
	if (result == 0 && (file < 0 || ftruncate(file, (off_t)size) != 0 || fsync(file) != 0))
		result = -errno;
	if (file >= 0)
		close(file);
	return result;
}

int leveldb_dir_manifest_cut(const char *path) {
	char *name = manifest_name(path);
	if (name == NULL)
		return -EINVAL;
	int result;
	char *aside = aside_make(path, &result);
	char *manifest = path_join(path, name);
	char *kept = path_join(aside, name);
	struct buf content = {0};
	uint64_t size = 0;
	if (result == 0)
		result = disk_read_all(disk_machine(), manifest, &content);
	if (result == 0 && !manifest_last_record(bytes_buf(&content), &size))
		result = -EINVAL;
	if (result == 0)
		result = dir_each(path, aside, table_link);
	if (result == 0)
		result =
			dir_sync(path); /* the logs must be away before they can be taken for what follows the shorter MANIFEST */
	if (result == 0)
		result = manifest_shorten(manifest, aside, kept, size);
	buf_finish(&content);
	free(kept);
	free(manifest);
	free(aside);
	free(name);
	return result;
}

void leveldb_dir_opened(const char *path) {
	char *aside = path_join(path, "set-aside");
	dir_each(aside, path, table_unlink);
	rmdir(aside); /* if nothing had to be set aside */
	free(aside);
}

static int file_put_back(const char *from, const char *to, const char *name) {
	return is_log(name) || is_manifest(name) ? file_move(from, to, name) : 0;
}

int leveldb_dir_put_back(const char *path) {
	char *aside = path_join(path, "set-aside");
	int result = dir_each(aside, path, file_put_back);
	dir_each(aside, path, table_unlink);
	rmdir(aside);
	free(aside);
	return result;
}

int leveldb_dir_space(const char *path, uint64_t bytes) {
	char *probe = path_join(path, "space-probe");
	int file = open(probe, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int result = file < 0 ? -errno : -posix_fallocate(file, 0, (off_t)bytes);
	if (file >= 0) {
		close(file);
		unlink(probe);
	}
	free(probe);
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
	else if (is_table(name))
		result = symlink(real, target) == 0 ? 0 : -errno;
	else
		result = file_copy(real, target, false);
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
