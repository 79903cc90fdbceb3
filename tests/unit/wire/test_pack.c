/* Writing MessagePack (wire/pack.h): golden bytes, always the shortest form. */
#include <check.h>
#include <stdlib.h>

#include "random_value.h"
#include "wire/cursor.h"
#include "wire/pack.h"

static void packed_is(struct buf *buf, const char *hex) {
	struct buf text = {0};
	for (size_t i = 0; i < buf->size && i < 16; i++)
		buf_printf(&text, "%02x", buf->data[i]);
	buf_append_u8(&text, 0);
	ck_assert_str_eq((const char *)text.data, hex);
	buf_finish(&text);
	buf_reset(buf);
}

START_TEST(test_pack_integers) {
	static const struct {
		uint64_t value;
		const char *hex;
	} uints[] = {{0, "00"}, {127, "7f"}, {128, "cc80"}, {255, "ccff"}, {256, "cd0100"}, {65535, "cdffff"},
		{65536, "ce00010000"}, {UINT32_MAX, "ceffffffff"}, {(uint64_t)UINT32_MAX + 1, "cf0000000100000000"},
		{UINT64_MAX, "cfffffffffffffffff"}};
	static const struct {
		int64_t value;
		const char *hex;
	} ints[] = {{-1, "ff"}, {-32, "e0"}, {-33, "d0df"}, {-128, "d080"}, {-129, "d1ff7f"}, {-32768, "d18000"},
		{-32769, "d2ffff7fff"}, {INT32_MIN, "d280000000"}, {(int64_t)INT32_MIN - 1, "d3ffffffff7fffffff"},
		{INT64_MIN, "d38000000000000000"}};
	struct buf buf = {0};
	for (size_t i = 0; i < sizeof uints / sizeof *uints; i++) {
		pack_uint(&buf, uints[i].value);
		packed_is(&buf, uints[i].hex);
		if (uints[i].value > INT64_MAX)
			continue;
		pack_int(&buf, (int64_t)uints[i].value);
		packed_is(&buf, uints[i].hex);
	}
	for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
		pack_int(&buf, ints[i].value);
		packed_is(&buf, ints[i].hex);
	}
	buf_finish(&buf);
}
END_TEST

START_TEST(test_pack_other_scalars) {
	struct buf buf = {0};
	pack_nil(&buf);
	pack_bool(&buf, false);
	pack_bool(&buf, true);
	pack_float(&buf, 1.5F);
	pack_double(&buf, -2.5);
	packed_is(&buf, "c0c2c3ca3fc00000cbc0040000000000");
	pack_text(&buf, "");
	pack_text(&buf, "hi");
	pack_bin(&buf, bytes_text("hi"));
	pack_ext(&buf, -1, bytes_text("hi"));
	pack_ext(&buf, 5, bytes_text("abc"));
	packed_is(&buf, "a0a26869c4026869d5ff6869c7030561");
	pack_str_clean(&buf, bytes_text("\xff\xc3\xbc\xc3"));
	packed_is(&buf, "a43fc3bc3f");
	pack_str_clean(&buf, bytes_text("\xc3\xbc"));
	packed_is(&buf, "a2c3bc");
	buf_finish(&buf);
}
END_TEST

START_TEST(test_pack_sizes_at_their_bounds) {
	static const struct {
		uint32_t count;
		const char *array, *map, *str, *bin;
	} cases[] = {{15, "9f", "8f", "af", "c40f"}, {16, "dc0010", "de0010", "b0", "c410"},
		{31, "dc001f", "de001f", "bf", "c41f"}, {32, "dc0020", "de0020", "d920", "c420"},
		{255, "dc00ff", "de00ff", "d9ff", "c4ff"}, {256, "dc0100", "de0100", "da0100", "c50100"},
		{65535, "dcffff", "deffff", "daffff", "c5ffff"},
		{65536, "dd00010000", "df00010000", "db00010000", "c600010000"}};
	struct buf buf = {0};
	char *content = calloc(65536, 1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		pack_array(&buf, cases[i].count);
		packed_is(&buf, cases[i].array);
		pack_map(&buf, cases[i].count);
		packed_is(&buf, cases[i].map);
		pack_str(&buf, bytes_of(content, cases[i].count));
		ck_assert_uint_eq(buf.size, cases[i].count + strlen(cases[i].str) / 2);
		buf.size = strlen(cases[i].str) / 2;
		packed_is(&buf, cases[i].str);
		pack_bin(&buf, bytes_of(content, cases[i].count));
		ck_assert_uint_eq(buf.size, cases[i].count + strlen(cases[i].bin) / 2);
		buf.size = strlen(cases[i].bin) / 2;
		packed_is(&buf, cases[i].bin);
	}
	free(content);
	buf_finish(&buf);
}
END_TEST

START_TEST(test_pack_what_the_cursor_reads) {
	struct buf buf = {0};
	for (uint64_t seed = 0; seed < 100000; seed++) {
		struct random random = {seed};
		uint64_t number = random_next(&random) >> random_below(&random, 64), read;
		int64_t negative = -(int64_t)(number >> 1) - 1, read_negative;
		pack_uint(&buf, number);
		pack_int(&buf, negative);
		struct cursor cursor = cursor_of(bytes_buf(&buf));
		ck_assert(cursor_read_uint(&cursor, &read) && read == number);
		ck_assert(cursor_read_int(&cursor, &read_negative) && read_negative == negative);
		buf_reset(&buf);
	}
	buf_finish(&buf);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("pack");
	TCase *tests = tcase_create("pack");
	tcase_add_test(tests, test_pack_integers);
	tcase_add_test(tests, test_pack_other_scalars);
	tcase_add_test(tests, test_pack_sizes_at_their_bounds);
	tcase_add_test(tests, test_pack_what_the_cursor_reads);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
