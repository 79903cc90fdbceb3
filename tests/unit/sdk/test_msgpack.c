/* sofun/msgpack.h against msgpack-c: what one writes the other reads, and what is cut off or of another kind is
 * refused. */
/* First: check.h makes a macro of the word fail. */
#include "sofun/sofun.h"

#include <check.h>
#include <math.h>
#include <msgpack.h>
#include <stdlib.h>

#include "base/bytes.h"

static int buf_write(void *data, const char *bytes, size_t size) {
	buf_append(data, bytes, size);
	return 0;
}

/* A packer of msgpack-c into `packed`, and a writer of ours into `room`. */
static struct buf packed;
static msgpack_packer packer;
static uint8_t room[70000];
static sofun_writer writer;

static void begin(void) {
	buf_reset(&packed);
	msgpack_packer_init(&packer, &packed, buf_write);
	writer = sofun_writer_into(room, sizeof room);
}

static sofun_bytes written(void) {
	sofun_bytes bytes;
	ck_assert_int_eq(sofun_written(&writer, &bytes), SOFUN_OK);
	return bytes;
}

static void assert_alike(void) {
	const sofun_bytes ours = written();
	ck_assert_uint_eq(ours.size, packed.size);
	ck_assert(packed.size == 0 || memcmp(ours.data, packed.data, packed.size) == 0);
}

/* Both step over the bytes as one whole object; nobody steps over a prefix of them. */
static void assert_whole(void) {
	const sofun_bytes all = written();
	for (size_t size = 0; size <= all.size; size += all.size > 1000 && size > 100 && size < all.size - 101 ? 97 : 1) {
		sofun_reader reader = sofun_reader_of(sofun_bytes_of(all.data, size));
		ck_assert_int_eq(sofun_skip(&reader), size == all.size);
		ck_assert_ptr_eq(reader.at, size == all.size ? all.data + size : all.data);
	}
}

static const int64_t integers[] = {0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, INT64_MAX, -1, -32,
	-33, -128, -129, -32768, -32769, -2147483648LL, -2147483649LL, INT64_MIN};

START_TEST(integers_are_written_shortest_and_read_back) {
	for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
		int64_t back;
		begin();
		msgpack_pack_int64(&packer, integers[i]);
		sofun_write_int(&writer, integers[i]);
		assert_alike();
		assert_whole();
		sofun_reader reader = sofun_reader_of(written());
		ck_assert_int_eq(sofun_read_kind(&reader), SOFUN_IS_INT);
		ck_assert(sofun_read_int(&reader, &back) && sofun_read_done(&reader));
		ck_assert_int_eq(back, integers[i]);
		uint64_t natural;
		reader = sofun_reader_of(written());
		ck_assert_int_eq(sofun_read_uint(&reader, &natural), integers[i] >= 0);
	}
}
END_TEST

START_TEST(an_integer_beyond_an_int64_is_a_uint_only) {
	int64_t narrow;
	uint64_t wide;
	begin();
	msgpack_pack_uint64(&packer, UINT64_MAX);
	sofun_write_uint(&writer, UINT64_MAX);
	assert_alike();
	sofun_reader reader = sofun_reader_of(written());
	ck_assert(!sofun_read_int(&reader, &narrow));
	ck_assert_ptr_eq(reader.at, room);
	ck_assert(sofun_read_uint(&reader, &wide) && wide == UINT64_MAX);
}
END_TEST

/* Encodings that are longer than needed: 5 and -5 in every width. */
START_TEST(integers_in_every_width_are_read) {
	static const struct {
		const char *bytes;
		size_t size;
		int64_t value;
	} cases[] = {
		{"\xcc\x05", 2, 5},
		{"\xcd\0\x05", 3, 5},
		{"\xce\0\0\0\x05", 5, 5},
		{"\xcf\0\0\0\0\0\0\0\x05", 9, 5},
		{"\xd0\x05", 2, 5},
		{"\xd0\xfb", 2, -5},
		{"\xd1\xff\xfb", 3, -5},
		{"\xd2\xff\xff\xff\xfb", 5, -5},
		{"\xd3\xff\xff\xff\xff\xff\xff\xff\xfb", 9, -5},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		for (size_t size = 0; size <= cases[i].size; size++) {
			int64_t value = 0;
			sofun_reader reader = sofun_reader_of(sofun_bytes_of(cases[i].bytes, size));
			ck_assert_int_eq(sofun_read_int(&reader, &value), size == cases[i].size);
			ck_assert_int_eq(value, size == cases[i].size ? cases[i].value : 0);
		}
	}
}
END_TEST

START_TEST(floats_booleans_and_nil) {
	const double doubles[] = {0, -0.0, 1.5, -1e300, INFINITY};
	for (size_t i = 0; i < 5; i++) {
		double back;
		begin();
		msgpack_pack_double(&packer, doubles[i]);
		sofun_write_float(&writer, doubles[i]);
		assert_alike();
		assert_whole();
		sofun_reader reader = sofun_reader_of(written());
		ck_assert(sofun_read_float(&reader, &back));
		ck_assert(memcmp(&back, &doubles[i], sizeof back) == 0);
	}
	begin();
	msgpack_pack_float(&packer, 2.5F);
	double back;
	bool flag;
	sofun_reader reader = sofun_reader_of(sofun_bytes_of(packed.data, packed.size));
	ck_assert(sofun_read_float(&reader, &back) && back > 2.4 && back < 2.6);
	begin();
	msgpack_pack_true(&packer);
	sofun_write_bool(&writer, true);
	msgpack_pack_false(&packer);
	sofun_write_bool(&writer, false);
	msgpack_pack_nil(&packer);
	sofun_write_nil(&writer);
	assert_alike();
	reader = sofun_reader_of(written());
	ck_assert(sofun_read_bool(&reader, &flag) && flag && !sofun_read_nil(&reader));
	ck_assert(sofun_read_bool(&reader, &flag) && !flag && !sofun_read_bool(&reader, &flag));
	ck_assert(sofun_read_nil(&reader) && sofun_read_done(&reader) && !sofun_read_nil(&reader));
}
END_TEST

START_TEST(texts_and_binaries_of_every_length_class) {
	static const uint32_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
	static char body[65536];
	memset(body, 'x', sizeof body);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		sofun_bytes back;
		begin();
		msgpack_pack_str_with_body(&packer, body, sizes[i]);
		sofun_write_str(&writer, sofun_bytes_of(body, sizes[i]));
		assert_alike();
		assert_whole();
		sofun_reader reader = sofun_reader_of(written());
		ck_assert(!sofun_read_bin(&reader, &back) && sofun_read_str(&reader, &back) && back.size == sizes[i]);
		begin();
		msgpack_pack_bin_with_body(&packer, body, sizes[i]);
		sofun_write_bin(&writer, sofun_bytes_of(body, sizes[i]));
		assert_alike();
		assert_whole();
		reader = sofun_reader_of(written());
		ck_assert(!sofun_read_str(&reader, &back) && sofun_read_bin(&reader, &back) && back.size == sizes[i]);
	}
}
END_TEST

START_TEST(heads_of_arrays_and_maps) {
	static const uint32_t counts[] = {0, 1, 15, 16, 65535, 65536, UINT32_MAX};
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		uint32_t back;
		begin();
		msgpack_pack_array(&packer, counts[i]);
		sofun_write_array(&writer, counts[i]);
		msgpack_pack_map(&packer, counts[i]);
		sofun_write_map(&writer, counts[i]);
		assert_alike();
		sofun_reader reader = sofun_reader_of(written());
		ck_assert(!sofun_read_map(&reader, &back) && sofun_read_array(&reader, &back) && back == counts[i]);
		ck_assert(!sofun_read_array(&reader, &back) && sofun_read_map(&reader, &back) && back == counts[i]);
	}
}
END_TEST

START_TEST(extensions_are_read) {
	static const uint32_t sizes[] = {1, 2, 4, 8, 16, 0, 3, 255, 256, 65536};
	static char body[65536];
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		int type;
		sofun_bytes back;
		begin();
		msgpack_pack_ext_with_body(&packer, body, sizes[i], -7);
		sofun_write_raw(&writer, sofun_bytes_of(packed.data, packed.size));
		assert_whole();
		sofun_reader reader = sofun_reader_of(written());
		ck_assert(sofun_read_ext(&reader, &type, &back) && type == -7 && back.size == sizes[i]);
	}
}
END_TEST

START_TEST(a_lie_about_the_count_is_refused_at_once) {
	sofun_reader reader = sofun_reader_of(sofun_bytes_of("\xdd\xff\xff\xff\xff\x01", 6));
	ck_assert(!sofun_skip(&reader));
	reader = sofun_reader_of(sofun_bytes_of("\xdf\xff\xff\xff\xff\xdf\xff\xff\xff\xff", 10));
	ck_assert(!sofun_skip(&reader));
	reader = sofun_reader_of(sofun_bytes_of("\xc1", 1));
	ck_assert(!sofun_skip(&reader));
	ck_assert_int_eq(sofun_read_kind(&reader), SOFUN_IS_NOTHING);
}
END_TEST

START_TEST(a_million_nested_arrays_need_no_stack) {
	const size_t depth = 1000000;
	uint8_t *bytes = malloc(depth + 1);
	ck_assert_ptr_nonnull(bytes);
	memset(bytes, 0x91, depth);
	bytes[depth] = 0xc0;
	sofun_reader reader = sofun_reader_of(sofun_bytes_of(bytes, depth + 1));
	ck_assert(sofun_skip(&reader) && sofun_read_done(&reader));
	reader = sofun_reader_of(sofun_bytes_of(bytes, depth));
	ck_assert(!sofun_skip(&reader));
	free(bytes);
}
END_TEST

/* Random bytes, biased to heads: both readers agree on what is one whole object. Without counts of 32 bits: msgpack-c
 * allocates what they claim. */
START_TEST(random_bytes_are_judged_as_msgpack_c_judges) {
	uint32_t state = 12345;
	size_t good = 0;
	for (int round = 0; round < 200000; round++) {
		uint8_t bytes[12];
		for (size_t i = 0; i < sizeof bytes; i++) {
			state = state * 1664525 + 1013904223;
			bytes[i] = (uint8_t)((state >> 24) & ((state & 0x100) != 0 ? 0xff : 0x93));
			if (bytes[i] == 0xdd || bytes[i] == 0xdf)
				bytes[i] = 0x91;
		}
		msgpack_unpacked object;
		size_t at = 0;
		msgpack_unpacked_init(&object);
		const bool theirs =
			msgpack_unpack_next(&object, (const char *)bytes, sizeof bytes, &at) == MSGPACK_UNPACK_SUCCESS;
		msgpack_unpacked_destroy(&object);
		sofun_reader reader = sofun_reader_of(sofun_bytes_of(bytes, sizeof bytes));
		ck_assert_int_eq(sofun_skip(&reader), theirs);
		ck_assert(!theirs || reader.at == bytes + at);
		good += theirs;
	}
	ck_assert_uint_gt(good, 10000);
}
END_TEST

START_TEST(what_does_not_fit_sticks) {
	uint8_t small[4];
	sofun_bytes bytes;
	writer = sofun_writer_into(small, sizeof small);
	sofun_write_text(&writer, "abc");
	ck_assert_int_eq(sofun_written(&writer, &bytes), SOFUN_OK);
	ck_assert_uint_eq(bytes.size, 4);
	sofun_write_nil(&writer);
	ck_assert_int_eq(sofun_written(&writer, &bytes), SOFUN_TOO_LARGE);
	ck_assert_uint_eq(bytes.size, 4);
	writer = sofun_writer_into(small, sizeof small);
	sofun_write_text(&writer, "abcd");
	sofun_write_nil(&writer);
	ck_assert_int_eq(sofun_written(&writer, &bytes), SOFUN_TOO_LARGE);
}
END_TEST

START_TEST(utf8_is_told_from_other_bytes) {
	static const char *const good[] = {
		"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xed\x9f\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "x\xc3\xa9y"};
	static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x9f\xbf", "\xed\xa0\x80",
		"\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "a\xff", "\xc3\x28"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		ck_assert(sofun_is_utf8(sofun_text(good[i])) && bytes_utf8(bytes_text(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert(!sofun_is_utf8(sofun_text(bad[i])) && !bytes_utf8(bytes_text(bad[i])));
}
END_TEST

int main(void) {
	Suite *suite = suite_create("msgpack");
	TCase *tests = tcase_create("msgpack");
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, integers_are_written_shortest_and_read_back);
	tcase_add_test(tests, an_integer_beyond_an_int64_is_a_uint_only);
	tcase_add_test(tests, integers_in_every_width_are_read);
	tcase_add_test(tests, floats_booleans_and_nil);
	tcase_add_test(tests, texts_and_binaries_of_every_length_class);
	tcase_add_test(tests, heads_of_arrays_and_maps);
	tcase_add_test(tests, extensions_are_read);
	tcase_add_test(tests, a_lie_about_the_count_is_refused_at_once);
	tcase_add_test(tests, a_million_nested_arrays_need_no_stack);
	tcase_add_test(tests, random_bytes_are_judged_as_msgpack_c_judges);
	tcase_add_test(tests, what_does_not_fit_sticks);
	tcase_add_test(tests, utf8_is_told_from_other_bytes);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	const int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
