#include "base/check.h"
#include "wire/rpc.h"

enum shape {
	SHAPE_GOOD,
	SHAPE_SHORT, /* not enough bytes to say */
	SHAPE_ODD,   /* a request or notification, but its params are not [map] */
	SHAPE_WRONG, /* neither */
};

void rpc_reader_init(struct rpc_reader *reader, uint64_t frame_bytes, uint32_t nesting) {
	*reader = (struct rpc_reader){.frame_bytes = frame_bytes, .nesting = nesting, .scan = CURSOR_SCAN_START};
	check(nesting <= CURSOR_NESTING_MAX - RPC_FRAME_LEVELS);
}

/* [type, and of a request msgid: */
static enum shape opening_read(struct cursor *cursor, struct rpc_frame *frame) {
	struct cursor_item array, type, msgid;
	if (!cursor_next(cursor, &array))
		return SHAPE_SHORT;
	if (array.kind != CURSOR_ARRAY || array.count < 3 || array.count > 4)
		return SHAPE_WRONG;
	if (!cursor_next(cursor, &type))
		return SHAPE_SHORT;
	if (type.kind != CURSOR_UINT || type.uint != (array.count == 4 ? 0 : 2))
		return SHAPE_WRONG;
	frame->kind = array.count == 4 ? RPC_REQUEST : RPC_NOTIFICATION;
	frame->msgid = 0;
	if (frame->kind == RPC_NOTIFICATION)
		return SHAPE_GOOD;
	if (!cursor_next(cursor, &msgid))
		return SHAPE_SHORT;
	if (msgid.kind != CURSOR_UINT || msgid.uint > UINT32_MAX)
		return SHAPE_WRONG;
	frame->msgid = (uint32_t)msgid.uint;
	return SHAPE_GOOD;
}

/* What the bytes so far say of the frame. frame->map begins where the map does, and ends with what is there. */
static enum shape shape_read(struct bytes received, struct rpc_frame *frame) {
	struct cursor cursor = cursor_of(received);
	struct cursor_item method, params, map;
	enum shape shape = opening_read(&cursor, frame);
	if (shape != SHAPE_GOOD)
		return shape;
	if (!cursor_next(&cursor, &method))
		return SHAPE_SHORT;
	if (method.kind != CURSOR_STR)
		return SHAPE_WRONG;
	frame->method = method.bytes;
	if (!cursor_next(&cursor, &params))
		return SHAPE_SHORT;
	if (params.kind != CURSOR_ARRAY)
		return SHAPE_WRONG;
	if (params.count != 1)
		return SHAPE_ODD;
	frame->map = cursor_left(&cursor);
	if (!cursor_next(&cursor, &map))
		return SHAPE_SHORT;
	return map.kind == CURSOR_MAP ? SHAPE_GOOD : SHAPE_ODD;
}

static enum rpc_result large_set(const struct rpc_reader *reader, uint64_t least, struct error *error) {
	error_set(error, ERROR_TOO_LARGE, "the frame is too large");
	error_found(error, "at least %llu bytes", (unsigned long long)least);
	error_expected(error, "at most %llu", (unsigned long long)reader->frame_bytes);
	error_hint(error, "send smaller batches, or raise limits.frame_bytes");
	return RPC_UNPARSABLE;
}

static enum rpc_result deep_set(const struct rpc_reader *reader, struct error *error) {
	error_set(error, ERROR_TOO_DEEP, "the frame is nested too deep");
	error_found(error, "more than that");
	error_expected(error, "at most %u maps and arrays within each other in a payload", (unsigned)reader->nesting);
	error_hint(error, "a frame is [0,msgid,method,[{…}]]");
	return RPC_UNPARSABLE;
}

static enum rpc_result bad_set(const char *message, struct error *error) {
	error_set(error, ERROR_BAD_REQUEST, "%s", message);
	error_found(error, "other bytes at the beginning of a frame");
	error_advise(error, "[0,msgid,method,[{…}]] or [2,method,[{…}]], msgid 0 to 4294967295, method a str",
		"this is MessagePack-RPC; HTTP is spoken on control.sock and listen.http");
	return RPC_UNPARSABLE;
}

/* A frame that is not [.., [map]]: judged by its depth, as soon as that can be said. */
static enum rpc_result odd_read(
	const struct rpc_reader *reader, struct bytes received, enum shape shape, bool whole, struct error *error) {
	bool patient = whole || received.size <= RPC_ODD_BYTES_MAX;
	if (patient) {
		struct cursor cursor = cursor_of(received);
		enum cursor_result result = cursor_skip(&cursor, reader->nesting + RPC_FRAME_LEVELS);
		if (result == CURSOR_DEEP)
			return deep_set(reader, error);
		if (result == CURSOR_SHORT)
			return RPC_MORE;
	} else if (shape == SHAPE_ODD) {
		return RPC_MORE;
	}
	if (shape == SHAPE_ODD)
		return RPC_FRAME;
	return bad_set("the frame is neither a request nor a notification", error);
}

enum rpc_result rpc_read(
	struct rpc_reader *reader, struct bytes *received, struct rpc_frame *ret_frame, struct error *error) {
	if (received->size == 0)
		return RPC_MORE;
	enum cursor_result scanned = cursor_scan(&reader->scan, *received);
	if (scanned == CURSOR_BAD)
		return bad_set("the frame is not MessagePack", error);
	uint64_t least = reader->scan.offset + reader->scan.objects;
	if (least > reader->frame_bytes)
		return large_set(reader, least, error);
	bool whole = scanned == CURSOR_GOOD;
	struct bytes frame = bytes_of(received->data, whole ? (size_t)reader->scan.offset : received->size);
	enum shape shape = shape_read(frame, ret_frame);
	if (shape == SHAPE_SHORT || (shape == SHAPE_GOOD && !whole))
		return RPC_MORE;
	if (shape != SHAPE_GOOD) {
		enum rpc_result result = odd_read(reader, frame, shape, whole, error);
		if (result != RPC_FRAME)
			return result;
		ret_frame->map = (struct bytes){0};
	}
	*received = bytes_of(received->data + frame.size, received->size - frame.size);
	reader->scan = CURSOR_SCAN_START;
	return RPC_FRAME;
}
