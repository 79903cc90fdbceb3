#include "state/redo.h"

static void redo_key(struct buf *redo, enum redo_kind kind, uint32_t database, struct bytes key) {
	uint8_t *start = buf_reserve(redo, 1 + 2 * VARINT_BYTES_MAX + key.size);
	uint8_t *at = start;
	*at++ = (uint8_t)kind;
	at = varint_put(at, database);
	at = varint_put(at, key.size);
	memcpy(at, key.data, key.size);
	redo->size += (size_t)(at + key.size - start);
}

void redo_put(struct buf *redo, uint32_t database, struct bytes key, struct bytes value) {
	redo_key(redo, REDO_PUT, database, key);
	buf_append_sized(redo, value);
}

void redo_remove(struct buf *redo, uint32_t database, struct bytes key) {
	redo_key(redo, REDO_REMOVE, database, key);
}

size_t redo_egress(struct buf *redo, struct bytes name, struct bytes record) {
	buf_append_u8(redo, REDO_EGRESS);
	buf_append_sized(redo, name);
	size_t place = redo->size;
	static const uint8_t unset[8];
	buf_append(redo, unset, sizeof unset);
	buf_append_sized(redo, record);
	return place;
}

void redo_egress_offset_set(struct buf *redo, size_t place, uint64_t offset) {
	for (size_t i = 0; i < 8; i++)
		redo->data[place + i] = (uint8_t)(offset >> (8 * i));
}

static bool egress_take(struct bytes *rest, struct redo_op *ret_op) {
	if (!sized_take(rest, &ret_op->key) || rest->size < 8)
		return false;
	ret_op->offset = 0;
	for (size_t i = 0; i < 8; i++)
		ret_op->offset |= (uint64_t)rest->data[i] << (8 * i);
	*rest = bytes_of(rest->data + 8, rest->size - 8);
	return sized_take(rest, &ret_op->value);
}

bool redo_take(struct bytes *rest, struct redo_op *ret_op) {
	uint8_t kind = rest->data[0];
	*rest = bytes_of(rest->data + 1, rest->size - 1);
	*ret_op = (struct redo_op){.kind = (enum redo_kind)kind};
	if (kind == REDO_EGRESS)
		return egress_take(rest, ret_op);
	uint64_t database;
	if ((kind != REDO_PUT && kind != REDO_REMOVE) || !varint_take(rest, &database) || database > UINT32_MAX)
		return false;
	ret_op->database = (uint32_t)database;
	return sized_take(rest, &ret_op->key) && (kind == REDO_REMOVE || sized_take(rest, &ret_op->value));
}
