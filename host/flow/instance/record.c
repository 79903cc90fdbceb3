#include "flow/instance/record.h"

#include "base/check.h"
#include "base/varint.h"

bool instance_header_take(struct bytes *rest, struct instance_header *ret_header) {
	return varint_take(rest, &ret_header->schema) && varint_take(rest, &ret_header->generation) &&
		varint_take(rest, &ret_header->last_touch_ms);
}

bool instance_value_take(struct bytes *rest, struct instance_value *ret_value) {
	uint64_t tag;
	if (!varint_take(rest, &tag) || tag / 4 >= VALUES_MAX || !varint_take(rest, &ret_value->size))
		return false;
	ret_value->number = (uint32_t)(tag / 4);
	ret_value->large = (tag & 1) != 0;
	ret_value->written_ms = 0;
	if ((tag & 2) != 0 && !varint_take(rest, &ret_value->written_ms))
		return false;
	ret_value->msgpack = bytes_of(rest->data, 0);
	if (ret_value->large)
		return true;
	if (ret_value->size > rest->size)
		return false;
	ret_value->msgpack.size = (size_t)ret_value->size;
	*rest = bytes_of(rest->data + ret_value->size, rest->size - (size_t)ret_value->size);
	return true;
}

void instance_header_put(struct buf *row, const struct instance_header *header) {
	uint8_t *const start = buf_reserve(row, 3 * VARINT_BYTES_MAX);
	uint8_t *at = varint_put(start, header->schema);
	at = varint_put(at, header->generation);
	at = varint_put(at, header->last_touch_ms);
	row->size += (size_t)(at - start);
}

static void value_head_put(struct buf *row, uint32_t number, uint64_t written_ms, bool large, uint64_t size) {
	check(number < VALUES_MAX);
	uint8_t *const start = buf_reserve(row, 3 * VARINT_BYTES_MAX);
	uint8_t *at = varint_put(start, (uint64_t)number * 4 + (written_ms > 0 ? 2 : 0) + (large ? 1 : 0));
	at = varint_put(at, size);
	if (written_ms > 0)
		at = varint_put(at, written_ms);
	row->size += (size_t)(at - start);
}

void instance_value_put(struct buf *row, uint32_t number, uint64_t written_ms, struct bytes msgpack) {
	check(msgpack.size <= VALUE_INLINE_BYTES);
	value_head_put(row, number, written_ms, false, msgpack.size);
	buf_append_bytes(row, msgpack);
}

void instance_large_put(struct buf *row, uint32_t number, uint64_t written_ms, uint64_t size) {
	value_head_put(row, number, written_ms, true, size);
}
