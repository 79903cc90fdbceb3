#include "flow/entries/header.h"

#include "base/varint.h"
#include "sofun/function.h"

bool entries_header_read(struct bytes value, struct entries_header *ret_header) {
	if (value.size < 2 || value.data[0] != ENTRIES_MARK)
		return false;
	*ret_header = (struct entries_header){.kind = value.data[1]};
	struct bytes rest = bytes_of(value.data + 2, value.size - 2);
	if (!varint_take(&rest, &ret_header->generation) || ret_header->generation == 0)
		return false;
	if (ret_header->kind == SOFUN_KIND_LIST &&
		(!varint_take(&rest, &ret_header->first) || !varint_take(&rest, &ret_header->end)))
		return false;
	return rest.size == 0 && ret_header->first <= ret_header->end &&
		(ret_header->kind == SOFUN_KIND_TABLE || ret_header->kind == SOFUN_KIND_LIST);
}

void entries_header_put(struct buf *value, const struct entries_header *header) {
	buf_append_u8(value, ENTRIES_MARK);
	buf_append_u8(value, (uint8_t)header->kind);
	buf_append_varint(value, header->generation);
	if (header->kind != SOFUN_KIND_LIST)
		return;
	buf_append_varint(value, header->first);
	buf_append_varint(value, header->end);
}
