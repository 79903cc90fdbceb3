/* Rows 'T', 'V', 'W' and 't' byte by byte (plugin/FORMAT.md, registry/row/). */
#include <check.h>
#include <stdlib.h>

#include "flow/message.h"
#include "registry/inside.h"
#include "state/key.h"

#define BYTES(text) bytes_of(text, sizeof(text) - 1)

static struct registry registry;

static void clear(void) {
	lineages_destroy(&registry);
	for (size_t i = 0; i < registry.verdict_count; i++)
		verdict_destroy(registry.verdicts[i]);
	for (size_t i = 0; i < registry.type_count; i++)
		type_destroy(registry.types[i]);
	free(registry.verdicts);
	free(registry.types);
	registry = (struct registry){0};
}

static void hash_fill(uint8_t hash[HASH_BYTES]) {
	for (int i = 0; i < HASH_BYTES; i++)
		hash[i] = (uint8_t)i;
}

static void is_bytes(const struct buf *row, struct bytes expected) {
	ck_assert_uint_eq(row->size, expected.size);
	for (size_t i = 0; i < expected.size; i++)
		ck_assert_msg(
			row->data[i] == expected.data[i], "byte %zu is %02x, not %02x", i, row->data[i], expected.data[i]);
}

static const struct bytes live_row = {(const uint8_t *)"\x9c"
													   "\xa4"
													   "live"
													   "\xa7"
													   "counter"
													   "\xa5"
													   "1.0.0"
													   "\xaa"
													   "counter.so"
													   "\xb0"
													   "counter-1.0.0-2-"
													   "\x02"
													   "\x00"
													   "\x00"
													   "\x00"
													   "\x00"
													   "\xcd\x03\xe8"
													   "\xc0",
	57};

START_TEST(test_a_live_verdict) {
	uint8_t hash[HASH_BYTES];
	struct buf row = {0};
	struct error error;
	hash_fill(hash);
	struct key key = key_verdict(hash);
	struct verdict *verdict = verdict_add(&registry, hash);
	verdict->state = VERDICT_LIVE;
	strcpy(verdict->name, "counter");
	strcpy(verdict->version, "1.0.0");
	verdict_set_text(&verdict->file, "counter.so");
	verdict_set_text(&verdict->image, "counter-1.0.0-2-");
	verdict->generation = 2;
	verdict->time_ms = 1000;
	verdict_write(&row, verdict);
	is_bytes(&row, live_row);
	clear();
	ck_assert(verdict_read(&registry, key_bytes(&key), bytes_buf(&row), &error));
	verdict = verdict_find(&registry, hash);
	ck_assert_ptr_nonnull(verdict);
	ck_assert_int_eq(verdict->state, VERDICT_LIVE);
	ck_assert_str_eq(verdict->image, "counter-1.0.0-2-");
	ck_assert_uint_eq(verdict->time_ms, 1000);
	ck_assert_uint_eq(registry.generation, 2);
	ck_assert_ptr_null(verdict->refusal);
	buf_finish(&row);
	clear();
}
END_TEST

START_TEST(test_a_refusal_and_a_drain) {
	uint8_t hash[HASH_BYTES];
	struct buf row = {0};
	struct error error;
	hash_fill(hash);
	struct key key = key_verdict(hash);
	struct verdict *verdict = verdict_add(&registry, hash);
	error_set(&error, ERROR_REFUSED, "no");
	error_found(&error, "f");
	error_expected(&error, "e");
	error_hint(&error, "h");
	verdict_refuse(verdict, VERDICT_REFUSED, &error);
	verdict->kept = 300;
	verdict->attempts = 1;
	verdict->held_inode = 70000;
	verdict->held_ctime_ns = UINT64_MAX;
	verdict_write(&row, verdict);
	is_bytes(&row,
		BYTES("\x9c"
			  "\xa7"
			  "refused"
			  "\xa0"
			  "\xa0"
			  "\xa0"
			  "\xa0"
			  "\x00"
			  "\xcd\x01\x2c"
			  "\x01"
			  "\xce\x00\x01\x11\x70"
			  "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
			  "\x00"
			  "\x94"
			  "\xa2"
			  "no"
			  "\xa1"
			  "f"
			  "\xa1"
			  "e"
			  "\xa1"
			  "h"));
	clear();
	ck_assert(verdict_read(&registry, key_bytes(&key), bytes_buf(&row), &error));
	verdict = verdict_find(&registry, hash);
	ck_assert_str_eq(verdict->refusal->message, "no");
	ck_assert_str_eq(verdict->refusal->hint, "h");
	ck_assert_int_eq(verdict->refusal->code, ERROR_REFUSED);
	ck_assert_uint_eq(verdict->held_ctime_ns, UINT64_MAX);
	buf_finish(&row);
	clear();
}
END_TEST

/* As it was before there were other schemas than one. */
START_TEST(test_a_function_type_of_before_migrations) {
	static const struct bytes old = {(const uint8_t *)"\x94"
													  "\xac"
													  "demo/counter"
													  "\xa7"
													  "counter"
													  "\x03"
													  "\x91"
													  "\x92"
													  "\xa5"
													  "count"
													  "\x01",
		32};
	struct key key = key_type(1);
	struct error error;
	ck_assert(type_read(&registry, key_bytes(&key), old, &error));
	const struct function_type *type = type_find(&registry, bytes_text("demo/counter"));
	ck_assert_uint_eq(type->schema, 3);
	ck_assert_uint_eq(type->schema_count, 1);
	ck_assert(!type->eager);
	clear();
}
END_TEST

START_TEST(test_a_function_type) {
	static const struct bytes golden = {(const uint8_t *)"\x96"
														 "\xac"
														 "demo/counter"
														 "\xa7"
														 "counter"
														 "\x03"
														 "\x92"
														 "\x92"
														 "\xa5"
														 "count"
														 "\x01"
														 "\x92"
														 "\xa4"
														 "name"
														 "\x03"
														 "\x91"
														 "\x92"
														 "\x02"
														 "\x91"
														 "\x92"
														 "\xa3"
														 "old"
														 "\x00"
														 "\xc3",
		50};
	struct key key = key_type(258);
	struct error error;
	struct buf row = {0};
	ck_assert(bytes_equal(key_bytes(&key), BYTES("T\x01\x02")));
	ck_assert(type_read(&registry, key_bytes(&key), golden, &error));
	struct function_type *type = type_find(&registry, bytes_text("demo/counter"));
	ck_assert_ptr_nonnull(type);
	ck_assert_uint_eq(type->number, 258);
	ck_assert_str_eq(type->plugin, "counter");
	ck_assert_uint_eq(type->schema, 3);
	ck_assert_uint_eq(type_schema_find(type, 3)->value_count, 2);
	ck_assert_str_eq(type_schema_find(type, 3)->values[1], "name");
	ck_assert_str_eq(type_schema_find(type, 2)->values[0], "old");
	ck_assert(type->eager);
	type_write(&row, type);
	is_bytes(&row, golden);
	buf_finish(&row);
	clear();
}
END_TEST

START_TEST(test_when_state_ends) {
	static const struct bytes golden = {(const uint8_t *)"\x93"
														 "\xc3"
														 "\xcd\x03\xe8"
														 "\x92"
														 "\x96"
														 "\xa0"
														 "\x00"
														 "\xc0"
														 "\x05"
														 "\x64"
														 "\x92"
														 "\x98"
														 "\xce\x80\x00\x00\x00"
														 "\x64"
														 "\x64"
														 "\x08"
														 "\x07"
														 "\x03"
														 "\x06"
														 "\x08"
														 "\x98"
														 "\xcf\x00\x00\x00\x01\x00\x00\x00\x00"
														 "\x03"
														 "\x03"
														 "\x06"
														 "\x00"
														 "\x00"
														 "\x00"
														 "\x00"
														 "\x96"
														 "\xa4"
														 "mark"
														 "\x01"
														 "\x09"
														 "\x05"
														 "\x09"
														 "\x90",
		54};
	struct key key = key_ttl(258);
	struct error error;
	struct buf row = {0};
	ck_assert(bytes_equal(key_bytes(&key), BYTES("t\x01\x02")));
	ck_assert(!type_ttl_read(&registry, key_bytes(&key), golden, &error));
	for (size_t size = 0; size <= golden.size; size++) {
		struct function_type *type = type_add(&registry, 258, "demo/counter");
		bool good = type_ttl_read(&registry, key_bytes(&key), bytes_of(golden.data, size), &error);
		ck_assert_int_eq(good, size == golden.size);
		if (!good) {
			clear();
			continue;
		}
		const struct type_term *idle = type_term_find(type, bytes_of(NULL, 0), TTL_IDLE);
		const struct type_term *mark = type_term_find(type, bytes_text("mark"), TTL_AFTER_WRITE);
		ck_assert(idle->command_ms == TTL_UNSET && idle->since_ms == 5 && idle->filed_ms == 100);
		ck_assert_uint_eq(idle->parts.count, 2);
		const struct ttl_part *canary = &idle->parts.items[0];
		ck_assert(canary->until == SPLIT_WHOLE / 2 && canary->declared_ms == 100 && canary->ms == 100);
		ck_assert(canary->from_ms == 8 && canary->vague_ms == 7 && canary->past.ms == 3 && canary->past.from_ms == 6);
		ck_assert_uint_eq(canary->past.until_ms, 8);
		ck_assert_uint_eq(type_term_declared_ms(idle), 3);
		ck_assert(mark->command_ms == 9 && mark->filed_ms == 9 && mark->parts.count == 0);
		ck_assert(type->ttl.files && type->ttl.files_below == 1000);
		type_ttl_write(&row, type);
		is_bytes(&row, golden);
	}
	buf_finish(&row);
	clear();
}
END_TEST

/* A row of which the parts are those: all else as it must be. */
static bool parts_good(const char *parts, size_t size) {
	struct key key = key_ttl(258);
	struct error error;
	struct buf row = {0};
	type_add(&registry, 258, "demo/counter");
	buf_append_bytes(&row, BYTES("\x93\xc3\x01\x91\x96\xa0\x00\xc0\x05\x64"));
	buf_append(&row, parts, size);
	bool good = type_ttl_read(&registry, key_bytes(&key), bytes_buf(&row), &error);
	buf_finish(&row);
	clear();
	return good;
}

#define WHOLE "\xcf\x00\x00\x00\x01\x00\x00\x00\x00"
#define PARTS_GOOD(literal) parts_good(literal, sizeof(literal) - 1)

START_TEST(test_parts_of_all_ids_in_order) {
	ck_assert(PARTS_GOOD("\x91\x98" WHOLE "\x01\x01\x01\x00\x00\x00\x00"));
	ck_assert(!PARTS_GOOD("\x91\x98\x07\x01\x01\x01\x00\x00\x00\x00")); /* some have none */
	ck_assert(!PARTS_GOOD(
		"\x92\x98" WHOLE "\x01\x01\x01\x00\x00\x00\x00\x98" WHOLE "\x01\x01\x01\x00\x00\x00\x00")); /* none of any */
	ck_assert(!PARTS_GOOD("\x91\x98" WHOLE "\x01\x01\x01\x00\x05\x00\x04")); /* a past of before all time */
	ck_assert(!PARTS_GOOD("\xdc\x00\x65"));                                  /* more than there are shares */
}
END_TEST

/* Rows of before ids could have different times. */
START_TEST(test_when_state_ends_as_it_was_written_before) {
	static const struct bytes before = {
		(const uint8_t *)"\x94\x07\xc3\xcd\x03\xe8\x92"
						 "\x99\xa0\x00\x64\xc0\x05\x14\x03\x64\x64"
						 "\x99\xa4mark\x01\x00\x09\x05\x00\x00\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x09",
		39};
	struct key key = key_ttl(258);
	struct error error;
	struct function_type *type = type_add(&registry, 258, "demo/counter");
	ck_assert(type_ttl_read(&registry, key_bytes(&key), before, &error));
	const struct type_term *idle = type_term_find(type, bytes_of(NULL, 0), TTL_IDLE);
	const struct type_term *mark = type_term_find(type, bytes_text("mark"), TTL_AFTER_WRITE);
	ck_assert(idle->command_ms == TTL_UNSET && idle->since_ms == 5 && idle->filed_ms == 100);
	ck_assert_uint_eq(type_term_declared_ms(idle), 100);
	struct ttl_term term = ttl_parts_term(&idle->parts, idle->since_ms, 0);
	ck_assert(term.ms == 100 && term.past.ms == 3 && term.past.until_ms == 23); /* what was touched by 20 has ended */
	ck_assert(mark->command_ms == 9 && mark->filed_ms == 9);
	ck_assert_uint_eq(ttl_parts_term(&mark->parts, mark->since_ms, 0).ms, 0);
	ck_assert(type->ttl.files && type->ttl.files_below == 1000);
	clear();
}
END_TEST

/* Versions of which the hash is all 1, all 2, ... */
static struct verdict *verdict_filled(uint8_t with) {
	uint8_t hash[HASH_BYTES];
	memset(hash, with, sizeof hash);
	return verdict_add(&registry, hash);
}

#define HASH_OF(byte) "\xc4\x20" byte byte byte byte byte byte byte byte HASH_REST(byte) HASH_REST(byte) HASH_REST(byte)
#define HASH_REST(byte) byte byte byte byte byte byte byte byte

enum { FLAGS_AT = 129 }; /* where the fields end that rows of before probation have */

static const struct bytes versions_row = {(const uint8_t *)"\xdc\x00\x14"
														   "\x02"
														   "\xcf\x00\x00\x00\x00\x00\x00\x01\x02" /* the fence */
	/* now */
	HASH_OF("\x01") HASH_OF("\x02") "\x1e"
	/* before */
	HASH_OF("\x01") "\xc0"
					"\x00"
					"\xc0" /* previous */
					"\x01"
					"\xcd\x03\xe8"
					"\xcc\xc8"
					"\xcd\x01\x2c"
					"\x01" /* flags */
					"\xcd\x01\x90"
					"\x64"
					"\x09"
					"\x04"
					"\x08"
					"\x03",
	137};

static void versions_fill(struct lineage *lineage) {
	lineage->side = 2;
	lineage->fence = 258;
	lineage->now = (struct share){.base = verdict_filled(1), .canary = verdict_filled(2), .percent = 30};
	lineage->before = (struct share){.base = lineage->now.base};
	lineage->running = true;
	lineage->seed = 1000;
	lineage->since_wall_ms = 200;
	lineage->deadline_wall_ms = 300;
	lineage->leaves_undecided = true;
	lineage->probation_until_ms = 400;
	lineage->errors_before = 100;
	lineage->probation_row = (struct outcome_count){.messages = 9, .failed = 4};
	lineage->other_row = (struct outcome_count){.messages = 8, .failed = 3};
}

static const struct lineage *versions_read(struct bytes row, bool *ret_good) {
	struct error error;
	clear();
	(void)verdict_filled(1), (void)verdict_filled(2);
	*ret_good = lineage_read(&registry, BYTES("Wplay"), row, &error);
	ck_assert(*ret_good || (error.code == ERROR_STORE_FAILED && error.hint[0] != '\0'));
	return lineage_find(&registry, "play");
}

START_TEST(test_who_of_the_versions_has_what) {
	struct buf row = {0};
	bool good;
	struct lineage *written = lineage_add(&registry, "play");
	struct key key = lineage_key(written);
	ck_assert(bytes_equal(key_bytes(&key), BYTES("Wplay")));
	versions_fill(written);
	lineage_write(&row, written);
	is_bytes(&row, versions_row);
	ck_assert_uint_eq(row.data[LINEAGE_FENCE_OFFSET + 6], 1); /* the committer writes the fence there */
	const struct lineage *lineage = versions_read(versions_row, &good);
	ck_assert(good && lineage->side == 2 && lineage->fence == 258 && lineage->now.percent == 30);
	ck_assert(lineage->now.base == registry.verdicts[0] && lineage->now.canary == registry.verdicts[1]);
	ck_assert(lineage->before.base == registry.verdicts[0] && lineage->before.canary == NULL);
	ck_assert(lineage->previous == NULL && lineage->running && lineage->seed == 1000);
	ck_assert(lineage->since_wall_ms == 200 && lineage->deadline_wall_ms == 300 && lineage->leaves_undecided);
	ck_assert(lineage->probation_until_ms == 400 && lineage->errors_before == 100);
	ck_assert(lineage->probation_kept.messages == 9 && lineage->probation_kept.failed == 4);
	ck_assert(lineage->other_kept.messages == 8 && lineage->other_kept.failed == 3);
	for (size_t size = 0; size < versions_row.size; size++) {
		(void)versions_read(bytes_of(versions_row.data, size), &good);
		ck_assert(!good);
	}
	buf_finish(&row);
	clear();
}
END_TEST

START_TEST(test_versions_of_before_there_was_a_probation) {
	struct buf row = {0};
	bool good;
	buf_append(&row, versions_row.data, FLAGS_AT);
	row.data[2] = 14;
	const struct lineage *lineage = versions_read(bytes_buf(&row), &good);
	ck_assert(good && lineage->deadline_wall_ms == 300 && lineage->leaves_undecided);
	ck_assert(lineage->probation_until_ms == 0 && lineage->probation_kept.messages == 0);
	row.data[2] = 13;
	(void)versions_read(bytes_buf(&row), &good);
	ck_assert(!good);
	buf_finish(&row);
	clear();
}
END_TEST

START_TEST(test_versions_that_cannot_be_are_refused) {
	static const struct {
		size_t at;
		uint8_t byte;
	} wrongs[] = {
		{3, MESSAGE_SIDES}, /* a side that there is not */
		{15, 3},            /* a version whose verdict is not known */
		{81, 101},          /* percent */
		{134, 10},          /* more failed than there were */
	};
	for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
		struct buf row = {0};
		bool good;
		buf_append_bytes(&row, versions_row);
		row.data[wrongs[i].at] = wrongs[i].byte;
		(void)versions_read(bytes_buf(&row), &good);
		ck_assert_msg(!good, "wrong %zu is taken", i);
		buf_finish(&row);
	}
	clear();
}
END_TEST

START_TEST(test_rows_that_are_cut_or_wrong_are_refused) {
	uint8_t hash[HASH_BYTES];
	struct error error;
	hash_fill(hash);
	struct key key = key_verdict(hash);
	for (size_t size = 0; size < live_row.size; size++) {
		ck_assert(!verdict_read(&registry, key_bytes(&key), bytes_of(live_row.data, size), &error));
		ck_assert_int_eq(error.code, ERROR_STORE_FAILED);
		ck_assert(error.hint[0] != '\0');
		clear();
	}
	ck_assert(!verdict_read(&registry, BYTES("Vshort"), live_row, &error));
	ck_assert(!type_read(&registry, BYTES("T\0\0"), live_row, &error));
	ck_assert(!type_read(&registry, BYTES("T\xff\xff"), live_row, &error));
	ck_assert(!type_read(&registry, BYTES("T\0\1"), live_row, &error));
	clear();
}
END_TEST

int main(void) {
	Suite *suite = suite_create("registry_rows");
	TCase *tests = tcase_create("rows");
	tcase_add_test(tests, test_a_live_verdict);
	tcase_add_test(tests, test_a_refusal_and_a_drain);
	tcase_add_test(tests, test_a_function_type_of_before_migrations);
	tcase_add_test(tests, test_a_function_type);
	tcase_add_test(tests, test_when_state_ends);
	tcase_add_test(tests, test_parts_of_all_ids_in_order);
	tcase_add_test(tests, test_when_state_ends_as_it_was_written_before);
	tcase_add_test(tests, test_who_of_the_versions_has_what);
	tcase_add_test(tests, test_versions_of_before_there_was_a_probation);
	tcase_add_test(tests, test_versions_that_cannot_be_are_refused);
	tcase_add_test(tests, test_rows_that_are_cut_or_wrong_are_refused);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
