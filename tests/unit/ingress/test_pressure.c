/* What holds a caller up on the data socket: time, an engine that can take no more, and its own not reading. */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "frames.h"
#include "ingress/connection.h"
#include "ingress/large.h"
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

/* ---- time ---- */

START_TEST(test_call_times_out_and_the_late_answer_is_dropped) {
	uint64_t since = rig_now_ms();
	ask(&client, 5, "call", "to='a/b' id='i' payload=#c0 timeout_ms=60");
	ask(&client, 6, "call", message);
	uint64_t token = rig_request(&rig, 0)->token;
	client_error_is(&client, 5, "timeout");
	ck_assert_uint_ge(rig_now_ms() - since, 60);
	rig_answer(&rig, &(struct engine_answer){.token = token, .payload = BYTES("\x01")});
	rig_answer(&rig, &(struct engine_answer){.token = rig.engine->requests[1].token, .payload = BYTES("\x02")});
	client_result_is(&client, 6, BYTES("\x81\xa7payload\x02"));
}
END_TEST

START_TEST(test_send_has_no_timeout) {
	ask(&client, 5, "send", message);
	ask(&client, 6, "call", "to='a/b' id='i' payload=#c0 timeout_ms=60");
	client_error_is(&client, 6, "timeout");
	ck_assert_uint_eq(requests_open(rig.requests), 1);
}
END_TEST

static void set_up_impatient(void) {
	rig_init(&rig);
	rig.config.call_timeout_ms = 40;
	rig_start(&rig);
	client_open(&client, &rig);
}

START_TEST(test_default_timeout_is_the_setting) {
	ask(&client, 5, "call", message);
	ask(&client, 6, "call", "to='a/b' id='i' payload=#c0 timeout_ms=18446744073709551615");
	ask(&client, 7, "call", "to='a/b' id='i' payload=#c0 timeout_ms=#cfffffffffffffffff");
	client_error_is(&client, 5, "timeout");
	ck_assert_uint_eq(requests_open(rig.requests), 2);
}
END_TEST

/* ---- back-pressure ---- */

START_TEST(test_pressed_engine_is_not_fed) {
	struct client other;
	client_open(&other, &rig);
	serves(&other, 1);
	size_t before = rig.engine->count;
	rig.engine->pressed = true;
	for (uint32_t i = 0; i < 10; i++)
		ask(&client, i, "send", message);
	ask(&other, 1, "send", message);
	size_t asked = rig.engine->asked;
	rig_until(&rig, rig.engine->asked > asked + 3);
	ck_assert_uint_eq(rig.engine->count, before);
	rig.engine->pressed = false;
	rig_request(&rig, before + 10);
	client_close(&other);
}
END_TEST

START_TEST(test_pressed_in_the_middle_of_a_read) {
	struct buf frames = {0};
	for (uint32_t i = 0; i < 8; i++)
		frame_large(&frames, 70); /* each larger than what passes without asking */
	rig.engine->pressed = true;
	client_send(&client, bytes_of(frames.data, 100));
	rig_until(&rig, rig.engine->asked > 3);
	rig.engine->pressed = false;
	size_t sent = 100;
	while (sent < frames.size && rig.engine->count == 0) {
		client_send(&client, bytes_of(frames.data + sent, 1000));
		sent += 1000;
		rig_turn(&rig);
	}
	rig.engine->pressed = true;
	client_send(&client, bytes_of(frames.data + sent, 100000));
	sent += 100000;
	size_t asked = rig.engine->asked;
	rig_until(&rig, rig.engine->asked > asked + 3);
	size_t count = rig.engine->count;
	ck_assert_uint_lt(count, 8);
	rig.engine->pressed = false;
	client_send(&client, bytes_of(frames.data + sent, frames.size - sent));
	rig_request(&rig, 7);
	buf_finish(&frames);
}
END_TEST

START_TEST(test_pause_and_resume) {
	data_server_pause(rig.server);
	ask(&client, 5, "send", message);
	for (size_t i = 0; i < 3; i++)
		rig_turn(&rig);
	ck_assert_uint_eq(rig.engine->count, 0);
	data_server_resume(rig.server);
	rig_request(&rig, 0);
	serves(&client, 6);
}
END_TEST

START_TEST(test_caller_that_does_not_read_is_not_read) {
	enum { REPLY = 100000 };
	uint8_t *content = calloc(REPLY, 1);
	struct buf reply = {0};
	pack_bin(&reply, bytes_of(content, REPLY));
	uint32_t asked = 0, answered = 0, quiet = 0;
	while (quiet < 5) {
		ask(&client, asked++, "call", message);
		rig_turn(&rig);
		quiet = rig.engine->count > answered ? 0 : quiet + 1;
		for (; answered < rig.engine->count; answered++)
			rig_answer(&rig,
				&(struct engine_answer){.token = rig.engine->requests[answered].token, .payload = bytes_buf(&reply)});
		ck_assert_uint_lt(asked, 1000);
	}
	ck_assert_uint_lt(answered * (size_t)REPLY, OUTPUT_BYTES_MAX + 10 * REPLY);
	for (uint32_t i = 0; i < asked; i++) {
		rig_until(&rig, (client_receive(&client), rig.engine->count > i));
		for (; answered < rig.engine->count; answered++)
			rig_answer(&rig,
				&(struct engine_answer){.token = rig.engine->requests[answered].token, .payload = bytes_buf(&reply)});
		struct reply got = client_reply(&client);
		ck_assert_uint_eq(got.msgid, i);
		ck_assert_uint_eq(map_member(got.result, "payload").size, reply.size);
	}
	buf_finish(&reply);
	free(content);
}
END_TEST

START_TEST(test_caller_that_never_reads_is_dropped) {
	enum { CALLS = 100, REPLY = 1 << 20 };
	uint8_t *content = calloc(REPLY, 1);
	struct buf reply = {0}, frames = {0};
	pack_bin(&reply, bytes_of(content, REPLY));
	for (uint32_t i = 0; i < CALLS; i++)
		frame_text(&frames, i, "call", message);
	client_send(&client, bytes_buf(&frames));
	rig_request(&rig, CALLS - 1);
	for (uint32_t i = 0; i < CALLS; i++) {
		rig_answer(&rig, &(struct engine_answer){.token = rig.engine->requests[i].token, .payload = bytes_buf(&reply)});
		if (i == 70)
			for (size_t turn = 0; turn < 3; turn++)
				rig_turn(&rig);
	}
	ck_assert_uint_eq(requests_open(rig.requests), 0);
	ck_assert(!data_server_busy(rig.server));
	buf_finish(&frames);
	buf_finish(&reply);
	free(content);
}
END_TEST

START_TEST(test_too_many_open_requests_are_not_read) {
	enum { FRAMES = CONNECTION_PENDING_MAX + 100 };
	struct buf frames = {0};
	for (uint32_t i = 0; i < FRAMES; i++)
		frame_text(&frames, i, "send", message);
	client_send(&client, bytes_buf(&frames));
	rig_request(&rig, CONNECTION_PENDING_MAX - 1);
	for (size_t i = 0; i < 3; i++)
		rig_turn(&rig);
	ck_assert_uint_eq(rig.engine->count, CONNECTION_PENDING_MAX);
	for (size_t i = 0; i < FRAMES; i++)
		rig_answer(&rig, &(struct engine_answer){.token = rig_request(&rig, i)->token, .number = 1});
	for (uint32_t i = 0; i < FRAMES; i++)
		client_result_is(&client, i,
			BYTES("\x81\xa5"
				  "epoch\x01"));
	buf_finish(&frames);
}
END_TEST

/* ---- large frames: two places in this configuration ---- */

enum { LARGE_CLIENTS = 4 };
static struct client larges[LARGE_CLIENTS];
static struct buf large;

/* Each client has sent half of a frame; the first two have a place, the last two no longer get anything read. */
static void larges_begin(void) {
	frame_large(&large, 3000);
	for (size_t i = 0; i < LARGE_CLIENTS; i++) {
		client_open(&larges[i], &rig);
		if (i < LARGE_FRAMES_MIN) {
			client_send(&larges[i], bytes_of(large.data, large.size / 2));
			continue;
		}
		ssize_t sent = 1;
		for (size_t quiet = 0; quiet<5; quiet = sent> 0 ? 0 : quiet + 1) {
			sent = send(larges[i].fd, large.data + larges[i].sent, large.size - larges[i].sent, MSG_NOSIGNAL);
			larges[i].sent += sent > 0 ? (size_t)sent : 0;
			rig_turn(&rig);
		}
		ck_assert_uint_lt(larges[i].sent, large.size / 2);
	}
}

static void larges_end(void) {
	for (size_t i = 0; i < LARGE_CLIENTS; i++)
		client_close(&larges[i]);
	buf_finish(&large);
}

static void large_rest(struct client *sender, size_t sent) {
	size_t before = rig.engine->count;
	client_send(sender, bytes_of(large.data + sent, large.size - sent));
	ck_assert_uint_eq(rig_request(&rig, before)->count, 3000);
}

START_TEST(test_large_frames_wait_for_a_place) {
	larges_begin();
	serves(&client, 1);
	large_rest(&larges[0], large.size / 2);
	large_rest(&larges[2], larges[2].sent);
	client_close(&larges[3]);
	client_open(&larges[3], &rig);
	large_rest(&larges[1], large.size / 2);
	large_rest(&larges[3], 0);
	larges_end();
}
END_TEST

START_TEST(test_large_frames_that_stall_give_up_their_place) {
	larges_begin();
	uint64_t since = rig_now_ms();
	client_error_is(&larges[0], 0, "timeout");
	client_error_is(&larges[1], 0, "timeout");
	ck_assert_uint_ge(rig_now_ms() - since + 500, LARGE_STALL_MS);
	large_rest(&larges[2], larges[2].sent);
	large_rest(&larges[3], larges[3].sent);
	serves(&client, 1);
	larges_end();
}
END_TEST

START_TEST(test_large_frame_may_stall_when_nobody_waits) {
	frame_large(&large, 3000);
	client_send(&client, bytes_of(large.data, large.size / 2));
	uint64_t end = rig_now_ms() + LARGE_STALL_MS + 500;
	rig_until(&rig, rig_now_ms() > end);
	large_rest(&client, large.size / 2);
	buf_finish(&large);
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
	Suite *suite = suite_create("pressure");
	TCase *tests = case_add(suite, "pressure", set_up);
	tcase_add_test(tests, test_call_times_out_and_the_late_answer_is_dropped);
	tcase_add_test(tests, test_send_has_no_timeout);
	tcase_add_test(tests, test_pressed_engine_is_not_fed);
	tcase_add_test(tests, test_pressed_in_the_middle_of_a_read);
	tcase_add_test(tests, test_pause_and_resume);
	tcase_add_test(tests, test_caller_that_does_not_read_is_not_read);
	tcase_add_test(tests, test_caller_that_never_reads_is_dropped);
	tcase_add_test(tests, test_too_many_open_requests_are_not_read);
	tcase_add_test(tests, test_large_frames_wait_for_a_place);
	tcase_add_test(tests, test_large_frames_that_stall_give_up_their_place);
	tcase_add_test(tests, test_large_frame_may_stall_when_nobody_waits);
	tests = case_add(suite, "pressure-impatient", set_up_impatient);
	tcase_add_test(tests, test_default_timeout_is_the_setting);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
