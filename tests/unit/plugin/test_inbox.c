/* The inbox: what stands still, what grows, what is gone (plugin/inbox.h). Against a folder of its own; time is real, and
 * waited for by turning the loop until the condition holds. */
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fixture_kit.h"
#include "plugin/inbox.h"

enum {
	DEADLINE_MS = 30000,
	PATIENCE_MS = 600,
	STANDS_MS = 50, /* a file that did not change for twice as long stands still (plugin/inbox.c) */
	EVENTS_MAX = 64
};

/* What the inbox told, in order: "+name", "!name" (its patience is over), "-name". */
static char told[EVENTS_MAX][64];
static size_t told_count;
static size_t settled;
static struct event_base *base;
static struct inbox *inbox;
static char *folder;
static enum inbox_verdict verdict;

static uint64_t now_ms(void) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void tell(char sign, const char *file) {
	ck_assert_uint_lt(told_count, EVENTS_MAX);
	snprintf(told[told_count++], sizeof told[0], "%c%.60s", sign, file);
}

/* The registry answers in a later turn. */
static void answer_late(evutil_socket_t fd, short what, void *arg) {
	char *file = arg;
	(void)fd;
	(void)what;
	inbox_judged(inbox, file, verdict);
	free(file);
}

static void on_arrived(void *arg, const char *file, bool patience_over) {
	struct timeval now = {0};
	(void)arg;
	tell(patience_over ? '!' : '+', file);
	event_base_once(base, -1, EV_TIMEOUT, answer_late, strdup(file), &now);
	if (patience_over)
		verdict = INBOX_JUDGED;
}

static void on_removed(void *arg, const char *file) {
	(void)arg;
	tell('-', file);
}

static void on_settled(void *arg) {
	(void)arg;
	settled++;
}

static void turn(void) {
	struct timeval wait = {.tv_usec = 5000};
	event_base_loopexit(base, &wait);
	ck_assert_int_ge(event_base_loop(base, EVLOOP_ONCE), 0);
}

static bool was_told(const char *what) {
	for (size_t i = 0; i < told_count; i++)
		if (strcmp(told[i], what) == 0)
			return true;
	return false;
}

static void wait_told(const char *what) {
	uint64_t deadline = now_ms() + DEADLINE_MS;
	while (!was_told(what)) {
		ck_assert_msg(now_ms() < deadline, "never told %s", what);
		turn();
	}
}

/* Nothing is told for that long: the absence of an event has no condition to wait for. */
static void quiet(uint64_t ms) {
	size_t before = told_count;
	uint64_t end = now_ms() + ms;
	while (now_ms() < end)
		turn();
	ck_assert_msg(told_count == before, "told %s", told[before]);
}

static void put(const char *name, const char *content) {
	char *path = path_join(folder, name);
	file_put(path, bytes_text(content));
	free(path);
}

static void append(const char *name) {
	char *path = path_join(folder, name);
	FILE *file = fopen(path, "ab");
	ck_assert_ptr_nonnull(file);
	fputs("more", file);
	fclose(file);
	free(path);
}

static size_t told_of(const char *file) {
	size_t count = 0;
	for (size_t i = 0; i < told_count; i++)
		count += strcmp(told[i] + 1, file) == 0;
	return count;
}

/* It grows for so long, or until that is told. False if it may have stood still meanwhile, because the machine had no time for us. */
static bool moves(const char *name, uint64_t ms, const char *until) {
	uint64_t end = now_ms() + ms;
	for (uint64_t last = now_ms(); last < end && !was_told(until); last = now_ms()) {
		append(name);
		turn();
		if (now_ms() - last >= STANDS_MS)
			return false;
	}
	return true;
}

static void take_away(const char *name) {
	char *path = path_join(folder, name);
	ck_assert_int_eq(unlink(path), 0);
	free(path);
}

static void start(void) {
	const struct inbox_options options = {.base = base,
		.directory = folder,
		.patience_ms = PATIENCE_MS,
		.arrived = on_arrived,
		.removed = on_removed,
		.settled = on_settled};
	inbox = inbox_create(&options);
	inbox_start(inbox);
}

static void setup(void) {
	folder = folder_make();
	base = event_base_new();
	verdict = INBOX_JUDGED;
	told_count = 0;
	settled = 0;
}

static void teardown(void) {
	inbox_destroy(inbox);
	event_base_free(base);
	folder_remove(folder);
}

START_TEST(test_an_empty_folder_is_settled_at_once) {
	start();
	ck_assert_uint_eq(settled, 1);
	ck_assert(inbox_settled(inbox));
}
END_TEST

START_TEST(test_what_is_there_comes_in_order_of_names_and_settles) {
	put("b.so", "b");
	put("a.so", "a");
	put(".hidden.so", "x");
	put("c.txt", "x");
	start();
	ck_assert_uint_eq(settled, 0);
	wait_told("+b.so");
	ck_assert_str_eq(told[0], "+a.so");
	ck_assert_uint_eq(told_count, 2);
	uint64_t deadline = now_ms() + DEADLINE_MS;
	while (settled == 0 && now_ms() < deadline)
		turn();
	ck_assert_uint_eq(settled, 1);
	quiet(300);
}
END_TEST

START_TEST(test_each_change_is_an_arrival) {
	start();
	put("a.so", "1");
	wait_told("+a.so");
	told_count = 0;
	append("a.so");
	wait_told("+a.so");
	told_count = 0;
	char *from = path_join(folder, "a.new");
	char *to = path_join(folder, "a.so");
	put("a.new", "1more");
	ck_assert_int_eq(rename(from, to), 0);
	wait_told("+a.so");
	told_count = 0;
	/* Old times do not hide a new file. */
	ck_assert_int_eq(utimensat(AT_FDCWD, to, (struct timespec[2]){{.tv_sec = 1}, {.tv_sec = 1}}, 0), 0);
	wait_told("+a.so");
	free(from);
	free(to);
	told_count = 0;
	quiet(300);
}
END_TEST

START_TEST(test_a_file_that_moves_is_not_offered) {
	char name[] = "a.so", arrives[] = "+a.so";
	bool moved = false;
	start();
	for (; !moved && name[0] <= 'z'; arrives[1] = ++name[0]) {
		told_count = 0;
		put(name, "1");
		moved = moves(name, PATIENCE_MS - 200, "");
		ck_assert(!moved || told_of(name) == 0);
		wait_told(arrives);
	}
	ck_assert(moved);
}
END_TEST

START_TEST(test_patience_ends_for_what_never_stands_still) {
	char name[] = "a.so", impatient[] = "!a.so";
	bool moved = false;
	start();
	for (; !moved && name[0] <= 'z'; impatient[1] = ++name[0]) {
		told_count = 0;
		verdict = INBOX_JUDGED;
		put(name, "1");
		uint64_t begin = now_ms();
		moved = moves(name, DEADLINE_MS, impatient);
		ck_assert(!moved || (was_told(impatient) && told_of(name) == 1 && now_ms() - begin >= PATIENCE_MS - 50));
	}
	ck_assert(moved);
}
END_TEST

START_TEST(test_incomplete_is_offered_when_it_changed_or_at_the_end) {
	verdict = INBOX_INCOMPLETE;
	start();
	put("a.so", "1");
	wait_told("+a.so");
	append("a.so");
	wait_told("!a.so");
	ck_assert_uint_le(told_count, 3);
	quiet(PATIENCE_MS + 200);
	told_count = 0;
	append("a.so"); /* and then it went on after all */
	wait_told("+a.so");
}
END_TEST

START_TEST(test_again_is_again) {
	verdict = INBOX_AGAIN;
	start();
	put("a.so", "1");
	wait_told("+a.so");
	verdict = INBOX_JUDGED;
	uint64_t deadline = now_ms() + DEADLINE_MS;
	while (told_count < 2 && now_ms() < deadline)
		turn();
	ck_assert_str_eq(told[1], "+a.so");
	turn();
	quiet(300);
	told_count = 0;
	inbox_offer_again(inbox, "a.so");
	inbox_offer_again(inbox, "unknown.so");
	wait_told("+a.so");
}
END_TEST

START_TEST(test_a_removal_counts_after_two_seconds) {
	start();
	put("a.so", "1");
	put("b.so", "1");
	wait_told("+b.so");
	told_count = 0;
	take_away("a.so");
	take_away("b.so");
	uint64_t begin = now_ms();
	quiet(1000);
	put("b.so", "1"); /* it is back in time */
	wait_told("-a.so");
	ck_assert_uint_ge(now_ms() - begin, 1900);
	ck_assert(was_told("+b.so"));
	ck_assert(!inbox_has(inbox, "a.so") && inbox_has(inbox, "b.so"));
	quiet(1500);
}
END_TEST

START_TEST(test_what_was_forgotten_is_not_missed) {
	start();
	put("a.so", "1");
	wait_told("+a.so");
	turn();
	told_count = 0;
	take_away("a.so");
	inbox_forget(inbox, "a.so");
	quiet(2500);
}
END_TEST

START_TEST(test_another_folder_in_its_place_removes_nothing) {
	char aside[256];
	start();
	put("a.so", "1");
	wait_told("+a.so");
	turn();
	told_count = 0;
	snprintf(aside, sizeof aside, "%s.aside", folder);
	ck_assert_int_eq(rename(folder, aside), 0);
	quiet(2500);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	quiet(2500);
	put("b.so", "1");
	wait_told("+b.so");
	take_away("b.so");
	wait_told("-b.so");
	ck_assert_int_eq(rmdir(folder), 0);
	ck_assert_int_eq(rename(aside, folder), 0);
	told_count = 0;
	quiet(1500);
	take_away("a.so");
	wait_told("-a.so");
}
END_TEST

int main(void) {
	Suite *suite = suite_create("inbox");
	TCase *tests = tcase_create("inbox");
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_an_empty_folder_is_settled_at_once);
	tcase_add_test(tests, test_what_is_there_comes_in_order_of_names_and_settles);
	tcase_add_test(tests, test_each_change_is_an_arrival);
	tcase_add_test(tests, test_a_file_that_moves_is_not_offered);
	tcase_add_test(tests, test_patience_ends_for_what_never_stands_still);
	tcase_add_test(tests, test_incomplete_is_offered_when_it_changed_or_at_the_end);
	tcase_add_test(tests, test_again_is_again);
	tcase_add_test(tests, test_a_removal_counts_after_two_seconds);
	tcase_add_test(tests, test_what_was_forgotten_is_not_missed);
	tcase_add_test(tests, test_another_folder_in_its_place_removes_nothing);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
