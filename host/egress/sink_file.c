/* An egress in a file, exactly once. [the sink's thread]
 *
 *   PATH      lines up to the recorded length, and behind them perhaps some that a crash left unrecorded
 *   PATH.N    rotated files, the oldest with the lowest number
 *
 * Writing, in this order: the lines at the recorded length; fdatasync of the file (and fsync of its folder, when the file is
 * new); the row [next, path, length, number], durable; only then the next lines. A crash before the row: the file is longer
 * than the row says, and is cut back. Lines are made of the record alone, so what is written again is the same, byte by byte.
 *
 * Rotating, once the length is recorded and has reached rotate_bytes: rename to PATH.number, fsync of the folder, a new PATH
 * with number + 1, whose first row names the new number. A crash before that row: PATH.number is there though the row calls it
 * the current file; then whatever is newer holds nothing that was recorded, and goes, and it gets its name back. The same
 * brings a file back to an older row, after a power cut under durability=interval or none. Files beyond `keep` are removed
 * once the row that names the file behind them is durable. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "egress/sink_inside.h"

struct sink_file {
	struct sink_target target;
	char *path;
	char *folder;
	char *name;            /* within the folder */
	uint64_t rotate_bytes; /* 0: never */
	uint64_t keep;         /* 0: all */
	int fd;                /* -1: none is open */
	struct sink_mark mark;
	bool folder_changed;
	bool trim; /* rotated since old files were looked for */
	struct buf lines;
};

static enum sink_result file_failed(const struct sink_file *file, const char *what, struct error *error) {
	error_system(error, ERROR_INTERNAL, errno, "cannot %s %s", what, file->path);
	error_advise(
		error, "a file that this user may write, and space for it", "it is tried again; egresses.<name>.sink names it");
	return SINK_AGAIN;
}

static char *numbered(const struct sink_file *file, uint64_t number) {
	struct buf path = {0};
	buf_printf(&path, "%s.%" PRIu64, file->path, number);
	buf_append_u8(&path, '\0');
	return (char *)path.data;
}

static bool path_there(const char *path) {
	struct stat status;
	return lstat(path, &status) == 0;
}

static void file_close(struct sink_file *file) {
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

static bool folder_sync(const struct sink_file *file) {
	int fd = open(file->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool good = fsync(fd) == 0;
	int system = errno;
	close(fd);
	errno = system;
	return good;
}

/* ---- opening ---- */

/* The number behind `name.`; 0: it is no rotated file. */
static uint64_t number_of(const struct sink_file *file, const char *name) {
	size_t size = strlen(file->name);
	if (strncmp(name, file->name, size) != 0 || name[size] != '.' || name[size + 1] < '1' || name[size + 1] > '9')
		return 0;
	char *end;
	errno = 0;
	uint64_t number = strtoull(name + size + 1, &end, 10);
	return errno == 0 && *end == '\0' ? number : 0;
}

static bool number_remove(const struct sink_file *file, uint64_t number) {
	char *path = numbered(file, number);
	bool good = unlink(path) == 0;
	int system = errno;
	free(path);
	errno = system;
	return good;
}

/* The highest number that is there, 0 if there is none; removes those above `most`. */
static bool numbers_look(const struct sink_file *file, uint64_t most, uint64_t *ret_last) {
	DIR *folder = opendir(file->folder);
	if (folder == NULL)
		return false;
	bool good = true;
	*ret_last = 0;
	for (struct dirent *entry; good && (entry = readdir(folder)) != NULL;) {
		uint64_t number = number_of(file, entry->d_name);
		if (number > most)
			good = number_remove(file, number);
		else if (number > *ret_last)
			*ret_last = number;
	}
	int system = errno;
	closedir(folder);
	errno = system;
	return good;
}

/* The recorded file was rotated, and that was not recorded. */
static bool rotation_undo(const struct sink_file *file, uint64_t number) {
	char *rotated = numbered(file, number);
	uint64_t last;
	bool good = !path_there(rotated) ||
		(numbers_look(file, number, &last) && rename(rotated, file->path) == 0 && folder_sync(file));
	free(rotated);
	return good;
}

static bool file_open(struct sink_file *file, uint64_t *ret_size) {
	bool there = path_there(file->path);
	file->fd = open(file->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct stat status;
	if (file->fd < 0 || fstat(file->fd, &status) != 0)
		return false;
	file->folder_changed = !there;
	*ret_size = (uint64_t)status.st_size;
	return true;
}

/* What somebody took away cannot be brought back: it is said, and the sink goes on behind what is there. */
static void shorter_tell(const struct sink_file *file, uint64_t size) {
	log_event(LOG_ERROR, "sink_file_short", "egress=%s file=\"%s\" found=%" PRIu64 " expected=%" PRIu64,
		file->target.egress, file->path, size, file->mark.bytes);
}

static enum sink_result sink_open(
	struct sink_target *target, const struct sink_mark *recorded, struct sink_mark *ret_mark, struct error *error) {
	struct sink_file *file = (struct sink_file *)target;
	uint64_t last, size;
	file_close(file);
	if (recorded != NULL && !rotation_undo(file, recorded->number))
		return file_failed(file, "take back the rotation of", error);
	if (!numbers_look(file, UINT64_MAX, &last))
		return file_failed(file, "look into the folder of", error);
	if (!file_open(file, &size))
		return file_failed(file, "open", error);
	file->mark = recorded != NULL ? *recorded : (struct sink_mark){.bytes = size, .number = last + 1};
	if (size < file->mark.bytes) {
		shorter_tell(file, size);
		file->mark.bytes = size;
	}
	if (ftruncate(file->fd, (off_t)file->mark.bytes) != 0 || fdatasync(file->fd) != 0)
		return file_failed(file, "cut back", error);
	file->trim = true;
	*ret_mark = file->mark;
	return SINK_GOOD;
}

/* ---- writing ---- */

static void old_remove(struct sink_file *file) {
	file->trim = false;
	if (file->keep == 0 || file->mark.number <= file->keep + 1)
		return;
	bool there = true;
	for (uint64_t number = file->mark.number - file->keep - 1; number > 0 && there; number--) {
		there = number_remove(file, number);
		if (!there && errno != ENOENT)
			log_event(LOG_WARN, "sink_unlink_failed", "file=\"%s.%" PRIu64 "\" reason=\"%s\"", file->path, number,
				strerror(errno));
	}
}

static bool rotate(struct sink_file *file) {
	char *rotated = numbered(file, file->mark.number);
	file_close(file);
	bool good = rename(file->path, rotated) == 0 && folder_sync(file);
	free(rotated);
	uint64_t size;
	if (!good || !file_open(file, &size))
		return false;
	file->mark = (struct sink_mark){.number = file->mark.number + 1};
	file->trim = true;
	return true;
}

static bool lines_write(struct sink_file *file) {
	for (size_t done = 0; done < file->lines.size;) {
		ssize_t size =
			pwrite(file->fd, file->lines.data + done, file->lines.size - done, (off_t)(file->mark.bytes + done));
		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return false;
		done += (size_t)size;
	}
	return true;
}

/* A sync that failed is never repeated: what the disk holds is found out at the next start. */
static enum sink_result lines_sync(struct sink_file *file, struct error *error) {
	if (fdatasync(file->fd) == 0 && (!file->folder_changed || folder_sync(file))) {
		file->folder_changed = false;
		return SINK_GOOD;
	}
	bool full = errno == ENOSPC || errno == EDQUOT;
	file_failed(file, "sync", error);
	return full ? SINK_AGAIN : SINK_OVER;
}

static size_t lines_make(struct sink_file *file, const struct egress_batch *batch, uint64_t skipped) {
	size_t count = 0;
	buf_reset(&file->lines);
	do
		sink_line(&file->lines, batch, count, count == 0 ? skipped : 0);
	while (++count < batch->count &&
		(file->rotate_bytes == 0 || file->mark.bytes + file->lines.size < file->rotate_bytes));
	return count;
}

static enum sink_result sink_write(struct sink_target *target, const struct egress_batch *batch, uint64_t skipped,
	size_t *ret_count, struct sink_mark *ret_mark, struct error *error) {
	struct sink_file *file = (struct sink_file *)target;
	if (file->trim)
		old_remove(file);
	if (file->fd < 0) { /* an attempt to rotate came half way */
		const struct sink_mark recorded = file->mark;
		enum sink_result opened = sink_open(target, &recorded, ret_mark, error);
		if (opened != SINK_GOOD)
			return opened;
	}
	if (file->rotate_bytes > 0 && file->mark.bytes >= file->rotate_bytes && !rotate(file))
		return file_failed(file, "rotate", error);
	*ret_count = lines_make(file, batch, skipped);
	if (!lines_write(file))
		return file_failed(file, "write", error);
	enum sink_result result = lines_sync(file, error);
	if (result != SINK_GOOD)
		return result;
	file->mark.bytes += file->lines.size;
	*ret_mark = file->mark;
	return SINK_GOOD;
}

/* ---- life ---- */

static void sink_close(struct sink_target *target) {
	struct sink_file *file = (struct sink_file *)target;
	file_close(file);
	buf_finish(&file->lines);
	free(file->path);
	free(file->folder);
	free(file->name);
	free(file);
}

static const struct sink_target_ops file_ops = {.open = sink_open, .write = sink_write, .close = sink_close};

struct sink_target *sink_file_create(const struct config *config, const struct sink_config *sink, int stop_fd) {
	struct sink_file *file = check_alloc(1, sizeof *file);
	struct buf path = {0};
	if (sink->file[0] != '/')
		buf_printf(&path, "%s/", config->data);
	buf_printf(&path, "%s", sink->file);
	buf_append_u8(&path, '\0');
	file->target = (struct sink_target){.ops = &file_ops, .egress = sink->egress, .stop_fd = stop_fd};
	file->path = (char *)path.data;
	file->folder = check_strdup(file->path);
	char *slash = strrchr(file->folder, '/');
	file->name = check_strdup(slash + 1);
	slash[slash == file->folder ? 1 : 0] = '\0';
	file->rotate_bytes = sink->rotate_bytes;
	file->keep = sink->keep;
	file->fd = -1;
	return &file->target;
}
