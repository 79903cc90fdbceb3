/* A connection's life on the data socket: frames in pieces, bad frames, and every way to end. */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "frames.h"
#include "ingress/connection.h"
#include "rig.h"
#include "wire/pack.h"

#define BYTES(text) bytes_of(text, sizeof(text) - 1)

static struct rig rig;
static struct client client;

static void set_up(void) {
	rig_init(&rig);
	rig_start(&rig);
	client_open(&client, &rig);
}

static void tear_down(void) {
	client_close(&client);
	rig_finish(&rig);
}

static void ask(struct client *asker, uint32_t msgid, const char *method, const char *text) {
	struct buf frame = {0};
	frame_text(&frame, msgid, method, text);
	client_send(asker, bytes_buf(&frame));
	buf_finish(&frame);
}

static const char message[] = "to='a/b' id='i' payload=#c0";

/* The connection serves: a call goes there and back. */
static void serves(struct client *asker, uint32_t msgid) {
	size_t before = rig.engine->count;
	ask(asker, msgid, "call", message);
	rig_answer(&rig, &(struct engine_answer){.token = rig_request(&rig, before)->token, .payload = BYTES("\x01")});
	client_result_is(asker, msgid, BYTES("\x81\xa7payload\x01"));
}

/* ---- frames ---- */

START_TEST(test_frame_byte_by_byte) {
	struct buf frame = {0};
	frame_text(&frame, 5, "send", message);
	for (size_t i = 0; i < frame.size; i++) {
		ck_assert_uint_eq(rig.engine->count, 0);
		client_send(&client, bytes_of(frame.data + i, 1));
		rig_turn(&rig);
	}
	rig_request(&rig, 0);
	buf_finish(&frame);
	serves(&client, 6);
}
END_TEST

START_TEST(test_frame_cut_at_every_byte_by_a_peer_that_goes) {
	struct buf frame = {0};
	frame_text(&frame, 5, "send", message);
	for (size_t i = 0; i < frame.size; i++) {
		struct client other;
		client_open(&other, &rig);
		client_send(&other, bytes_of(frame.data, i));
		if (i % 2 == 0)
			rig_turn(&rig);
		client_close(&other);
		rig_turn(&rig);
	}
	buf_finish(&frame);
	ck_assert_uint_eq(rig.engine->count, 0);
	serves(&client, 1);
}
END_TEST

START_TEST(test_many_frames_at_once_and_answers_out_of_order) {
	enum { FRAMES = 1000 };
	struct buf frames = {0};
	for (uint32_t i = 0; i < FRAMES; i++)
		frame_text(&frames, i, "send", message);
	client_send(&client, bytes_buf(&frames));
	rig_request(&rig, FRAMES - 1);
	for (size_t i = FRAMES; i-- > 0;)
		rig_answer(&rig, &(struct engine_answer){.token = rig.engine->requests[i].token, .number = 5});
	for (uint32_t i = FRAMES; i-- > 0;)
		client_result_is(&client, i,
			BYTES("\x81\xa5"
				  "epoch\x05"));
	buf_finish(&frames);
}
END_TEST

START_TEST(test_large_frames_in_pieces) {
	static const uint32_t counts[] = {70, 400, 5000, 16000};
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		struct buf frame = {0};
		frame_large(&frame, counts[i]);
		frame_text(&frame, 5, "send", message);
		client_send(&client, bytes_buf(&frame));
		ck_assert_uint_eq(rig_request(&rig, 2 * i)->count, counts[i]);
		ck_assert_uint_eq(rig.engine->requests[2 * i].records.size, counts[i] * (size_t)1003);
		ck_assert_int_eq(rig_request(&rig, 2 * i + 1)->kind, FAKE_SEND);
		buf_finish(&frame);
	}
}
END_TEST

/* ---- unparsable ---- */

START_TEST(test_unparsable_frame_closes_this_connection_only) {
	static const struct {
		const char *bytes;
		size_t size;
		const char *code;
	} cases[] = {{"\xc1", 1, "bad_request"}, {"GET / HTTP/1.1\r\n\r\n", 18, "bad_request"}, {"\xc0", 1, "bad_request"},
		{"\x94\x01\x01\xc0\xc0", 5, "bad_request"}, {"\x94\x00\xff\xa1m\x90", 6, "bad_request"},
		{"\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa1m\x90", 14, "bad_request"},
		{"\x94\x00\x01\xa4send\x91\x81\xa7payload\xc6\x01\x00\x00\x00", 23, "too_large"},
		{"\xdd\xff\xff\xff\xff", 5, "too_large"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t took_ms = UINT64_MAX;
		for (int tries = 0; tries < 5 && took_ms >= REFUSED_LINGER_MS;
			 tries++) { /* again if the machine had no time for us */
			struct client other;
			client_open(&other, &rig);
			uint64_t since = rig_now_ms();
			client_send(&other, bytes_of(cases[i].bytes, cases[i].size));
			client_error_is(&other, 0, cases[i].code);
			client_ends(&other);
			took_ms = rig_now_ms() - since;
			client_close(&other);
		}
		ck_assert_uint_lt(took_ms, REFUSED_LINGER_MS); /* the client is not kept waiting for its end */
		serves(&client, 1);
	}
}
END_TEST

START_TEST(test_too_deep_frame_closes) {
	uint8_t deep[10000];
	memset(deep, 0x91, sizeof deep);
	client_send(&client, bytes_of(deep, sizeof deep));
	client_error_is(&client, 0, "too_deep");
	client_ends(&client);
}
END_TEST

START_TEST(test_whoever_sends_on_after_the_refusal_can_read_it) {
	struct buf frame = {0};
	frame_large(&frame, 20000);
	client_send(&client, bytes_buf(&frame));
	client_error_is(&client, 0, "too_large");
	client_ends(&client);
	ck_assert_uint_eq(rig.engine->count, 0);
	buf_finish(&frame);
}
END_TEST

START_TEST(test_open_requests_are_answered_after_the_refusal) {
	ask(&client, 5, "send", message);
	client_send(&client, BYTES("\xc1"));
	ask(&client, 6, "send", message);
	client_error_is(&client, 0, "bad_request");
	rig_answer(&rig, &(struct engine_answer){.token = rig_request(&rig, 0)->token, .number = 1});
	client_result_is(&client, 5,
		BYTES("\x81\xa5"
			  "epoch\x01"));
	client_ends(&client);
	ck_assert_uint_eq(rig.engine->count, 1);
}
END_TEST

START_TEST(test_refused_peer_that_stays_is_dropped) {
	ask(&client, 5, "call", message);
	client_send(&client, BYTES("\xc1"));
	client_error_is(&client, 0, "bad_request");
	uint64_t since = rig_now_ms();
	rig_until(&rig, requests_open(rig.requests) == 0);
	ck_assert_uint_ge(rig_now_ms() - since + 50, REFUSED_LINGER_MS);
	client_ends(&client);
}
END_TEST

/* ---- ends ---- */

START_TEST(test_half_closed_connection_is_answered) {
	ask(&client, 5, "send", message);
	ask(&client, 6, "send", message);
	shutdown(client.fd, SHUT_WR);
	rig_request(&rig, 1);
	for (size_t i = 0; i < 3; i++)
		rig_turn(&rig);
	for (size_t i = 0; i < 2; i++)
		rig_answer(&rig, &(struct engine_answer){.token = rig.engine->requests[i].token, .number = 1});
	client_result_is(&client, 5,
		BYTES("\x81\xa5"
			  "epoch\x01"));
	client_result_is(&client, 6,
		BYTES("\x81\xa5"
			  "epoch\x01"));
	client_ends(&client);
}
END_TEST

START_TEST(test_closed_connection_cancels_what_is_open) {
	struct client other;
	client_open(&other, &rig);
	ask(&other, 5, "call", message);
	ask(&other, 6, "send", message);
	uint64_t token = rig_request(&rig, 1)->token;
	ck_assert_uint_eq(requests_open(rig.requests), 2);
	client_close(&other);
	rig_until(&rig, requests_open(rig.requests) == 0);
	rig_answer(&rig, &(struct engine_answer){.token = token, .number = 1});
	serves(&client, 1);
}
END_TEST

START_TEST(test_destroy_with_everything_open) {
	ask(&client, 5, "call", message);
	client_send(&client, BYTES("\x94\x00\x01\xa4send"));
	rig_request(&rig, 0);
	ck_assert(data_server_busy(rig.server));
}
END_TEST

static bool refused(const char *path) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool none = connect(fd, (struct sockaddr *)&address, sizeof address) != 0;
	close(fd);
	return none;
}

START_TEST(test_stop_answers_what_is_open_and_takes_nothing_more) {
	ask(&client, 5, "send", message);
	rig_request(&rig, 0);
	data_server_stop(rig.server);
	ck_assert(refused(rig.path));
	ask(&client, 6, "send", message);
	for (size_t i = 0; i < 3; i++)
		rig_turn(&rig);
	ck_assert_uint_eq(rig.engine->count, 1);
	ck_assert(data_server_busy(rig.server));
	rig_answer(&rig, &(struct engine_answer){.token = rig.engine->requests[0].token, .code = ERROR_STOPPING});
	client_error_is(&client, 5, "stopping");
	ck_assert(!data_server_busy(rig.server));
}
END_TEST

START_TEST(test_many_connections) {
	enum { CLIENTS = 200 };
	struct client *clients = calloc(CLIENTS, sizeof *clients);
	for (uint32_t i = 0; i < CLIENTS; i++)
		client_open(&clients[i], &rig);
	for (uint32_t i = 0; i < CLIENTS; i++)
		serves(&clients[i], i);
	for (uint32_t i = 0; i < CLIENTS; i++)
		client_close(&clients[i]);
	serves(&client, 1);
	free(clients);
}
END_TEST

static TCase *case_add(Suite *suite, const char *name, void (*set)(void)) {
	TCase *tests = tcase_create(name);
	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set, tear_down);
	suite_add_tcase(suite, tests);
	return tests;
}

int main(void) {
	Suite *suite = suite_create("connection");
	TCase *tests = case_add(suite, "connection", set_up);
	tcase_add_test(tests, test_frame_byte_by_byte);
	tcase_add_test(tests, test_frame_cut_at_every_byte_by_a_peer_that_goes);
	tcase_add_test(tests, test_many_frames_at_once_and_answers_out_of_order);
	tcase_add_test(tests, test_large_frames_in_pieces);
	tcase_add_test(tests, test_unparsable_frame_closes_this_connection_only);
	tcase_add_test(tests, test_too_deep_frame_closes);
	tcase_add_test(tests, test_whoever_sends_on_after_the_refusal_can_read_it);
	tcase_add_test(tests, test_open_requests_are_answered_after_the_refusal);
	tcase_add_test(tests, test_refused_peer_that_stays_is_dropped);
	tcase_add_test(tests, test_half_closed_connection_is_answered);
	tcase_add_test(tests, test_closed_connection_cancels_what_is_open);
	tcase_add_test(tests, test_destroy_with_everything_open);
	tcase_add_test(tests, test_stop_answers_what_is_open_and_takes_nothing_more);
	tcase_add_test(tests, test_many_connections);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
