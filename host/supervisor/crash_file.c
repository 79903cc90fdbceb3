#include "supervisor/crash_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/little.h"
#include "base/log.h"
#include "wire/cursor.h"
#include "wire/pack.h"

/* FORMAT.md:
 *
 *   file := [magic:str, version:uint, [row…]] crc:u32le       crc: CRC-32C of all before it
 *   row  := [outcome:uint, kind:uint, image:bin(32), plugin:str, plugin version:str, name:str, id:bin,
 *            payload hash:uint, place:uint, deaths:uint, alone:uint, first_ms:uint, last_ms:uint, cause:str] */
enum { FILE_VERSION = 1, FILE_FIELDS = 3, ROW_FIELDS = 14, CRC_BYTES = 4, FILE_BYTES_MAX = 1 << 20 };
static const char magic[] = "sofun crashes";

/* ---- bytes ---- */

static void row_pack(const struct crash_row *row, struct buf *file) {
	pack_array(file, ROW_FIELDS);
	pack_uint(file, atomic_load(&row->outcome));
	pack_uint(file, row->kind);
	pack_bin(file, bytes_of(row->hash, sizeof row->hash));
	pack_text(file, row->plugin);
	pack_text(file, row->version);
	pack_text(file, row->name);
	pack_bin(file, crash_row_id(row));
	pack_uint(file, row->payload_hash);
	pack_uint(file, row->place);
	pack_uint(file, row->count);
	pack_uint(file, row->alone);
	pack_uint(file, row->first_ms);
	pack_uint(file, row->last_ms);
	pack_text(file, row->cause);
}

void crash_table_pack(const struct crash_table *table, struct buf *file) {
	uint32_t count = atomic_load(&table->count);
	uint8_t crc[CRC_BYTES];
	pack_array(file, FILE_FIELDS);
	pack_text(file, magic);
	pack_uint(file, FILE_VERSION);
	pack_array(file, count);
	for (uint32_t i = 0; i < count; i++)
		row_pack(&table->rows[i], file);
	little_u32_put(crc, crc32c(0, file->data, file->size));
	buf_append(file, crc, sizeof crc);
}

static bool text_take(struct cursor *cursor, char *text, size_t size) {
	struct bytes bytes;
	if (!cursor_read_str(cursor, &bytes) || bytes.size >= size)
		return false;
	memcpy(text, bytes.data, bytes.size);
	text[bytes.size] = '\0';
	return true;
}

static bool bin_take(struct cursor *cursor, uint8_t *data, size_t size_max, size_t *ret_size) {
	struct bytes bytes;
	if (!cursor_read_bin(cursor, &bytes) || bytes.size > size_max)
		return false;
	memcpy(data, bytes.data, bytes.size);
	*ret_size = bytes.size;
	return true;
}

static bool row_unpack(struct cursor *cursor, struct crash_row *row) {
	uint32_t fields;
	uint64_t outcome, kind;
	size_t hash_size, id_size;
	*row = (struct crash_row){0};
	if (!cursor_read_array(cursor, &fields) || fields != ROW_FIELDS || !cursor_read_uint(cursor, &outcome) ||
		outcome > CRASH_DEAD || !cursor_read_uint(cursor, &kind) || kind > NOTE_WORK ||
		!bin_take(cursor, row->hash, sizeof row->hash, &hash_size) || hash_size != sizeof row->hash ||
		!text_take(cursor, row->plugin, sizeof row->plugin) || !text_take(cursor, row->version, sizeof row->version) ||
		!text_take(cursor, row->name, sizeof row->name) || !bin_take(cursor, row->id, sizeof row->id, &id_size))
		return false;
	atomic_store(&row->outcome, (uint32_t)outcome);
	row->kind = (uint32_t)kind;
	row->id_size = (uint32_t)id_size;
	return cursor_read_uint(cursor, &row->payload_hash) && cursor_read_uint(cursor, &row->place) &&
		cursor_read_uint(cursor, &row->count) && cursor_read_uint(cursor, &row->alone) &&
		cursor_read_uint(cursor, &row->first_ms) && cursor_read_uint(cursor, &row->last_ms) &&
		text_take(cursor, row->cause, sizeof row->cause);
}

bool crash_table_unpack(struct bytes file, struct crash_table *table) {
	atomic_store(&table->count, 0);
	if (file.size < CRC_BYTES)
		return false;
	struct bytes body = bytes_of(file.data, file.size - CRC_BYTES);
	struct cursor cursor = cursor_of(body);
	char found[sizeof magic];
	uint32_t fields, count;
	uint64_t version;
	if (little_u32(body.data + body.size) != crc32c(0, body.data, body.size) || !cursor_read_array(&cursor, &fields) ||
		fields != FILE_FIELDS || !text_take(&cursor, found, sizeof found) || strcmp(found, magic) != 0 ||
		!cursor_read_uint(&cursor, &version) || version != FILE_VERSION || !cursor_read_array(&cursor, &count) ||
		count > CRASH_ROWS_MAX)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!row_unpack(&cursor, &table->rows[i]))
			return false;
	atomic_store(&table->count, count);
	return cursor_at_end(&cursor);
}

/* ---- files ---- */

static char *file_path(const char *data, const char *suffix) {
	struct buf text = {0};
	buf_printf(&text, "%s/" CRASH_FILE_NAME "%s", data, suffix);
	buf_append_u8(&text, '\0');
	return (char *)text.data;
}

static void complain_of(const char *path, const char *what, const char *why) {
	log_event(LOG_ERROR, "crash_file", "path=\"%s\" what=\"%s\" reason=\"%s\"", path, what, why);
}

void crash_file_read(const char *data, struct crash_table *table) {
	struct buf file = {0};
	char *path = file_path(data, "");
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t size = -1;
	atomic_store(&table->count, 0);
	if (fd >= 0)
		size = read(fd, buf_reserve(&file, FILE_BYTES_MAX), FILE_BYTES_MAX);
	if (size < 0 && errno != ENOENT)
		complain_of(path, "read", strerror(errno));
	if (size >= 0 && !crash_table_unpack(bytes_of(file.data, (size_t)size), table)) {
		atomic_store(&table->count, 0);
		complain_of(path, "read", "damaged, or of a newer sofund; it is begun anew");
	}
	if (fd >= 0)
		close(fd);
	buf_finish(&file);
	free(path);
}

static bool file_fill(const char *path, struct bytes content) {
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	bool good = write(fd, content.data, content.size) == (ssize_t)content.size && fdatasync(fd) == 0;
	int problem = errno;
	close(fd);
	errno = problem;
	return good;
}

static bool directory_sync(const char *path) {
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return good;
}

bool crash_file_write(const char *data, const struct crash_table *table) {
	struct buf file = {0};
	char *path = file_path(data, "");
	char *fresh = file_path(data, ".new");
	crash_table_pack(table, &file);
	bool good = file_fill(fresh, bytes_buf(&file)) && rename(fresh, path) == 0 && directory_sync(data);
	if (!good)
		complain_of(path, "write", strerror(errno));
	buf_finish(&file);
	free(fresh);
	free(path);
	return good;
}
