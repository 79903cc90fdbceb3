/* The methods of the data socket: what reaches the engine, what is answered, what is refused with which code. */
#include <check.h>
#include <stdlib.h>

#include "frames.h"
#include "rig.h"
#include "wire/pack.h"

#define BYTES(text) bytes_of(text, sizeof(text) - 1)

static struct rig rig;
static struct client client;
static uint32_t msgid;

static void set_up(void) {
	rig_init(&rig);
	rig_start(&rig);
	client_open(&client, &rig);
	msgid = 1000;
}

static void tear_down(void) {
	client_close(&client);
	rig_finish(&rig);
}

static void ask(const char *method, const char *text) {
	struct buf frame = {0};
	frame_text(&frame, ++msgid, method, text);
	client_send(&client, bytes_buf(&frame));
	buf_finish(&frame);
}

/* Refused, nothing reaches the engine, and the connection goes on. */
static void refused(const char *method, const char *text, const char *code) {
	size_t before = rig.engine->count;
	ask(method, text);
	client_error_is(&client, msgid, code);
	ck_assert_uint_eq(rig.engine->count, before);
}

START_TEST(test_ingest) {
	ask("ingest", "ingress='authlog' producer='p' first=7 records=#93a161c402626380");
	struct fake_request *request = rig_request(&rig, 0);
	ck_assert_int_eq(request->kind, FAKE_INGEST);
	ck_assert_str_eq(request->ingress, "authlog");
	ck_assert_str_eq(request->producer, "p");
	ck_assert_uint_eq(request->first, 7);
	ck_assert_uint_eq(request->count, 3);
	ck_assert(bytes_equal(bytes_buf(&request->records), BYTES("\xa1\x61\xc4\x02\x62\x63\x80")));
	rig_answer(&rig, &(struct engine_answer){.token = request->token, .number = 9});
	client_result_is(&client, msgid,
		BYTES("\x81\xa7"
			  "durable\x09"));
}
END_TEST

START_TEST(test_ingest_asks_the_position) {
	ask("ingest", "ingress='authlog' producer='p' first=1 records=#90");
	struct fake_request *request = rig_request(&rig, 0);
	ck_assert_uint_eq(request->count, 0);
	ck_assert_uint_eq(request->records.size, 0);
	rig_answer(&rig, &(struct engine_answer){.token = request->token, .number = 0});
	client_result_is(&client, msgid,
		BYTES("\x81\xa7"
			  "durable\x00"));
	refused("ingest", "ingress='authlog' producer='p' first=2 records=#90", "bad_request");
}
END_TEST

START_TEST(test_ingest_sessions_rise) {
	struct client younger;
	client_open(&younger, &rig);
	ask("ingest", "ingress='i' producer='p' first=1 records=#9100");
	uint64_t session = rig_request(&rig, 0)->session;
	struct buf frame = {0};
	frame_text(&frame, 1, "ingest", "ingress='i' producer='p' first=1 records=#9100");
	client_send(&younger, bytes_buf(&frame));
	ck_assert_uint_gt(rig_request(&rig, 1)->session, session);
	buf_finish(&frame);
	client_close(&younger);
}
END_TEST

START_TEST(test_ingest_gap_tells_both_positions) {
	ask("ingest", "ingress='i' producer='p' first=9 records=#9100");
	struct fake_request *request = rig_request(&rig, 0);
	rig_answer(&rig, &(struct engine_answer){.token = request->token, .code = ERROR_GAP, .number = 3, .accepted = 300});
	struct reply reply = client_reply(&client);
	ck_assert(bytes_equal(map_member(reply.error, "code"), BYTES("\xa3gap")));
	ck_assert(bytes_equal(map_member(reply.error, "accepted"), BYTES("\xcd\x01\x2c")));
	ck_assert(bytes_equal(map_member(reply.error, "durable"), BYTES("\x03")));
}
END_TEST

START_TEST(test_ingest_refusals) {
	refused("ingest", "", "bad_request");
	refused("ingest", "ingress='i' producer='p' first=1", "bad_request");
	refused("ingest", "ingress='i' producer='p' records=#90", "bad_request");
	refused("ingest", "ingress='i' first=1 records=#90", "bad_request");
	refused("ingest", "producer='p' first=1 records=#90", "bad_request");
	refused("ingest", "ingress='i' producer='p' first=0 records=#9100", "bad_request");
	refused("ingest", "ingress='i' producer='p' first=-1 records=#9100", "bad_request");
	refused("ingest", "ingress='i' producer='p' first='1' records=#9100", "bad_request");
	refused("ingest", "ingress='i' producer='p' first=#cb3ff0000000000000 records=#9100", "bad_request");
	refused("ingest", "ingress='i' producer='p' first=#cfffffffffffffffff records=#9100", "bad_request");
	refused("ingest", "ingress='i' producer='p' first=1 records=#c0", "bad_request");
	refused("ingest", "ingress='i' producer='p' first=1 records='a'", "bad_request");
	refused("ingest", "ingress='i' producer='p' first=1 records=#80", "bad_request");
	refused("ingest", "ingress=#c40169 producer='p' first=1 records=#9100", "bad_request");
	refused("ingest", "ingress='i' producer=5 first=1 records=#9100", "bad_request");
	refused("ingest", "ingress='i' producer='' first=1 records=#9100", "bad_request");
	refused("ingest", "ingress='i' producer='p' first=1 records=#9100 more=1", "bad_request");
	refused("ingest", "ingress='i' producer='p' first=1 first=1 records=#9100", "bad_request");
	refused("ingest", "ingress=#a1ff producer='p' first=1 records=#9100", "bad_utf8");
	refused("ingest", "ingress='i' producer=#a2c328 first=1 records=#9100", "bad_utf8");
}
END_TEST

static void ask_records(struct bytes records) {
	struct buf frame = {0};
	frame_open(&frame, ++msgid, "ingest", 4);
	pack_text(&frame, "ingress");
	pack_text(&frame, "i");
	pack_text(&frame, "producer");
	pack_text(&frame, "p");
	pack_text(&frame, "first");
	pack_uint(&frame, 1);
	pack_text(&frame, "records");
	buf_append_bytes(&frame, records);
	client_send(&client, bytes_buf(&frame));
	buf_finish(&frame);
}

/* A bin of exactly `size` bytes with its header. */
static void bin_append(struct buf *buf, size_t size) {
	buf_append_u8(buf, 0xc6);
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_append_u8(buf, (uint8_t)((size - 5) >> shift));
	memset(buf_reserve(buf, size - 5), 'x', size - 5);
	buf->size += size - 5;
}

START_TEST(test_record_sizes) {
	struct buf records = {0};
	pack_array(&records, 3);
	pack_nil(&records);
	bin_append(&records, rig.config.message_bytes);
	bin_append(&records, rig.config.message_bytes);
	ask_records(bytes_buf(&records));
	ck_assert_uint_eq(rig_request(&rig, 0)->records.size, records.size - 1);
	buf_reset(&records);
	pack_array(&records, 2);
	pack_nil(&records);
	bin_append(&records, rig.config.message_bytes + 1);
	ask_records(bytes_buf(&records));
	client_error_is(&client, msgid, "too_large");
	ck_assert_uint_eq(rig.engine->count, 1);
	buf_finish(&records);
}
END_TEST

static void nested_append(struct buf *buf, size_t levels) {
	for (size_t i = 0; i + 1 < levels; i++)
		buf_append_u8(buf, 0x91);
	buf_append_u8(buf, 0x90);
}

START_TEST(test_record_nesting) {
	struct buf records = {0};
	pack_array(&records, 2);
	nested_append(&records, 64);
	pack_nil(&records);
	ask_records(bytes_buf(&records));
	ck_assert_uint_eq(rig_request(&rig, 0)->count, 2);
	static const size_t deep[] = {65, 66, 70, 10000};
	for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
		buf_reset(&records);
		pack_array(&records, 2);
		pack_nil(&records);
		nested_append(&records, deep[i]);
		ask_records(bytes_buf(&records));
		client_error_is(&client, msgid, "too_deep");
	}
	ck_assert_uint_eq(rig.engine->count, 1);
	buf_finish(&records);
}
END_TEST

START_TEST(test_send) {
	ask("send", "to='demo/counter' id='a' payload=#c0");
	struct fake_request *request = rig_request(&rig, 0);
	ck_assert_int_eq(request->kind, FAKE_SEND);
	ck_assert_str_eq(request->to, "demo/counter");
	ck_assert_str_eq(request->type, "");
	ck_assert(bytes_equal(bytes_buf(&request->id), BYTES("a")));
	ck_assert(bytes_equal(bytes_buf(&request->payload), BYTES("\xc0")));
	rig_answer(&rig, &(struct engine_answer){.token = request->token, .number = 12345});
	client_result_is(&client, msgid,
		BYTES("\x81\xa5"
			  "epoch\xcd\x30\x39"));
	refused("send", "to='demo/counter' id='a' payload=#c0 timeout_ms=5", "bad_request");
}
END_TEST

START_TEST(test_call) {
	ask("call", "payload=#820102a16103 type='t' timeout_ms=5000 id=#c402ff00 to='demo/counter'");
	struct fake_request *request = rig_request(&rig, 0);
	ck_assert_int_eq(request->kind, FAKE_CALL);
	ck_assert_str_eq(request->type, "t");
	ck_assert(bytes_equal(bytes_buf(&request->id), BYTES("\xff\x00")));
	ck_assert(bytes_equal(bytes_buf(&request->payload), BYTES("\x82\x01\x02\xa1\x61\x03")));
	rig_answer(&rig, &(struct engine_answer){.token = request->token, .payload = BYTES("\x92\x01\xa1x")});
	client_result_is(&client, msgid, BYTES("\x81\xa7payload\x92\x01\xa1x"));
	ask("call", "to='demo/counter' id='a' payload=#c0");
	rig_answer(&rig,
		&(struct engine_answer){.token = rig_request(&rig, 1)->token, .payload = BYTES("\x05"), .type = BYTES("n")});
	client_result_is(&client, msgid, BYTES("\x82\xa7payload\x05\xa4type\xa1n"));
	ask("call", "to='demo/counter' id='a' payload=#c0");
	rig_answer(&rig, &(struct engine_answer){.token = rig_request(&rig, 2)->token});
	client_result_is(&client, msgid, BYTES("\x81\xa7payload\xc0"));
}
END_TEST

START_TEST(test_message_refusals) {
	static const char *const methods[] = {"send", "call"};
	for (size_t i = 0; i < 2; i++) {
		const char *method = methods[i];
		refused(method, "", "bad_request");
		refused(method, "id='a' payload=#c0", "bad_request");
		refused(method, "to='a/b' payload=#c0", "bad_request");
		refused(method, "to='a/b' id='a'", "bad_request");
		refused(method, "to=5 id='a' payload=#c0", "bad_request");
		refused(method, "to=#c403612f62 id='a' payload=#c0", "bad_request");
		refused(method, "to='ab' id='a' payload=#c0", "bad_request");
		refused(method, "to='' id='a' payload=#c0", "bad_request");
		refused(method, "to='/' id='a' payload=#c0", "bad_request");
		refused(method, "to='/b' id='a' payload=#c0", "bad_request");
		refused(method, "to='a/' id='a' payload=#c0", "bad_request");
		refused(method, "to=#a3612fff id='a' payload=#c0", "bad_utf8");
		refused(method, "to='a/b' id=#a1ff payload=#c0", "bad_utf8");
		refused(method, "to='a/b' id='a' payload=#c0 type=#a1ff", "bad_utf8");
		refused(method, "to='a/b' id='a' payload=#c0 type=#c0", "bad_request");
		refused(method, "to='a/b' id='' payload=#c0", "bad_id");
		refused(method, "to='a/b' id=#c400 payload=#c0", "bad_id");
		refused(method, "to='a/b' id=5 payload=#c0", "bad_request");
		refused(method, "to='a/b' id=#c0 payload=#c0", "bad_request");
		refused(method, "to='a/b' id='a' payload=#c0 colour=1", "bad_request");
		refused(method, "to='a/b' id='a' payload=#c0 key=''", "bad_request");
		refused(method, "to='a/b' id='a' payload=#c0 key=5", "bad_request");
	}
	refused("call", "to='a/b' id='a' payload=#c0 timeout_ms=0", "bad_request");
	refused("call", "to='a/b' id='a' payload=#c0 timeout_ms=-5", "bad_request");
	refused("call", "to='a/b' id='a' payload=#c0 timeout_ms='5'", "bad_request");
}
END_TEST

static void ask_message(struct bytes id, struct bytes payload) {
	struct buf frame = {0};
	frame_open(&frame, ++msgid, "send", 3);
	pack_text(&frame, "to");
	pack_text(&frame, "a/b");
	pack_text(&frame, "id");
	pack_bin(&frame, id);
	pack_text(&frame, "payload");
	buf_append_bytes(&frame, payload);
	client_send(&client, bytes_buf(&frame));
	buf_finish(&frame);
}

START_TEST(test_id_sizes) {
	uint8_t id[256] = {0};
	ask_message(bytes_of(id, 255), BYTES("\xc0"));
	ck_assert_uint_eq(rig_request(&rig, 0)->id.size, 255);
	ask_message(bytes_of(id, 256), BYTES("\xc0"));
	client_error_is(&client, msgid, "bad_id");
}
END_TEST

START_TEST(test_payload_sizes_and_nesting) {
	struct buf payload = {0};
	bin_append(&payload, rig.config.message_bytes);
	ask_message(BYTES("i"), bytes_buf(&payload));
	ck_assert_uint_eq(rig_request(&rig, 0)->payload.size, rig.config.message_bytes);
	buf_reset(&payload);
	bin_append(&payload, rig.config.message_bytes + 1);
	ask_message(BYTES("i"), bytes_buf(&payload));
	client_error_is(&client, msgid, "too_large");
	buf_reset(&payload);
	nested_append(&payload, 64);
	ask_message(BYTES("i"), bytes_buf(&payload));
	ck_assert_uint_eq(rig_request(&rig, 1)->payload.size, 64);
	static const size_t deep[] = {65, 66, 70, 10000};
	for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
		buf_reset(&payload);
		nested_append(&payload, deep[i]);
		ask_message(BYTES("i"), bytes_buf(&payload));
		client_error_is(&client, msgid, "too_deep");
	}
	ck_assert_uint_eq(rig.engine->count, 2);
	buf_finish(&payload);
}
END_TEST

START_TEST(test_other_methods) {
	refused("frobnicate", "", "unknown_method");
	refused("", "", "unknown_method");
	refused("\xff\xfe", "", "unknown_method");
	refused("subscribe", "egress='bans'", "bad_request");
	refused("subscribe", "egress='' from=0", "bad_request");
	refused("subscribe", "egress='bans' from='first'", "bad_request");
	refused("subscribe", "egress='bans' from='acked'", "bad_request");
	refused("subscribe", "egress='bans' from=0 window=0", "bad_request");
	refused("subscribe", "egress='bans' from=0 window=1000001", "bad_request");
	refused("subscribe", "egress='bans' from=0 name=''", "bad_request");
	refused("ack", "egress='bans' name='n'", "bad_request");
	refused("ack", "egress='bans' name='n' next='all'", "bad_request");
}
END_TEST

START_TEST(test_params_that_are_not_one_map) {
	static const char *const params[] = {"\x90", "\x91\x05", "\x92\x80\x80", "\x91\xc0"};
	for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
		struct buf frame = {0};
		buf_append_bytes(&frame, BYTES("\x94\x00\x07\xa4send"));
		buf_append_bytes(&frame, bytes_text(params[i]));
		client_send(&client, bytes_buf(&frame));
		client_error_is(&client, 7, "bad_request");
		buf_finish(&frame);
	}
	client_send(&client, BYTES("\x94\x00\x07\xa4send\x91\x81\x01\x02"));
	client_error_is(&client, 7, "bad_request");
}
END_TEST

START_TEST(test_failures_pass_on_code_and_words) {
	static const enum error_code codes[] = {ERROR_UNKNOWN_INGRESS, ERROR_UNKNOWN_TYPE, ERROR_PRODUCER_BUSY,
		ERROR_FUNCTION_FAILED, ERROR_STOPPING, ERROR_STORE_FAILED, ERROR_INTERNAL};
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		ask("call", "to='a/b' id='a' payload=#c0");
		rig_answer(&rig, &(struct engine_answer){.token = rig_request(&rig, i)->token, .code = codes[i]});
		client_error_is(&client, msgid, error_code_name(codes[i]));
	}
	ask("call", "to='a/b' id='a' payload=#c0");
	rig_answer(&rig,
		&(struct engine_answer){.token = rig_request(&rig, rig.engine->count)->token,
			.code = ERROR_FUNCTION_FAILED,
			.payload = BYTES("no money\xff")});
	struct reply reply = client_reply(&client);
	ck_assert(bytes_equal(map_member(reply.error, "message"), BYTES("\xa9no money?")));
}
END_TEST

START_TEST(test_notifications_are_not_answered) {
	client_send(&client, BYTES("\x93\x02\xa4nope\x91\x80"));
	client_send(&client, BYTES("\x93\x02\xa4send\x91\x80"));
	client_send(&client,
		BYTES("\x93\x02\xa4send\x91\x83\xa2to\xa3"
			  "a/b\xa2id\xa1i\xa7payload\xc0"));
	client_send(&client,
		BYTES("\x93\x02\xa4send\x91\x83\xa2to\xa3"
			  "a/b\xa2id\xa1i\xa7payload\xc0"));
	rig_answer(&rig, &(struct engine_answer){.token = rig_request(&rig, 0)->token, .number = 1});
	rig_answer(&rig, &(struct engine_answer){.token = rig_request(&rig, 1)->token, .code = ERROR_UNKNOWN_TYPE});
	refused("frobnicate", "", "unknown_method");
}
END_TEST

int main(void) {
	Suite *suite = suite_create("methods");
	TCase *tests = tcase_create("methods");
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, test_ingest);
	tcase_add_test(tests, test_ingest_asks_the_position);
	tcase_add_test(tests, test_ingest_sessions_rise);
	tcase_add_test(tests, test_ingest_gap_tells_both_positions);
	tcase_add_test(tests, test_ingest_refusals);
	tcase_add_test(tests, test_record_sizes);
	tcase_add_test(tests, test_record_nesting);
	tcase_add_test(tests, test_send);
	tcase_add_test(tests, test_call);
	tcase_add_test(tests, test_message_refusals);
	tcase_add_test(tests, test_id_sizes);
	tcase_add_test(tests, test_payload_sizes_and_nesting);
	tcase_add_test(tests, test_other_methods);
	tcase_add_test(tests, test_params_that_are_not_one_map);
	tcase_add_test(tests, test_failures_pass_on_code_and_words);
	tcase_add_test(tests, test_notifications_are_not_answered);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
