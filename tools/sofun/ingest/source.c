#include "ingest/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/cursor.h"

enum {
	READ_BYTES = 1 << 18,
	RECORD_BYTES_MAX = 64 << 20, /* four times the largest frame that a host takes by default: no record of anyone */
};

bool source_open(struct source *source, const char *path, bool objects) {
	bool standard = strcmp(path, "-") == 0;
	*source = (struct source){.file = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), .objects = objects};
	struct stat about;
	if (source->file < 0 || fstat(source->file, &about) != 0) {
		source->missing = errno == ENOENT;
		snprintf(source->problem, sizeof source->problem, "cannot read %s: %s", path, strerror(errno));
		return false;
	}
	if (S_ISDIR(about.st_mode)) {
		snprintf(source->problem, sizeof source->problem, "cannot read %s: it is a directory", path);
		return false;
	}
	source->bytes_total = S_ISREG(about.st_mode) ? (uint64_t)about.st_size : 0;
	return true;
}

void source_close(struct source *source) {
	if (source->file > STDIN_FILENO)
		close(source->file);
	buf_finish(&source->buffer);
}

static enum source_result fail(struct source *source, const char *problem) {
	snprintf(source->problem, sizeof source->problem, "%s", problem);
	return SOURCE_FAILED;
}

/* Reads more; SOURCE_RECORD says that there is more, or the end. */
static enum source_result source_fill(struct source *source) {
	struct pollfd ready = {.fd = source->file, .events = POLLIN};
	if (poll(&ready, 1, 0) == 0)
		return SOURCE_LATER;
	size_t left = source->buffer.size - source->start;
	if (left > RECORD_BYTES_MAX)
		return fail(source, "a record is over 64 MiB");
	if (left > 0)
		memmove(source->buffer.data, source->buffer.data + source->start, left);
	source->buffer.size = left;
	source->start = 0;
	ssize_t size = read(source->file, buf_reserve(&source->buffer, READ_BYTES), READ_BYTES);
	if (size < 0)
		return errno == EINTR || errno == EAGAIN ? SOURCE_LATER : fail(source, strerror(errno));
	source->ended = size == 0;
	source->buffer.size += (size_t)size;
	return SOURCE_RECORD;
}

static struct bytes source_rest(const struct source *source) {
	return bytes_of(source->buffer.data + source->start, source->buffer.size - source->start);
}

static void source_taken(struct source *source, size_t size) {
	source->start += size;
	source->bytes_taken += size;
	source->scanned = 0;
}

/* SOURCE_LATER: it is not whole yet. */
static enum source_result line_take(struct source *source, struct bytes *ret_record) {
	struct bytes rest = source_rest(source);
	if (rest.size == 0)
		return source->ended ? SOURCE_END : SOURCE_LATER;
	const uint8_t *end = memchr(rest.data + source->scanned, '\n', rest.size - source->scanned);
	source->scanned = rest.size;
	if (end == NULL && !source->ended)
		return SOURCE_LATER;
	*ret_record = bytes_of(rest.data, end == NULL ? rest.size : (size_t)(end - rest.data));
	source_taken(source, ret_record->size + (end != NULL));
	return SOURCE_RECORD;
}

static enum source_result object_take(struct source *source, struct bytes *ret_record) {
	struct bytes rest = source_rest(source);
	if (rest.size == 0)
		return source->ended ? SOURCE_END : SOURCE_LATER;
	struct cursor cursor = cursor_of(rest);
	enum cursor_result result = cursor_take(&cursor, CURSOR_NESTING_MAX, ret_record);
	if (result == CURSOR_SHORT && !source->ended)
		return SOURCE_LATER;
	if (result != CURSOR_GOOD)
		return fail(source, "the input is no sequence of MessagePack objects");
	source_taken(source, ret_record->size);
	return SOURCE_RECORD;
}

enum source_result source_next(struct source *source, struct bytes *ret_record) {
	for (;;) {
		enum source_result taken = source->objects ? object_take(source, ret_record) : line_take(source, ret_record);
		if (taken != SOURCE_LATER)
			return taken;
		enum source_result filled = source_fill(source);
		if (filled != SOURCE_RECORD)
			return filled;
	}
}
