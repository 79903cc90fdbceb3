/* libFuzzer target: any bytes as what a connection receives. The first byte says in what pieces they come; the frames, and
 * whether the connection ends, must be the same as when they come at once. (Which of two mistakes ends it may depend on
 * the pieces.) Kept inputs: corpus/wire. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/config.h"
#include "ingress/message_params.h"
#include "wire/pack.h"
#include "wire/rpc.h"

enum { FRAME_BYTES = 4096, NESTING = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every way to read an item, at this place: at most one of them moves. */
static void items_read(struct bytes bytes) {
	struct cursor cursor = cursor_of(bytes), start = cursor;
	struct cursor_item item;
	enum cursor_kind kind;
	bool truth;
	uint64_t number;
	int64_t integer;
	double real;
	uint32_t count;
	struct bytes text;
	check(cursor_peek(&start, &kind) == cursor_next(&cursor, &item));
	if (cursor.at == start.at)
		return;
	check(kind == item.kind && cursor.at <= cursor.end);
	int taken = 0;
	cursor = start, taken += cursor_read_nil(&cursor);
	cursor = start, taken += cursor_read_bool(&cursor, &truth);
	cursor = start, taken += cursor_read_uint(&cursor, &number);
	cursor = start, taken += cursor_read_int(&cursor, &integer) && integer < 0;
	cursor = start, taken += cursor_read_double(&cursor, &real);
	cursor = start, taken += cursor_read_text_or_bin(&cursor, &text);
	cursor = start, taken += cursor_read_array(&cursor, &count);
	cursor = start, taken += cursor_read_map(&cursor, &count);
	check(taken == (kind != CURSOR_EXT));
}

/* What a frame says, as bytes that can be compared. */
static void frame_note(const struct rpc_frame *frame, struct buf *notes) {
	struct config config = {.message_bytes = 64, .nesting = NESTING, .call_timeout_ms = 5};
	struct engine_message message;
	struct error error = {0};
	uint64_t timeout_ms;
	pack_uint(notes, frame->kind);
	pack_uint(notes, frame->msgid);
	pack_bin(notes, frame->method);
	pack_bin(notes, frame->map);
	check(frame->map.size == 0 || cursor_check(frame->map, CURSOR_NESTING_MAX) == CURSOR_GOOD ||
		cursor_check(frame->map, CURSOR_NESTING_MAX) == CURSOR_DEEP);
	bool call = frame->method.size == 4;
	bool good = message_params_read(frame, &config, &message, call ? &timeout_ms : NULL, &error);
	check(good == (error.code == ERROR_NONE));
	if (good)
		check(message.id.size >= 1 && message.id.size <= 255 && message.payload.size <= 64 && message.to.size >= 3 &&
			cursor_check(message.payload, NESTING) == CURSOR_GOOD);
}

/* Reads frames as a connection does, `piece` bytes at a time, each time from a block of just the size that is there. */
static void connection_run(struct bytes bytes, size_t piece, struct buf *notes) {
	struct rpc_reader reader;
	rpc_reader_init(&reader, FRAME_BYTES, NESTING);
	size_t start = 0, end = 0;
	enum rpc_result result = RPC_MORE;
	while (result != RPC_UNPARSABLE && end < bytes.size) {
		end = bytes.size - end < piece ? bytes.size : end + piece;
		uint8_t *exact = malloc(end - start);
		check_memory(exact);
		memcpy(exact, bytes.data + start, end - start);
		struct bytes received = bytes_of(exact, end - start);
		struct rpc_frame frame;
		struct error error = {0};
		while ((result = rpc_read(&reader, &received, &frame, &error)) == RPC_FRAME)
			frame_note(&frame, notes);
		check((result == RPC_UNPARSABLE) == (error.code != ERROR_NONE));
		start = end - received.size;
		free(exact);
	}
	pack_uint(notes, result);
}

/* The scan, which keeps no stack, and the skip, which does, agree on where an object ends. */
static void object_run(struct bytes bytes) {
	struct error error;
	struct bytes object;
	struct cursor cursor = cursor_of(bytes);
	struct cursor_scan scan = CURSOR_SCAN_START;
	enum cursor_result scanned = cursor_scan(&scan, bytes);
	enum cursor_result taken = cursor_take(&cursor, CURSOR_NESTING_MAX, &object);
	check(taken == CURSOR_DEEP || taken == scanned || (taken == CURSOR_SHORT && scanned == CURSOR_BAD));
	if (taken == CURSOR_GOOD)
		check(object.size == scan.offset && cursor_left(&cursor).size == bytes.size - object.size);
	cursor_check_error(bytes, NESTING, "the input", &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	if (size == 0)
		return 0;
	struct bytes bytes = bytes_of(data + 1, size - 1);
	struct buf whole = {0}, pieces = {0};
	connection_run(bytes, bytes.size, &whole);
	connection_run(bytes, 1 + (size_t)data[0], &pieces);
	check(bytes_equal(bytes_buf(&whole), bytes_buf(&pieces)));
	object_run(bytes);
	for (size_t i = 0; i < bytes.size && i < 64; i++)
		items_read(bytes_of(bytes.data + i, bytes.size - i));
	buf_finish(&whole);
	buf_finish(&pieces);
	return 0;
}
