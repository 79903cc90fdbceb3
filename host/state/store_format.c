#include "state/store_format.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/varint.h"

/* "sofundb" and a NUL. */
static const uint8_t format_magic[8] = {'s', 'o', 'f', 'u', 'n', 'd', 'b', 0};

enum {
	FORMAT_FIXED_BYTES = 8 + 4 + 4 + STORE_ID_BYTES + 4,
	CHECKPOINT_ROW_BYTES = 8 + 8 + 1,
	NUMBERED_KEY_BYTES = 1 + 4,
	REMOVALS_ROW_BYTES = 8 + 8 + 8,
	EGRESS_ROW_BYTES = 8 + 8 + 8 + 8 + 8,
	EGRESS_ROW_BYTES_FIRST = 8 + 8 + 8, /* before there was retention */
	/* NAME_MAX is 255; the rest is for the hash. */
	PATH_NAME_BYTES_MAX = 220,
};

void format_row_put(struct buf *value, const struct format_row *row) {
	buf_append(value, format_magic, sizeof format_magic);
	buf_append_u32(value, row->format);
	buf_append_u32(value, row->hash);
	buf_append(value, row->store_id, STORE_ID_BYTES);
	buf_append_u32(value, row->database);
	buf_append_sized(value, row->name);
}

/* A newer format may have more behind what is known here: only magic and format are certain. */
bool format_row_take(struct bytes value, struct format_row *ret_row) {
	if (value.size < FORMAT_FIXED_BYTES || memcmp(value.data, format_magic, sizeof format_magic) != 0)
		return false;
	ret_row->format = little_u32(value.data + 8);
	ret_row->hash = little_u32(value.data + 12);
	memcpy(ret_row->store_id, value.data + 16, STORE_ID_BYTES);
	ret_row->database = little_u32(value.data + 16 + STORE_ID_BYTES);
	ret_row->name = bytes_of(NULL, 0);
	if (ret_row->format > STORE_FORMAT)
		return true;
	struct bytes rest = bytes_of(value.data + FORMAT_FIXED_BYTES, value.size - FORMAT_FIXED_BYTES);
	return sized_take(&rest, &ret_row->name) && rest.size == 0;
}

void checkpoint_row_put(struct buf *value, const struct checkpoint_row *row) {
	buf_append_u64(value, row->epoch);
	buf_append_u64(value, row->time_ms);
	buf_append_u8(value, row->flags);
}

bool checkpoint_row_take(struct bytes value, struct checkpoint_row *ret_row) {
	if (value.size != CHECKPOINT_ROW_BYTES)
		return false;
	ret_row->epoch = little_u64(value.data);
	ret_row->time_ms = little_u64(value.data + 8);
	ret_row->flags = value.data[16];
	return true;
}

static struct key key_numbered(enum key_kind kind, uint32_t number) {
	struct key key = key_of(kind);
	for (int shift = 24; shift >= 0; shift -= 8)
		key_u8(&key, (uint8_t)(number >> shift));
	return key;
}

/* REQUIRES: NUMBERED_KEY_BYTES */
static uint32_t key_number(struct bytes key) {
	return (uint32_t)key.data[1] << 24 | (uint32_t)key.data[2] << 16 | (uint32_t)key.data[3] << 8 | key.data[4];
}

struct key key_database(uint32_t number) {
	return key_numbered(KEY_DATABASE, number);
}

void database_row_put(struct buf *value, const struct database_row *row) {
	buf_append_u64(value, row->epoch);
	buf_append_sized(value, row->name);
}

bool database_row_take(struct bytes key, struct bytes value, struct database_row *ret_row) {
	if (key.size != NUMBERED_KEY_BYTES || value.size < 8)
		return false;
	ret_row->number = key_number(key);
	ret_row->epoch = little_u64(value.data);
	struct bytes rest = bytes_of(value.data + 8, value.size - 8);
	return sized_take(&rest, &ret_row->name) && ret_row->name.size > 0 && rest.size == 0;
}

struct key key_removals(uint32_t number) {
	return key_numbered(KEY_REMOVALS, number);
}

void removals_row_put(struct buf *value, const struct removals *removals) {
	buf_append_u64(value, removals->rows);
	buf_append_u64(value, removals->put_rows);
	buf_append_u64(value, removals->put_bytes);
}

bool removals_row_take(struct bytes key, struct bytes value, uint32_t *ret_number, struct removals *ret_removals) {
	if (key.size != NUMBERED_KEY_BYTES || value.size != REMOVALS_ROW_BYTES)
		return false;
	*ret_number = key_number(key);
	*ret_removals = (struct removals){.rows = little_u64(value.data),
		.put_rows = little_u64(value.data + 8),
		.put_bytes = little_u64(value.data + 16)};
	return true;
}

void egress_row_put(struct buf *value, const struct egress_row *row) {
	buf_append_u64(value, row->end);
	buf_append_u64(value, row->segment);
	buf_append_u64(value, row->bytes);
	buf_append_u64(value, row->start);
	buf_append_u64(value, row->time_ms);
}

bool egress_row_take(struct bytes value, struct egress_row *ret_row) {
	if (value.size != EGRESS_ROW_BYTES && value.size != EGRESS_ROW_BYTES_FIRST)
		return false;
	*ret_row = (struct egress_row){0};
	ret_row->end = little_u64(value.data);
	ret_row->segment = little_u64(value.data + 8);
	ret_row->bytes = little_u64(value.data + 16);
	if (value.size == EGRESS_ROW_BYTES_FIRST)
		return true;
	ret_row->start = little_u64(value.data + 24);
	ret_row->time_ms = little_u64(value.data + 32);
	return true;
}

static bool plain(uint8_t byte) {
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
		byte == '_' || byte == '-' || byte == '.';
}

void path_name(struct buf *path, struct bytes name) {
	size_t start = path->size;
	for (size_t i = 0; i < name.size; i++) {
		if (path->size - start > PATH_NAME_BYTES_MAX) {
			buf_printf(path, "~%016llx", (unsigned long long)hash_bytes(0, name.data, name.size));
			return;
		}
		/* "." and ".." are folders of their own. */
		if (plain(name.data[i]) && (i > 0 || name.data[i] != '.'))
			buf_append_u8(path, name.data[i]);
		else
			buf_printf(path, "%%%02X", name.data[i]);
	}
}

char *path_of(const char *dir, const char *sub, struct bytes name) {
	struct buf path = {0};
	buf_printf(&path, "%s/%s", dir, sub);
	if (name.size > 0) {
		buf_append_u8(&path, '/');
		path_name(&path, name);
	}
	buf_append_u8(&path, 0);
	return (char *)path.data;
}
