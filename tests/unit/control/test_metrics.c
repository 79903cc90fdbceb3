/* /metrics as Prometheus reads it: every sample has HELP and TYPE, names keep to the rules, values are right. */
#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/metrics/metrics.h"

static char *text;

static void setup(void) {
	static const struct metrics metrics = {
		.engine = {.epoch = 12,
			.time_ms = 1700000000123,
			.accepted = 10,
			.handled = 7,
			.in_flight = 3,
			.shards = 2,
			.memory_bytes = UINT64_MAX,
			.waiting_for_space = true},
		.store = {.journal_bytes_written = 4096},
		.http = {.good = 5, .refused = 4, .failed = 3, .open = 1},
		.uptime_ms = 1005,
		.cpu_us = 2000042,
		.ready = true,
		.commit = {.epochs = 3, .commit = {.counts = {[0] = 1, [10] = 2}, .sum_us = 2000001}},
	};
	static struct metrics_function functions[] = {
		{.figures = {.in = 40, .seconds = {.counts = {[23] = 1}, .sum_us = 5000000}}}};
	static char type[] = "a/\"b";
	static const char instances[] = "sofun_instances{type=\"a/b\",schema=\"2\"} 9\n";
	struct metrics shown = metrics;
	struct buf buf = {0};
	functions[0].type = type;
	shown.functions = functions;
	shown.function_count = 1;
	buf_append(&shown.instances, instances, sizeof instances - 1);
	metrics_text(&shown, &buf);
	shown.functions = NULL; /* not of the heap */
	shown.function_count = 0;
	metrics_finish(&shown);
	buf_append_u8(&buf, '\0');
	text = (char *)buf.data;
}

static void teardown(void) {
	free(text);
}

static void has_line(const char *line) {
	char wanted[256];
	snprintf(wanted, sizeof wanted, "\n%s\n", line);
	ck_assert_msg(strstr(text, wanted) != NULL, "no line: %s", line);
}

START_TEST(values_stand_behind_their_names) {
	has_line("sofun_messages_accepted_total 10");
	has_line("sofun_messages_handled_total 7");
	has_line("sofun_messages_in_flight 3");
	has_line("sofun_epoch 12");
	has_line("sofun_engine_memory_bytes 18446744073709551615");
	has_line("sofun_waiting_for_space 1");
	has_line("sofun_store_failed 0");
	has_line("sofun_time_seconds 1700000000.123000");
	has_line("sofun_uptime_seconds 1.005000");
	has_line("sofun_cpu_seconds_total 2.000042");
	has_line("sofun_journal_written_bytes_total 4096");
	has_line("sofun_http_requests_total{status=\"4xx\"} 4");
	has_line("sofun_ready 1");
	has_line("sofun_function_messages_in_total{function=\"a/\\\"b\"} 40");
	has_line("sofun_function_seconds_bucket{function=\"a/\\\"b\",le=\"4.194304\"} 0");
	has_line("sofun_function_seconds_bucket{function=\"a/\\\"b\",le=\"+Inf\"} 1");
	has_line("sofun_function_seconds_sum{function=\"a/\\\"b\"} 5.000000");
	has_line("sofun_commit_seconds_bucket{le=\"0.000512\"} 1");
	has_line("sofun_commit_seconds_bucket{le=\"0.001024\"} 3");
	has_line("sofun_commit_seconds_count 3");
	has_line("sofun_commit_seconds_sum 2.000001");
	has_line("sofun_shard_backlog_bytes{shard=\"1\"} 0");
	has_line("sofun_instances{type=\"a/b\",schema=\"2\"} 9");
}
END_TEST

/* "# TYPE name type": counters end in _total, others do not; the name is that of HELP before and of the samples after. */
START_TEST(every_family_has_help_type_and_samples) {
	char help[128] = "", type[128] = "";
	unsigned samples = 1, families = 0;
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char name[128], kind[32];
		if (sscanf(line, "# HELP %127s %31s", name, kind) == 2) {
			ck_assert_uint_ge(samples, 1);
			strcpy(help, name);
			ck_assert(line[strlen(line) - 1] == '.');
		} else if (sscanf(line, "# TYPE %127s %31s", name, kind) == 2) {
			ck_assert_str_eq(name, help);
			strcpy(type, name);
			bool total = strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;
			ck_assert_msg(total == (strcmp(kind, "counter") == 0), "%s is a %s", name, kind);
			samples = 0;
			families++;
		} else {
			size_t size = strlen(type);
			ck_assert_msg((line[size] == ' ' || line[size] == '{' ||
							  (line[size] == '_' && size > 8 && strcmp(type + size - 8, "_seconds") == 0)) &&
					strncmp(line, type, size) == 0,
				"sample without its family: %s", line);
			ck_assert(strncmp(line, "sofun_", 6) == 0);
			samples++;
		}
	}
	ck_assert_uint_ge(families, 20);
}
END_TEST

START_TEST(durations_fall_into_steps_of_two) {
	struct histogram histogram = {0};
	struct histogram_figures figures = {0};
	static const uint64_t durations[] = {0, 1, 2, 3, 4, 5, 1024, 1025, 4194304, 4194305, UINT32_MAX};
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
		histogram_add(&histogram, durations[i]);
	histogram_read(&histogram, &figures);
	static const uint64_t wanted[HISTOGRAM_BUCKETS] = {
		[0] = 2, [1] = 1, [2] = 2, [3] = 1, [10] = 1, [11] = 1, [22] = 1, [23] = 2};
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		ck_assert_msg(figures.counts[i] == wanted[i], "bucket %zu: %llu", i, (unsigned long long)figures.counts[i]);
	ck_assert_uint_eq(figures.sum_us, 15 + 2049 + 8388609 + (uint64_t)UINT32_MAX);
}
END_TEST

START_TEST(resident_memory_of_this_process_is_known) {
	ck_assert_uint_ge(process_resident_bytes(), 4096);
}
END_TEST

int main(void) {
	TCase *cases = tcase_create("metrics");
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, values_stand_behind_their_names);
	tcase_add_test(cases, every_family_has_help_type_and_samples);
	tcase_add_test(cases, durations_fall_into_steps_of_two);
	tcase_add_test(cases, resident_memory_of_this_process_is_known);
	Suite *suite = suite_create("control/metrics");
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
