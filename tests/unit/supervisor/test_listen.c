/* Listening sockets: for their owner only, replacing what a killed host left, ending for everyone at once. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/listen.h"

static char folder[64];
static char path[128];

static void set_up(void) {
	strcpy(folder, "/tmp/sofun-listen-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/a.sock", folder);
}

static void tear_down(void) {
	listen_unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}

static bool connects(void) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool good = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
	close(fd);
	return good;
}

START_TEST(test_socket_is_for_its_owner_only) {
	struct error error;
	struct stat status;
	int fd = listen_unix(path, &error);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert(S_ISSOCK(status.st_mode));
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	ck_assert(connects());
	close(fd);
}
END_TEST

START_TEST(test_socket_of_a_killed_host_is_replaced) {
	struct error error;
	int first = listen_unix(path, &error);
	int second = listen_unix(path, &error);
	ck_assert_int_ge(second, 0);
	close(first);
	ck_assert(connects());
	close(second);
	ck_assert(!connects());
}
END_TEST

START_TEST(test_end_is_for_every_holder) {
	struct error error;
	int fd = listen_unix(path, &error);
	int other = dup(fd);
	listen_end(other);
	ck_assert(!connects());
	close(fd);
	close(other);
}
END_TEST

START_TEST(test_socket_that_cannot_be) {
	struct error error;
	char bad[200];
	memset(bad, 'x', sizeof bad);
	memcpy(bad, "/tmp/", 5);
	bad[108] = '\0';
	ck_assert_int_eq(listen_unix(bad, &error), -1);
	ck_assert_int_eq(error.code, ERROR_BAD_REQUEST);
	ck_assert_int_eq(listen_unix(folder, &error), -1);
	ck_assert_int_eq(error.code, ERROR_REFUSED);
	snprintf(bad, sizeof bad, "%s/no/such/folder", folder);
	ck_assert_int_eq(listen_unix(bad, &error), -1);
	ck_assert_int_eq(error.code, ERROR_REFUSED);
}
END_TEST

int main(void) {
	Suite *suite = suite_create("listen");
	TCase *tests = tcase_create("listen");
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, test_socket_is_for_its_owner_only);
	tcase_add_test(tests, test_socket_of_a_killed_host_is_replaced);
	tcase_add_test(tests, test_end_is_for_every_holder);
	tcase_add_test(tests, test_socket_that_cannot_be);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
