/* State values by their kind. All [state], which host.h explains. They answer what the host answered (0, or SOFUN_... of
 * types.h); an error of the store should make the callback return non-zero, so that the host tries again.
 *
 * `value` is the constant that SOFUN_FUNCTION made: counter_count for the value `count` of the function `counter`. A
 * value that was never set reads as 0, 0.0, false or empty; sofun_get_raw tells unset ({NULL, 0}) from set.
 */
#ifndef SOFUN_STATE_H
#define SOFUN_STATE_H

#include "msgpack.h"

/* The value's one MessagePack object; {NULL, 0} if unset. The view ends at the next set or clear of the same value. */
static inline int sofun_get_raw(sofun_context *context, uint32_t value, sofun_bytes *ret_msgpack) {
	return context->host->state_get(context, value, ret_msgpack);
}

static inline int sofun_get_int(sofun_context *context, uint32_t value, int64_t *ret_value) {
	sofun_bytes msgpack;
	const int status = sofun_get_raw(context, value, &msgpack);
	if (status != SOFUN_OK)
		return status;
	sofun_reader reader = sofun_reader_of(msgpack);
	if (msgpack.size == 0)
		*ret_value = 0;
	else if (!sofun_read_int(&reader, ret_value))
		return SOFUN_BAD_ARGUMENT;
	return SOFUN_OK;
}

static inline int sofun_get_float(sofun_context *context, uint32_t value, double *ret_value) {
	sofun_bytes msgpack;
	const int status = sofun_get_raw(context, value, &msgpack);
	if (status != SOFUN_OK)
		return status;
	sofun_reader reader = sofun_reader_of(msgpack);
	if (msgpack.size == 0)
		*ret_value = 0;
	else if (!sofun_read_float(&reader, ret_value))
		return SOFUN_BAD_ARGUMENT;
	return SOFUN_OK;
}

static inline int sofun_get_bool(sofun_context *context, uint32_t value, bool *ret_value) {
	sofun_bytes msgpack;
	const int status = sofun_get_raw(context, value, &msgpack);
	if (status != SOFUN_OK)
		return status;
	sofun_reader reader = sofun_reader_of(msgpack);
	if (msgpack.size == 0)
		*ret_value = false;
	else if (!sofun_read_bool(&reader, ret_value))
		return SOFUN_BAD_ARGUMENT;
	return SOFUN_OK;
}

/* The text, not NUL-terminated; {NULL, 0} if unset. The view ends as that of sofun_get_raw. */
static inline int sofun_get_str(sofun_context *context, uint32_t value, sofun_bytes *ret_text) {
	const int status = sofun_get_raw(context, value, ret_text);
	if (status != SOFUN_OK || ret_text->size == 0)
		return status;
	sofun_reader reader = sofun_reader_of(*ret_text);
	return sofun_read_str(&reader, ret_text) ? SOFUN_OK : SOFUN_BAD_ARGUMENT;
}

static inline int sofun_set_raw(sofun_context *context, uint32_t value, sofun_bytes msgpack) {
	return context->host->state_set(context, value, msgpack);
}

static inline int sofun_set_int(sofun_context *context, uint32_t value, int64_t number) {
	uint8_t room[SOFUN_INT_BYTES_MAX];
	sofun_bytes msgpack;
	msgpack.data = room;
	msgpack.size = sofun_put_int(room, number);
	return sofun_set_raw(context, value, msgpack);
}

static inline int sofun_set_float(sofun_context *context, uint32_t value, double number) {
	uint8_t room[9];
	sofun_writer writer = sofun_writer_into(room, sizeof room);
	sofun_write_float(&writer, number);
	sofun_bytes msgpack;
	(void)sofun_written(&writer, &msgpack); /* nine bytes fit into nine */
	return sofun_set_raw(context, value, msgpack);
}

static inline int sofun_set_bool(sofun_context *context, uint32_t value, bool flag) {
	const uint8_t tag = flag ? 0xc3 : 0xc2;
	sofun_bytes msgpack;
	msgpack.data = &tag;
	msgpack.size = 1;
	return sofun_set_raw(context, value, msgpack);
}

/* Texts beyond 256 bytes take one of the callback's 16 builders. */
static inline int sofun_set_str(sofun_context *context, uint32_t value, sofun_bytes text) {
	uint8_t room[256 + 5];
	sofun_writer writer = text.size <= 256 ? sofun_writer_into(room, sizeof room) : sofun_writer_builder(context);
	sofun_write_str(&writer, text);
	sofun_bytes msgpack;
	const int status = sofun_written(&writer, &msgpack);
	return status == SOFUN_OK ? sofun_set_raw(context, value, msgpack) : status;
}

static inline int sofun_clear(sofun_context *context, uint32_t value) {
	return context->host->state_clear(context, value);
}

/* Inside migrate: the old value `from` becomes the new value `to`, as it is; unset stays unset. */
static inline int sofun_carry(sofun_context *context, uint32_t from, uint32_t to) {
	sofun_bytes msgpack;
	const int status = sofun_get_raw(context, from, &msgpack);
	if (status != SOFUN_OK || msgpack.size == 0)
		return status;
	return sofun_set_raw(context, to, msgpack);
}

#endif
