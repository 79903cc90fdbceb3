#include "wire/pack.h"

#include <msgpack/pack.h>

#include "base/check.h"

/* msgpack-c writes through this; it cannot fail, for a buf cannot. */
static int packer_write(void *buf, const char *data, size_t size) {
	buf_append(buf, data, size);
	return 0;
}

static msgpack_packer packer_of(struct buf *buf) {
	return (msgpack_packer){.data = buf, .callback = packer_write};
}

void pack_uint_wide(struct buf *buf, uint64_t value) {
	msgpack_packer packer = packer_of(buf);
	msgpack_pack_uint64(&packer, value);
}

void pack_int_wide(struct buf *buf, int64_t value) {
	msgpack_packer packer = packer_of(buf);
	msgpack_pack_int64(&packer, value);
}

void pack_float(struct buf *buf, float value) {
	msgpack_packer packer = packer_of(buf);
	msgpack_pack_float(&packer, value);
}

void pack_double(struct buf *buf, double value) {
	msgpack_packer packer = packer_of(buf);
	msgpack_pack_double(&packer, value);
}

void pack_str_long(struct buf *buf, struct bytes text) {
	check(text.size <= UINT32_MAX);
	msgpack_packer packer = packer_of(buf);
	msgpack_pack_str(&packer, text.size);
	buf_append_bytes(buf, text);
}

void pack_str_clean(struct buf *buf, struct bytes text) {
	if (bytes_utf8(text)) {
		pack_str(buf, text);
		return;
	}
	struct buf clean = {0};
	bytes_clean(text, &clean);
	pack_str(buf, bytes_buf(&clean));
	buf_finish(&clean);
}

void pack_bin(struct buf *buf, struct bytes bytes) {
	check(bytes.size <= UINT32_MAX);
	msgpack_packer packer = packer_of(buf);
	msgpack_pack_bin(&packer, bytes.size);
	buf_append_bytes(buf, bytes);
}

void pack_ext(struct buf *buf, int8_t type, struct bytes bytes) {
	check(bytes.size <= UINT32_MAX);
	msgpack_packer packer = packer_of(buf);
	msgpack_pack_ext(&packer, bytes.size, type);
	buf_append_bytes(buf, bytes);
}

void pack_array_long(struct buf *buf, uint32_t count) {
	msgpack_packer packer = packer_of(buf);
	msgpack_pack_array(&packer, count);
}

void pack_map_long(struct buf *buf, uint32_t pairs) {
	msgpack_packer packer = packer_of(buf);
	msgpack_pack_map(&packer, pairs);
}
