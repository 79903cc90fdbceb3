/* The bytes of an egress log's files: grammar in inside.h. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/varint.h"
#include "state/egress_log/inside.h"

static const uint8_t header_magic[8] = {'s', 'o', 'f', 'u', 'n', 'e', 'g', 0};

void egress_header_put(struct buf *buf, const struct egress_header *header) {
	size_t start = buf->size;
	struct buf name = {0};
	buf_append_sized(&name, header->name);
	size_t size = EGRESS_HEADER_BYTES_MIN - 1 + 8 + name.size;
	check(size <= EGRESS_HEADER_BYTES_MAX);
	buf_append(buf, header_magic, sizeof header_magic);
	buf_append_u32(buf, header->format);
	buf_append_u32(buf, (uint32_t)size);
	buf_append(buf, header->store_id, STORE_ID_BYTES);
	buf_append_u64(buf, header->first);
	buf_append_u64(buf, header->time_ms);
	buf_append_bytes(buf, bytes_buf(&name));
	buf_append_u32(buf, crc32c(0, buf->data + start, buf->size - start));
	buf_finish(&name);
}

bool egress_header_take(struct bytes content, struct egress_header *ret_header) {
	if (content.size < EGRESS_HEADER_BYTES_MIN || memcmp(content.data, header_magic, sizeof header_magic) != 0)
		return false;
	*ret_header =
		(struct egress_header){.format = little_u32(content.data + 8), .bytes = little_u32(content.data + 12)};
	if (ret_header->format > EGRESS_FORMAT)
		return true;
	size_t size = ret_header->bytes;
	if (size < EGRESS_HEADER_BYTES_MIN || size > content.size ||
		crc32c(0, content.data, size - 4) != little_u32(content.data + size - 4))
		return false;
	memcpy(ret_header->store_id, content.data + 16, STORE_ID_BYTES);
	ret_header->first = little_u64(content.data + 16 + STORE_ID_BYTES);
	struct bytes rest = bytes_of(content.data + 24 + STORE_ID_BYTES, size - 28 - STORE_ID_BYTES);
	if (ret_header->format != EGRESS_FORMAT_TIMELESS) {
		if (rest.size < 8)
			return false;
		ret_header->time_ms = little_u64(rest.data);
		rest = bytes_of(rest.data + 8, rest.size - 8);
	}
	return sized_take(&rest, &ret_header->name) && rest.size == 0;
}

static uint32_t record_crc(const uint8_t *header, struct bytes record) {
	uint32_t crc = crc32c(0, header, 4);
	crc = crc32c(crc, header + 8, 8);
	return crc32c(crc, record.data, record.size);
}

void egress_record_put(struct buf *buf, uint64_t offset, struct bytes record) {
	check(record.size <= UINT32_MAX);
	buf_reserve(buf, EGRESS_RECORD_HEADER_BYTES + record.size);
	size_t start = buf->size;
	buf_append_u32(buf, (uint32_t)record.size);
	buf_append_u32(buf, 0);
	buf_append_u64(buf, offset);
	little_u32_put(buf->data + start + 4, record_crc(buf->data + start, record));
	buf_append_bytes(buf, record);
}

enum egress_taken egress_record_take(
	struct bytes content, uint64_t *ret_offset, struct bytes *ret_record, size_t *ret_size) {
	*ret_size = EGRESS_RECORD_HEADER_BYTES;
	if (content.size < EGRESS_RECORD_HEADER_BYTES)
		return EGRESS_SHORT;
	*ret_size += little_u32(content.data);
	if (content.size < *ret_size)
		return EGRESS_SHORT;
	*ret_offset = little_u64(content.data + 8);
	*ret_record = bytes_of(content.data + EGRESS_RECORD_HEADER_BYTES, *ret_size - EGRESS_RECORD_HEADER_BYTES);
	return record_crc(content.data, *ret_record) == little_u32(content.data + 4) ? EGRESS_RECORD : EGRESS_DAMAGED;
}

char *egress_segment_path(const struct egress_log *log, uint64_t first) {
	struct buf path = {0};
	buf_printf(&path, "%s/%020llu.log", log->dir, (unsigned long long)first);
	return (char *)path.data;
}

static bool header_is_ours(
	const struct egress_log *log, const struct egress_header *header, uint64_t first, struct error *error) {
	if (header->format > EGRESS_FORMAT) {
		error_set(error, ERROR_REFUSED, "egress log %s/%020llu.log is of a newer format", log->dir,
			(unsigned long long)first);
		error_found(error, "format %u", header->format);
		error_expected(error, "at most %u", (unsigned)EGRESS_FORMAT);
		error_hint(error, "start it with the sofund that wrote it");
		return false;
	}
	if (memcmp(header->store_id, log->store_id, STORE_ID_BYTES) != 0) {
		error_set(
			error, ERROR_REFUSED, "egress log %s/%020llu.log is of another store", log->dir, (unsigned long long)first);
		error_hint(error, "put back the folder that belongs to this data directory");
		return false;
	}
	if (header->first == first && bytes_equal(header->name, bytes_buf(&log->name)))
		return true;
	error_set(error, ERROR_STORE_FAILED, "egress log %s/%020llu.log is not what its name says", log->dir,
		(unsigned long long)first);
	error_found(error, "records from %llu of %.*s", (unsigned long long)header->first, (int)header->name.size,
		(const char *)header->name.data);
	error_expected(
		error, "from %llu of %.*s", (unsigned long long)first, (int)log->name.size, (const char *)log->name.data);
	error_hint(error, "restore the data directory from a backup");
	return false;
}

bool egress_segment_check(const struct egress_log *log, struct disk_file *file, uint64_t first,
	struct egress_header *ret_header, struct error *error) {
	uint8_t content[EGRESS_HEADER_BYTES_MAX];
	int64_t size = file->ops->read(file, content, sizeof content, 0);
	if (size < 0)
		return error_system(error, ERROR_STORE_FAILED, (int)-size, "cannot read egress log %s/%020llu.log", log->dir,
			(unsigned long long)first);
	struct egress_header header;
	if (!egress_header_take(bytes_of(content, (size_t)size), &header)) {
		error_set(error, ERROR_STORE_FAILED, "egress log %s/%020llu.log has a damaged header", log->dir,
			(unsigned long long)first);
		error_hint(error, "restore the data directory from a backup");
		return false;
	}
	*ret_header = header;
	ret_header->name = bytes_of(NULL, 0); /* of the buffer here */
	return header_is_ours(log, &header, first, error);
}

void egress_mark_add(struct egress_segment *segment, uint64_t offset, uint64_t position) {
	if (segment->mark_count > 0 &&
		position < segment->marks[segment->mark_count - 1].position + EGRESS_INDEX_STEP_BYTES)
		return;
	if (segment->mark_count == segment->mark_capacity) {
		segment->mark_capacity = segment->mark_capacity == 0 ? 16 : segment->mark_capacity * 2;
		segment->marks = realloc(segment->marks, segment->mark_capacity * sizeof *segment->marks);
		check_memory(segment->marks);
	}
	segment->marks[segment->mark_count++] = (struct egress_mark){.offset = offset, .position = position};
}
