/* MessagePack-RPC frames and answers (wire/rpc.h). */
#include <check.h>
#include <stdlib.h>

#include "wire/pack.h"
#include "wire/rpc.h"

#define BYTES(text) bytes_of(text, sizeof(text) - 1)

enum { FRAME_BYTES = 4096, NESTING = 8 };

static const char request[] = "\x94\x00\xcd\x12\x34\xa4"
							  "call\x91\x82\xa2to\xa3"
							  "a/b\xa7payload\x93\x01\x02\x03";
static const char notification[] = "\x93\x02\xa4send\x91\x80";

static struct rpc_reader reader_new(void) {
	struct rpc_reader reader;
	rpc_reader_init(&reader, FRAME_BYTES, NESTING);
	return reader;
}

START_TEST(test_rpc_request_and_notification) {
	struct rpc_reader reader = reader_new();
	struct rpc_frame frame;
	struct error error;
	struct buf both = {0};
	buf_append_bytes(&both, BYTES(request));
	buf_append_bytes(&both, BYTES(notification));
	struct bytes rest = bytes_buf(&both);
	ck_assert_int_eq(rpc_read(&reader, &rest, &frame, &error), RPC_FRAME);
	ck_assert_int_eq(frame.kind, RPC_REQUEST);
	ck_assert_uint_eq(frame.msgid, 0x1234);
	ck_assert(bytes_equal(frame.method, BYTES("call")));
	ck_assert_uint_eq(frame.map.size, sizeof request - 1 - 11);
	ck_assert_uint_eq(frame.map.data[0], 0x82);
	ck_assert_int_eq(rpc_read(&reader, &rest, &frame, &error), RPC_FRAME);
	ck_assert_int_eq(frame.kind, RPC_NOTIFICATION);
	ck_assert(bytes_equal(frame.method, BYTES("send")));
	ck_assert(bytes_equal(frame.map, BYTES("\x80")));
	ck_assert_int_eq(rpc_read(&reader, &rest, &frame, &error), RPC_MORE);
	ck_assert_uint_eq(rest.size, 0);
	buf_finish(&both);
}
END_TEST

/* Byte by byte, each time in a block of just that size. */
START_TEST(test_rpc_cut_at_every_byte) {
	struct rpc_reader reader = reader_new();
	struct rpc_frame frame;
	struct error error;
	for (size_t size = 0; size < sizeof request; size++) {
		uint8_t *part = malloc(size + 1);
		ck_assert_ptr_nonnull(part);
		memcpy(part, request, size);
		part = realloc(part, size == 0 ? 1 : size);
		struct bytes rest = bytes_of(part, size);
		enum rpc_result result = rpc_read(&reader, &rest, &frame, &error);
		ck_assert_int_eq(result, size == sizeof request - 1 ? RPC_FRAME : RPC_MORE);
		ck_assert_uint_eq(rest.size, result == RPC_FRAME ? 0 : size);
		free(part);
	}
}
END_TEST

static enum rpc_result read_once(struct bytes bytes, struct rpc_frame *frame, struct error *error) {
	struct rpc_reader reader = reader_new();
	return rpc_read(&reader, &bytes, frame, error);
}

static void unparsable(struct bytes bytes, enum error_code code) {
	struct rpc_frame frame;
	struct error error;
	ck_assert_int_eq(read_once(bytes, &frame, &error), RPC_UNPARSABLE);
	ck_assert_msg(error.code == code, "%s", error.message);
}

START_TEST(test_rpc_wrong_shapes_close) {
	static const struct {
		const char *bytes;
		size_t size;
	} cases[] = {{"\xc1", 1}, {"\x94\x00\x01\xc1", 4}, {"G", 1}, {"\xc0", 1}, {"\x80", 1}, {"\x90", 1},
		{"\x92\x00\x01", 3}, {"\x95\x00\x01\xa1m\x90\x00", 7}, {"\x94\x01\x01\xc0\xc0", 5},
		{"\x94\x02\x01\xa1m\x90", 6}, {"\x94\x03\x01\xa1m\x90", 6}, {"\x94\xff\x01\xa1m\x90", 6},
		{"\x94\xa1"
		 "0\x01\xa1m\x90",
			7},
		{"\x93\x00\xa1m\x90", 5}, {"\x94\x00\xff\xa1m\x90", 6},
		{"\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa1m\x90", 14},
		{"\x94\x00\xa1"
		 "1\xa1m\x90",
			7},
		{"\x94\x00\xcb\x00\x00\x00\x00\x00\x00\x00\x00\xa1m\x90", 14}, {"\x94\x00\x01\xc4\x01m\x90", 7},
		{"\x94\x00\x01\x05\x90", 5}, {"\x94\x00\x01\xa1m\x80", 6}, {"\x94\x00\x01\xa1m\xc0", 6},
		{"\x93\x02\x05\x90", 4}, {"\x93\x02\xa1m\xc0", 5}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		unparsable(bytes_of(cases[i].bytes, cases[i].size), ERROR_BAD_REQUEST);
}
END_TEST

START_TEST(test_rpc_msgid_at_its_bounds) {
	struct rpc_frame frame;
	struct error error;
	ck_assert_int_eq(read_once(BYTES("\x94\x00\x00\xa1m\x91\x80"), &frame, &error), RPC_FRAME);
	ck_assert_uint_eq(frame.msgid, 0);
	ck_assert_int_eq(read_once(BYTES("\x94\x00\xce\xff\xff\xff\xff\xa1m\x91\x80"), &frame, &error), RPC_FRAME);
	ck_assert_uint_eq(frame.msgid, UINT32_MAX);
	/* longer forms than needed are numbers too */
	ck_assert_int_eq(
		read_once(
			BYTES("\xdc\x00\x04\xcc\x00\xd3\x00\x00\x00\x00\x00\x00\x00\x07\xd9\x01m\xdd\x00\x00\x00\x01\xde\x00\x00"),
			&frame, &error),
		RPC_FRAME);
	ck_assert_uint_eq(frame.msgid, 7);
	ck_assert(bytes_equal(frame.map, BYTES("\xde\x00\x00")));
}
END_TEST

/* A good frame, and its sender is told so in its own slot. */
START_TEST(test_rpc_params_that_are_not_one_map) {
	static const char *const cases[] = {"\x94\x00\x07\xa1m\x90", "\x94\x00\x07\xa1m\x91\x05",
		"\x94\x00\x07\xa1m\x92\x80\x80", "\x94\x00\x07\xa1m\x91\x90", "\x94\x00\x07\xa1m\x93\x01\x02\x03"};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct rpc_frame frame;
		struct error error;
		size_t size = strlen(cases[i] + 2) + 2;
		ck_assert_int_eq(read_once(bytes_of(cases[i], size), &frame, &error), RPC_FRAME);
		ck_assert_uint_eq(frame.msgid, 7);
		ck_assert_uint_eq(frame.map.size, 0);
	}
}
END_TEST

START_TEST(test_rpc_too_large_at_the_header) {
	unparsable(BYTES("\x94\x00\x01\xa1m\x91\x81\xa1k\xc6\x00\x00\x10\x00"), ERROR_TOO_LARGE);
	unparsable(BYTES("\x94\x00\x01\xa1m\x91\x81\xa1k\xdd\x00\x00\x10\x00"), ERROR_TOO_LARGE);
	unparsable(BYTES("\xdd\xff\xff\xff\xff"), ERROR_TOO_LARGE);
	unparsable(BYTES("\xdb\xff\xff\xff\xff"), ERROR_TOO_LARGE);
	unparsable(BYTES("\xdf\xff\xff\xff\xff"), ERROR_TOO_LARGE);
}
END_TEST

static struct buf frame_of_size(size_t size) {
	struct buf frame = {0};
	buf_append_bytes(&frame, BYTES("\x94\x00\x01\xa1m\x91\x81\xa1k"));
	size_t content = size - frame.size - 3;
	buf_append_bytes(&frame, BYTES("\xc5"));
	buf_append_u8(&frame, (uint8_t)(content >> 8));
	buf_append_u8(&frame, (uint8_t)content);
	memset(buf_reserve(&frame, content), 0, content);
	frame.size += content;
	return frame;
}

START_TEST(test_rpc_largest_frame) {
	struct rpc_frame frame;
	struct error error;
	struct buf largest = frame_of_size(FRAME_BYTES), larger = frame_of_size(FRAME_BYTES + 1);
	ck_assert_int_eq(read_once(bytes_buf(&largest), &frame, &error), RPC_FRAME);
	unparsable(bytes_buf(&larger), ERROR_TOO_LARGE);
	unparsable(bytes_of(larger.data, 12), ERROR_TOO_LARGE);
	buf_finish(&largest);
	buf_finish(&larger);
}
END_TEST

static struct buf nested(struct bytes before, size_t count) {
	struct buf frame = {0};
	buf_append_bytes(&frame, before);
	memset(buf_reserve(&frame, count), 0x91, count);
	frame.size += count;
	return frame;
}

START_TEST(test_rpc_too_deep_closes_unless_it_is_the_payload) {
	struct rpc_frame frame;
	struct error error;
	struct buf bare = nested((struct bytes){0}, 1000);
	unparsable(bytes_buf(&bare), ERROR_TOO_DEEP);
	struct buf params = nested(BYTES("\x94\x00\x07\xa1m"), 1000);
	unparsable(bytes_buf(&params), ERROR_TOO_DEEP);
	struct buf payload = nested(BYTES("\x94\x00\x07\xa1m\x91\x81\xa1k"), 1000);
	ck_assert_int_eq(read_once(bytes_buf(&payload), &frame, &error), RPC_MORE);
	buf_append_u8(&payload, 0xc0);
	ck_assert_int_eq(read_once(bytes_buf(&payload), &frame, &error), RPC_FRAME);
	ck_assert_uint_eq(frame.msgid, 7);
	ck_assert_int_eq(cursor_check(frame.map, NESTING + 1), CURSOR_DEEP);
	buf_finish(&bare);
	buf_finish(&params);
	buf_finish(&payload);
}
END_TEST

START_TEST(test_rpc_endless_wrong_frame_is_given_up) {
	struct rpc_reader reader;
	rpc_reader_init(&reader, 1 << 24, NESTING);
	struct rpc_frame frame;
	struct error error;
	struct buf wrong = {0};
	buf_append_bytes(&wrong, BYTES("\xdd\x00\x10\x00\x00"));
	struct bytes rest = bytes_buf(&wrong);
	ck_assert_int_eq(rpc_read(&reader, &rest, &frame, &error), RPC_MORE);
	memset(buf_reserve(&wrong, RPC_ODD_BYTES_MAX), 0, RPC_ODD_BYTES_MAX);
	wrong.size += RPC_ODD_BYTES_MAX;
	rest = bytes_buf(&wrong);
	ck_assert_int_eq(rpc_read(&reader, &rest, &frame, &error), RPC_UNPARSABLE);
	ck_assert_int_eq(error.code, ERROR_BAD_REQUEST);
	buf_finish(&wrong);
}
END_TEST

static void written_is(struct buf *out, struct bytes expected) {
	ck_assert_msg(bytes_equal(bytes_buf(out), expected), "%zu bytes", out->size);
	buf_reset(out);
}

START_TEST(test_rpc_answers) {
	struct buf out = {0};
	struct error error;
	rpc_write_result(&out, 200);
	pack_uint(&out, 5);
	written_is(&out, BYTES("\x94\x01\xcc\xc8\xc0\x05"));
	error_set(&error, ERROR_BAD_ID, "an id\xff");
	rpc_write_error(&out, 1, &error);
	written_is(&out,
		BYTES("\x94\x01\x01\x82\xa4"
			  "code\xa6"
			  "bad_id\xa7message\xa6"
			  "an id?\xc0"));
	error_found(&error, "0");
	error_expected(&error, "1");
	error_hint(&error, "2");
	rpc_write_error(&out, 1, &error);
	written_is(&out,
		BYTES("\x94\x01\x01\x85\xa4"
			  "code\xa6"
			  "bad_id\xa7message\xa6"
			  "an id?\xa5"
			  "found\xa1"
			  "0\xa8"
			  "expected\xa1"
			  "1\xa4hint\xa1"
			  "2\xc0"));
	error_set(&error, ERROR_GAP, "gap");
	rpc_write_gap(&out, 1, &error, 300, 2);
	written_is(&out,
		BYTES("\x94\x01\x01\x84\xa4"
			  "code\xa3gap\xa7message\xa3gap\xa8"
			  "accepted\xcd\x01\x2c\xa7"
			  "durable\x02\xc0"));
	error_set(&error, ERROR_TOO_DEEP, "deep");
	rpc_write_unparsable(&out, &error);
	written_is(&out,
		BYTES("\x94\x01\x00\x82\xa4"
			  "code\xa8too_deep\xa7message\xa4"
			  "deep\xc0"));
	buf_finish(&out);
}
END_TEST

/* The example of host/wire/FORMAT.md. */
START_TEST(test_rpc_example_of_the_format_page) {
	static const char asked[] = "\x94\x00\x05\xa4\x63\x61\x6c\x6c\x91\x83\xa2\x74\x6f\xa3\x61\x2f\x62\xa2\x69\x64\xa1"
								"\x69\xa7\x70\x61\x79\x6c\x6f\x61\x64\xc0";
	static const char answered[] = "\x94\x01\x05\xc0\x81\xa7\x70\x61\x79\x6c\x6f\x61\x64\x07";
	struct rpc_frame frame;
	struct error error;
	struct buf out = {0};
	ck_assert_int_eq(read_once(BYTES(asked), &frame, &error), RPC_FRAME);
	ck_assert(frame.kind == RPC_REQUEST && frame.msgid == 5 && bytes_equal(frame.method, BYTES("call")));
	ck_assert(bytes_equal(frame.map,
		BYTES("\x83\xa2to\xa3"
			  "a/b\xa2id\xa1i\xa7payload\xc0")));
	rpc_write_result(&out, 5);
	pack_map(&out, 1);
	pack_text(&out, "payload");
	pack_uint(&out, 7);
	written_is(&out, BYTES(answered));
	buf_finish(&out);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("rpc");
	TCase *tests = tcase_create("rpc");
	tcase_add_test(tests, test_rpc_request_and_notification);
	tcase_add_test(tests, test_rpc_cut_at_every_byte);
	tcase_add_test(tests, test_rpc_wrong_shapes_close);
	tcase_add_test(tests, test_rpc_msgid_at_its_bounds);
	tcase_add_test(tests, test_rpc_params_that_are_not_one_map);
	tcase_add_test(tests, test_rpc_too_large_at_the_header);
	tcase_add_test(tests, test_rpc_largest_frame);
	tcase_add_test(tests, test_rpc_too_deep_closes_unless_it_is_the_payload);
	tcase_add_test(tests, test_rpc_endless_wrong_frame_is_given_up);
	tcase_add_test(tests, test_rpc_answers);
	tcase_add_test(tests, test_rpc_example_of_the_format_page);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
