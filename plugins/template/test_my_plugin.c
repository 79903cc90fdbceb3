/* Step 6. Test it, without a host: `ctest --test-dir build`. <sofun/testing.h> tells all that a test can ask. */
#include <sofun/testing.h>

#define TYPE "demo/my-plugin"

static void test_points_add_up(sofun_test *test) {
	SOFUN_EXPECT_OK(test, sofun_test_call(test, TYPE, "game", "{\"user\": \"ada\", \"points\": 2}"));
	SOFUN_EXPECT_REPLY(test, "2");
	SOFUN_EXPECT_OK(test, sofun_test_call(test, TYPE, "game", "{\"user\": \"bob\", \"points\": 3}"));
	SOFUN_EXPECT_REPLY(test, "5");
	SOFUN_EXPECT_STATE(test, TYPE, "game", "last", "\"bob\"");
	SOFUN_EXPECT_STATE(test, TYPE, "another", "total", NULL);
}

static void test_a_bad_payload_changes_nothing(sofun_test *test) {
	SOFUN_EXPECT_FAILURE(test, sofun_test_call(test, TYPE, "game", "{\"user\": \"ada\"}"),
		"the payload must be {user: text, points: integer}");
	SOFUN_EXPECT_NOTHING(test);
	SOFUN_EXPECT_STATE(test, TYPE, "game", "total", "5");
}

static void test_a_line_goes_to_its_instance(sofun_test *test) {
	SOFUN_EXPECT_OK(test, sofun_test_route(test, "my-plugin", sofun_text("game ada")));
	SOFUN_EXPECT_SEND(test, TYPE, "game", "{\"user\": \"ada\", \"points\": 1}");
	SOFUN_EXPECT_FAILURE(test, sofun_test_route(test, "my-plugin", sofun_text("nobody")), "a line must be: ID USER");
}

int main(int count, char **arguments) {
	sofun_test *test = sofun_test_open(count > 1 ? arguments[1] : "./my-plugin.so");
	test_points_add_up(test);
	test_a_bad_payload_changes_nothing(test);
	test_a_line_goes_to_its_instance(test);
	sofun_test_close(test);
	return 0;
}
