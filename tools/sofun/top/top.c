/* top: the host's rates, latencies and backlog, live. On a terminal the screen is drawn anew each interval, until q or
 * Ctrl-C; elsewhere one snapshot is printed. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "base/check.h"
#include "client/socket.h"
#include "commands.h"
#include "fail.h"
#include "show/output.h"
#include "show/table.h"
#include "show/terminal.h"
#include "top/snapshot.h"

enum {
	INTERVAL_MS = 1000,
	INTERVAL_MS_MIN = 100,
};

static volatile sig_atomic_t stop_asked;

static void stop_note(int signal_number) {
	(void)signal_number;
	stop_asked = 1;
}

/* ---- figures as a person reads them ---- */

static void cell_format(struct table *table, const json_t *value, const char *format, double factor) {
	char text[48] = "-";
	if (json_is_number(value))
		(void)snprintf(text, sizeof text, format, json_number_value(value) * factor);
	table_cell(table, text);
}

/* 1234 as 1.2k: a column of rates is compared by its length. */
static void cell_rate(struct table *table, const json_t *value) {
	const double number = json_number_value(value);
	if (number >= 1e6)
		cell_format(table, value, "%.2fM", 1e-6);
	else if (number >= 1e4)
		cell_format(table, value, "%.1fk", 1e-3);
	else
		cell_format(table, value, number < 10 && number > 0 ? "%.1f" : "%.0f", 1);
}

static double figure(const json_t *all, const char *key) {
	return json_number_value(json_object_get(all, key));
}

/* One line, if there is any of it. */
static void held_print(const json_t *all) {
	const double running = figure(all, "operations_running"), queued = figure(all, "operations_queued");
	const double blocked = figure(all, "blocked"), undecided = figure(all, "undecided");
	if (running + queued > 0)
		printf("operations %.0f running, %.0f queued", running, queued);
	if (blocked + undecided > 0)
		printf("%saddresses %.0f blocked, %.0f undecided", running + queued > 0 ? "  " : "", blocked, undecided);
	if (running + queued + blocked + undecided > 0)
		putchar('\n');
}

static void host_print(const json_t *all) {
	const json_t *commit = json_object_get(all, "commit");
	printf("sofund %s  pid %.0f  up %.0f s  recovered %s  durability %s  epoch %.0f\n",
		json_string_value(json_object_get(all, "version")), figure(all, "worker_pid"), figure(all, "uptime_ms") / 1000,
		json_string_value(json_object_get(all, "recovered")), json_string_value(json_object_get(all, "durability")),
		figure(all, "epoch"));
	printf("accepted %.0f/s  handled %.0f/s  retried %.1f/s  dead %.1f/s  records %.0f/s\n",
		figure(all, "accepted_per_s"), figure(all, "handled_per_s"), figure(all, "retried_per_s"),
		figure(all, "dead_per_s"), figure(all, "records_per_s"));
	printf("in flight %.0f  dead %.0f  memory %.1f MiB  cpu %.0f %%\n", figure(all, "in_flight"), figure(all, "dead"),
		figure(all, "memory_bytes") / (1 << 20), figure(all, "cpus") * 100);
	printf("journal %.2f MB/s", figure(all, "journal_bytes_per_s") / 1e6);
	if (json_is_number(json_object_get(commit, "p99_s")))
		printf("  commit p50 %.2f ms p99 %.2f ms", figure(commit, "p50_s") * 1000, figure(commit, "p99_s") * 1000);
	putchar('\n');
	held_print(all);
	putchar('\n');
}

/* How a member of a row becomes a cell. */
struct member {
	const char *key;
	enum { CELL_TEXT, CELL_RATE, CELL_COUNT, CELL_MS, CELL_KIB } kind;
};

static void member_print(struct table *table, const struct member *member, const json_t *row) {
	const json_t *value = json_object_get(row, member->key);
	switch (member->kind) {
	case CELL_TEXT:
		table_cell_json(table, value);
		break;
	case CELL_RATE:
		cell_rate(table, value);
		break;
	case CELL_COUNT:
		cell_format(table, value, "%.0f", 1);
		break;
	case CELL_MS:
		cell_format(table, value, "%.3f", 1000);
		break;
	case CELL_KIB:
		cell_format(table, value, "%.1f", 1.0 / 1024);
		break;
	}
}

static void rows_print(
	const json_t *rows, const struct table_column *columns, const struct member *members, size_t count) {
	size_t i;
	json_t *row;
	struct table table;
	table_init(&table, columns, count);
	json_array_foreach(rows, i, row) {
		for (size_t k = 0; k < count; k++)
			member_print(&table, &members[k], row);
	}
	table_print(&table);
}

static const struct table_column function_columns[] = {{"FUNCTION", 20, 0}, {"VERSION", 0, 3}, {"IN/S", 0, 0},
	{"OUT/S", 0, 4}, {"EMIT/S", 0, 6}, {"FAIL/S", 0, 0}, {"RETRY/S", 0, 5}, {"P50 MS", 0, 7}, {"P99 MS", 0, 0},
	{"WAIT", 0, 1}, {"IDS", 0, 2}};
static const struct member function_members[] = {{"type", CELL_TEXT}, {"version", CELL_TEXT}, {"in_per_s", CELL_RATE},
	{"out_per_s", CELL_RATE}, {"egress_per_s", CELL_RATE}, {"failures_per_s", CELL_RATE}, {"retries_per_s", CELL_RATE},
	{"p50_s", CELL_MS}, {"p99_s", CELL_MS}, {"waiting", CELL_COUNT}, {"instances", CELL_COUNT}};

static const struct table_column shard_columns[] = {{"SHARD", 0, 0}, {"BACKLOG KIB", 0, 0}, {"INPUT KIB", 0, 1},
	{"EPOCH MSGS", 0, 3}, {"EPOCH KIB", 0, 4}, {"WARM", 0, 2}, {"MISSES/S", 0, 5}};
static const struct member shard_members[] = {{"shard", CELL_COUNT}, {"backlog_bytes", CELL_KIB},
	{"input_bytes", CELL_KIB}, {"epoch_messages", CELL_COUNT}, {"epoch_bytes", CELL_KIB},
	{"cache_instances", CELL_COUNT}, {"cache_misses_per_s", CELL_RATE}};

enum {
	FUNCTION_MEMBERS = sizeof function_members / sizeof function_members[0],
	SHARD_MEMBERS = sizeof shard_members / sizeof shard_members[0],
};
_Static_assert(sizeof function_columns / sizeof function_columns[0] == FUNCTION_MEMBERS, "a head a member");
_Static_assert(sizeof shard_columns / sizeof shard_columns[0] == SHARD_MEMBERS, "a head a member");

static void snapshot_print(const json_t *all) {
	host_print(all);
	rows_print(json_object_get(all, "functions"), function_columns, function_members, FUNCTION_MEMBERS);
	putchar('\n');
	rows_print(json_object_get(all, "shards"), shard_columns, shard_members, SHARD_MEMBERS);
}

/* ---- the screen ---- */

struct screen {
	bool live;     /* stdout is a terminal */
	bool keyboard; /* stdin is one, and gives keys at once */
	struct termios before;
};

static void screen_begin(struct screen *screen, bool live) {
	*screen = (struct screen){.live = live};
	if (!live)
		return;
	const struct sigaction action = {.sa_handler = stop_note};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (tcgetattr(STDIN_FILENO, &screen->before) == 0) {
		struct termios keys = screen->before;
		keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		screen->keyboard = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
	}
	fputs("\033[?1049h\033[?25l", stdout); /* a screen of its own, no cursor */
}

static void screen_end(const struct screen *screen) {
	if (screen->keyboard)
		tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
	if (screen->live)
		fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
}

/* Until the interval is over. False: the user wants to go. */
static bool screen_wait(const struct screen *screen, uint64_t until_ms) {
	for (;;) {
		const uint64_t now_ms = clock_ms();
		if (stop_asked)
			return false;
		if (now_ms >= until_ms)
			return true;
		struct pollfd keys = {.fd = screen->keyboard ? STDIN_FILENO : -1, .events = POLLIN};
		char key = 0;
		if (poll(&keys, 1, (int)(until_ms - now_ms)) > 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q'))
			return false;
	}
}

/* Each line is drawn over the one that stood there; what is left below is wiped. */
static void screen_draw(const struct screen *screen, const struct invocation *run, const json_t *all) {
	if (run->json) {
		output_json_figures(all);
		return;
	}
	fputs(screen->live ? "\033[H\033[2J" : "", stdout);
	snapshot_print(all);
	if (screen->live)
		printf("\n%severy %.1f s; q ends%s", terminal_style(STDOUT_FILENO, STYLE_DIM), figure(all, "interval_s"),
			terminal_plain(STDOUT_FILENO));
	fflush(stdout);
}

/* A host that is away, or starts again, is waited for; the screen says so. */
static void screen_problem(const struct screen *screen, const char *problem) {
	printf("\033[H\033[2J%s%s%s\ntrying again; q ends", terminal_style(STDOUT_FILENO, STYLE_ERROR), problem,
		terminal_plain(STDOUT_FILENO));
	check(screen->live);
	fflush(stdout);
}

static int looks_run(
	const struct invocation *run, const struct screen *screen, uint64_t interval_ms, unsigned long long count) {
	struct look before = {0}, after;
	char problem[LOOK_PROBLEM_BYTES] = "";
	int result = EXIT_OK;
	do {
		if (!look_take(run, &after, problem)) {
			if (!screen->live) {
				result = fail_unreachable(run, "%s", problem);
				break;
			}
			screen_problem(screen, problem);
			after = (struct look){.at_ms = clock_ms()};
		}
		if (before.status != NULL && after.status != NULL) {
			json_t *all = snapshot_make(&before, &after);
			screen_draw(screen, run, all);
			json_decref(all);
			count--;
		}
		look_finish(&before);
		before = after;
	} while (count > 0 && screen_wait(screen, before.at_ms + interval_ms));
	look_finish(&before);
	return result;
}

static int top_run(const struct invocation *run) {
	unsigned long long interval_ms = INTERVAL_MS;
	const bool live = !run->json && terminal_columns(STDOUT_FILENO) > 0;
	unsigned long long count = live ? ~0ULL : 1;
	if (!option_seconds(run, "--interval", &interval_ms) || !option_number(run, "--count", ~0ULL, &count))
		return EXIT_USAGE;
	if (interval_ms < INTERVAL_MS_MIN)
		return fail_usage(run, "--interval takes at least 0.1 s");
	struct screen screen;
	screen_begin(&screen, live);
	const int result = looks_run(run, &screen, interval_ms, count);
	screen_end(&screen);
	return result;
}

static const struct option top_options[] = {
	{"--interval", "S", "seconds between two looks (default 1)"},
	{"--count", "N", "end after this many (default: 1 where stdout is no terminal, else until q)"},
	{NULL, NULL, NULL},
};

const struct command top_command = {
	.name = "top",
	.usage = "[--interval S] [--count N]",
	.summary = "rates, latencies and backlog, live",
	.help =
		"Shows what each function and each shard did within the last interval: rates, latencies, what waits. Operations and\n"
		"addresses that are blocked or undecided have a line if there are any. q or Ctrl-C\n"
		"ends it. Where stdout is no terminal it prints one snapshot; with --json each is one object.\n\n"
		"  sofun top\n"
		"  sofun --json top --interval 10 --count 6",
	.options = top_options,
	.run = top_run,
};
