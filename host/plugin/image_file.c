#include "plugin/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"

enum {
	READ_BYTES = 1 << 20,
	NAME_HASH_LENGTH = 16, /* hex digits in a file's name: enough to find it by eye; the generation makes it unique */
};

bool file_identity_equal(const struct file_identity *a, const struct file_identity *b) {
	return a->device == b->device && a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns &&
		a->ctime_ns == b->ctime_ns;
}

static uint64_t time_ns(struct timespec time) {
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

struct file_identity file_identity_of(const struct stat *status) {
	return (struct file_identity){
		.device = (uint64_t)status->st_dev,
		.inode = (uint64_t)status->st_ino,
		.size = (uint64_t)status->st_size,
		.mtime_ns = time_ns(status->st_mtim),
		.ctime_ns = time_ns(status->st_ctim),
	};
}

/* ---- the user's file ---- */

static enum file_read file_error(struct error *error, const char *path, int system) {
	bool absent = system == ENOENT || system == ENOTDIR;
	error_system(error, absent ? ERROR_NOT_FOUND : ERROR_REFUSED, system, "the plugin file cannot be read");
	error_found(error, "%.200s", path);
	error_expected(error, "a regular file that the host may read");
	error_hint(error, "check the path and its permissions for the user that runs sofund");
	return absent ? FILE_ABSENT : FILE_UNREADABLE;
}

static enum file_read file_unusable(const char *path, const struct stat *status, struct error *error) {
	if (S_ISREG(status->st_mode) && (uint64_t)status->st_size <= IMAGE_BYTES_MAX)
		return FILE_READ;
	error_set(error, ERROR_REFUSED, "the plugin file is no regular file, or too large");
	error_found(error, "%.150s: mode %o, %lld bytes", path, status->st_mode, (long long)status->st_size);
	error_expected(error, "a regular file of at most %" PRIu64 " bytes", IMAGE_BYTES_MAX);
	error_hint(error, "strip debug information with `strip --strip-unneeded`");
	return FILE_UNREADABLE;
}

static int file_append(int fd, struct buf *content) {
	ssize_t got;
	do {
		got = read(fd, buf_reserve(content, READ_BYTES), READ_BYTES);
		if (got > 0)
			content->size += (size_t)got;
	} while ((got > 0 && content->size <= IMAGE_BYTES_MAX) || (got < 0 && errno == EINTR));
	return got < 0 ? errno : 0;
}

static enum file_read file_read_open(
	int fd, const char *path, struct buf *content, struct file_identity *ret_identity, struct error *error) {
	struct stat before;
	struct stat after;
	if (fstat(fd, &before) != 0)
		return file_error(error, path, errno);
	if (file_unusable(path, &before, error) != FILE_READ)
		return FILE_UNREADABLE;
	int failed = file_append(fd, content);
	if (failed != 0 || fstat(fd, &after) != 0)
		return file_error(error, path, failed != 0 ? failed : errno);
	*ret_identity = file_identity_of(&after);
	struct file_identity first = file_identity_of(&before);
	if (file_identity_equal(&first, ret_identity) && content->size == ret_identity->size)
		return FILE_READ;
	error_set(error, ERROR_REFUSED, "the file changed while it was read");
	error_found(error, "%lld bytes, then %lld", (long long)before.st_size, (long long)after.st_size);
	error_expected(error, "a file that stands still");
	error_hint(error, "copy it under another name in the same directory, then rename it");
	return FILE_CHANGED;
}

enum file_read file_read(
	const char *path, struct buf *ret_content, struct file_identity *ret_identity, struct error *error) {
	/* O_NONBLOCK: a pipe of that name must not hold the stager. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return file_error(error, path, errno);
	enum file_read result = file_read_open(fd, path, ret_content, ret_identity, error);
	close(fd);
	return result;
}

/* ---- names ---- */

void image_hash(struct bytes content, uint8_t ret_hash[HASH_BYTES]) {
	unsigned size = 0;
	int good = EVP_Digest(content.data, content.size, ret_hash, &size, EVP_sha256(), NULL);
	check(good == 1 && size == HASH_BYTES);
}

void image_hash_text(const uint8_t hash[HASH_BYTES], char ret_text[HASH_TEXT_BYTES]) {
	for (size_t i = 0; i < HASH_BYTES; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", hash[i]);
}

char *image_file_name(const char *name, const char *version, uint64_t generation, const uint8_t hash[HASH_BYTES]) {
	char text[HASH_TEXT_BYTES];
	struct buf file_name = {0};
	image_hash_text(hash, text);
	buf_printf(&file_name, "%s-%s-%" PRIu64 "-%.*s.so", name, version, generation, NAME_HASH_LENGTH, text);
	return (char *)file_name.data;
}

bool image_file_generation(const char *file_name, uint64_t *ret_generation) {
	const char *hash = strrchr(file_name, '-');
	if (hash == NULL || hash == file_name)
		return false;
	const char *digits = hash;
	while (digits > file_name && digits[-1] >= '0' && digits[-1] <= '9')
		digits--;
	if (digits == hash || digits - file_name < 2 || digits[-1] != '-' || hash - digits > 19)
		return false;
	*ret_generation = strtoull(digits, NULL, 10);
	return true;
}

char *path_join(const char *directory, const char *name) {
	struct buf path = {0};
	buf_printf(&path, "%s/%s", directory, name);
	return (char *)path.data;
}

/* ---- our copies ---- */

static bool copy_error(struct error *error, int system, const char *path) {
	error_system(error, ERROR_REFUSED, system, "the plugin's copy cannot be written");
	error_found(error, "%.200s", path);
	error_expected(error, "room and permission in the data directory");
	error_hint(error, "free space or fix the permissions, then load the plugin again");
	return false;
}

static int copy_write(struct disk *disk, const char *path, unsigned mode, struct bytes content) {
	struct disk_file *file;
	int result = disk->open(disk, path, DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &file);
	if (result < 0)
		return result;
	result = file->ops->write(file, content.data, content.size, 0);
	if (result == 0 && chmod(path, mode) != 0)
		result = -errno;
	if (result == 0)
		result = file->ops->sync(file);
	file->ops->close(file);
	return result;
}

bool image_file_write(struct disk *disk, const char *directory, const char *file_name, unsigned mode,
	struct bytes content, struct error *error) {
	char *path = path_join(directory, file_name);
	int result = copy_write(disk, path, mode, content);
	if (result == 0)
		result = disk->sync_dir(disk, directory);
	else if (result != -EEXIST)
		disk->unlink(disk, path); /* a leftover is cleaned at the next start */
	if (result < 0)
		copy_error(error, -result, path);
	free(path);
	return result == 0;
}

struct cleaning {
	struct disk *disk;
	const char *directory;
	bool (*spare)(void *arg, const char *file_name);
	void *arg;
	uint64_t generation;
};

static void cleaning_each(void *arg, const char *file_name) {
	struct cleaning *cleaning = arg;
	uint64_t generation;
	if (image_file_generation(file_name, &generation) && generation > cleaning->generation)
		cleaning->generation = generation;
	if (cleaning->spare(cleaning->arg, file_name))
		return;
	char *path = path_join(cleaning->directory, file_name);
	int result = cleaning->disk->unlink(cleaning->disk, path);
	if (result < 0)
		log_event(LOG_WARN, "image_not_cleaned", "file=\"%s\" reason=\"%s\"", path, strerror(-result));
	free(path);
}

bool image_files_clean(struct disk *disk, const char *directory, bool (*spare)(void *arg, const char *file_name),
	void *arg, uint64_t *ret_generation, struct error *error) {
	struct cleaning cleaning = {disk, directory, spare, arg, 0};
	int result = disk->list(disk, directory, cleaning_each, &cleaning);
	if (result < 0)
		return error_system(
			error, ERROR_STORE_FAILED, -result, "the directory of images %.200s cannot be read", directory);
	*ret_generation = cleaning.generation;
	return true;
}

bool image_directory_prepare(struct disk *disk, const char *directory, struct error *error) {
	struct statvfs volume;
	int result = disk->mkdir(disk, directory);
	if (result == 0)
		result = disk_sync_parent(disk, directory);
	if (result == 0 && statvfs(directory, &volume) != 0)
		result = -errno;
	if (result < 0)
		return error_system(error, ERROR_REFUSED, -result, "the directory of images %.200s cannot be used", directory);
	if ((volume.f_flag & ST_NOEXEC) == 0)
		return true;
	error_set(error, ERROR_REFUSED, "plugins cannot be loaded from the data directory: it is mounted noexec");
	error_found(error, "noexec on %.200s", directory);
	error_expected(error, "a file system that allows execution");
	error_hint(error, "give another --data, or mount it with exec");
	return false;
}
