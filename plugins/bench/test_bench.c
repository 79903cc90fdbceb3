/* The plugin `bench`, through the ABI alone: every message it is told to send is sent, to ids within the range, and no more. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include <sofun/testing.h>

static sofun_test *test;

static void setup(void) {
	test = sofun_test_open(TEST_BUILD_DIR "/lib/sofun/plugins/bench.so");
}

static void teardown(void) {
	sofun_test_close(test);
}

static int call(const char *type, const char *id, sofun_bytes payload) {
	const sofun_test_message message = {.type = type, .id = sofun_text(id), .payload = payload};
	return sofun_test_invoke(test, &message);
}

static int order(long long left, long long ids, int seed, int batch, const char *target) {
	return call("bench/driver", "d",
		sofun_test_json(test, "{\"left\":%lld,\"ids\":%lld,\"seed\":%d,\"batch\":%d,\"target\":\"%s\"}", left, ids,
			seed, batch, target));
}

/* Of the ids 0 to 9, how often each was sent to. */
static void sends_count(size_t counts[10]) {
	for (size_t i = 0; i < sofun_test_effect_count(test); i++) {
		const sofun_test_effect *effect = sofun_test_effect_at(test, i);
		ck_assert(sofun_bytes_equal(effect->name, sofun_text("demo/counter")));
		ck_assert(sofun_bytes_equal(effect->payload, sofun_test_json(test, "null")));
		ck_assert_uint_eq(effect->id.size, 16);
		ck_assert(memcmp(effect->id.data, "000000000000000", 15) == 0);
		ck_assert(effect->id.data[15] >= '0' && effect->id.data[15] <= '9');
		counts[effect->id.data[15] - '0']++;
	}
}

START_TEST(the_driver_sends_all_that_is_left) {
	size_t counts[10] = {0};
	ck_assert_int_eq(order(1000, 10, 7, 64, "counter"), 0);
	ck_assert_uint_eq(sofun_test_effect_count(test), 65); /* a batch, and the rest to itself */
	ck_assert_int_eq(sofun_test_deliver(test), 0);
	ck_assert_uint_eq(sofun_test_effect_count(test), 1000);
	sends_count(counts);
	for (int i = 0; i < 10; i++)
		ck_assert_msg(counts[i] > 60 && counts[i] < 140, "id %d: %zu", i, counts[i]);
}
END_TEST

START_TEST(the_same_seed_sends_the_same) {
	size_t first[10] = {0};
	size_t second[10] = {0};
	ck_assert_int_eq(order(100, 10, 3, 100, "counter"), 0);
	sends_count(first);
	sofun_test_effects_clear(test);
	ck_assert_int_eq(order(100, 10, 3, 33, "counter"), 0);
	ck_assert_int_eq(sofun_test_deliver(test), 0);
	sends_count(second);
	ck_assert(memcmp(first, second, sizeof first) == 0);
}
END_TEST

START_TEST(a_chain_is_three_calls) {
	ck_assert_int_eq(order(50, 5, 1, 16, "chain"), 0);
	ck_assert_int_eq(sofun_test_deliver(test), 0);
	int64_t sum = 0;
	for (int i = 0; i < 5; i++) {
		char id[17];
		(void)snprintf(id, sizeof id, "%016x", (unsigned)i);
		sum += sofun_test_state_int(test, "bench/chain", id, "count");
	}
	ck_assert_int_eq(sum, 150);
	ck_assert_uint_eq(sofun_test_instance_count(test), 6); /* five, and the driver */
}
END_TEST

START_TEST(a_record_counts_for_its_first_bytes) {
	size_t counts[10] = {0};
	ck_assert_int_eq(sofun_test_route(test, "bench", sofun_text("0000000000000007 and whatever follows")), 0);
	ck_assert_uint_eq(sofun_test_effect_count(test), 1);
	sends_count(counts);
	ck_assert_uint_eq(counts[7], 1);
	ck_assert_int_ne(sofun_test_route(test, "bench", sofun_text("000000000000007")), 0);
}
END_TEST

START_TEST(counters_differ_in_their_end_alone) {
	ck_assert_int_eq(order(100, 2, 7, 64, "lasting"), 0);
	ck_assert_int_eq(order(100, 2, 7, 64, "idle"), 0);
	ck_assert_int_eq(sofun_test_deliver(test), 0);
	for (int i = 0; i < 2; i++) {
		char id[17];
		(void)snprintf(id, sizeof id, "%016x", (unsigned)i);
		const int64_t count = sofun_test_state_int(test, "bench/lasting", id, "count");
		ck_assert_int_gt(count, 0);
		ck_assert_int_eq(sofun_test_state_int(test, "bench/idle", id, "count"), count);
	}
	ck_assert_int_ne(order(1, 1, 7, 64, "lasting "), 0);
}
END_TEST

START_TEST(each_note_is_another) {
	ck_assert_int_eq(order(200, 1, 7, 64, "note"), 0);
	ck_assert_int_eq(sofun_test_deliver(test), 0);
	ck_assert_uint_eq(sofun_test_instance_count(test), 201); /* and the driver */
}
END_TEST

static int alarm_order(int left, int delay_ms, const char *target) {
	return call("bench/driver", "d",
		sofun_test_json(test, "{\"left\":%d,\"ids\":1,\"seed\":7,\"batch\":64,\"delay_ms\":%d,\"target\":\"%s\"}", left,
			delay_ms, target));
}

static size_t effects_of(int kind) {
	size_t count = 0;
	for (size_t i = 0; i < sofun_test_effect_count(test); i++)
		count += sofun_test_effect_at(test, i)->kind == kind;
	return count;
}

START_TEST(alarms_ring_unless_they_are_silenced) {
	ck_assert_int_eq(alarm_order(200, 500, "alarm"), 0);
	ck_assert_int_eq(alarm_order(150, 0, "silence"), 0);
	ck_assert_int_eq(sofun_test_deliver(test), 0);
	ck_assert_uint_eq(effects_of(SOFUN_TEST_TIMER), 50);
	ck_assert_int_eq(sofun_test_advance(test, 499), 0);
	ck_assert_uint_eq(effects_of(SOFUN_TEST_SEND), 0);
	ck_assert_int_eq(sofun_test_advance(test, 1), 0);
	ck_assert_uint_eq(effects_of(SOFUN_TEST_SEND), 50); /* to demo/counter, which is no function of this plugin */
	ck_assert_int_ne(sofun_test_call(test, "bench/alarm", "nobody", "null"), 0);
	ck_assert_str_eq(sofun_test_failure(test), "there is no alarm to cancel");
	ck_assert_int_ne(sofun_test_call(test, "bench/alarm", "nobody", "\"soon\""), 0);
}
END_TEST

START_TEST(keys_of_a_shelf_are_spread) {
	ck_assert_int_eq(order(160, 1000, 7, 160, "shelve"), 0);
	ck_assert_int_eq(order(160, 1000, 7, 160, "look"), 0);
	ck_assert_uint_eq(sofun_test_effect_count(test), 320);
	for (size_t i = 0; i < 160; i++) { /* what is set is read, at the same instance */
		const sofun_test_effect *set = sofun_test_effect_at(test, i), *look = sofun_test_effect_at(test, 160 + i);
		ck_assert(sofun_bytes_equal(set->name, sofun_text("bench/shelf")) && sofun_bytes_equal(set->id, look->id));
		ck_assert_uint_eq(look->payload.size, 1 + set->payload.size);
		ck_assert(memcmp(look->payload.data + 1, set->payload.data, set->payload.size) == 0);
	}
}
END_TEST

START_TEST(nothing_left_sends_nothing) {
	ck_assert_int_eq(order(0, 10, 7, 64, "counter"), 0);
	ck_assert_uint_eq(sofun_test_effect_count(test), 0);
}
END_TEST

START_TEST(bad_orders_fail_with_a_text) {
	ck_assert_int_ne(order(1, 0, 7, 64, "counter"), 0);
	ck_assert_int_ne(order(1, 4294967296, 7, 64, "counter"), 0);
	ck_assert_int_ne(order(1, 1, 7, 0, "counter"), 0);
	ck_assert_int_ne(order(1, 1, 7, 1025, "counter"), 0);
	ck_assert_int_ne(order(1, 1, 7, 1, "other"), 0);
	ck_assert_int_ne(order(-1, 1, 7, 1, "chain"), 0);
	ck_assert_str_eq(sofun_test_failure(test),
		"the payload must be {left, ids: 1 to 2^32-1, seed, batch: 1 to 1024, target: counter, chain, lasting, idle, note, "
		"alarm, silence, errand, shelve or look} and may have delay_ms");
	ck_assert_int_ne(sofun_test_call(test, "bench/chain", "c", "[0,1]"), 0);
	ck_assert_str_eq(sofun_test_failure(test), "the payload must be [hops: 1 to 1000, ids: 1 to 2^32-1]");
	ck_assert_uint_eq(sofun_test_effect_count(test), 0);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("bench");
	TCase *tests = tcase_create("bench");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, the_driver_sends_all_that_is_left);
	tcase_add_test(tests, the_same_seed_sends_the_same);
	tcase_add_test(tests, a_chain_is_three_calls);
	tcase_add_test(tests, a_record_counts_for_its_first_bytes);
	tcase_add_test(tests, counters_differ_in_their_end_alone);
	tcase_add_test(tests, each_note_is_another);
	tcase_add_test(tests, alarms_ring_unless_they_are_silenced);
	tcase_add_test(tests, keys_of_a_shelf_are_spread);
	tcase_add_test(tests, nothing_left_sends_nothing);
	tcase_add_test(tests, bad_orders_fail_with_a_text);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
