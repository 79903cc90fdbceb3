/* The small parts of the flow by themselves: tokens, views, the clock, the instances' values. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/flow_clock.h"
#include "flow/instance/instance.h"
#include "flow/request/request.h"
#include "flow/view.h"

struct heard {
	unsigned calls;
	uint64_t number;
};

static void hear(void *arg, const struct engine_answer *answer) {
	struct heard *heard = arg;
	heard->calls++;
	heard->number = answer->number;
}

START_TEST(a_token_is_answered_once) {
	struct requests *requests = requests_create();
	struct heard heard = {0};
	uint64_t token = request_open(requests, hear, &heard);
	struct engine_answer answer = {.token = token, .number = 9};
	request_answer(requests, &answer);
	request_answer(requests, &answer);
	ck_assert_uint_eq(heard.calls, 1);
	ck_assert_uint_eq(heard.number, 9);
	uint64_t again = request_open(requests, hear, &heard);
	ck_assert_uint_ne(again, token); /* the slot is the same, the generation is not */
	request_answer(requests, &answer);
	ck_assert_uint_eq(heard.calls, 1);
	request_cancel(requests, again);
	answer.token = again;
	request_answer(requests, &answer);
	ck_assert_uint_eq(heard.calls, 1);
	ck_assert_uint_eq(requests_open(requests), 0);
	requests_destroy(requests);
}
END_TEST

START_TEST(tokens_of_many_requests_differ) {
	struct requests *requests = requests_create();
	struct heard heard[300] = {{0}};
	uint64_t tokens[300];
	for (int i = 0; i < 300; i++)
		tokens[i] = request_open(requests, hear, &heard[i]);
	for (int i = 299; i >= 0; i--) {
		struct engine_answer answer = {.token = tokens[i], .number = (uint64_t)i};
		request_answer(requests, &answer);
		ck_assert_uint_eq(heard[i].number, (uint64_t)i);
	}
	struct engine_answer foreign = {.token = 0};
	request_answer(requests, &foreign);
	requests_destroy(requests);
}
END_TEST

START_TEST(who_waits_at_the_stop_is_refused) {
	struct requests *requests = requests_create();
	struct heard heard[3] = {{0}};
	request_open(requests, hear, &heard[0]);
	request_cancel(requests, request_open(requests, hear, &heard[1]));
	request_open(requests, hear, &heard[2]);
	requests_refuse(requests, ERROR_STOPPING, "the host is stopping");
	requests_refuse(requests, ERROR_STOPPING, "the host is stopping");
	ck_assert_uint_eq(heard[0].calls, 1);
	ck_assert_uint_eq(heard[1].calls, 0); /* cancelled */
	ck_assert_uint_eq(heard[2].calls, 1);
	ck_assert_uint_eq(requests_open(requests), 0);
	requests_destroy(requests);
}
END_TEST

START_TEST(a_view_knows_its_types_and_ingresses) {
	enum { TYPES = 500 };
	static char names[TYPES + 1][16];
	static struct binding bindings[TYPES + 1];
	for (uint16_t i = 1; i <= TYPES; i++) {
		snprintf(names[i], sizeof names[i], "t/%u", i);
		bindings[i] = (struct binding){.number = i, .name = i % 7 == 0 ? NULL : names[i]};
	}
	struct route route = {.ingress = "lines", .until = SPLIT_WHOLE};
	struct view *view = view_create(3, bindings, TYPES + 1, &route, 1);
	for (uint16_t i = 1; i <= TYPES; i++)
		ck_assert_uint_eq(view_type(view, bytes_text(names[i])), i % 7 == 0 ? 0 : i);
	ck_assert_uint_eq(view_type(view, bytes_text("t/501")), 0);
	ck_assert_uint_eq(view_type(view, bytes_text("")), 0);
	ck_assert(view_ingress(view, bytes_text("lines"), bytes_text("p")));
	ck_assert(!view_ingress(view, bytes_text("line"), bytes_text("p")));
	view_destroy(view);
	route.until = split_hash(0, bytes_text("p")); /* a canary's, and nobody has the rest */
	view = view_create(4, bindings, TYPES + 1, &route, 1);
	ck_assert(!view_ingress(view, bytes_text("lines"), bytes_text("p")));
	view_destroy(view);
}
END_TEST

START_TEST(the_clock_never_goes_back) {
	struct flow_clock clock = {0};
	uint64_t ahead = (uint64_t)4102444800000; /* the year 2100: the store was last used under a wrong clock */
	flow_clock_init(&clock, false, 0, ahead);
	ck_assert_uint_ge(flow_clock_update(&clock), ahead);
	monotonic_simulate(monotonic_us() + 10 * 1000000);
	uint64_t later = flow_clock_update(&clock);
	ck_assert_uint_ge(later, ahead + 4900); /* half speed until the system's clock has caught up */
	ck_assert_uint_le(later, ahead + 5200);
	monotonic_simulate(0);
}
END_TEST

START_TEST(a_system_clock_that_goes_back_is_caught_up_at_half_speed) {
	struct flow_clock clock = {0};
	const uint64_t start = 1700000000000;
	const uint64_t mono = 50000000;
	system_simulate(start);
	monotonic_simulate(mono);
	flow_clock_init(&clock, false, 0, 0);
	system_simulate(start - 10000); /* back by ten seconds: half of the next twenty pass */
	ck_assert_uint_eq(flow_clock_update(&clock), start);
	for (uint64_t passed = 1000; passed < 20000; passed += 1000) {
		system_simulate(start - 10000 + passed);
		monotonic_simulate(mono + passed * 1000);
		ck_assert_uint_eq(flow_clock_update(&clock), start + passed / 2);
	}
	system_simulate(start + 11000);
	monotonic_simulate(mono + 21000000);
	ck_assert_uint_eq(flow_clock_update(&clock), start + 11000); /* caught up: as the system goes */
	system_simulate(start + 86400000);
	ck_assert_uint_eq(flow_clock_update(&clock), start + 86400000); /* forward is adopted at once */
	system_simulate(0);
	monotonic_simulate(0);
}
END_TEST

START_TEST(a_time_far_ahead_of_the_system_is_refused) {
	struct error error;
	const uint64_t now = 1700000000000;
	system_simulate(now);
	ck_assert(flow_clock_check(0, &error));
	ck_assert(flow_clock_check(now + 3600000, &error));
	ck_assert(!flow_clock_check(now + 3600001, &error));
	ck_assert_int_eq(error.code, ERROR_REFUSED);
	ck_assert_ptr_nonnull(strstr(error.hint, "--accept-clock"));
	system_simulate(0);
}
END_TEST

START_TEST(the_test_clock_moves_only_when_told) {
	struct flow_clock clock = {0};
	flow_clock_init(&clock, true, 5000, 7000);
	ck_assert_uint_eq(flow_clock_update(&clock), 7000); /* the later of the two */
	ck_assert_uint_eq(flow_clock_set(&clock, 7010), 7010);
	ck_assert_uint_eq(flow_clock_set(&clock, 6000), 7010);
	ck_assert_uint_eq(flow_clock_update(&clock), 7010);
}
END_TEST

/* A value passes through all sizes at which its place changes: in the slot, on the heap, in a row of its own. */
START_TEST(a_value_of_every_size) {
	static const size_t sizes[] = {1, 12, 13, 1024, 1025, 40000, 1024, 13, 12, 0, 5000, 1};
	struct instance *instance = calloc(1, sizeof *instance + sizeof(struct slot) + 1);
	instance->value_count = 1;
	instance->id_size = 1;
	*instance_id(instance) = 'i';
	instance->type = 4;
	struct buf redo = {0}, scratch = {0};
	static uint8_t content[40000];
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		memset(content, (int)i + 1, sizeof content);
		instance_set(instance, 0, bytes_of(content, sizes[i]));
		struct bytes now = slot_bytes(&instance->slots[0]);
		ck_assert(bytes_equal(now, bytes_of(content, sizes[i])));
		bool had_large = instance->rest != NULL && instance->rest->large.rows != 0;
		buf_reset(&redo);
		struct redo_series series = {.begun = false};
		instance_redo(instance, &redo, &series, &scratch);
		struct redo_reader reader;
		redo_reader_init(&reader, bytes_buf(&redo));
		unsigned puts = 0, removes = 0;
		while (reader.rest.size > 0) {
			struct redo_op op;
			ck_assert(redo_next(&reader, &op));
			puts += op.kind == REDO_PUT;
			removes += op.kind == REDO_REMOVE;
		}
		ck_assert_uint_eq(puts, (sizes[i] > 0 ? 1U : 0U) + (sizes[i] > 1024 ? 1U : 0U));
		ck_assert_uint_eq(removes, (sizes[i] == 0 && i > 0 ? 1U : 0U) + (had_large && sizes[i] <= 1024 ? 1U : 0U));
	}
	instance_set(instance, 0, bytes_of(NULL, 0));
	free(instance->rest);
	free(instance);
	buf_finish(&redo);
	buf_finish(&scratch);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("flow inside");
	TCase *tests = tcase_create("inside");
	tcase_add_test(tests, a_token_is_answered_once);
	tcase_add_test(tests, tokens_of_many_requests_differ);
	tcase_add_test(tests, who_waits_at_the_stop_is_refused);
	tcase_add_test(tests, a_view_knows_its_types_and_ingresses);
	tcase_add_test(tests, the_clock_never_goes_back);
	tcase_add_test(tests, a_system_clock_that_goes_back_is_caught_up_at_half_speed);
	tcase_add_test(tests, a_time_far_ahead_of_the_system_is_refused);
	tcase_add_test(tests, the_test_clock_moves_only_when_told);
	tcase_add_test(tests, a_value_of_every_size);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
