/* Rows of the way out byte by byte, and what the incarnations of an egress say of an offset. */
#include <check.h>
#include <stdlib.h>

#include "egress/acked.h"
#include "egress/incarnation.h"
#include "egress/record.h"
#include "egress/sink_inside.h"
#include "wire/pack.h"

static struct buf made;

static void setup(void) {
	made = (struct buf){0};
}

static void teardown(void) {
	buf_finish(&made);
}

static void is(struct bytes found, const void *golden, size_t size) {
	ck_assert_uint_eq(found.size, size);
	ck_assert_mem_eq(found.data, golden, size);
}
#define IS(found, golden) is(found, golden, sizeof(golden) - 1)

START_TEST(an_acknowledged_position) {
	struct key key = acked_key(bytes_text("bans"), bytes_text("n"));
	IS(key_bytes(&key),
		"A\x04"
		"bansn");
	acked_put(&made, 300, 5);
	IS(bytes_buf(&made), "\x92\xcd\x01\x2c\x05");
	uint64_t next;
	ck_assert(acked_take(bytes_buf(&made), &next));
	ck_assert_uint_eq(next, 300);
	for (size_t size = 0; size < made.size; size++)
		ck_assert(!acked_take(bytes_of(made.data, size), &next));
}
END_TEST

START_TEST(a_sink) {
	const struct sink_row row = {.next = 7, .path = bytes_text("a.jsonl"), .mark = {.bytes = 200, .number = 3}};
	struct sink_row taken;
	sink_row_put(&made, &row);
	IS(bytes_buf(&made),
		"\x94\x07\xa7"
		"a.jsonl\xcc\xc8\x03");
	ck_assert(sink_row_take(bytes_buf(&made), &taken));
	ck_assert_uint_eq(taken.next, 7);
	ck_assert(bytes_equal(taken.path, row.path));
	ck_assert_uint_eq(taken.mark.bytes, 200);
	ck_assert_uint_eq(taken.mark.number, 3);
	for (size_t size = 0; size < made.size; size++)
		ck_assert(!sink_row_take(bytes_of(made.data, size), &taken));
}
END_TEST

START_TEST(incarnations_byte_by_byte) {
	struct incarnations all = {0};
	struct key key = incarnation_key(bytes_text("bans"));
	IS(key_bytes(&key), "Gbans");
	ck_assert(incarnations_begin(&all, 10, 0));
	ck_assert(incarnations_begin(&all, 500, 20));
	incarnations_put(&made, &all);
	IS(bytes_buf(&made), "\x92\x92\x0a\x00\x92\xcd\x01\xf4\x14");
	struct incarnations taken;
	ck_assert(incarnations_take(bytes_buf(&made), &taken));
	ck_assert_uint_eq(taken.count, 2);
	ck_assert_uint_eq(taken.entries[1].id, 500);
	ck_assert_uint_eq(taken.entries[1].first, 20);
	for (size_t size = 0; size < made.size; size++)
		ck_assert(!incarnations_take(bytes_of(made.data, size), &taken));
}
END_TEST

START_TEST(an_incarnation_begins_where_something_new_can_differ) {
	struct incarnations all = {0};
	ck_assert(incarnations_begin(&all, 10, 0));
	ck_assert(!incarnations_begin(&all, 10, 0));
	ck_assert(!incarnations_begin(&all, 11, 0)); /* nothing was emitted since */
	ck_assert(incarnations_begin(&all, 12, 5));
	ck_assert_uint_eq(all.count, 2);
	for (uint64_t i = 0; i < 2 * INCARNATIONS_MAX; i++)
		ck_assert(incarnations_begin(&all, 20 + i, 6 + i));
	ck_assert_uint_eq(all.count, INCARNATIONS_MAX);
	ck_assert_uint_eq(all.entries[INCARNATIONS_MAX - 1].first, 5 + 2 * INCARNATIONS_MAX);
	ck_assert_uint_eq(all.entries[0].first, 6 + INCARNATIONS_MAX);
}
END_TEST

START_TEST(an_offset_keeps_its_meaning_within_its_incarnation) {
	struct incarnations all = {0};
	incarnations_begin(&all, 10, 0);
	incarnations_begin(&all, 20, 100);
	static const struct {
		uint64_t id, next;
		bool good;
		uint64_t from;
	} cases[] = {
		{0, 150, true, 0},
		{0, 151, false, 150},  /* nobody can have seen that here */
		{10, 100, true, 0},    /* up to where the next one began */
		{10, 101, false, 100}, /* of another history: the first went on there */
		{20, 150, true, 0},
		{20, 151, false, 150},
		{15, 30, false, 7}, /* not ours: from the start on */
		{15, 0, true, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t from;
		ck_assert_msg(
			incarnations_continue(&all, cases[i].id, cases[i].next, 7, 150, &from) == cases[i].good, "case %zu", i);
		if (!cases[i].good)
			ck_assert_uint_eq(from, cases[i].from);
	}
}
END_TEST

START_TEST(an_incarnation_rises_and_fits_a_double) {
	for (uint64_t epoch = 0; epoch < 1000; epoch++)
		ck_assert_uint_lt(incarnation_new(epoch), incarnation_new(epoch + 1));
	ck_assert_uint_lt(incarnation_new((uint64_t)1 << 32), (uint64_t)1 << 53);
}
END_TEST

START_TEST(a_record_as_subscribers_get_it) {
	struct buf record = {0};
	pack_array(&record, 4);
	pack_uint(&record, 5);
	pack_text(&record, "a/b");
	pack_bin(&record, bytes_text("x"));
	pack_nil(&record);
	ck_assert(record_pack(&made, bytes_buf(&record)));
	IS(bytes_buf(&made),
		"\x83\xa7time_ms\x05\xa6source\x82\xa4type\xa3"
		"a/b\xa2id\xa1x\xa7payload\xc0");
	struct buf skipped = {0};
	record_pack_skipped(&skipped, bytes_buf(&made), 9);
	IS(bytes_buf(&skipped),
		"\x84\xa7skipped\x09\xa7time_ms\x05\xa6source\x82\xa4type\xa3"
		"a/b\xa2id\xa1x\xa7payload\xc0");
	for (size_t size = 0; size < record.size; size++) {
		size_t before = made.size;
		ck_assert(!record_pack(&made, bytes_of(record.data, size)));
		ck_assert_uint_eq(made.size, before);
	}
	buf_reset(&record);
	buf_reset(&made);
	pack_array(&record, 4);
	pack_uint(&record, 5);
	pack_text(&record, "a/b");
	pack_bin(&record, bytes_text("\xff"));
	pack_nil(&record);
	ck_assert(record_pack(&made, bytes_buf(&record)));
	ck_assert_ptr_nonnull(memmem(made.data, made.size, "\xa2id\xc4\x01\xff", 6));
	buf_finish(&record);
	buf_finish(&skipped);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("egress_rows");
	TCase *cases = tcase_create("rows");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, an_acknowledged_position);
	tcase_add_test(cases, a_sink);
	tcase_add_test(cases, incarnations_byte_by_byte);
	tcase_add_test(cases, an_incarnation_begins_where_something_new_can_differ);
	tcase_add_test(cases, an_offset_keeps_its_meaning_within_its_incarnation);
	tcase_add_test(cases, an_incarnation_rises_and_fits_a_double);
	tcase_add_test(cases, a_record_as_subscribers_get_it);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
